import Base
import Host
import IKE
import Portal
import Tunnels

/// What the core answers about itself. Called on the core, between two messages.
extension Core {
    /// Runs `body` between two messages; nil when the core has ended.
    nonisolated func ask<Answer: Sendable>(_ body: @escaping @Sendable (isolated Core) async -> Answer) async -> Answer? {
        await withCheckedContinuation { continuation in
            let taken = inbox.put(.call { core in continuation.resume(returning: await body(core)) })
            if !taken { continuation.resume(returning: nil) }
        }
    }

    /// Every tunnel as it is now.
    func status() async -> [TunnelStatus] {
        await readCounters()
        let clock = machine.clock
        return supervisor.status(now: now, wall: { clock.wallTime(of: $0) }) { spiIn in
            self.childCounters[spiIn].map {
                ChildTraffic(
                    bytesIn: $0.bytesIn, bytesOut: $0.bytesOut, packetsIn: $0.packetsIn, packetsOut: $0.packetsOut,
                    lastInbound: $0.lastInbound)
            }
        }
    }

    /// What every tunnel has carried, including SAs that are gone.
    func counters() async -> [TunnelCounters] {
        await status().map { meters.counters(connector: $0.connector, tunnel: $0.tunnel) }
    }

    /// Why a tunnel is as it is, the most important first; nil for one that does not exist.
    func explain(tunnel: String) -> [String]? {
        let reasons = supervisor.explain(tunnel: tunnel)
        return reasons.isEmpty ? nil : reasons
    }

    /// The interfaces of the tunnels, by name.
    var interfaces: [String] { tunnels.keys.sorted() }

    /// IKE messages that could not be read, did not authenticate or broke the protocol.
    var rejectedMessages: UInt64 {
        engine.counters.malformed + engine.counters.unauthentic + engine.counters.misbehaved
    }

    /// What is wrong with the gateway itself, beside tunnels that are down.
    var problems: [String] { [routeProblem, dataPathProblem].compactMap(\.self) }
}
