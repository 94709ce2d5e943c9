import Wire

/// What a policy keeps of each port, by the port's index. A frame's port that the policy was not told of yet has `fallback`.
@frozen
public struct PortMap<Value> {
  @usableFromInline var values: [Value]
  @usableFromInline let fallback: Value

  @inlinable
  public init(_ fallback: Value) { (values, self.fallback) = ([], fallback) }

  /// Setting allocates: not for each frame.
  @inlinable
  public subscript(port: UInt16) -> Value {
    @inline(__always)
    get { Int(port) < values.count ? values[Int(port)] : fallback }
    set {
      while values.count <= Int(port) { values.append(fallback) }
      values[Int(port)] = newValue
    }
  }

  /// Back to where all ports have `fallback`.
  @inlinable
  public mutating func removeAll() { values.removeAll(keepingCapacity: true) }
}

extension PortMap: Sendable where Value: Sendable {}

extension [PolicyPort] {
  /// The MAC address behind which the router is: frames to it are routed whatever port they are sent to, unless they are dropped.
  public var gatewayMAC: MACAddress? { first { $0.kind == .gateway && $0.mac != .zero }?.mac }
}

extension PolicyPort {
  /// People mean this port by the name. Only the gateway is called gateway, whatever alias an endpoint has.
  public func isCalled(_ name: String) -> Bool { names.contains(name) && (name != "gateway" || kind == .gateway) }

  /// People mean this port by one of the names.
  public func isCalled(oneOf names: [String]) -> Bool { names.contains { isCalled($0) } }

  /// What people have said of the port, among what they said by names: `port.NAME=VALUE`.
  public func value<Value>(in values: [String: Value]) -> Value? {
    names.lazy.filter { isCalled($0) }.compactMap { values[$0] }.first
  }
}
