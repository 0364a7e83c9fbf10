import ArgumentParser
import Cryptography
import JSONText
import Portal
import Tunnels

/// What a connector by hand can start from: the template of a vendor, or the modern terms that hold without one.
struct NamedTerms {
    var name: String
    var title: String
    var terms: ConnectorTemplate.Terms

    static let modern = NamedTerms(name: "modern", title: "any other", terms: ConnectorTemplate.modern)

    /// Those of a name.
    static func named(_ name: String) throws -> NamedTerms {
        let all = try all()
        guard let named = all.first(where: { $0.name == name.lowercased() }) else {
            throw CommandFailure(
                "there is no template '\(name.printable)'; there are \(all.map(\.name).joined(separator: ", "))",
                isUsage: true)
        }
        return named
    }

    static func all() throws -> [NamedTerms] {
        do {
            let vendors = try ConnectorTemplate.all()
            return [modern] + vendors.map { NamedTerms(name: $0.name, title: $0.title, terms: $0.terms) }
        } catch {
            throw CommandFailure("\(error): this build of gatehouse is broken")
        }
    }

    /// What it proposes, for people and programs.
    var json: JSON {
        func texts(_ values: [String]) -> JSON { .array(values.map(JSON.string)) }
        func number(_ value: Int?) -> JSON { value.map { .number("\($0)") } ?? .null }
        let (phase1, phase2) = (terms.phase1, terms.phase2)
        return .object([
            JSON.Member("name", .string(name)), JSON.Member("title", .string(title)),
            JSON.Member("summary", .string(terms.summary)),
            JSON.Member("selectors", .string(terms.selectors.rawValue)),
            JSON.Member(
                "phase1",
                .object([
                    JSON.Member("encryption", texts(phase1.encryption.map(\.rawValue))),
                    JSON.Member("integrity", texts(phase1.integrity.map(\.rawValue))),
                    JSON.Member("dhGroups", texts(phase1.dhGroups.map(\.name))),
                    JSON.Member("lifetimeSeconds", number(phase1.lifetimeSeconds)),
                    JSON.Member("rekeyMarginSeconds", number(phase1.rekeyMarginSeconds)),
                    JSON.Member(
                        "dpd",
                        .object([
                            JSON.Member("delaySeconds", number(phase1.dpd.delaySeconds)),
                            JSON.Member("timeoutSeconds", number(phase1.dpd.timeoutSeconds)),
                            JSON.Member("action", .string(phase1.dpd.action.rawValue)),
                        ])),
                ])),
            JSON.Member(
                "phase2",
                .object([
                    JSON.Member("encryption", texts(phase2.encryption.map(\.rawValue))),
                    JSON.Member("integrity", texts(phase2.integrity.map(\.rawValue))),
                    JSON.Member("pfsGroups", texts(phase2.pfsGroups.map(\.name))),
                    JSON.Member("lifetimeSeconds", number(phase2.lifetimeSeconds)),
                    JSON.Member("rekeyMarginSeconds", number(phase2.rekeyMarginSeconds)),
                ])),
            JSON.Member("notes", texts(terms.notes)),
        ])
    }
}

extension ConnectorCommand {
    /// `gatehouse connector templates`.
    struct Templates: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Lists the kinds of peer that 'connector add --template' knows, or shows what one proposes.",
            discussion: "'modern' is what holds without a template.")
        @Argument(help: "The template to show.")
        var name: String?
        // Takes no socket, but as every verb it takes the shared options.
        @OptionGroup var shared: SharedOptions

        func run() throws {
            if let name {
                let json = try NamedTerms.named(name).json
                return Terminal.say(shared.json ? json.text(isPretty: true) : YAMLText.text(of: json))
            }
            let all = try NamedTerms.all()
            if shared.json { return Terminal.say(JSON.array(all.map(\.json)).text(isPretty: true)) }
            var table = Table(columns: [
                Table.Column(title: "TEMPLATE"), Table.Column(title: "PEER", rank: 1), Table.Column(title: "WHAT FOR"),
            ])
            table.rows = all.map {
                [Table.Cell($0.name), Table.Cell($0.title), Table.Cell($0.terms.summary)]
            }
            let (head, rows) = table.lines(width: Terminal.size?.columns, style: Terminal.style)
            Terminal.say(([head] + rows).joined(separator: "\n"))
        }
    }
}
