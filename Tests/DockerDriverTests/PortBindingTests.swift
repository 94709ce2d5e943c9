import ControlModel
import HTTPService
import Testing

@testable import DockerDriver

@Suite struct PortBindingTests {
  private func binding(_ fields: String) throws -> PortBinding {
    try JSONBody.decode(PortBinding.self, from: Array("{\(fields)}".utf8))
  }

  @Test(arguments: [
    (#""Proto": 6, "Port": 80, "HostIP": "", "HostPort": 8080, "HostPortEnd": 8080"#, "8080:80/tcp"),
    (
      #""Proto": 17, "Port": 53, "HostIP": "127.0.0.1", "HostPort": 5353, "HostPortEnd": 5353"#, "127.0.0.1:5353:53/udp"
    ),
    (#""Proto": 6, "Port": 70, "HostIP": "", "HostPort": 7000, "HostPortEnd": 7001"#, "7000-7001:70/tcp"),
    (#""Proto": 6, "Port": 80, "HostIP": "", "HostPort": 0, "HostPortEnd": 0"#, "80/tcp"),
    (#""Proto": 6, "Port": 80, "HostIP": "10.0.0.1", "HostPort": 0, "HostPortEnd": 0"#, "10.0.0.1::80/tcp"),
    (#""Proto": 6, "Port": 80, "HostIP": "::1", "HostPort": 8080, "HostPortEnd": 0"#, "[::1]:8080:80/tcp"),
    (#""Proto": 6, "Port": 80, "HostIP": "[::]", "HostPort": 8080"#, "[::]:8080:80/tcp"),
    (#""Proto": 132, "Port": 9001, "IP": "", "HostIP": "", "HostPort": 9001, "HostPortEnd": 9001"#, "9001:9001/sctp"),
    (#""Proto": 6, "Port": 80"#, "80/tcp"),
  ]) func asDockerRunWritesIt(fields: String, expected: String) throws {
    #expect(try binding(fields).specification(isIPv4Alone: false) == expected)
  }

  @Test func `another endpoint has the ports of IPv6`() throws {
    let port = try binding(#""Proto": 6, "Port": 80, "HostIP": "", "HostPort": 8080"#)
    #expect(try port.specification(isIPv4Alone: true) == "0.0.0.0:8080:80/tcp")
  }

  @Test(arguments: [
    #""Proto": 1, "Port": 80"#, #""Proto": 6, "Port": 0"#, #""Proto": 6, "Port": 65536"#,
    #""Proto": 6, "Port": 80, "HostPort": 70000"#, #""Proto": 6, "Port": 80, "HostPort": 90, "HostPortEnd": 80"#,
    #""Proto": 6, "Port": 80, "HostPort": 0, "HostPortEnd": -1"#,
  ]) func refused(fields: String) throws {
    let port = try binding(fields)
    #expect(throws: ControlError.self) { try port.specification(isIPv4Alone: false) }
  }
}
