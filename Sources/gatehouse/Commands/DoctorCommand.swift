import ArgumentParser
import Host
import JSONText
import Portal
import Tunnels

/// `gatehouse doctor`.
struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Says what this host lacks and how to mend it.",
        discussion: """
            The daemon examines the host with its own rights. When it does not run, this command does it with yours. \
            Exits with 1 when a check failed.
            """)

    @OptionGroup var shared: SharedOptions

    func run() async throws {
        let findings: [Finding]
        do {
            findings = try await shared.client.value([Finding].self, .control, ["v1", "doctor"])
        } catch let failure as CommandFailure where failure.isDaemonAbsent {
            // A daemon that does not start is why people ask the doctor.
            let absence = Finding(
                id: "daemon", title: "gatehoused", state: .failed,
                detail: "it does not run; what follows is what this host looks like to you",
                remedy: "systemctl start gatehoused, then 'journalctl -u gatehoused' if it does not stay")
            findings = await [absence] + Doctor.examine(Doctor.Plan())
        }
        if shared.json {
            Terminal.say(try JSON(encoding: findings).text(isPretty: true))
        } else {
            Terminal.say(report(findings, width: Terminal.size?.columns, style: Terminal.style))
        }
        if findings.contains(where: { $0.state == .failed }) { throw ExitCode.failure }
    }
}
