extension Parser {
  mutating func rule(_ keyword: Token) throws(Broken) {
    let before = diagnostics.count
    var rule = DraftRule(line: keyword.line, text: keyword.start..<keyword.start)
    var fields: Set<Field> = []
    while token.kind == .word {
      let word = take()
      guard let field = Field(rawValue: text(word)) else { throw broken(Self.noField(text(word)), at: word) }
      if !fields.insert(field).inserted {
        complain("\(field.rawValue) is asked for twice: write its values once, with commas between", at: word)
      }
      if let match = try match(field) { rule.matches.append(match) }
    }
    try expect(.arrow, "a field or -> is expected here")
    skipNewlines()
    try actions(of: &rule)
    rule.text = keyword.start..<lastEnd
    guard diagnostics.count == before else { return }
    guard draft.rules.count + draft.counters.count < PolicyLimits.countersMax else {
      throw broken("a policy has at most \(PolicyLimits.countersMax) rules and counters", at: keyword)
    }
    draft.rules.append(rule)
  }

  private static func noField(_ name: String) -> String {
    let group = name.prefix { $0 != "." }
    let all = Field.allCases.map(\.rawValue)
    let near = all.filter { $0.hasPrefix(group + ".") }
    return "no field is called \(name): there are " + (near.isEmpty ? all : near).joined(separator: ", ")
  }

  /// What a rule says of a field, behind the field; nil where that is refused.
  private mutating func match(_ field: Field) throws(Broken) -> (dimension: Int, condition: Int)? {
    let isNegated = takeWord("not")
    if takeWord("in") {
      let place = token
      let name = try name(of: "set")
      guard let set = setPlaces[name] else {
        complain("no set is called \(name); a set stands above the rules that use it", at: place)
        return nil
      }
      return match(field, in: set, isNegated, at: place)
    }
    let begin = token
    let words = try values(of: field)
    if field.kind == .port { return match(ports: words.map(text), isNegated, at: words) }
    if field.kind == .mac, words.count == 1 {
      let (value, mask): (UInt64, UInt64)
      do { (value, mask) = try ValueReader.maskedMAC(text(begin)) } catch {
        complain("\(field.rawValue) \(text(begin)): \(error.reason)", at: begin)
        return nil
      }
      return match(field, value: value, mask: mask, isNegated, at: begin)
    }
    var all = ValueSet()
    let before = diagnostics.count
    for word in words {
      do { all.formUnion(try ValueReader.read(text(word), for: field)) } catch {
        complain("\(field.rawValue) \(text(word)): \(error.reason)", at: word)
      }
    }
    all.normalize()
    return diagnostics.count == before ? place(all, field, isNegated) : nil
  }

  /// Values with commas between; the line may end behind one.
  private mutating func values(of field: Field) throws(Broken) -> [Token] {
    var words: [Token] = []
    while true {
      guard token.kind == .word || token.kind == .quoted && field.kind == .port else {
        throw broken("\(field.rawValue) wants \(field.example)", at: token)
      }
      words.append(take())
      guard token.kind == .comma else { break }
      take()
      skipNewlines()
    }
    guard words.count <= PolicyLimits.valueCountMax else {
      throw broken("a rule gives at most \(PolicyLimits.valueCountMax) values: make a set of them", at: words[0])
    }
    return words
  }

  private mutating func place(_ set: ValueSet, _ field: Field, _ isNegated: Bool) -> (dimension: Int, condition: Int) {
    let dimension = dimension(field, mask: .max)
    return (dimension, draft.dimensions[dimension].place(of: isNegated ? set.complement(of: field) : set))
  }

  private mutating func dimension(_ field: Field, mask: UInt64) -> Int {
    if let place = draft.dimensions.firstIndex(where: { $0.field == field && $0.mask == mask }) { return place }
    draft.dimensions.append(Dimension(field, mask: mask))
    return draft.dimensions.count - 1
  }

  private mutating func match(
    _ field: Field, in set: Int, _ isNegated: Bool, at place: Token
  ) -> (dimension: Int, condition: Int)? {
    let use = SetUse(field: field, set: set)
    let (name, elements) = (draft.sets[set].name, draft.sets[set].elements)
    if field.kind == .port {
      return match(ports: elements, isNegated, at: Array(repeating: place, count: elements.count))
    }
    if setConditions[use] == nil {
      var all = ValueSet()
      for element in elements {
        do { all.formUnion(try ValueReader.read(element, for: field)) } catch {
          complain(
            "set \(name) cannot be asked for \(field.rawValue), because of \(element): \(error.reason)", at: place)
          return nil
        }
      }
      all.normalize()
      setConditions[use] = all
      draft.setUses.append(use)
    }
    return setConditions[use].map { self.place($0, field, isNegated) }
  }

  private mutating func match(
    _ field: Field, value: UInt64, mask: UInt64, _ isNegated: Bool, at place: Token
  ) -> (dimension: Int, condition: Int)? {
    let rest = ~mask & field.greatest
    if rest & (rest &+ 1) == 0 { return self.place(ValueSet(value...(value | rest)), field, isNegated) }
    let dimension = dimension(field, mask: mask)
    guard draft.dimensions.count(where: { $0.mask != .max }) <= PolicyLimits.maskCountMax else {
      complain("a policy has at most \(PolicyLimits.maskCountMax) masks that are no prefixes", at: place)
      return nil
    }
    let set = ValueSet(value...value)
    return (dimension, draft.dimensions[dimension].place(of: isNegated ? set.complement(of: field) : set))
  }

  private mutating func match(
    ports names: [String], _ isNegated: Bool, at places: [Token]
  ) -> (dimension: Int, condition: Int)? {
    for (name, place) in zip(names, places) where !isPortName(name) {
      complain("a port's name has at most \(PolicyLimits.portNameLengthMax) bytes, and at least one", at: place)
      return nil
    }
    let condition = PortCondition(names: names, isNegated: isNegated)
    if portConditionPlaces[condition] == nil {
      portConditionPlaces[condition] = draft.portConditions.count
      draft.portConditions.append(condition)
    }
    return portConditionPlaces[condition].map { (dimension(.inPort, mask: .max), $0) }
  }

  func isPortName(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= PolicyLimits.portNameLengthMax
  }

  /// Takes the word if it is the next one.
  mutating func takeWord(_ word: String) -> Bool {
    guard token.kind == .word, text(token) == word else { return false }
    take()
    return true
  }
}
