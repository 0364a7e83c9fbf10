public import Base
import Cryptography

/// Everything that an engine knows, to be sealed and kept over a restart of the process.
///
/// Encode it with ``Cryptography/Secret/revealSecrets`` set and seal the result: it holds every key. It is exact for
/// the ``revision`` at which it was taken, and only the engine's last revision may be restored: an engine that went on
/// has used up message IDs, which IKEv2 lets nobody skip. IVs are reserved 2^32 messages ahead, so that not even a
/// stale snapshot repeats one under the same key.
///
/// ESP sequence numbers are no part of it: restored children are rekeyed at once, and the data path starts them afresh.
public struct EngineSnapshot: Codable, Sendable {
    struct SavedConnection: Codable, Sendable {
        var id: ConnectionID
        var configuration: ConnectionConfiguration
        var lastFailure: Failure?
    }

    /// The ``Engine/revision`` that this is a picture of.
    public let revision: UInt64
    let connections: [SavedConnection]
    let sas: [IKESA]
    let counters: EngineCounters

    static let reservedIVs: UInt64 = 1 << 32
}

extension Engine {
    /// A picture of the engine as it is now.
    public func snapshot() -> EngineSnapshot {
        let sas = table.spis.sorted().compactMap { table[$0] }.map { sa in
            var saved = sa
            saved.nextIV &+= EngineSnapshot.reservedIVs
            // Peers send again what they have no answer to.
            saved.reassemblies = []
            return saved
        }
        let saved = connections.sorted { $0.key < $1.key }.map { id, connection in
            EngineSnapshot.SavedConnection(
                id: id, configuration: connection.configuration, lastFailure: connection.lastFailure)
        }
        return EngineSnapshot(revision: revision, connections: saved, sas: sas, counters: counters)
    }

    /// Goes on where `snapshot` was taken, with new randomness.
    ///
    /// The data path has lost its SAs: children are rekeyed at the first ``wake(now:)``, which is due at once, and what
    /// was being installed counts as failed.
    public init(restoring snapshot: EngineSnapshot, configuration: EngineConfiguration, seed: [UInt8], now: Tick) {
        self.init(configuration: configuration, seed: seed, now: now)
        counters = snapshot.counters
        for saved in snapshot.connections {
            configure(saved.id, saved.configuration)
            connections[saved.id]?.lastFailure = saved.lastFailure
        }
        for sa in snapshot.sas { index(sa) }
        for sa in snapshot.sas { with(sa.spi) { $0.resume(&$1) } }
    }

    private mutating func index(_ sa: IKESA) {
        for child in sa.children { childOwners[child.spiIn] = sa.spi }
        if case .child(let creation) = sa.exchange { childOwners[creation.spiIn] = sa.spi }
        switch sa.state {
        case .authSent(let sent): if !sent.isChildless { childOwners[sent.spiIn] = sa.spi }
        case .halfOpen(let halfOpen): gate.add(halfOpen.key, sa.spi)
        case .initSent, .established, .rekeyed, .deleting, .closed: break
        }
        if let id = sa.connection {
            connections[id]?.sas.insert(sa.spi)
            if sa.isEstablished, let remoteID = sa.remoteID { directory.note(sa.spi, PeerKey(id, remoteID)) }
        }
        table.put(sa)
    }

    private mutating func resume(_ sa: inout IKESA) {
        for child in sa.children where child.state == .installing {
            childFailed(&sa, child.spiIn, "the gateway restarted before it was installed")
        }
        for index in sa.children.indices where sa.children[index].state == .installed {
            sa.children[index].rekeyAt = now
        }
    }
}
