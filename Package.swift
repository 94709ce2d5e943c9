// swift-tools-version: 6.2
import PackageDescription

/// liburing.h defines _GNU_SOURCE for itself; unless every target does, Glibc and CLiburing disagree about `fd_set`.
let gnu: [CSetting] = [.define("_GNU_SOURCE")]

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableExperimentalFeature("Lifetimes"),
  .treatAllWarnings(as: .error),
]

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, cSettings: gnu, swiftSettings: strict)
}

func executable(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .executableTarget(name: name, dependencies: dependencies, cSettings: gnu, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency], resources: [Resource] = []) -> Target {
  .testTarget(
    name: name, dependencies: dependencies + ["Support"], resources: resources, cSettings: gnu, swiftSettings: strict)
}

let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "martlet",
  products: [
    .library(name: "Wire", targets: ["Wire"]),
    .library(name: "Tables", targets: ["Tables"]),
    .library(name: "Datapath", targets: ["Datapath"]),
    .library(name: "MisbehavingPolicy", type: .dynamic, targets: ["MisbehavingPolicy"]),
    .library(name: "PolicyText", targets: ["PolicyText"]),
    .executable(name: "martletd", targets: ["martletd"]),
    .executable(name: "martlet", targets: ["martlet"]),
    .executable(name: "martlet-load", targets: ["martlet-load"]),
    .executable(name: "martlet-cni", targets: ["martlet-cni"]),
    .executable(name: "martlet-netavark", targets: ["martlet-netavark"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // System libraries and C shims.
    .systemLibrary(name: "CLiburing", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
    .systemLibrary(name: "CLibmnl", pkgConfig: "libmnl", providers: [.apt(["libmnl-dev"])]),
    .systemLibrary(name: "CLibpcap", pkgConfig: "libpcap", providers: [.apt(["libpcap-dev"])]),
    .systemLibrary(name: "CLibbpf", pkgConfig: "libbpf", providers: [.apt(["libbpf-dev"])]),
    .systemLibrary(name: "CLibldns", pkgConfig: "ldns", providers: [.apt(["libldns-dev"])]),
    .target(name: "CLinux", dependencies: ["CLiburing"], cSettings: gnu),

    // The data path: no package, no Foundation, no logger. Wire, Tables and Datapath make no system call.
    library("SystemCalls"),
    library("Wire"),
    library("Tables", ["Wire"]),
    library("Datapath", ["Wire", "Tables"]),
    library("PolicyText", ["Wire", "Tables", "Datapath"]),
    library("Policies", ["Wire", "Tables", "Datapath", "PolicyText", "SystemCalls", "CLinux"]),
    library("Captures", ["Wire", "CLibpcap"]),
    library("Replay", ["Wire", "Tables", "Datapath", "Policies", "Captures"]),
    library("SFlow", ["Wire"]),
    library("LinuxIO", ["Wire", "Tables", "Datapath", "SystemCalls", "CLinux", "CLiburing"]),

    // The control plane.
    library("Netlink", ["Wire", "SystemCalls", "CLinux", "CLibmnl"]),
    .target(
      name: "UplinkFilter", dependencies: ["Wire", "Tables", "SystemCalls", "Netlink", "CLinux", "CLibbpf"],
      exclude: ["uplink.bpf.c", "underlay.bpf.c"], cSettings: gnu, swiftSettings: strict, plugins: ["CompilePrograms"]),
    .plugin(name: "CompilePrograms", capability: .buildTool(), dependencies: ["embed-bpf"]),
    executable("embed-bpf", []),
    library("Relay", ["Wire", "SystemCalls", "CLinux"]),
    library(
      "DNS",
      [
        "Wire", "SystemCalls", "CLibldns", logging,
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ]),
    library(
      "Etcd",
      [
        logging,
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "NIOSSL", package: "swift-nio-ssl"),
      ]),
    library("Cluster", ["Etcd", "Wire", "ControlModel", logging]),
    library("ControlModel"),
    library(
      "ControlPlane",
      [
        "Wire", "Tables", "Datapath", "LinuxIO", "Netlink", "Relay", "UplinkFilter", "DNS", "SystemCalls", "CLinux",
        "Captures", "Cluster", "ControlModel", "Policies", logging,
        .product(name: "GRDB", package: "GRDB.swift"),
      ]),
    library(
      "HTTPService",
      [
        "ControlModel", logging,
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ]),
    library(
      "ControlAPI",
      ["ControlModel", "HTTPService", logging, .product(name: "NIOHTTP1", package: "swift-nio")]),
    library(
      "DockerDriver",
      ["ControlModel", "HTTPService", logging, .product(name: "NIOHTTP1", package: "swift-nio")]),
    library("Metrics", ["ControlModel", "HTTPService", logging, .product(name: "NIOHTTP1", package: "swift-nio")]),
    .target(
      name: "LivePage",
      dependencies: ["ControlModel", "HTTPService", logging, .product(name: "NIOHTTP1", package: "swift-nio")],
      resources: [.embedInCode("Resources")], cSettings: gnu, swiftSettings: strict),
    library("ControlClient", ["ControlModel", "CLinux"]),

    // Container engines' plugins: small, and started for each container.
    library("CNI", ["ControlModel", "Netlink", "SystemCalls", "Wire"]),
    library("Netavark", ["CNI", "ControlModel", "Wire"]),

    // What a person runs.
    executable(
      "martletd",
      [
        "ControlPlane", "ControlAPI", "Cluster", "DNS", "DockerDriver", "Etcd", "LivePage", "Metrics", "ControlModel",
        "LinuxIO", "Policies", "SFlow", "SystemCalls", "Wire", arguments, logging,
        .product(name: "Yams", package: "Yams"),
      ]),
    executable(
      "martlet", ["Captures", "ControlClient", "ControlModel", "Policies", "Replay", "CLinux", arguments]),
    executable("martlet-load", ["CLinux", arguments]),
    executable("martlet-cni", ["CNI", "ControlClient", "ControlModel"]),
    executable("martlet-netavark", ["CNI", "ControlClient", "ControlModel", "Netavark"]),

    .target(
      name: "Support", dependencies: ["CLinux", "ControlModel"], path: "Tests/Support", cSettings: gnu,
      swiftSettings: strict),
    .target(
      name: "MisbehavingPolicy", dependencies: ["Datapath", "Tables"], path: "Tests/MisbehavingPolicy",
      swiftSettings: strict),
    .target(name: "CAllocations", path: "Tests/CAllocations"),
    tests("WireTests", ["Wire"]),
    tests("TablesTests", ["Tables", "Wire"]),
    tests("DatapathTests", ["Datapath", "Tables", "Wire"]),
    tests("PolicyTextTests", ["PolicyText", "Policies", "Datapath", "Tables", "Wire"]),
    tests("PoliciesTests", ["Policies", "PolicyText", "Datapath", "Tables", "Wire"]),
    tests("CapturesTests", ["Captures", "Wire"]),
    tests("ReplayTests", ["Replay", "Captures", "Policies", "Datapath", "Tables", "Wire"]),
    tests("SFlowTests", ["SFlow", "Wire"]),
    tests("LinuxIOTests", ["CAllocations", "LinuxIO", "Datapath", "Tables", "Wire", "SystemCalls", "CLinux"]),
    tests("NetlinkTests", ["Netlink", "Wire", "SystemCalls", "CLinux"]),
    tests("RelayTests", ["Relay", "Wire", "SystemCalls", "CLinux"]),
    tests(
      "DNSTests",
      [
        "DNS", "Wire", "SystemCalls", "CLinux", logging,
      ]),
    tests("EtcdTests", ["Etcd", logging]),
    tests("ClusterTests", ["Cluster", "Etcd", "ControlModel", "Wire", logging]),
    tests(
      "UplinkFilterTests", ["UplinkFilter", "Netlink", "Tables", "Wire", "SystemCalls", "CLinux", "CLibbpf"]),
    tests(
      "ControlPlaneTests",
      [
        "ControlPlane", "Cluster", "ControlModel", "DNS", "Datapath", "LinuxIO", "Tables", "Netlink", "Policies",
        "SystemCalls", "Wire", logging,
      ]),
    tests("ControlAPITests", ["ControlAPI", "HTTPService", "ControlClient", "ControlModel"]),
    tests("MetricsTests", ["Metrics", "HTTPService", "ControlModel", logging]),
    tests("LivePageTests", ["LivePage", "HTTPService", "ControlModel", logging]),
    tests("DockerDriverTests", ["DockerDriver", "HTTPService", "ControlModel", logging]),
    tests("CNITests", ["CNI", "ControlModel", "Wire"], resources: [.copy("Recorded")]),
    tests("NetavarkTests", ["CNI", "ControlModel", "Netavark"], resources: [.copy("Recorded")]),
    tests("CommandTests", ["martlet", "ControlAPI", "ControlModel", logging]),
    tests("DaemonTests", ["martletd", "ControlModel", "Wire", logging]),
    tests("LoadTests", ["martlet-load"]),
    tests("SystemTests", ["ControlModel"], resources: [.copy("Programs")]),
    tests("TidyTests", []),
  ]
)

// tools/test builds these alone with optimisation: all the rest takes minutes, and nothing of it is tested so.
if Context.environment["MARTLET_DATA_PATH_ONLY"] != nil {
  let kept: Set = [
    "CLiburing", "CLinux", "CAllocations", "SystemCalls", "Wire", "Tables", "Datapath", "LinuxIO", "ControlModel",
    "Support",
    "DatapathTests", "LinuxIOTests",
  ]
  package.targets.removeAll { !kept.contains($0.name) }
  package.products.removeAll { !kept.contains($0.name) }
  package.dependencies = []
}
