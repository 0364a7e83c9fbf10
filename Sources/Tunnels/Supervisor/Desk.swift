internal import Base
internal import Cryptography
internal import IKE

/// What the supervisor is woken for.
enum SupervisorTimer: Hashable, Sendable {
    case tunnel(Int, TunnelTimer)
    /// Traffic may return to a preferred tunnel of this connector.
    case holdTime(String)
    case shutDown
}

enum TunnelTimer: Hashable, Sendable, CaseIterable {
    /// The next attempt is due, or the one under way has had no outcome.
    case attempt
    case link
    case probe
    /// A child of several is missing.
    case children
    /// The child has gone and nobody said why.
    case loss
    /// A changed definition waited long enough for another tunnel to take over.
    case replacement
}

/// What the tunnels' state machines share and write on: time, randomness, timers and the effects of this turn.
struct Desk: Sendable {
    let configuration: SupervisorConfiguration
    var random: SeededRandom
    var now: Tick
    var timers = DeadlineQueue<SupervisorTimer>()
    var effects: [SupervisorEffect] = []
    /// Which tunnel a connection or a child belongs to.
    var owners: [ConnectionID: Int] = [:]
    var childOwners: [UInt32: Int] = [:]
    private var nextConnection: UInt32 = 1

    init(configuration: SupervisorConfiguration, random: SeededRandom, now: Tick) {
        self.configuration = configuration
        self.random = random
        self.now = now
    }

    /// A connection number that was never used: events of an earlier definition of the tunnel then find nobody.
    mutating func newConnection(of tunnel: Int) -> ConnectionID {
        repeat {
            defer { nextConnection = nextConnection == .max ? 1 : nextConnection + 1 }
            let id = ConnectionID(nextConnection)
            if owners[id] == nil {
                owners[id] = tunnel
                return id
            }
        } while true
    }

    /// Leaves the numbers up to one out, which another process has given.
    mutating func skipConnections(through id: ConnectionID) {
        nextConnection = max(nextConnection, id.rawValue == .max ? 1 : id.rawValue + 1)
    }

    /// `span` made longer or shorter by up to `percent`.
    mutating func jittered(_ span: Tick.Span, percent: Int) -> Tick.Span {
        let width = span.nanoseconds / 100 &* Int64(percent)
        guard width > 0 else { return span }
        let offset = Int64(random.uniform(below: UInt64(2 * width) + 1)) - width
        return Tick.Span(nanoseconds: span.nanoseconds + offset)
    }

    mutating func log(
        _ level: GatewayEvent.Level, _ kind: String, connector: String?, tunnel: String? = nil, _ message: String
    ) {
        effects.append(.event(level: level, kind: kind, connector: connector, tunnel: tunnel, message: message))
    }
}

extension Tick.Span {
    /// `1.5 ms`, `20 s`, `3 min`: short, for a person.
    var words: String {
        switch abs(nanoseconds) {
        case ..<1_000_000_000: "\((milliseconds * 10).rounded() / 10) ms"
        case ..<10_000_000_000: "\((seconds * 10).rounded() / 10) s"
        case ..<180_000_000_000: "\(Int(seconds.rounded())) s"
        default: "\(Int((seconds / 60).rounded())) min"
        }
    }
}
