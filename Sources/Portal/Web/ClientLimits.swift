import Base
import Identity
import NIOCore
import Synchronization

/// So many requests in a burst and so many a minute, for each address, and a multiple for each network of IPv6.
struct AddressLimit: Sendable {
    private struct Bucket {
        var left: Double
        var at: Tick
    }

    let burst: Double
    let perSecond: Double
    /// Clients that are counted at a time. While there are as many, no other is served: whoever comes from so many
    /// networks must neither have each request go through all of them nor push out the counts of others.
    let capacity: Int
    private var buckets: [ClientKey: Bucket] = [:]
    private var sweptAt: Tick?

    /// How often it is looked who need not be counted any longer, and how often while the table is full.
    private static let sweepInterval = Tick.Span.seconds(60)
    private static let fullSweepInterval = Tick.Span.seconds(1)

    init(burst: Int, perMinute: Int, capacity: Int = 50_000) {
        self.burst = Double(burst)
        perSecond = Double(perMinute) / 60
        self.capacity = capacity
    }

    /// Whether one more may come from the client at `address` now.
    mutating func admits(_ address: IPAddress, now: Tick) -> Bool {
        let interval = buckets.count < capacity ? Self.sweepInterval : Self.fullSweepInterval
        if sweptAt.map({ now >= $0 + interval }) ?? true { sweep(now) }
        var taken: [(client: ClientKey, bucket: Bucket)] = []
        for client in ClientKey.keys(of: address) {
            guard buckets[client] != nil || buckets.count < capacity else { return false }
            var bucket = buckets[client] ?? Bucket(left: burst * Double(client.shares), at: now)
            bucket.left = level(bucket, of: client, now)
            bucket.at = now
            guard bucket.left >= 1 else { return false }
            bucket.left -= 1
            taken.append((client, bucket))
        }
        for (client, bucket) in taken { buckets[client] = bucket }
        return true
    }

    private func level(_ bucket: Bucket, of client: ClientKey, _ now: Tick) -> Double {
        let shares = Double(client.shares)
        return min(burst * shares, bucket.left + max(0, (now - bucket.at).seconds) * perSecond * shares)
    }

    /// Forgets those whose bucket is full again: they are like any that never came.
    private mutating func sweep(_ now: Tick) {
        buckets = buckets.filter { level($0.value, of: $0.key, now) < burst * Double($0.key.shares) }
        sweptAt = now
    }
}

/// How many connections each address has open, and each network of IPv6, to all ports of the pages together.
final class ClientConnections: Sendable {
    private let limit: Int
    private let open = Mutex<[ClientKey: Int]>([:])

    init(limit: Int) { self.limit = limit }

    /// Counts a new connection until it has closed. False when its client has as many as it may: it must be closed.
    func add(_ channel: any Channel) -> Bool {
        // Who has gone already has no address any more. All of them are one client.
        let address = channel.remoteAddress?.ipAddress.flatMap { IPAddress($0) } ?? .any(.ipv4)
        guard take(address) else { return false }
        channel.closeFuture.whenComplete { [weak self] _ in self?.release(address) }
        return true
    }

    /// Counts one more. False, and not counted, when there are as many as may be.
    func take(_ address: IPAddress) -> Bool {
        let clients = ClientKey.keys(of: address)
        return open.withLock { open in
            guard clients.allSatisfy({ open[$0, default: 0] < limit * $0.shares }) else { return false }
            for client in clients { open[client, default: 0] += 1 }
            return true
        }
    }

    func release(_ address: IPAddress) {
        open.withLock { open in
            for client in ClientKey.keys(of: address) {
                let left = open[client, default: 0] - 1
                open[client] = left > 0 ? left : nil
            }
        }
    }
}
