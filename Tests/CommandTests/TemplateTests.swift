import ControlModel
import Support
import Testing

@testable import martlet

/// What Go's text/template makes of the same templates over the same values (pkg.go.dev/text/template, and fmt's %v).
@Suite struct TemplateTests {
  private let line = CommandLine()

  @Test(arguments: [
    ("{{.Name}}", "lab"), ("{{ .Name }}: {{.MTU}}\\t{{.Internal}}", "lab: 1500\tfalse"), ("a\\nb\\\\n", "a\nb\\n"),
    ("{{.ID}}", Sample.networks[0].id), ("{{.GatewayMode}} {{.gateway_mode}}", "nat nat"), ("{{.AgeingS}}", "300"),
    ("{{json .Name}}", "\"lab\""), ("{{json .Labels}}", #"{"env":"test","team":"blue"}"#),
    ("{{.Labels}}", "map[env:test team:blue]"),
    ("{{.Labels.env}}/{{.Labels.nosuch}}", "test/<no value>"),
    ("{{range .Subnets}}{{.Subnet}} {{.Gateway}};{{end}}", "10.0.0.0/24 10.0.0.1;fd00::/64 fd00::1;"),
    ("{{range .Subnets}}{{.IPRange}},{{end}}", "10.0.0.128/25,<no value>,"),
    ("{{range .Labels}}{{.}} {{end}}", "test blue "),
    ("{{range .Endpoints}}{{range .Addresses}}{{.}} {{end}}{{.Counters.RxFrames}}{{end}}", "10.0.0.2/24 fd00::2/64 10"),
    ("{{range .Endpoints}}{{.Addresses}}{{json .Aliases}}{{end}}", #"[10.0.0.2/24 fd00::2/64]["www"]"#),
    ("", ""), ("plain", "plain"), ("}}", "}}"),
  ])
  func fields(_ template: String, expected: String) {
    #expect(line.run(["network", "inspect", "lab", "--format", template]) == 0, "\(line.errors)")
    #expect(line.output == expected + "\n")
  }

  @Test func lists() {
    #expect(line.run(["network", "ls", "--format", "{{.ID}} {{.Name}}"]) == 0)
    #expect(line.output == "7fca4eb8c647 lab\n9f904ee27bf5 plain\n")
    #expect(line.run(["network", "ls", "--no-trunc", "--format", "{{.ID}}"]) == 0)
    #expect(line.output == Sample.networks.map { $0.id + "\n" }.joined())
    #expect(line.run(["network", "ls", "--format", "table {{.Name}}\\t{{.Driver}}\\t{{.MTU}}"]) == 0)
    #expect(
      line.output == """
        NAME      DRIVER    MTU
        lab       bridge    1500
        plain     none      1500

        """)
    #expect(line.run(["sandbox", "ls", "--format", "json"]) == 0)
    #expect(line.output.split(separator: "\n").count == 2)
    #expect(line.output.hasPrefix(#"{"created":"#))
  }

  /// A field that a thing may have, and this one does not.
  @Test func absentField() {
    #expect(line.run(["network", "ls", "--format", "{{.Name}} {{.GatewayInterface}} {{json .GatewayInterface}}"]) == 0)
    #expect(line.output == "lab mg-7fca4eb8 \"mg-7fca4eb8\"\nplain <no value> null\n")
  }

  @Test(arguments: [
    ("{{.Nosuch}}", "there is no field .Nosuch; there are ageing_s, created, "),
    ("{{json .Name.}}", "has an empty field"), ("{{.Name", "a {{ has no }}"),
    ("{{range .Subnets}}x", "a {{range}} has no {{end}}"),
    ("{{end}}", "a field begins with a dot"), ("{{upper .Name}}", "{{upper .Name}} is not understood"),
    ("{{}}", "{{}} is not understood"),
    ("{{range .Name}}{{end}}", "{{range .Name}}: there is only one of it"),
    ("{{range .Subnets}}{{.A.}}{{end}}", "has an empty field"),
  ])
  func wrong(_ template: String, message: String) {
    #expect(line.run(["network", "inspect", "lab", "--format", template]) != 0)
    #expect(line.errors.contains(message), "\(line.errors)")
    #expect(line.output.isEmpty)
  }
}
