// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "@TYPE@",
  products: [.library(name: "@TYPE@", type: .dynamic, targets: ["@TYPE@"])],
  // Built from the sources of the switch that loads it: both must be of one version.
  dependencies: [.package(name: "martlet", path: "@MARTLET@")],
  targets: [
    .target(
      name: "@TYPE@",
      dependencies: [
        .product(name: "Datapath", package: "martlet"),
        .product(name: "Tables", package: "martlet"),
        .product(name: "Wire", package: "martlet"),
      ],
      swiftSettings: [.swiftLanguageMode(.v6)])
  ]
)
