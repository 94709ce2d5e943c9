import ControlModel
import FoundationEssentials
import Glibc
import Testing

/// A page in a browser (`browser.py`).
private struct Browser {
  static let isInstalled = access("/usr/bin/chromium-headless-shell", X_OK) == 0

  /// What it found.
  struct Visit: Decodable {
    var values: [Int]
    var complaints: [String]
    var requests: [String]
  }

  /// Opens the page in the daemon's namespace, from where nothing else is reached.
  static func open(_ url: String, of daemon: Daemon, _ steps: [String]) throws -> Program {
    let files = "TMPDIR=\(daemon.namespace.testbed.directory)"
    return try daemon.namespace.start(
      ["env", files] + Script.words("browser.py") + [url], input: steps.map { $0 + "\n" }.joined())
  }

  static func visit(_ url: String, of daemon: Daemon, _ steps: [String]) throws -> Visit {
    try read(open(url, of: daemon, steps))
  }

  /// Waits until all steps are done.
  static func read(_ program: Program) throws -> Visit {
    try JSONDecoder().decode(Visit.self, from: Data(try program.succeed().utf8))
  }
}

extension SystemTests {
  @Suite("The live page", .enabled(if: Browser.isInstalled, "tools/test installs chromium-headless-shell"))
  struct LivePage {
    private static let place = "http://127.0.0.1:9180/"
    /// An interface may have this name, which is markup.
    private static let hostile = "<img>x"

    private func withPage(_ body: (Daemon) throws -> Void) throws {
      try withTestbed { testbed in
        let daemon = try testbed.makeDaemon()
        try daemon.configure("page: 127.0.0.1:9180")
        try daemon.start()
        try body(daemon)
      }
    }

    /// True when a table's row has these cells: JavaScript's regular expressions, by column.
    private func row(of table: String, _ cells: [Int: String]) -> String {
      let conditions = cells.map { "/^\($1)$/.test(row.cells[\($0)].textContent)" }.sorted().joined(separator: " && ")
      return "await [...document.querySelectorAll('#\(table) tbody tr')].some((row) => \(conditions))"
    }

    @Test(
      "in a browser: networks, endpoints and rates of real traffic, drops by reason, the MAC table, and a picture of it"
    )
    func picture() throws {
      try withPage { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        try daemon.martlet("network", "create", "office", "--subnet", "10.8.0.0/24")
        let lab = try (0..<3).map { try daemon.sandbox("s\($0)", on: "lab", "--ip", "10.9.0.1\($0)") }
        let desk = try daemon.sandbox("desk", on: "office")
        try daemon.namespace.run("ip", "link", "add", Self.hostile, "type", "veth", "peer", "name", "other")
        try daemon.namespace.run("ip", "link", "set", Self.hostile, "up")
        try daemon.namespace.run("ip", "link", "set", "other", "up")
        try daemon.martlet("port", "attach", "lab", Self.hostile)
        _ = try lab[0].start("ping", "-q", "-i", "0.02", "10.9.0.11")
        try lab[2].send(
          Array(repeating: RawFrame(to: "01:80:c2:00:00:00", from: "02:00:00:00:00:51"), count: 50))
        let endpoint = try daemon.endpoint(of: lab[0], on: "lab")
        let file = daemon.namespace.testbed.directory + "/page.png"

        let rate = #"[1-9][0-9.]* k?bit.s"#
        let visit = try Browser.visit(
          Self.place, of: daemon,
          [
            row(of: "ports", [0: lab[0].name, 2: "10.9.0.10", 4: rate, 5: rate]),
            row(of: "ports", [0: lab[2].name, 10: "50"]), row(of: "drops", [0: "link_local_control", 2: "50"]),
            row(of: "macs", [0: endpoint.mac, 1: lab[0].name]), row(of: "ports", [0: Self.hostile]),
            "await document.querySelector('#canvas .rx-line[stroke-width^=\"2\"]')",
            "value document.querySelectorAll('#canvas .hub').length",
            "value document.querySelectorAll('#canvas circle.node').length",
            "value document.images.length",
            "picture \(file)",
            // The other network.
            "value [...document.querySelectorAll('nav button')].filter((one) => one.innerText.startsWith('office'))"
              + ".map((one) => one.click()).length",
            row(of: "ports", [0: desk.name, 2: "10.8.0.2"]),
          ])
        #expect(visit.values == [2, 4, 0, 1])
        #expect(visit.complaints.isEmpty)
        #expect(visit.requests.allSatisfy { $0.hasPrefix(Self.place) } && visit.requests.count >= 5)
        // A picture of 1280 by 800 (PNG, 11.2.2: the header's width and height).
        let png = Array(try Data(contentsOf: URL(filePath: file)))
        #expect(png.count > 10_000 && png[16..<24].elementsEqual([0, 0, 5, 0, 0, 0, 3, 32]))
      }
    }

    @Test("when martletd goes the page says so and keeps its picture; when it is back, it goes on")
    func restart() throws {
      try withPage { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        let sandbox = try daemon.sandbox("a", on: "lab", "--ip", "10.9.0.10")
        _ = try sandbox.start("ping", "-q", "-i", "0.05", "10.9.0.1")
        let files = ["live", "lost"].map { daemon.namespace.testbed.directory + "/\($0).png" }
        func state(_ name: String) -> String { "await document.querySelector('#status').dataset.state === '\(name)'" }
        let browser = try Browser.open(
          Self.place, of: daemon,
          [
            row(of: "ports", [0: sandbox.name, 4: "[1-9].*"]), state("live"), "picture \(files[0])", state("lost"),
            "value document.querySelectorAll('#canvas circle.node').length", "picture \(files[1])", state("live"),
            // Counts have begun anew: no rate is below zero.
            "value [...model.tracks.values()].flatMap((one) => Object.values(one.rates ?? {})).filter((one) => one < 0).length",
            row(of: "ports", [0: sandbox.name, 4: "[1-9].*"]),
          ])
        try eventually("the page is live") { access(files[0], F_OK) == 0 }
        try daemon.end(by: SIGTERM)
        try eventually("the page says that nobody answers") { access(files[1], F_OK) == 0 }
        try daemon.start()
        let visit = try Browser.read(browser)
        #expect(visit.values == [1, 0])
      }
    }

    @Test("names are text, whatever they are")
    func hostileNames() throws {
      try withPage { daemon in
        try daemon.martlet("network", "create", "lab", "--subnet", "10.9.0.0/24")
        _ = try daemon.sandbox("a", on: "lab")
        // As if the daemon had said so in every place.
        let state = """
          const text = "<img src=x onerror=alert(1)><script>alert(2)</script>"; const state = structuredClone(model.state); \
          state.time += 1; state.version = text; \
          state.uplink = { interface: text, up: false, addresses: [text], detail: text, counters: state.networks[0].counts.total }; \
          for (const network of state.networks) { Object.assign(network, { name: text, driver: text, scope: text, \
          subnets: [text], gateway_mode: text, policy: text }); network.counts.total.drops = { [text]: 1 }; \
          network.overlay = { vni: text, local: text, up: true, peers: 1 }; \
          for (const port of network.ports) Object.assign(port, { label: text, interface: text, addresses: [text], mac: text, \
          state: text, detail: text }); } refresh = () => {}; model.take(state); \
          tables = { network: chosen, mac_table: [{ mac: text, port: { kind: text, interface: text }, static: false, age_s: 1 }], \
          sessions: [{ protocol: text, inside: text, remote: text, outside: "", state: text, expires_s: 1 }], mac_table_more: 0, \
          sessions_more: 0 }; show();
          """
        let visit = try Browser.visit(
          Self.place, of: daemon,
          [
            "await document.querySelector('#ports tbody tr')", "await (() => { \(state) return true; })()",
            "value document.querySelectorAll('img, body script:not([nonce])').length",
            // In the header, the network, its drops, its ports, the MAC table and sessions; in the picture shortened.
            "value [...document.querySelectorAll('small, b, h2, dd, td')].filter((one) => one.textContent.includes('onerror')).length",
            "value [...document.querySelectorAll('svg text')].filter((one) => one.textContent.startsWith('<img')).length",
          ])
        #expect(visit.values[0] == 0 && visit.values[1] > 15 && visit.values[2] > 1)
        #expect(visit.complaints.isEmpty)
      }
    }
  }
}
