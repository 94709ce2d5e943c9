/// What has ports, by its number in an IP header (IANA, "Assigned Internet Protocol Numbers").
public enum TransportProtocol: UInt8, Hashable, Sendable, CaseIterable {
  case tcp = 6
  case udp = 17
}
