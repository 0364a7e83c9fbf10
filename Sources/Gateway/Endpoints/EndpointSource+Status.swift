import Access
import Base
import Host
import HTTP
import Portal
import Vendors

extension EndpointSource {
    /// As decisions see it.
    var posture: PostureSource {
        PostureSource(
            connection, profile, completedAt: mirror.completedAt, problem: state == .ok ? nil : lastError)
    }

    /// As administrators see it.
    var status: EndpointSourceStatus {
        var shown = connection
        shown.key = nil
        shown.profileText = nil
        var status = EndpointSourceStatus(
            connection: shown, title: profile.title, state: state, since: since, endpoints: mirror.count,
            completedAt: mirror.completedAt, lastError: lastError, keyEndsAt: keyEndsAt ?? connection.keyEndsAt,
            attributes: PostureAttribute.allCases.filter(posture.supports.contains), notes: profile.notes)
        status.calls = profile.callNames.map { call in
            EndpointSourceStatus.Call(
                name: call.name, answeredAt: mirror.lastAnswer(call.name), everySeconds: call.every,
                lastError: errors[call.name])
        }
        status.lostFrom = shrinkage?.before
        status.lostTo = shrinkage?.after
        if let keyWarning { status.warnings.append(keyWarning) }
        for call in mirror.refused.sorted() {
            status.warnings.append("'\(connection.id)' does not permit '\(call)': what it would say is missing.")
        }
        status.circuit = circuit
        return status
    }

    private var circuit: String {
        guard let host = profile.host(connection),
            let report = machine.web.hosts.first(where: { $0.host == host })
        else { return "closed" }
        switch report.circuit {
        case .closed: return "closed"
        case .halfOpen: return "half open: one call tries"
        case .open(let until):
            let left = max(0, Int((until - machine.clock.now).seconds.rounded(.up)))
            return "open: it is asked again in \(left) s"
        }
    }
}

extension PostureSource {
    init(_ connection: EndpointConnection, _ profile: EndpointProfile, completedAt: WallTime?, problem: String?) {
        self.init(
            name: connection.id, vendor: connection.kind, supports: profile.supports(infers: connection.infers),
            completedAt: completedAt, staleSeconds: connection.staleSeconds, maximumAges: profile.maximumAges,
            problem: problem)
    }
}
