import Base
import Identity
import Store
import Tunnels

/// What the doctor says of directories.
enum DirectoryExamination {
    static func findings(_ reports: [DirectoryDesk.Report], broken: [String], now: WallTime) -> [Finding] {
        guard !reports.isEmpty || !broken.isEmpty else { return [] }
        var troubles = broken
        var isFailing = !broken.isEmpty
        for report in reports where report.directory.isEnabled {
            let id = report.directory.id
            if let question = report.standing.question {
                troubles.append("\(id) asks: \(question)")
                isFailing = true
            } else if let error = report.standing.lastError {
                troubles.append("\(id): \(error)")
                isFailing = true
            }
            if report.directory.groups.isEmpty { troubles.append("No group of \(id) is chosen, so nobody comes.") }
            if let end = report.directory.secretEnd(report.standing),
                let sentence = SecretWatch.sentence("The secret of \(id)", endsAt: end, now: now)
            {
                troubles.append(sentence)
            }
        }
        let names = reports.map { "\($0.directory.id) (\($0.standing.users) users)" }.joined(separator: ", ")
        return [
            Finding(
                id: "directories", title: "Directories", state: troubles.isEmpty ? .ok : isFailing ? .failed : .warning,
                detail: ([names] + troubles).filter { !$0.isEmpty }.joined(separator: ". "),
                remedy: troubles.isEmpty ? nil : "gatehouse directory status")
        ]
    }
}

extension Directory {
    /// When what proves us ends: as the directory itself says, else as an administrator said.
    func secretEnd(_ standing: DirectoryStanding) -> WallTime? { standing.secretEndsAt ?? secretEndsAt }
}
