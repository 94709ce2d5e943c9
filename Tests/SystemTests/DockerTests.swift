import Testing

extension SystemTests {
  /// Docker with Martlet for its network driver. The files `Docker*Tests.swift` have the tests; docs/docker-promises.md says which
  /// of them stands for what.
  @Suite(
    "Docker", SharedDocker(),
    .enabled(if: DockerEngine.isInstalled, "tools/test unpacks Debian's docker.io below .build, where it is missing"))
  enum Docker {}
}
