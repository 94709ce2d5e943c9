import ControlModel

extension Controller {
  func createSandbox(_ request: SandboxRequest) throws(ControlError) -> Created {
    try Name.check(request.name, of: "sandbox")
    guard try store.sandbox(exactly: request.name) == nil else {
      throw ControlError(.conflict, "sandbox \(request.name) exists already")
    }
    try checkSandboxLimit()
    let sandbox: SandboxRecord
    switch (request.netns, request.share) {
    case (nil, nil): sandbox = try makeSandbox(request.name)
    case (let path?, nil):
      sandbox = try adopt(namespace(at: path), as: request.name, implicit: false)
      try store.insert(sandbox)
    case (nil, let other?):
      sandbox = try share(try settledSandbox(other), as: request.name)
      try store.insert(sandbox)
    default: throw ControlError(.invalid, "a sandbox has either a namespace of its own or shares one: give one of both")
    }
    logger.info("sandbox \(sandbox.name) \(sandbox.origin.rawValue)", metadata: ["netns": "\(sandbox.path)"])
    return Created(id: sandbox.id)
  }

  func checkSandboxLimit() throws(ControlError) {
    guard try store.countSandboxes() < Limits.sandboxes else {
      throw ControlError(.exhausted, "there are \(Limits.sandboxes) sandboxes, the most allowed: remove one")
    }
  }

  private func makeSandbox(_ name: String) throws(ControlError) -> SandboxRecord {
    let path = host.namespacePath(named: name)
    if let user = try store.sandbox(path: path) {
      throw ControlError(.conflict, "\(path) is still the namespace of sandbox \(user.name): choose another name")
    }
    guard try !exists(path) else {
      throw ControlError(.conflict, "\(path) exists already: choose another name, or adopt it with --netns \(path)")
    }
    var sandbox = SandboxRecord(
      id: Identifier.random(), name: name, path: path, inode: 0, origin: .made, ownsNamespace: true, isImplicit: false,
      hasNameServers: false, state: .creating, created: Self.now())
    return try change { rollback throws(ControlError) in
      try store.insert(sandbox)
      rollback.add("forget sandbox \(name)") { [store, id = sandbox.id] () throws(ControlError) in
        try store.deleteSandbox(id)
      }
      let namespace = try host.makeNamespace(named: name)
      rollback.add("remove namespace \(name)") { [host] () throws(ControlError) in try host.removeNamespace(named: name)
      }
      sandbox.inode = Int64(bitPattern: namespace.inode)
      sandbox.state = .settled
      try store.update(sandbox)
      return sandbox
    }
  }

  /// Something is at the path, whatever it is.
  private func exists(_ path: String) throws(ControlError) -> Bool {
    do throws(ControlError) {
      _ = try host.namespace(at: path)
      return true
    } catch let error where error.code == .notFound {
      return false
    } catch let error where error.code == .invalid {
      return true
    }
  }

  /// Checks a path that a user gave.
  func namespace(at path: String) throws(ControlError) -> NamespaceReference {
    guard path.hasPrefix("/"), path.utf8.count <= Limits.pathLength, !path.utf8.contains(0) else {
      throw ControlError(.invalid, "namespace \(path.quoted): an absolute path is needed, such as /run/netns/NAME")
    }
    return try host.namespace(at: path)
  }

  func adopt(
    _ namespace: NamespaceReference, as name: String, implicit: Bool
  ) throws(ControlError) -> SandboxRecord {
    let inode = Int64(bitPattern: namespace.inode)
    if let other = try store.sandboxes(inode: inode).first {
      throw ControlError(
        .conflict,
        "\(namespace.path) is the namespace of sandbox \(other.name) already: share it with --share \(other.name)")
    }
    return SandboxRecord(
      id: Identifier.random(), name: name, path: namespace.path, inode: inode, origin: .adopted, ownsNamespace: false,
      isImplicit: implicit, hasNameServers: false, state: .settled, created: Self.now())
  }

  private func share(_ other: SandboxRecord, as name: String) throws(ControlError) -> SandboxRecord {
    // The namespace may have gone since.
    guard try host.namespace(at: other.path) == other.namespace else { throw Self.gone(other) }
    return SandboxRecord(
      id: Identifier.random(), name: name, path: other.path, inode: other.inode, origin: .shared, ownsNamespace: false,
      isImplicit: false, hasNameServers: false, state: .settled, created: Self.now())
  }

  static func gone(_ sandbox: SandboxRecord) -> ControlError {
    ControlError(
      .conflict, "sandbox \(sandbox.name): its namespace \(sandbox.path) is gone: martlet sandbox rm \(sandbox.name)")
  }

  // MARK: Finding

  /// By name, id, unique prefix of an id, or path of the namespace; nil where a path leads to no sandbox of ours.
  func findSandbox(_ name: String) throws(ControlError) -> SandboxRecord? {
    guard name.hasPrefix("/") else {
      if let sandbox = try store.sandbox(named: name) { return sandbox }
      throw ControlError(.notFound, "no sandbox \(name.quoted): martlet sandbox ls shows those there are")
    }
    if let sandbox = try store.sandbox(path: name) { return sandbox }
    // Another path to the same namespace, /proc/PID/ns/net say.
    guard let namespace = try namespaceIfThere(name) else { return nil }
    return try store.sandboxes(inode: Int64(bitPattern: namespace.inode)).first
  }

  /// nil: nothing is there, or something else than a namespace.
  func namespaceIfThere(_ path: String) throws(ControlError) -> NamespaceReference? {
    do throws(ControlError) {
      return try host.namespace(at: path)
    } catch let error where error.code == .notFound || error.code == .invalid {
      return nil
    }
  }

  /// The sandbox's namespace; nil where it is gone.
  func namespaceNow(of sandbox: SandboxRecord) throws(ControlError) -> NamespaceReference? {
    let found = try namespaceIfThere(sandbox.path)
    return found == sandbox.namespace ? found : nil
  }

  func settledSandbox(_ name: String) throws(ControlError) -> SandboxRecord {
    guard let sandbox = try findSandbox(name) else {
      throw ControlError(.notFound, "no sandbox has the namespace \(name.quoted)")
    }
    guard sandbox.state == .settled else {
      throw ControlError(.conflict, "sandbox \(sandbox.name) could not be removed completely: remove it again")
    }
    return sandbox
  }

  // MARK: Removing

  func removeSandbox(_ name: String) throws(ControlError) {
    guard let sandbox = try findSandbox(name) else {
      throw ControlError(.notFound, "no sandbox has the namespace \(name.quoted)")
    }
    let endpoints = try store.endpoints(ofSandbox: sandbox.id)
    guard endpoints.isEmpty else {
      var networks: [String] = []
      for endpoint in endpoints {
        networks.append(try store.network(id: endpoint.networkId)?.name ?? endpoint.networkId)
      }
      throw ControlError(
        .conflict,
        "sandbox \(sandbox.name) is connected to network \(networks.joined(separator: ", ")): disconnect it first")
    }
    try removeSandbox(sandbox)
  }

  /// The namespace goes if we made it and with the last that shares it.
  func removeSandbox(_ sandbox: SandboxRecord) throws(ControlError) {
    let sharers = sandbox.inode == 0 ? [] : try store.sandboxes(inode: sandbox.inode)
    if let heir = sharers.first(where: { $0.id != sandbox.id && $0.path == sandbox.path }) {
      try store.deleteSandbox(sandbox, heir: heir)
    } else {
      var removing = sandbox
      removing.state = .removing
      try store.update(removing)
      try clearSandbox(sandbox)
      try store.deleteSandbox(sandbox.id)
    }
    logger.info("sandbox \(sandbox.name) removed")
  }

  /// Takes away what is ours of a sandbox that nobody shares. What is gone already is no error.
  func clearSandbox(_ sandbox: SandboxRecord) throws(ControlError) {
    if sandbox.hasNameServers { try host.removeNameServers(forNamespaceAt: sandbox.path) }
    guard sandbox.ownsNamespace else { return }
    // A namespace that was removed, and one of the same name made, behind our back is not ours.
    if sandbox.inode != 0, let found = try namespaceIfThere(sandbox.path), found != sandbox.namespace { return }
    try host.removeNamespace(named: sandbox.path.lastComponent)
  }
}

extension String {
  var lastComponent: String { String(split(separator: "/").last ?? "") }
}
