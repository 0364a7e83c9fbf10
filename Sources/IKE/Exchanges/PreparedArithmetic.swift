public import Base
public import Cryptography

// Diffie-Hellman is most of what a handshake costs, and needs nothing of the engine. A host with cores to spare can do it
// beside the engine: make key pairs ahead, and work out the secret that a datagram will need before it hands the datagram
// over. To the engine such a datagram is one that took longer on its way. Without all this the engine does the arithmetic
// itself, and what comes of it is the same.

/// The shared secret that a datagram's handshake needs.
public struct SharedSecretJob: Sendable {
    /// Our SPI of the IKE SA; datagrams of one SA are handed over in their order.
    public let ikeSA: IKESAID
    let keyPair: DHKeyPair
    let peerValue: [UInt8]

    /// Works it out, on any thread. Nil where the peer's value is bad: the engine finds that again, and says so.
    public func run() -> PreparedSecret? {
        guard let secret = try? keyPair.sharedSecret(peer: peerValue) else { return nil }
        return PreparedSecret(publicValue: keyPair.publicValue, peerValue: peerValue, secret: secret)
    }
}

/// What came of a ``SharedSecretJob``.
public struct PreparedSecret: Sendable {
    let publicValue: [UInt8]
    let peerValue: [UInt8]
    let secret: Secret
}

/// Key pairs that were made ahead. Each is used once.
struct KeyPairStock: Sendable {
    private var pairs: [DHGroup: [DHKeyPair]] = [:]
    private var taken: [DHGroup: Int] = [:]
    /// Asked for, and not here yet.
    private var ordered: [DHGroup: Int] = [:]
    static let most = 32

    mutating func take(_ group: DHGroup) -> DHKeyPair? {
        taken[group, default: 0] += 1
        return pairs[group]?.popLast()
    }

    mutating func add(_ pair: DHKeyPair) {
        if let waiting = ordered[pair.group], waiting > 0 { ordered[pair.group] = waiting - 1 }
        if pairs[pair.group, default: []].count < Self.most { pairs[pair.group, default: []].append(pair) }
    }

    /// What to make: as many again as were taken since the last time, twice over, as far as there is room. What was asked
    /// for before is on its way, and not asked for again.
    mutating func shortages() -> [DHGroup: Int] {
        guard !taken.isEmpty else { return [:] }
        defer { taken = [:] }
        return taken.reduce(into: [:]) { wanted, entry in
            let missing = min(entry.value * 2, Self.most) - (pairs[entry.key]?.count ?? 0) - (ordered[entry.key] ?? 0)
            guard missing > 0 else { return }
            wanted[entry.key] = missing
            ordered[entry.key, default: 0] += missing
        }
    }
}

extension Engine {
    /// The arithmetic that this datagram would have the engine do: IKE_AUTH to a half-open IKE SA, or the answer to our
    /// IKE_SA_INIT. Nil for every other datagram. Nothing is changed.
    public func sharedSecretJob(_ datagram: [UInt8], _ path: Path) -> SharedSecretJob? {
        let message = datagram.dropFirst(path.isNATPort ? 4 : 0)
        guard let header = try? Header(message), header.majorVersion == 2 else { return nil }
        switch ExchangeType(rawValue: header.exchange) {
        case .ikeAuth where header.isFromInitiator && !header.isResponse:
            guard let sa = table[header.responderSPI], case .halfOpen(let halfOpen) = sa.state, sa.keys == nil,
                sa.peerSPI == header.initiatorSPI, header.messageID == sa.nextPeerRequestID, let keyPair = halfOpen.keyPair
            else { return nil }
            return SharedSecretJob(ikeSA: sa.id, keyPair: keyPair, peerValue: halfOpen.peerValue)
        case .ikeSAInit where header.isResponse && header.responderSPI != 0:
            guard let sa = table[header.initiatorSPI], case .initSent(let sent) = sa.state,
                let payloads = try? Payloads(first: header.nextPayload, message.dropFirst(Header.length)),
                payloads.firstError == nil, let keyExchange = payloads.keyExchange,
                keyExchange.group == sent.keyPair.group.rawValue
            else { return nil }
            return SharedSecretJob(ikeSA: sa.id, keyPair: sent.keyPair, peerValue: keyExchange.value)
        default: return nil
        }
    }

    /// Takes a datagram in whose arithmetic was done before.
    public mutating func receive(
        datagram: [UInt8], _ path: Path, with prepared: PreparedSecret?, now: Tick
    ) -> [Effect] {
        self.prepared = prepared
        defer { self.prepared = nil }
        return receive(.datagram(datagram, path), now: now)
    }

    /// Takes a key pair that was made ahead.
    public mutating func stock(_ pair: DHKeyPair) { keyPairs.add(pair) }

    /// How many key pairs of which groups a host that makes them ahead should make now. It is to ``stock(_:)`` them all.
    public mutating func keyPairShortages() -> [DHGroup: Int] { keyPairs.shortages() }

    /// A key pair that nobody has used.
    mutating func newKeyPair(_ group: DHGroup) throws(CryptographyError) -> DHKeyPair {
        if let pair = keyPairs.take(group) { return pair }
        return try DHKeyPair(group: group, random: &random)
    }

    func sharedSecret(_ keyPair: DHKeyPair, _ peerValue: [UInt8]) throws(CryptographyError) -> Secret {
        if let prepared, prepared.publicValue == keyPair.publicValue, prepared.peerValue == peerValue {
            return prepared.secret
        }
        return try keyPair.sharedSecret(peer: peerValue)
    }
}
