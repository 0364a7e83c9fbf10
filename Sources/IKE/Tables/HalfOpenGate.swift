import Base
import Cryptography

/// The door for strangers: cookies, limits, and which IKE_SA_INIT we have answered already (RFC 7296 §2.1, §2.6).
struct HalfOpenGate: Sendable {
    /// A first message is known by its sender and the SPI that it chose.
    struct Key: Hashable, Sendable, Codable {
        var spi: UInt64
        var remote: Endpoint
    }

    private struct CookieSecret: Sendable {
        var number: UInt8
        var key: Secret
        var madeAt: Tick
    }

    /// What unfinished messages of half-open SAs take up.
    var heldBytes = 0
    private(set) var answered: [Key: UInt64] = [:]
    /// Those whose sender has shown a cookie.
    private var proven: Set<Key> = []
    /// Those that were refused and are remembered for a while.
    private var retired: Set<Key> = []
    private var unprovenPerEndpoint: [Endpoint: Int] = [:]
    private var provenPerEndpoint: [Endpoint: Int] = [:]
    private var perHost: [IPAddress: Int] = [:]
    private var lastDemand: Tick?
    private var current: CookieSecret?
    private var previous: CookieSecret?
    private static let secretLifetime = Tick.Span.seconds(60)

    var count: Int { answered.count }
    /// Half-open SAs of one sender: those that anyone may have begun in its name, or those that it has shown a cookie for.
    func count(of remote: Endpoint, isProven: Bool) -> Int {
        (isProven ? provenPerEndpoint : unprovenPerEndpoint)[remote] ?? 0
    }
    /// Those of one host. Of IPv6, one host has a /64 to choose addresses from.
    func count(at address: IPAddress) -> Int { perHost[Self.host(address)] ?? 0 }

    private static func host(_ address: IPAddress) -> IPAddress {
        guard !address.isIPv4, let network = IPPrefix(address, length: 64) else { return address }
        return network.first
    }

    /// For a while after a cookie was demanded everyone needs one. Otherwise a second copy of a message whose first got
    /// a demand might be taken without one, and its sender, who follows the demand, could not know which of its messages
    /// the answer is about (RFC 7296 §2.6, §2.15).
    func demandsCookies(now: Tick) -> Bool { lastDemand.map { now - $0 < Self.demandLife } ?? false }
    private static let demandLife = Tick.Span.seconds(10)

    mutating func add(_ key: Key, _ spi: UInt64, isProven: Bool = false) {
        guard answered.updateValue(spi, forKey: key) == nil else { return }
        if isProven {
            proven.insert(key)
            provenPerEndpoint[key.remote, default: 0] += 1
        } else {
            unprovenPerEndpoint[key.remote, default: 0] += 1
        }
        perHost[Self.host(key.remote.address), default: 0] += 1
    }

    /// One that was refused goes on counting with all others, and no longer towards what its sender may begin at a time:
    /// it may try again.
    mutating func retire(_ key: Key) {
        guard answered[key] != nil, retired.insert(key).inserted else { return }
        takeFromEndpoint(key)
    }

    mutating func remove(_ key: Key) {
        guard answered.removeValue(forKey: key) != nil else { return }
        if retired.remove(key) == nil { takeFromEndpoint(key) }
        Self.take(one: Self.host(key.remote.address), from: &perHost)
    }

    private mutating func takeFromEndpoint(_ key: Key) {
        if proven.remove(key) != nil {
            Self.take(one: key.remote, from: &provenPerEndpoint)
        } else {
            Self.take(one: key.remote, from: &unprovenPerEndpoint)
        }
    }

    private static func take<Place: Hashable>(one place: Place, from counts: inout [Place: Int]) {
        let left = (counts[place] ?? 1) - 1
        counts[place] = left > 0 ? left : nil
    }

    /// A cookie that only this sender can give back; nothing is kept for it.
    mutating func cookie(nonce: [UInt8], _ key: Key, now: Tick, random: inout SeededRandom) -> [UInt8] {
        lastDemand = now
        let secret = freshSecret(now: now, random: &random)
        return [secret.number] + Self.tag(secret.key, nonce, key)
    }

    /// Whether a cookie is ours, for this sender, and at most two minutes old.
    mutating func accepts(
        _ cookie: [UInt8], nonce: [UInt8], _ key: Key, now: Tick, random: inout SeededRandom
    ) -> Bool {
        _ = freshSecret(now: now, random: &random)
        guard let number = cookie.first else { return false }
        for secret in [current, previous] {
            guard let secret, secret.number == number, now - secret.madeAt < Self.secretLifetime * 2 else { continue }
            if Secret(cookie.dropFirst()) == Secret(Self.tag(secret.key, nonce, key)) { return true }
        }
        return false
    }

    private mutating func freshSecret(now: Tick, random: inout SeededRandom) -> CookieSecret {
        if let current, now - current.madeAt < Self.secretLifetime { return current }
        let fresh = CookieSecret(number: (current?.number ?? 0) &+ 1, key: random.secret(32), madeAt: now)
        previous = current
        current = fresh
        return fresh
    }

    private static func tag(_ secret: Secret, _ nonce: [UInt8], _ key: Key) -> [UInt8] {
        let port = [UInt8(truncatingIfNeeded: key.remote.port >> 8), UInt8(truncatingIfNeeded: key.remote.port)]
        return IntegrityAlgorithm.sha256.tag(
            key: secret, [nonce, key.remote.address.bytes, port, KeySchedule.bytes(key.spi)])
    }
}

/// At most a few notices a second; what is held back is counted and told with the next.
struct NoticeLimiter: Sendable {
    private var windowStart = Tick.zero
    private var told = 0
    private var heldBack = 0

    /// The text to tell, or nil to stay silent.
    mutating func admit(_ text: @autoclosure () -> String, limit: Int, now: Tick) -> String? {
        if now - windowStart >= .seconds(1) {
            windowStart = now
            told = 0
        }
        guard told < limit else {
            heldBack += 1
            return nil
        }
        told += 1
        defer { heldBack = 0 }
        return heldBack == 0 ? text() : text() + " (\(heldBack) more like it were not told)"
    }
}
