import NIOCore
import NIOSSL

/// What makes a connection a TLS one, from files that are read anew each time.
struct TransportSecurity: Sendable {
  var configuration: EtcdConfiguration

  /// Refuses what could never work: files that cannot be read, a key without its certificate.
  init(_ configuration: EtcdConfiguration) throws(EtcdError) {
    self.configuration = configuration
    guard (configuration.certificate == nil) == (configuration.key == nil) else {
      throw EtcdError(.invalid, "a client certificate and its key must be given together")
    }
    _ = try context()
  }

  /// Reads the files. On any thread but an event loop's.
  func context() throws(EtcdError) -> NIOSSLContext {
    var settings = TLSConfiguration.makeClientConfiguration()
    settings.minimumTLSVersion = .tlsv12
    if let path = configuration.certificateAuthority {
      settings.trustRoots = .certificates(try Self.certificates(path, "the authorities' certificates"))
    }
    if let path = configuration.certificate, let keyPath = configuration.key {
      settings.certificateChain = try Self.certificates(path, "the client certificate").map { .certificate($0) }
      do {
        settings.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyPath, format: .pem))
      } catch {
        throw EtcdError(.invalid, "cannot read the client certificate's key \(keyPath) as PEM: \(error)")
      }
    }
    do {
      return try NIOSSLContext(configuration: settings)
    } catch {
      throw EtcdError(.invalid, "the client certificate and its key do not go together: \(error)")
    }
  }

  private static func certificates(_ path: String, _ what: String) throws(EtcdError) -> [NIOSSLCertificate] {
    do {
      let all = try NIOSSLCertificate.fromPEMFile(path)
      if !all.isEmpty { return all }
    } catch {
      throw EtcdError(.invalid, "cannot read \(what) \(path) as PEM: \(error)")
    }
    throw EtcdError(.invalid, "there is no certificate in \(path)")
  }

  /// The name that is checked. An address has none: the certificate must then carry the address.
  func serverName(of endpoint: EtcdEndpoint) -> String? {
    if let name = configuration.serverName { return name }
    let isAddress = (try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port)) != nil
    return isAddress ? nil : endpoint.host
  }
}
