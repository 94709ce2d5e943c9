import Support
import Testing

@testable import Tables

@Suite struct AddressTableTests {
  static let none = AddressTable.noPort

  private func ports(of addresses: [UInt128], in table: borrowing AddressTable) -> [UInt16] {
    var ports: [UInt16] = []
    for address in addresses { ports.append(table.lookup(address)) }
    return ports
  }

  @Test func addressesAreBehindTheirPortUntilThatGoes() {
    var table = AddressTable(seed: 1)
    // Once more is no error; another port's is one.
    let added = [
      table.insert(7, port: 1), table.insert(8, port: 1), table.insert(9, port: 2), table.insert(7, port: 1),
    ]
    let refused = table.insert(7, port: 2)
    #expect(added == [true, true, true, true] && !refused)
    let (found, count) = (ports(of: [7, 8, 9, 10], in: table), table.count)
    #expect(found == [1, 1, 2, Self.none] && count == 3)
    table.removeAll(port: 1)
    let left = ports(of: [7, 8, 9], in: table)
    #expect(left == [Self.none, Self.none, 2])
    let (again, countAgain) = (table.insert(7, port: 2), table.count)
    #expect(again && countAgain == 2)
  }

  @Test func aFullTableTakesNoMoreAndIsUsableAgain() {
    var table = AddressTable(seed: 2)
    func address(_ number: Int) -> UInt128 { UInt128(number) << 40 | 1 }
    var added = 0
    for number in 0..<AddressTable.capacity where table.insert(address(number), port: UInt16(number % 3)) { added += 1 }
    #expect(added == AddressTable.capacity)
    let overfull = table.insert(2, port: 0)
    #expect(!overfull)
    table.removeAll(port: 1)
    var wrong = 0
    for number in 0..<AddressTable.capacity
    where table.lookup(address(number)) != (number % 3 == 1 ? Self.none : UInt16(number % 3)) { wrong += 1 }
    #expect(wrong == 0)
    let isUsable = table.insert(2, port: 0) && table.lookup(2) == 0
    #expect(isUsable)
  }

  /// Against a dictionary.
  @Test(arguments: 1...5) func behavesAsItsModel(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var table = AddressTable(seed: seed)
    var model: [UInt128: UInt16] = [:]
    var wrong = 0
    for _ in 0..<5000 {
      let (address, port) = (UInt128(random.below(300)), UInt16(random.below(20)))
      if random.below(50) == 0 {
        table.removeAll(port: port)
        model = model.filter { $0.value != port }
      } else {
        if table.insert(address, port: port) != (model[address] ?? port == port) { wrong += 1 }
        if model[address] == nil { model[address] = port }
      }
      if table.count != model.count { wrong += 1 }
    }
    for address in 0..<300 as Range<UInt128> where table.lookup(address) != model[address] ?? Self.none { wrong += 1 }
    #expect(wrong == 0)
  }
}
