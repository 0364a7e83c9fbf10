import Base
import Cryptography

/// One configured peer and the SAs that belong to it.
struct Connection: Sendable {
    var configuration: ConnectionConfiguration
    /// What certificates need, made ready; nil with a pre-shared key.
    var credentials: Result<Credentials, CertificateFault>?
    var sas = FewSPIs.none
    var lastFailure: Failure?
}

/// A peer of one connection, by the identity that it proved.
struct PeerKey: Hashable, Sendable {
    var connection: ConnectionID
    var identity: IKEIdentity

    init(_ connection: ConnectionID, _ identity: IKEIdentity) {
        self.connection = connection
        self.identity = identity.canonical
    }
}

/// Finds connections for strangers: by the addresses that they use, then by the identity that they claim.
struct Directory: Sendable {
    /// Phase-1 offers that several connections share are tried once only.
    private struct Group: Sendable {
        var offers: [IKEProposal]
        /// Counted by local address, so that the offers of another address are not tried.
        var ids: [ConnectionID]
        /// Key hashes of the CAs that the connections trust, each with the number of connections that do.
        var authorities: [[UInt8]: Int] = [:]
        /// Connections with a post-quantum pre-shared key.
        var ppks = 0
    }

    private var byRemote: [IPAddress: [Group]] = [:]
    private var anyRemote: [Group] = []
    /// Connections by the identity that the peer must prove; nil collects those that take any.
    private var byIdentity: [IKEIdentity?: [ConnectionID]] = [:]
    /// SAs of a peer, to find what a new one replaces.
    private var peers: [PeerKey: FewSPIs] = [:]
    /// SAs by a hash of the two identities that they are between, and the hash of each SA: however many connections one
    /// peer has, what is between the two is found at once.
    private var contacts: [Int: FewSPIs] = [:]
    private var contactOfSA: [UInt64: Int] = [:]

    mutating func add(_ id: ConnectionID, _ configuration: ConnectionConfiguration) {
        if let remote = configuration.remoteAddress {
            Self.add(id, configuration, to: &byRemote[remote, default: []])
        } else {
            Self.add(id, configuration, to: &anyRemote)
        }
        byIdentity[Self.expectedIdentity(configuration), default: []].append(id)
    }

    mutating func remove(_ id: ConnectionID, _ configuration: ConnectionConfiguration) {
        if let remote = configuration.remoteAddress {
            Self.remove(id, configuration, from: &byRemote[remote, default: []])
            if byRemote[remote]?.isEmpty == true { byRemote[remote] = nil }
        } else {
            Self.remove(id, configuration, from: &anyRemote)
        }
        let identity = Self.expectedIdentity(configuration)
        byIdentity[identity]?.removeAll { $0 == id }
        if byIdentity[identity]?.isEmpty == true { byIdentity[identity] = nil }
    }

    private static func add(_ id: ConnectionID, _ configuration: ConnectionConfiguration, to groups: inout [Group]) {
        let index =
            groups.firstIndex { $0.offers == configuration.ikeProposals }
            ?? {
                groups.append(Group(offers: configuration.ikeProposals, ids: []))
                return groups.count - 1
            }()
        groups[index].ids.append(id)
        for hash in authorityHashes(configuration) { groups[index].authorities[hash, default: 0] += 1 }
        if configuration.ppk != nil { groups[index].ppks += 1 }
    }

    private static func authorityHashes(_ configuration: ConnectionConfiguration) -> [[UInt8]] {
        configuration.authentication.credential?.authorities.map(\.keyHash) ?? []
    }

    private static func remove(
        _ id: ConnectionID, _ configuration: ConnectionConfiguration, from groups: inout [Group]
    ) {
        guard let index = groups.firstIndex(where: { $0.offers == configuration.ikeProposals }) else { return }
        groups[index].ids.removeAll { $0 == id }
        for hash in authorityHashes(configuration) {
            let count = groups[index].authorities[hash, default: 1] - 1
            groups[index].authorities[hash] = count > 0 ? count : nil
        }
        if configuration.ppk != nil { groups[index].ppks -= 1 }
        if groups[index].ids.isEmpty { groups.remove(at: index) }
    }

    /// The canonical identity that a peer must prove; nil for any.
    static func expectedIdentity(_ configuration: ConnectionConfiguration) -> IKEIdentity? {
        configuration.remoteID?.canonical ?? configuration.remoteAddress.map { IKEIdentity($0) }
    }

    /// What we would agree to with a peer at this address, connections for just this address first; with one
    /// connection that says so.
    func offers(to remote: IPAddress) -> [(offers: [IKEProposal], connection: ConnectionID)] {
        ((byRemote[remote] ?? []) + anyRemote).compactMap { group in group.ids.first.map { (group.offers, $0) } }
    }

    /// The CAs that some connection for a peer at this address trusts, by key hash, and whether one has a PPK: what the
    /// first answer says before the peer has said who it is.
    func answerTerms(to remote: IPAddress) -> (authorities: [[UInt8]], hasPPK: Bool) {
        let groups = (byRemote[remote] ?? []) + anyRemote
        let hashes = Set(groups.flatMap(\.authorities.keys))
        return (
            hashes.sorted { $0.lexicographicallyPrecedes($1) }.prefix(Self.mostAuthorities).map { $0 },
            groups.contains { $0.ppks > 0 }
        )
    }

    /// More would make a large answer to anyone who asks.
    private static let mostAuthorities = 20

    /// Connections that might mean this peer, the narrowest first.
    func candidates(identity: IKEIdentity) -> [ConnectionID] {
        (byIdentity[identity.canonical] ?? []) + (byIdentity[nil] ?? [])
    }

    /// A connection with this remote address, to blame a failure on.
    func connection(at remote: IPAddress) -> ConnectionID? { byRemote[remote]?.first?.ids.first }

    // MARK: SAs of one peer

    /// Files an SA under the peer that has proven who it is, and under the two identities that it is between.
    mutating func note(_ spi: UInt64, _ key: PeerKey, localID: IKEIdentity?) {
        peers[key, default: .none].insert(spi)
        noteContact(spi, localID, key.identity)
    }

    mutating func forget(_ spi: UInt64, _ key: PeerKey) {
        peers[key]?.remove(spi)
        if peers[key]?.isEmpty == true { peers[key] = nil }
    }

    func sas(of key: PeerKey) -> [UInt64] { peers[key]?.sorted ?? [] }

    // MARK: SAs between two identities

    /// Files an SA as one between two identities, of which the peer's is perhaps not proven yet.
    mutating func noteContact(_ spi: UInt64, _ local: IKEIdentity?, _ remote: IKEIdentity) {
        let contact = Self.contact(local, remote)
        guard contactOfSA[spi] != contact else { return }
        forgetContact(spi)
        contactOfSA[spi] = contact
        contacts[contact, default: .none].insert(spi)
    }

    mutating func forgetContact(_ spi: UInt64) {
        guard let contact = contactOfSA.removeValue(forKey: spi) else { return }
        contacts[contact]?.remove(spi)
        if contacts[contact]?.isEmpty == true { contacts[contact] = nil }
    }

    /// Every SA between the two, and perhaps some that are not: the caller looks at each.
    func contacts(_ local: IKEIdentity?, _ remote: IKEIdentity) -> [UInt64] {
        contacts[Self.contact(local, remote)]?.sorted ?? []
    }

    /// Nothing is filed.
    var hasNoContacts: Bool { contacts.isEmpty && contactOfSA.isEmpty }

    private static func contact(_ local: IKEIdentity?, _ remote: IKEIdentity) -> Int {
        var hasher = Hasher()
        hasher.combine(local)
        hasher.combine(remote.canonical)
        return hasher.finalize()
    }
}
