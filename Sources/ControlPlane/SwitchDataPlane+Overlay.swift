import ControlModel
import LinuxIO
import SystemCalls
import Wire

extension SwitchDataPlane {
  public func addCarrier(queues: consuming FileDescriptorGroup, port: UInt16) throws(ControlError) -> DataPlanePort {
    let handle: PortHandle
    do throws(Errno) {
      handle = try fabric.addCarrier(queues: queues, port: port)
    } catch {
      throw ControlError(error)
    }
    return remember(handle, network: nil)
  }

  public func addRemote(
    _ remote: RemoteOptions, by carrier: DataPlanePort, to network: DataPlaneNetwork
  ) throws(ControlError) -> DataPlanePort {
    let (carrier, handle) = (try handle(carrier), try handle(network))
    return remember(
      try controlled { () throws(Errno) in try fabric.addRemote(remote, by: carrier, to: handle) }, network: network)
  }

  public func setNeighbour(
    _ address: IPAddress, mac: MACAddress?, in network: DataPlaneNetwork
  ) throws(ControlError) {
    let handle = try handle(network)
    try controlled { () throws(Errno) in try fabric.setNeighbour(address, mac: mac, in: handle) }
  }
}
