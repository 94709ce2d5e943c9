import Datapath

// What martletd finds in the library. Nothing here is to be changed.

@_cdecl("martlet_policy_interface")
public func martletPolicyInterface() -> UInt64 { PolicyInterface.fingerprint }

private nonisolated(unsafe) let table: UnsafeMutablePointer<PolicyTable> = {
  let table = UnsafeMutablePointer<PolicyTable>.allocate(capacity: 1)
  table.initialize(
    to: PolicyTable(
      describe: { PolicyExport<ExportedPolicy>.describe($0, $1, $2) },
      make: { PolicyExport<ExportedPolicy>.make($0, $1, $2) },
      copy: { PolicyExport<ExportedPolicy>.copy($0) },
      release: { PolicyExport<ExportedPolicy>.release($0) },
      portsChanged: { PolicyExport<ExportedPolicy>.portsChanged($0, $1) },
      decide: { PolicyExport<ExportedPolicy>.decide($0, $1, $2, $3, $4) }))
  return table
}()

@_cdecl("martlet_policy_table")
public func martletPolicyTable() -> UnsafeRawPointer { UnsafeRawPointer(table) }
