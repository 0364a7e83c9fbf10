import Base
import IKE
import Tunnels

/// What four lives in five have beside the rest: large messages on narrow paths, an address of the gateway that changes,
/// SAs that may carry only so much. The fifth goes without, so that few things meet at a time in it.
struct Width {
    /// Bytes of the largest IP packet that the path carries; larger ones vanish without a word.
    var pathMTU = 1500
    /// Where each host cuts its IKE messages; nil for one that has fragmentation off.
    var fragmentSizes: [Int?]
    /// Identities so long that IKE_AUTH needs more than 576 bytes.
    var hasLongNames = false
    /// The gateway's address changes now and then; its endpoints take it wherever it is.
    var isMoving = false
    /// Which hosts have MOBIKE on.
    var isMobile: [Bool]
    var lifetimePackets: UInt64?
    var lifetimeBytes: UInt64?

    /// Paths carry at least this much (RFC 791).
    static let leastMTU = 576

    init(hostCount: Int) {
        fragmentSizes = Array(repeating: ConnectionConfiguration.usualFragmentSize, count: hostCount)
        isMobile = Array(repeating: false, count: hostCount)
    }

    init(_ dice: inout Dice, hostCount: Int, mayMove: Bool) {
        self.init(hostCount: hostCount)
        hasLongNames = dice.chance(40)
        if dice.chance(10) {
            fragmentSizes[dice.below(hostCount)] = nil
        } else {
            pathMTU = dice.pick([1500, 1500, 1280, 800, Self.leastMTU])
            fragmentSizes = fragmentSizes.map { usual in dice.pick([usual, usual, Self.leastMTU, 256]) }
        }
        isMoving = mayMove && dice.chance(60)
        isMobile = isMobile.map { _ in dice.chance(80) }
        lifetimePackets = dice.pick([nil, nil, 150, 600, 2000])
        lifetimeBytes = dice.pick([nil, nil, 80_000, 300_000])
    }

    /// The terms of a tunnel of the gateway, or, mirrored, of an endpoint.
    func widen(_ tunnel: inout Tunnel, of host: Int) {
        tunnel.phase1.isMobile = isMobile[host]
        tunnel.phase2.lifetimePackets = lifetimePackets
        tunnel.phase2.lifetimeBytes = lifetimeBytes
        if isMoving { tunnel.phase1.bindAddress = nil }
        let endpoint = Int(tunnel.name.suffix(1)) ?? 1
        let names = [Self.identity(0), Self.identity(endpoint)]
        if hasLongNames {
            tunnel.phase1.localID = names[host == 0 ? 0 : 1]
            tunnel.phase1.remoteID = names[host == 0 ? 1 : 0]
        }
        guard isMoving, host > 0 else { return }
        tunnel.phase1.remoteID = tunnel.phase1.remoteID ?? IKEIdentity(Scenario.gatewayAddress)
        tunnel.phase1.remoteAddress = nil
    }

    private static func identity(_ host: Int) -> IKEIdentity {
        let name = Scenario.names[host].lowercased()
        return .fqdn(name + String(repeating: ".a-name-that-goes-on-and-on", count: 9) + ".example")
    }

    var summary: String {
        let sizes = fragmentSizes.map { $0.map(String.init) ?? "none" }.joined(separator: "/")
        var parts = ["paths of \(pathMTU) bytes", "fragments of \(sizes)"]
        if hasLongNames { parts.append("long names") }
        if isMoving { parts.append("the gateway moves") }
        if isMobile.contains(true) {
            parts.append("MOBIKE at " + zip(Scenario.names, isMobile).filter(\.1).map(\.0).joined(separator: ", "))
        }
        if let lifetimePackets { parts.append("\(lifetimePackets) packets a child") }
        if let lifetimeBytes { parts.append("\(lifetimeBytes) bytes a child") }
        return parts.joined(separator: ", ")
    }
}

extension ConnectionConfiguration {
    static let usualFragmentSize = 1280
}

/// What is left of a child's limits in one direction, as the data path counts it.
struct Allowance {
    enum Verdict { case fine, exhausted, spent }

    let limits: ChildLimits
    private var bytes: UInt64 = 0
    private var packets: UInt64 = 0
    private var isSoftTold = false
    private(set) var isSpent = false

    init(_ limits: ChildLimits) { self.limits = limits }

    /// Counts a packet that has passed. Each limit is told once.
    mutating func count(_ length: Int) -> Verdict {
        bytes += UInt64(length)
        packets += 1
        if bytes >= limits.hardBytes || packets >= limits.hardPackets {
            defer { isSpent = true }
            return isSpent ? .fine : .spent
        }
        guard bytes >= limits.softBytes || packets >= limits.softPackets else { return .fine }
        defer { isSoftTold = true }
        return isSoftTold ? .fine : .exhausted
    }
}
