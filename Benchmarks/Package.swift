// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "benchmarks",
  dependencies: [.package(name: "martlet", path: "..")],
  targets: [
    .executableTarget(
      name: "micro",
      dependencies: [
        .product(name: "Wire", package: "martlet"),
        .product(name: "Tables", package: "martlet"),
        .product(name: "Datapath", package: "martlet"),
        .product(name: "PolicyText", package: "martlet"),
      ],
      path: "Micro",
      // liburing.h defines _GNU_SOURCE for itself; see the root package.
      cSettings: [.define("_GNU_SOURCE")],
      swiftSettings: [
        .swiftLanguageMode(.v6), .enableExperimentalFeature("Lifetimes"), .treatAllWarnings(as: .error),
      ])
  ]
)
