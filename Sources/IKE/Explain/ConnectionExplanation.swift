public import Base
import Cryptography

/// What the engine knows of one connection, and why it is as it is.
public struct ConnectionExplanation: Hashable, Codable, Sendable {
    /// One IKE SA of the connection.
    public struct SA: Hashable, Codable, Sendable {
        public var id: IKESAID
        /// `connecting`, `authenticating`, `answering`, `established`, `replaced`, `closing` or `closed`.
        public var state: String
        public var initiatorSPI: UInt64
        public var responderSPI: UInt64
        public var isInitiator: Bool
        public var path: Path
        public var suite: IKESuite?
        public var weaknesses: [String]
        public var isBehindNAT: Bool
        public var isPeerBehindNAT: Bool
        public var establishedAt: Tick?
        public var rekeyAt: Tick?
        public var expiresAt: Tick?
        /// When the peer last proved that it lives.
        public var lastInbound: Tick?
        /// The request that is not answered yet.
        public var awaiting: String?
        public var retransmissions: Int
        /// What it does next by itself, and when.
        public var nextStep: String?
        public var nextStepAt: Tick?
        public var children: [Child]
    }

    /// One pair of ESP SAs.
    public struct Child: Hashable, Codable, Sendable {
        public var spiIn: UInt32
        public var spiOut: UInt32
        public var suite: ESPSuite
        public var weaknesses: [String]
        public var localSelectors: [TrafficSelector]
        public var remoteSelectors: [TrafficSelector]
        /// `installing`, `installed`, `replaced`, `deleting`, `lingering` or `redundant`.
        public var state: String
        public var sendsOnIt: Bool
        public var rekeyAt: Tick
        public var expiresAt: Tick
    }

    public var connection: ConnectionID
    /// Nil for a connection that is not configured.
    public var name: String?
    public var ikeSAs: [SA]
    /// The last failure; nil once an IKE SA is up again.
    public var lastFailure: Failure?
    /// The whole in one sentence.
    public var sentence: String
}

extension Engine {
    /// Why a connection is as it is.
    public func explain(_ connection: ConnectionID) -> ConnectionExplanation {
        guard let known = connections[connection] else {
            return ConnectionExplanation(
                connection: connection, name: nil, ikeSAs: [], lastFailure: nil,
                sentence: "There is no connection \(connection).")
        }
        let sas = known.sas.sorted.compactMap { table[$0] }.map(explain)
        return ConnectionExplanation(
            connection: connection, name: known.configuration.name, ikeSAs: sas, lastFailure: known.lastFailure,
            sentence: Self.sentence(sas, known.lastFailure))
    }

    private func explain(_ sa: IKESA) -> ConnectionExplanation.SA {
        let next = table.slot(of: sa.spi).flatMap { timers.deadline(of: $0) }
        return ConnectionExplanation.SA(
            id: sa.id, state: sa.state.name, initiatorSPI: sa.initiatorSPI, responderSPI: sa.responderSPI,
            isInitiator: sa.isInitiator, path: sa.path, suite: sa.suite, weaknesses: sa.suite?.weaknesses ?? [],
            isBehindNAT: sa.nat.isBehindNAT, isPeerBehindNAT: sa.nat.isPeerBehindNAT,
            establishedAt: sa.isEstablished ? sa.establishedAt : nil, rekeyAt: sa.isEstablished ? sa.rekeyAt : nil,
            expiresAt: sa.isEstablished ? sa.expiresAt : nil, lastInbound: sa.isEstablished ? sa.lastInbound : nil,
            awaiting: sa.request?.exchange.name, retransmissions: sa.request?.retransmissions ?? 0,
            nextStep: next?.timer.reason, nextStepAt: next?.tick,
            children: sa.children.map { child in
                ConnectionExplanation.Child(
                    spiIn: child.spiIn, spiOut: child.spiOut, suite: child.suite,
                    weaknesses: child.suite.weaknesses, localSelectors: child.localSelectors,
                    remoteSelectors: child.remoteSelectors, state: child.stateName,
                    sendsOnIt: child.usesOutbound && child.state == .installed,
                    rekeyAt: child.rekeyAt, expiresAt: child.expiresAt)
            })
    }

    private static func sentence(_ sas: [ConnectionExplanation.SA], _ failure: Failure?) -> String {
        if let up = sas.first(where: { $0.state == "established" }) {
            let live = up.children.filter { $0.state == "installed" }.count
            let weak = up.weaknesses + up.children.flatMap(\.weaknesses)
            let warning = weak.isEmpty ? "" : "; weak: " + Array(Set(weak)).sorted().joined(separator: ", ")
            return "Up with \(up.path.remote) (\(up.suite?.description ?? "no suite")), child SAs: \(live)\(warning)."
        }
        if let trying = sas.first {
            let why = failure.map { " Last failure: \($0.explanation)" } ?? ""
            let what = trying.state.capitalizedFirst
            return "\(what) with \(trying.path.remote), \(trying.retransmissions) repetitions.\(why)"
        }
        return failure.map { "Down. \($0.explanation)" } ?? "Down; nothing has been tried."
    }
}

extension String {
    fileprivate var capitalizedFirst: String { prefix(1).uppercased() + dropFirst() }
}

extension State {
    /// The state in one word.
    var name: String {
        switch self {
        case .initSent: "connecting"
        case .authSent: "authenticating"
        case .halfOpen: "answering"
        case .established: "established"
        case .rekeyed: "replaced"
        case .deleting: "closing"
        case .closed: "closed"
        }
    }
}

extension Child {
    /// The state in one word.
    var stateName: String {
        switch state {
        case .installing: "installing"
        case .installed: redundantUntil == nil ? "installed" : "redundant"
        case .replaced: "replaced"
        case .deleting: "deleting"
        case .lingering: "lingering"
        }
    }
}
