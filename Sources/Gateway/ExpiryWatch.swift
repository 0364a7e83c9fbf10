import Base
import Tunnels

/// Tells in time of certificates that expire and of CRLs that grow old: at once when it is new, then once a day.
struct ExpiryWatch {
    var connectors: [Connector] = [] {
        didSet { nextLook = nil }
    }
    /// When each was last told, by tunnel and what it is about.
    private var told: [String: WallTime] = [:]
    private var nextLook: WallTime?

    private static let interval = Tick.Span.seconds(3600)
    private static let repetition = Tick.Span.seconds(86_400)

    /// What is to be told now.
    mutating func due(at time: WallTime) -> [(connector: String, tunnel: String, warning: String)] {
        // A clock that was set back makes the next look no later than usual.
        if let nextLook, time < nextLook, nextLook < time + Self.interval + Self.interval { return [] }
        nextLook = time + Self.interval
        var due: [(connector: String, tunnel: String, warning: String)] = []
        var standing: [String: WallTime] = [:]
        for connector in connectors where connector.isEnabled {
            for tunnel in connector.tunnels {
                for warning in tunnel.certificateWarnings(at: time) {
                    let about = "\(tunnel.name): \(warning.about)"
                    if let last = told[about], last <= time, time < last + Self.repetition {
                        standing[about] = last
                    } else {
                        standing[about] = time
                        due.append((connector.id, tunnel.name, warning.text))
                    }
                }
            }
        }
        told = standing
        return due
    }
}
