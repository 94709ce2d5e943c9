import NIOCore
import Wire

extension SocketAddress {
  init(_ server: Upstreams.Server) throws {
    try self.init(packedIPAddress: ByteBuffer(bytes: server.address.bytes), port: Int(server.port))
    if server.scope != 0, case .v6(let address) = self {
      var scoped = address.address
      scoped.sin6_scope_id = server.scope
      self.init(scoped, host: "")
    }
  }

  /// An IPv4 address too where a socket of both families has it mapped; nil for a Unix socket's.
  var address: IPAddress? {
    switch self {
    case .v4(let address):
      withUnsafeBytes(of: address.address.sin_addr) { IPAddress(bytes: $0) }
    case .v6(let address):
      withUnsafeBytes(of: address.address.sin6_addr) { IPAddress(bytes: $0) }.map { IPAddress(mapped: $0.mapped) }
    case .unixDomainSocket:
      nil
    }
  }
}
