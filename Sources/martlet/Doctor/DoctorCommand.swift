import ArgumentParser
import ControlModel

struct DoctorCommand: ServiceCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Say what of this machine would keep Martlet from working, and the mend.",
    discussion: "Needs no daemon. Run it as the user and in the container that the daemon runs as and in.")

  @OptionGroup(title: "Global options") var global: GlobalOptions

  func perform(on service: any ControlService, output: Output) throws {
    let diagnosis = Diagnosis(of: .probed())
    if output.json { try output.value(diagnosis) } else { output.write(diagnosis.text) }
    if diagnosis.hasError { throw ExitCode.failure }
  }
}

extension Diagnosis {
  var text: String {
    var rows: [[String]] = []
    for check in checks {
      rows.append([check.level.rawValue, check.name, check.finding])
      if let mend = check.mend { rows.append(["", "", "mend: \(mend)"]) }
    }
    return Table(rows: rows).text
  }
}
