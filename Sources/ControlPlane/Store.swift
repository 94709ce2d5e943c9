import ControlModel
import Foundation
import GRDB

// What the daemon knows of networks, sandboxes and endpoints, and would not know of after a restart. SQLite, one transaction
// a change, written before the client gets its answer. A record is first written as an intent (`RecordState.creating`), then
// the kernel is changed, then it is settled; so whatever a crash leaves in the kernel has a record that names it.

/// The state directory's database. Used under the control plane's lock.
final class Store {
  static let fileName = "martlet.db"
  private static let patienceSeconds = 5.0

  let database: DatabaseQueue

  /// Opens the database in `directory`, making it where it is absent.
  init(directory: String) throws(ControlError) {
    var configuration = Configuration()
    configuration.journalMode = .wal
    // An earlier connection that is just being closed writes its log back, and nobody else gets in meanwhile.
    configuration.busyMode = .timeout(Self.patienceSeconds)
    configuration.foreignKeysEnabled = true
    configuration.prepareDatabase { try $0.execute(sql: "PRAGMA synchronous = FULL") }
    let path = directory + "/" + Self.fileName
    do {
      database = try DatabaseQueue(path: path, configuration: configuration)
      try Self.migrator.migrate(database)
    } catch {
      throw ControlError(.system, "state database \(path): \(error): move it away to begin anew")
    }
  }

  private static var migrator: DatabaseMigrator {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1: networks, sandboxes, endpoints") { database in
      try database.execute(sql: firstSchema)
    }
    migrator.registerMigration("2: interface ports") { database in
      try database.execute(sql: interfacePortSchema)
    }
    migrator.registerMigration("3: uplink and publications") { database in
      try database.execute(sql: uplinkSchema)
    }
    migrator.registerMigration("4: networks on the LAN") { database in
      try database.execute(sql: lanSchema)
    }
    migrator.registerMigration("5: engines") { database in
      try database.execute(sql: engineSchema)
    }
    migrator.registerMigration("6: endpoints without a default route") { database in
      try database.execute(
        sql: "ALTER TABLE endpoints ADD COLUMN gives_default_route BOOLEAN NOT NULL DEFAULT TRUE")
    }
    migrator.registerMigration("7: overlays") { database in
      try database.execute(sql: overlaySchema)
    }
    migrator.registerMigration("8: networks of the cluster") { database in
      try database.execute(sql: "ALTER TABLE networks ADD COLUMN is_shared BOOLEAN NOT NULL DEFAULT FALSE")
    }
    migrator.registerMigration("9: overlays that are encrypted") { database in
      try database.execute(sql: "ALTER TABLE overlays ADD COLUMN is_encrypted BOOLEAN NOT NULL DEFAULT FALSE")
    }
    migrator.registerMigration("10: swarms") { database in
      try database.execute(sql: swarmSchema)
    }
    migrator.registerMigration("11: services") { database in
      try database.execute(sql: serviceSchema)
    }
    migrator.registerMigration("12: VLAN tags in overlays") { database in
      try database.execute(sql: "ALTER TABLE overlays ADD COLUMN carries_tags BOOLEAN NOT NULL DEFAULT TRUE")
    }
    migrator.registerMigration("13: policies") { database in
      try database.execute(sql: policySchema)
    }
    migrator.registerMigration("14: mirrors") { database in
      try database.execute(sql: mirrorSchema)
    }
    return migrator
  }

  private static let firstSchema = """
    CREATE TABLE networks (
      id TEXT PRIMARY KEY NOT NULL,
      name TEXT NOT NULL UNIQUE,
      driver TEXT NOT NULL,
      is_internal BOOLEAN NOT NULL,
      mtu INTEGER NOT NULL,
      ageing_seconds INTEGER NOT NULL,
      fdb_limit INTEGER NOT NULL,
      gateway_mode TEXT NOT NULL,
      gateway_interface TEXT UNIQUE,
      gateway_mac TEXT,
      labels TEXT NOT NULL,
      options TEXT NOT NULL,
      state TEXT NOT NULL,
      created TEXT NOT NULL);
    CREATE TABLE subnets (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      network_id TEXT NOT NULL REFERENCES networks ON DELETE CASCADE,
      is_ipv6 BOOLEAN NOT NULL,
      prefix TEXT NOT NULL,
      gateway TEXT,
      range TEXT,
      auxiliary_addresses TEXT NOT NULL,
      cursor TEXT,
      UNIQUE (network_id, is_ipv6));
    CREATE TABLE sandboxes (
      id TEXT PRIMARY KEY NOT NULL,
      name TEXT NOT NULL UNIQUE,
      path TEXT NOT NULL,
      inode INTEGER NOT NULL,
      origin TEXT NOT NULL,
      owns_namespace BOOLEAN NOT NULL,
      is_implicit BOOLEAN NOT NULL,
      has_name_servers BOOLEAN NOT NULL,
      state TEXT NOT NULL,
      created TEXT NOT NULL);
    CREATE INDEX sandboxes_by_inode ON sandboxes (inode);
    CREATE TABLE endpoints (
      id TEXT PRIMARY KEY NOT NULL,
      network_id TEXT NOT NULL REFERENCES networks ON DELETE RESTRICT,
      sandbox_id TEXT NOT NULL REFERENCES sandboxes ON DELETE RESTRICT,
      interface TEXT NOT NULL,
      mac TEXT,
      mtu INTEGER,
      is_isolated BOOLEAN NOT NULL,
      mac_limit INTEGER NOT NULL,
      is_addressed BOOLEAN NOT NULL,
      aliases TEXT NOT NULL,
      state TEXT NOT NULL,
      created TEXT NOT NULL,
      UNIQUE (network_id, mac),
      UNIQUE (network_id, sandbox_id));
    CREATE INDEX endpoints_by_sandbox ON endpoints (sandbox_id);
    CREATE TABLE endpoint_addresses (
      endpoint_id TEXT NOT NULL REFERENCES endpoints ON DELETE CASCADE,
      subnet_id INTEGER NOT NULL REFERENCES subnets ON DELETE CASCADE,
      address TEXT NOT NULL,
      PRIMARY KEY (subnet_id, address)) WITHOUT ROWID;
    CREATE INDEX endpoint_addresses_by_endpoint ON endpoint_addresses (endpoint_id);
    CREATE TABLE static_entries (
      network_id TEXT NOT NULL REFERENCES networks ON DELETE CASCADE,
      mac TEXT NOT NULL,
      endpoint_id TEXT REFERENCES endpoints ON DELETE CASCADE,
      PRIMARY KEY (network_id, mac)) WITHOUT ROWID;
    CREATE INDEX static_entries_by_endpoint ON static_entries (endpoint_id);
    CREATE TABLE settings (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID;
    """

  private static let interfacePortSchema = """
    CREATE TABLE interface_ports (
      interface TEXT PRIMARY KEY NOT NULL,
      network_id TEXT NOT NULL REFERENCES networks ON DELETE RESTRICT,
      was_up BOOLEAN NOT NULL,
      state TEXT NOT NULL,
      created TEXT NOT NULL);
    CREATE INDEX interface_ports_by_network ON interface_ports (network_id);
    ALTER TABLE static_entries ADD COLUMN interface TEXT REFERENCES interface_ports ON DELETE CASCADE;
    """

  private static let uplinkSchema = """
    CREATE TABLE uplink (
      interface TEXT PRIMARY KEY NOT NULL,
      addresses TEXT NOT NULL,
      ports TEXT NOT NULL,
      translates_ipv6 BOOLEAN NOT NULL,
      created TEXT NOT NULL);
    CREATE TABLE publications (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      endpoint_id TEXT NOT NULL REFERENCES endpoints ON DELETE CASCADE,
      transport TEXT NOT NULL,
      host_address TEXT,
      host_port INTEGER,
      port INTEGER NOT NULL,
      count INTEGER NOT NULL,
      state TEXT NOT NULL);
    CREATE INDEX publications_by_endpoint ON publications (endpoint_id);
    CREATE INDEX publications_by_host_port ON publications (transport, host_port);
    """

  private static let lanSchema = """
    ALTER TABLE networks ADD COLUMN lan_mode TEXT;
    ALTER TABLE networks ADD COLUMN parent TEXT;
    ALTER TABLE networks ADD COLUMN shared_mac TEXT;
    """

  /// A pool is what an engine was promised for a network to come; its addresses are those that it was given one by one.
  private static let engineSchema = """
    ALTER TABLE networks ADD COLUMN is_engines BOOLEAN NOT NULL DEFAULT FALSE;
    ALTER TABLE endpoints ADD COLUMN labels TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE endpoints ADD COLUMN is_engines BOOLEAN NOT NULL DEFAULT FALSE;
    ALTER TABLE endpoints ADD COLUMN rate_in INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE endpoints ADD COLUMN rate_out INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE pools (
      id TEXT PRIMARY KEY NOT NULL,
      is_ipv6 BOOLEAN NOT NULL,
      prefix TEXT NOT NULL,
      range TEXT,
      cursor TEXT,
      created TEXT NOT NULL);
    CREATE TABLE pool_addresses (
      pool_id TEXT NOT NULL REFERENCES pools ON DELETE CASCADE,
      address TEXT NOT NULL,
      PRIMARY KEY (pool_id, address)) WITHOUT ROWID;
    """

  private static let overlaySchema = """
    CREATE TABLE overlays (
      network_id TEXT PRIMARY KEY NOT NULL REFERENCES networks ON DELETE CASCADE,
      vni INTEGER NOT NULL,
      local TEXT NOT NULL,
      port INTEGER NOT NULL,
      time_to_live INTEGER,
      traffic_class INTEGER,
      learns BOOLEAN NOT NULL,
      created TEXT NOT NULL,
      UNIQUE (vni, local, port));
    CREATE TABLE overlay_peers (
      network_id TEXT NOT NULL REFERENCES overlays ON DELETE CASCADE,
      address TEXT NOT NULL,
      PRIMARY KEY (network_id, address));
    ALTER TABLE static_entries ADD COLUMN vtep TEXT;
    """

  /// VNIs that a swarm's networks were given, whether or not this host has them; the swarm's nodes.
  private static let swarmSchema = """
    CREATE TABLE allocated_vnis (
      network_id TEXT PRIMARY KEY NOT NULL,
      vni INTEGER NOT NULL UNIQUE) WITHOUT ROWID;
    CREATE TABLE swarm_nodes (
      address TEXT PRIMARY KEY NOT NULL,
      is_own BOOLEAN NOT NULL) WITHOUT ROWID;
    """

  /// One transaction: all of `body`, or where it throws nothing.
  func write<Value>(_ body: (Database) throws -> Value) throws(ControlError) -> Value {
    do { return try database.write(body) } catch { throw Self.translate(error) }
  }

  func read<Value>(_ body: (Database) throws -> Value) throws(ControlError) -> Value {
    do { return try database.read(body) } catch { throw Self.translate(error) }
  }

  private static func translate(_ error: any Error) -> ControlError {
    if let error = error as? ControlError { return error }
    return ControlError(.system, "state database: \(error)")
  }

  /// Forgets all; the tables stay.
  func erase() throws(ControlError) {
    try write { database in
      for table in [
        "mirrors", "services", "mesh_addresses", "publications", "uplink", "static_entries", "overlay_peers",
        "overlays",
        "interface_ports",
        "endpoint_addresses", "endpoints", "sandboxes", "subnets", "networks", "pool_addresses", "pools",
        "allocated_vnis", "swarm_nodes", "settings",
      ] {
        try database.execute(sql: "DELETE FROM \(table)")
      }
    }
  }
}
