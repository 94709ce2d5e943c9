// swift-tools-version: 6.2
import PackageDescription

/// liburing.h defines _GNU_SOURCE for itself; see the root package.
let gnu: [CSetting] = [.define("_GNU_SOURCE")]

let package = Package(
  name: "benchmarks",
  dependencies: [
    .package(name: "martlet", path: ".."),
    // Without traits: it needs no jemalloc then.
    .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
  ],
  targets: [
    .executableTarget(
      name: "Micro",
      dependencies: [
        .product(name: "Benchmark", package: "benchmark"),
        .product(name: "Wire", package: "martlet"),
        .product(name: "Tables", package: "martlet"),
      ],
      path: "Benchmarks/Micro",
      cSettings: gnu,
      swiftSettings: [.swiftLanguageMode(.v6)],
      plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")])
  ]
)
