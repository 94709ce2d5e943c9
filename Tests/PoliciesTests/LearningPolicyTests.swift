import Datapath
import Policies
import Testing

@Suite("Built-in policies")
struct BuiltInPolicyTests {
  @Test("each has a name of its own and refuses a parameter it does not know")
  func catalog() throws {
    let names = PolicyCatalog.builtIn.map(\.name)
    #expect(Set(names).count == names.count)
    for policy in PolicyCatalog.builtIn {
      #expect(!policy.summary.isEmpty)
      let error = #expect(throws: PolicyError.self) { try policy.make(["no-such": "1"], workers: 1) }
      #expect(error?.description.contains("no-such") == true)
    }
  }
}
