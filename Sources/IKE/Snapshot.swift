public import Base
import Cryptography

/// Everything that an engine knows, to be sealed and kept over a restart of the process.
///
/// Encode it with ``Cryptography/Secret/revealSecrets`` set and seal the result: it holds every key. It is exact for
/// the ``revision`` at which it was taken, and only the engine's last revision may be restored: an engine that went on
/// has used up message IDs, which IKEv2 lets nobody skip. IVs are reserved 2^32 messages ahead, so that not even a
/// stale snapshot repeats one under the same key.
///
/// Keys and sequence numbers of ESP are no part of it: a child that the data path has not kept is rekeyed at once.
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

    /// A child as the data path may still have it.
    public struct SavedChild: Sendable {
        /// Without its keys.
        public var child: ChildSA
        public var usesOutbound: Bool
        /// An event has told of it.
        public var isTold: Bool
        /// Another has taken its place, or it is about to go.
        public var isSuperseded: Bool
    }

    /// Every child that was installed.
    public var children: [SavedChild] {
        let terms = configurations
        return sas.flatMap { sa in
            sa.children.filter { $0.state != .installing }.map { child in
                let none = Secret([])
                return SavedChild(
                    child: ChildSA(
                        connection: sa.connection ?? ConnectionID(0), ikeSA: sa.id, spiIn: child.spiIn,
                        spiOut: child.spiOut, suite: child.suite, encryptionKeyIn: none, encryptionKeyOut: none,
                        integrityKeyIn: none, integrityKeyOut: none, localSelectors: child.localSelectors,
                        remoteSelectors: child.remoteSelectors, path: sa.childPath,
                        replayWindow: sa.connection.flatMap { terms[$0]?.replayWindow } ?? 1024,
                        rekeyAt: child.rekeyAt, expiresAt: child.expiresAt, replaces: child.replaces),
                    usesOutbound: child.usesOutbound, isTold: child.isTold || child.state != .installed,
                    isSuperseded: child.state != .installed)
            }
        }
    }

    /// An IKE SA that is up.
    public struct SavedSA: Sendable {
        public var connection: ConnectionID
        public var id: IKESAID
        public var summary: IKESummary
    }

    /// The IKE SAs that events have told to be up.
    public var establishedSAs: [SavedSA] {
        sas.compactMap { sa in
            guard let connection = sa.connection, sa.isEstablished, !sa.isProvisional else { return nil }
            return SavedSA(connection: connection, id: sa.id, summary: sa.summary)
        }
    }

    /// Every connection's terms.
    public var configurations: [ConnectionID: ConnectionConfiguration] {
        Dictionary(connections.map { ($0.id, $0.configuration) }, uniquingKeysWith: { first, _ in first })
    }
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
    /// What was being installed counts as failed, and children that the data path has lost are rekeyed at the first
    /// ``wake(now:)``, which is due at once.
    ///
    /// - Parameter kept: the children that the data path still has, by inbound SPI.
    public init(
        restoring snapshot: EngineSnapshot, kept: Set<UInt32> = [], configuration: EngineConfiguration, seed: [UInt8],
        now: Tick
    ) {
        self.init(configuration: configuration, seed: seed, now: now)
        counters = snapshot.counters
        for saved in snapshot.connections {
            configure(saved.id, saved.configuration)
            connections[saved.id]?.lastFailure = saved.lastFailure
        }
        for sa in snapshot.sas { index(sa) }
        for sa in snapshot.sas { with(sa.spi) { $0.resume(&$1, kept) } }
    }

    private mutating func index(_ sa: IKESA) {
        for child in sa.children { childOwners[child.spiIn] = sa.spi }
        if case .child(let creation) = sa.exchange { childOwners[creation.spiIn] = sa.spi }
        switch sa.state {
        case .authSent(let sent): if !sent.isChildless { childOwners[sent.spiIn] = sa.spi }
        case .halfOpen(let halfOpen): gate.add(halfOpen.key, sa.spi)
        case .closed(_, let stranger?):
            gate.add(stranger, sa.spi)
            gate.retire(stranger)
        case .initSent, .established, .rekeyed, .deleting, .closed: break
        }
        if let id = sa.connection {
            connections[id]?.sas.insert(sa.spi)
            if sa.isEstablished, let remoteID = sa.remoteID {
                directory.note(sa.spi, PeerKey(id, remoteID), localID: sa.localID)
            } else if case .authSent = sa.state, let configuration = configuration(of: sa),
                let remoteID = Directory.expectedIdentity(configuration)
            {
                directory.noteContact(sa.spi, sa.localID, remoteID)
            }
        }
        table.put(sa)
    }

    private mutating func resume(_ sa: inout IKESA, _ kept: Set<UInt32>) {
        for child in sa.children where child.state == .installing {
            childFailed(&sa, child.spiIn, "the gateway restarted before it was installed")
        }
        for index in sa.children.indices
        where sa.children[index].state == .installed && !kept.contains(sa.children[index].spiIn) {
            sa.children[index].rekeyAt = now
        }
    }
}
