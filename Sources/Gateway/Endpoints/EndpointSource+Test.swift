import Access
import Base
import Host
import HTTP
import JSONText
import Portal
import Tunnels
import Vendors

extension EndpointSource {
    /// Asks the platform call by call, and says in words what is right and wrong. Changes nothing.
    func test(showsRecords: Bool) async -> EndpointSourceTest {
        var result = EndpointSourceTest(findings: [])
        func add(_ id: String, _ title: String, _ state: Finding.State, _ detail: String, _ remedy: String? = nil) {
            result.findings.append(Finding(id: id, title: title, state: state, detail: detail, remedy: remedy))
        }
        do {
            if let run = try profile.testRun(connection, entropy: machine.random(12), now: machine.clock.wall) {
                _ = try await firstPage(run, "test")
                add("answers", "API", .ok, "\(profile.host(connection) ?? connection.id) answers and knows us")
            }
        } catch {
            add("answers", "API", .failed, Self.words(error))
        }
        var example: String?
        for (name, _) in profile.callNames {
            let isSingle = profile.perEndpointCalls.contains(name)
            guard !isSingle || example != nil else {
                add(name, name, .warning, "not asked: there is no endpoint to ask it for")
                continue
            }
            do {
                let purpose = isSingle ? CallRun.Purpose.endpoint(id: example ?? "") : .all
                let run = try CallRun(
                    connection, profile, call: name, purpose, entropy: machine.random(12), now: machine.clock.wall,
                    retries: .signIn)
                let rows = try await firstPage(run, name)
                if name == profile.listingName {
                    example = rows.lazy.compactMap { self.reader.endpoint($0, now: self.machine.clock.wall)?.id }.first
                }
                let found = rows.isEmpty ? "no rows" : "\(rows.count) rows on the first page"
                var missing = ""
                if let row = rows.first {
                    let unread = reader.facts([row], call: name, now: machine.clock.wall)
                        .filter { $0.value.outcome == .unknown(.noData) || $0.value.outcome == .unknown(.schema) }
                        .map(\.key.label).sorted()
                    if !unread.isEmpty { missing = "; the first one does not say \(unread.joined(separator: ", "))" }
                    if showsRecords { result.records[name] = JSON(row).text(isPretty: true) }
                }
                add(name, name, .ok, found + missing)
            } catch let failure as VendorFailure where failure.kind == .permission {
                add(name, name, .warning, Self.words(failure), failure.advice)
            } catch {
                add(name, name, .failed, Self.words(error))
            }
        }
        if let end = keyEndsAt ?? connection.keyEndsAt {
            let warning = KeyLife.warning(of: connection, profile, end: end, now: machine.clock.wall)
            add("key", profile.keyLabel, warning == nil ? .ok : .warning, warning ?? "until \(end.day)")
        } else if profile.keyLifeDays != nil {
            add(
                "key", profile.keyLabel, .warning, "the platform does not say when it ends",
                "gatehouse epp edit \(connection.id) --key-ends DATE")
        }
        return result
    }

    private var reader: EndpointReader { EndpointReader(connection, profile) }

    private func firstPage(_ run: CallRun, _ call: String) async throws -> [JSONTree] {
        var run = run
        guard let request = run.request else { return [] }
        try await wait(for: call, isUrgent: true)
        return try run.receive(try await send(request))
    }

    private static func words(_ error: any Error) -> String {
        let text = "\(error)"
        return text.hasSuffix(".") ? String(text.dropLast()) : text
    }
}
