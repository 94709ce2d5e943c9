import ControlModel
import SystemCalls
import Tables
import Wire

extension KernelHostNetwork {
  private static let notBuilt = ControlError(.unsupported, "not built yet")
  public func hold(_ ports: HeldPorts) throws(ControlError) { throw Self.notBuilt }
  public func release(_ ports: HeldPorts) throws(ControlError) { throw Self.notBuilt }
  public func uplinkClaims() throws(ControlError) -> PortClaims { throw Self.notBuilt }
  public func openUplink(on link: HostLink) throws(ControlError) -> FileDescriptorGroup { throw Self.notBuilt }
  public func closeUplink() throws(ControlError) { throw Self.notBuilt }
  public func setUplinkAddress(_ address: IPAddress?, slot: Int) throws(ControlError) { throw Self.notBuilt }
  public func setUplinkSubnets(_ subnets: [IPPrefix]) throws(ControlError) { throw Self.notBuilt }
}
