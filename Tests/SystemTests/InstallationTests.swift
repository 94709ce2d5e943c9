import FoundationEssentials
import Glibc
import Testing

extension SystemTests {
  /// The package and tools/install, of the programs under test: nothing is built for them.
  @Suite("A home in the system")
  struct Installation {
    private static var tools: String {
      #filePath.split(separator: "/").dropLast(3).map { "/" + $0 }.joined() + "/tools"
    }
    /// They take what they are given as a debug build, which is packed at once.
    private static func binaries() throws -> [String] {
      try ["--configuration", "debug", "--binaries", Binaries.directory()]
    }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    private func contents(_ path: String) throws -> String { try String(contentsOfFile: path, encoding: .utf8) }

    private func files(below root: String) throws -> [String] {
      try Program(["find", root, "!", "-type", "d", "-printf", "%P\n"]).succeed().split(separator: "\n").map(
        String.init
      )
      .sorted()
    }

    /// The package's content, unpacked.
    private func unpack(_ testbed: Testbed) throws -> (package: String, root: String) {
      let output = try testbed.run(
        [Self.tools + "/package", "--output", testbed.directory] + Self.binaries())
      let package = String(output.split(separator: "\n").last ?? "")
      let root = testbed.directory + "/root"
      try testbed.run(["dpkg-deb", "-x", package, root])
      return (package, root)
    }

    @Test("the package names itself, its libraries and its configuration; its programs run, with pages and completions")
    func package() throws {
      try withTestbed { testbed in
        let (package, root) = try unpack(testbed)
        let version = try testbed.run([root + "/usr/bin/martlet", "--version"]).split(separator: "\n")[0]
        #expect(try testbed.run(["dpkg-deb", "-f", package, "Version"]) == version + "\n")
        #expect(package.contains("/martlet_\(version)_"))
        let libraries = try testbed.run(["dpkg-deb", "-f", package, "Depends"])
        for library in ["libc6", "liburing2", "libmnl0", "libbpf1", "libpcap0.8"] {
          #expect(libraries.contains(library), "\(libraries)")
        }
        #expect(try testbed.run(["dpkg-deb", "-I", package, "conffiles"]) == "/etc/martlet/martlet.yaml\n")
        for script in ["postinst", "prerm", "postrm"] {
          let text = try testbed.run(["dpkg-deb", "-I", package, script])
          #expect(text.contains("martletd.service") && !text.contains(#/@[a-z]+@/#), "\(text)")
          try testbed.run(["sh", "-n", "-c", text])
        }

        // The example changes nothing.
        let daemon = root + "/usr/sbin/martletd"
        let told = try testbed.run([daemon, "--config", root + "/etc/martlet/martlet.yaml", "--check-config"])
        try "".write(toFile: testbed.directory + "/empty.yaml", atomically: true, encoding: .utf8)
        #expect(try told == testbed.run([daemon, "--config", testbed.directory + "/empty.yaml", "--check-config"]))

        try checkPages(testbed, root)
        try checkCompletions(testbed, root)
        try checkUnits(testbed, root)
      }
    }

    /// Each page is one that man(1) shows without a complaint, in the words of the program's own help.
    private func checkPages(_ testbed: Testbed, _ root: String) throws {
      let manual = root + "/usr/share/man"
      for page in ["man1/martlet.1.gz", "man1/martlet-network-create.1.gz", "man8/martletd.8.gz"] {
        #expect(exists("\(manual)/\(page)"), "\(page)")
      }
      for page in try files(below: manual) {
        let shown = try Program(["man", "--warnings=w", "-l", "\(manual)/\(page)"]).end()
        #expect(shown.status == 0 && shown.complaint.isEmpty, "\(page): \(shown.complaint)")
      }
      let page = try testbed.run(["man", "-l", "\(manual)/man1/martlet-network-create.1.gz"])
      let help = try testbed.run([root + "/usr/bin/martlet", "network", "create", "--help"])
      for words in ["Make a network and print its id", "--subnet", "No way outside."] {
        #expect(page.contains(words) && help.contains(words), "\(words)")
      }
    }

    /// What bash offers for words, the last of them unfinished.
    private func completions(
      _ testbed: Testbed, _ root: String, _ words: [String], _ environment: [String] = []
    ) throws -> [String] {
      let script = """
        . "$1/usr/share/bash-completion/completions/martlet"
        shift
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_TYPE=9 COMP_KEY=9
        COMP_POINT=${#COMP_LINE}
        function=$(complete -p martlet | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
        "$function" martlet "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\\n' "${COMPREPLY[@]}"
        """
      let path = "PATH=\(root)/usr/bin:/usr/bin:/bin"
      return try testbed.run(
        ["env", path] + environment + ["bash", "--norc", "-c", script, "bash", root, "martlet"] + words
      ).split(separator: "\n").map { String($0.reversed().drop { $0 == " " }.reversed()) }
    }

    private func checkCompletions(_ testbed: Testbed, _ root: String) throws {
      #expect(try completions(testbed, root, ["net"]) == ["network"])
      #expect(try completions(testbed, root, ["network", "c"]).sorted() == ["connect", "create"])
      #expect(try completions(testbed, root, ["network", "create", "--gateway-m"]) == ["--gateway-mode"])
      let others = [("zsh", "zsh/vendor-completions/_martlet"), ("fish", "fish/vendor_completions.d/martlet.fish")]
      for (shell, file) in others where exists("/usr/bin/" + shell) {
        try testbed.run([shell, "-n", "\(root)/usr/share/\(file)"])
      }
      // Names are the daemon's to know.
      let daemon = try testbed.makeDaemon()
      try daemon.start()
      try daemon.martlet("network", "create", "laboratory")
      let socket = ["MARTLET_SOCKET=" + daemon.socket]
      #expect(try completions(testbed, root, ["network", "inspect", "lab"], socket) == ["laboratory"])
    }

    private func checkUnits(_ testbed: Testbed, _ root: String) throws {
      let units = root + "/usr/lib/systemd/system"
      let names = ["martletd.service", "martletd.socket", "martletd-docker-plugin.socket"]
      for name in names {
        let unit = try contents("\(units)/\(name)")
        #expect(!unit.contains(#/@[a-z]+@/#), "a place that was not filled: \(unit)")
      }
      guard exists("/usr/bin/systemd-analyze") else { return }
      // Where the program is now, and with what it refers to that this machine may lack.
      for name in names {
        let unit = try contents("\(units)/\(name)").replacing("ExecStart=/usr", with: "ExecStart=\(root)/usr")
        try unit.write(toFile: "\(units)/\(name)", atomically: true, encoding: .utf8)
      }
      let outcome = try Program(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no"] + names.map { "\(units)/\($0)" }
      ).end()
      #expect(outcome.status == 0 && outcome.complaint.isEmpty, "\(outcome.complaint)")
    }

    @Test("tools/install puts the same into place, again and again, and takes it away again but for the configuration")
    func install() throws {
      try withTestbed { testbed in
        let root = testbed.directory + "/root"
        let install = [Self.tools + "/install", "--prefix", "/opt/martlet", "--destdir", root]
        try testbed.run(install + Self.binaries())
        let first = try files(below: root)
        #expect(first.contains("opt/martlet/sbin/martletd") && first.contains("etc/martlet/martlet.yaml"))
        #expect(first.contains("opt/martlet/share/man/man1/martlet.1.gz"))
        #expect(
          try contents(root + "/opt/martlet/lib/systemd/system/martletd.service")
            .contains("ExecStart=/opt/martlet/sbin/martletd"))
        try testbed.run([root + "/opt/martlet/bin/martlet", "help"])

        // The operator's, and a file that only an earlier version had.
        let configuration = root + "/etc/martlet/martlet.yaml"
        try "workers: 1\n".write(toFile: configuration, atomically: true, encoding: .utf8)
        let old = "/opt/martlet/share/martlet/old"
        let list = root + "/opt/martlet/share/martlet/installed-files"
        try testbed.run(["touch", root + old])
        try (contents(list) + old + "\n").write(toFile: list, atomically: true, encoding: .utf8)
        try testbed.run(install + Self.binaries())
        #expect(try files(below: root) == first)
        #expect(try contents(configuration) == "workers: 1\n")

        try testbed.run(["touch", root + "/opt/martlet/bin/another"])
        try testbed.run(install + ["--uninstall"])
        #expect(try files(below: root) == ["etc/martlet/martlet.yaml", "opt/martlet/bin/another"])
        #expect(!exists(root + "/opt/martlet/sbin"))
        let again = try Program(install + ["--uninstall"]).end()
        #expect(again.status == 1 && again.complaint.contains("nothing of Martlet was installed"), "\(again.complaint)")
      }
    }
  }
}
