public import Base
import CMnl
import Dispatch
import Glibc
import Synchronization

/// An answer to a probe.
public struct ProbeAnswer: Hashable, Sendable {
    public var tunnel: String
    /// Who answered.
    public var address: IPAddress
    public var roundTrip: Tick.Span

    public init(tunnel: String, address: IPAddress, roundTrip: Tick.Span) {
        self.tunnel = tunnel
        self.address = address
        self.roundTrip = roundTrip
    }
}

/// Why a probe could not leave.
public struct ProbeFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public var tunnel: String
    public var interface: String
    public var target: IPAddress
    public var errno: Int32

    public var description: String {
        let hint = errno == EPERM || errno == EACCES ? "; CAP_NET_RAW is needed, or a firewall rule forbids it" : ""
        return "probing \(target) on \(interface) for \(tunnel): \(String(cString: strerror(errno)))\(hint)"
    }
}

/// Asks the far ends of tunnels whether they are there, by ICMP echo through the tunnel itself.
///
/// Every interface has its own socket, bound to it, so that neither a request nor an answer takes another way. A
/// probe never waits: who does not hear an answer in ``answers`` in good time counts the probe as lost. The last 1,024
/// probes are remembered; an answer counts once, and only from the address asked and with the bytes sent.
public final class Prober: Sendable {
    /// The answers, as they come in. For one reader; when nobody reads, the oldest 1,024 are kept.
    public let answers: AsyncStream<ProbeAnswer>
    private let continuation: AsyncStream<ProbeAnswer>.Continuation
    private let shared: Shared

    /// Works in the caller's network namespace, or in another one. Opens nothing yet.
    public init(in namespace: NetworkNamespace? = nil) {
        (answers, continuation) = AsyncStream.makeStream(of: ProbeAnswer.self, bufferingPolicy: .bufferingOldest(1024))
        shared = Shared(namespace: namespace)
    }

    deinit { stop() }

    /// Sends one echo request from our inside address to the other side's, on the tunnel's interface.
    ///
    /// - Returns: nil when it has left; else why not, which needs no other reaction than the missing answer.
    @discardableResult
    public func probe(tunnel: String, interface: String, from: IPAddress, to: IPAddress) -> ProbeFailure? {
        let failure: Int32 = shared.state.withLock { state in
            guard !state.isStopped else { return ECANCELED }
            guard from.family == to.family else { return EAFNOSUPPORT }
            let key = SocketKey(interface: interface, family: to.family)
            do throws(SystemFailure) {
                let socket = try state.socket(for: key, shared, continuation)
                guard try socket.isOnInterface() else {
                    state.drop(key)
                    // The name may belong to a new interface already.
                    let again = try state.socket(for: key, shared, continuation)
                    try state.send(on: again, shared, tunnel: tunnel, from: from, to: to)
                    return 0
                }
                try state.send(on: socket, shared, tunnel: tunnel, from: from, to: to)
                return 0
            } catch {
                if error.errno == ENODEV || error.errno == ENXIO { state.drop(key) }
                return error.errno
            }
        }
        guard failure != 0 else { return nil }
        return ProbeFailure(tunnel: tunnel, interface: interface, target: to, errno: failure)
    }

    /// Closes the sockets of an interface that goes away.
    public func forget(interface: String) {
        shared.state.withLock { state in
            for family in IPAddress.Family.allCases { state.drop(SocketKey(interface: interface, family: family)) }
        }
    }

    /// Closes every socket and ends ``answers``.
    public func stop() {
        shared.state.withLock { state in
            state.isStopped = true
            for key in Array(state.sockets.keys) { state.drop(key) }
            state.outstanding = [:]
        }
        continuation.finish()
    }

    // MARK: - State

    struct SocketKey: Hashable {
        var interface: String
        var family: IPAddress.Family
    }

    /// What the probes and the readers of the sockets share.
    final class Shared: Sendable {
        let state = Mutex(State())
        let namespace: NetworkNamespace?
        let clock = SystemClock()
        /// Tells our echoes from those of other programs.
        let identifier: UInt16
        /// Nobody who does not see the request can make an answer to it.
        let nonce: [UInt8]

        init(namespace: NetworkNamespace?) {
            self.namespace = namespace
            let random = SystemRandom.bytes(18)
            identifier = UInt16(random[0]) << 8 | UInt16(random[1])
            nonce = Array(random[2...])
        }

        func payload(_ sequence: UInt64) -> [UInt8] {
            var writer = ByteWriter(capacity: 24)
            writer.append(nonce)
            writer.uint64(sequence)
            return writer.bytes
        }

        /// Takes an echo reply that came from `source`; nil when it answers no probe of ours.
        func accept(_ reply: EchoPacket, from source: IPAddress, on key: SocketKey, at now: Tick) -> ProbeAnswer? {
            guard reply.identifier == identifier else { return nil }
            return state.withLock { state in
                // The probe with these low 16 bits among the last ones sent; the payload then tells for sure.
                let distance = UInt64(UInt16(truncatingIfNeeded: state.sequence) &- reply.sequence)
                guard distance <= state.sequence else { return nil }
                let sequence = state.sequence - distance
                guard let probe = state.outstanding[sequence], probe.key == key, probe.target == source,
                    reply.payload == payload(sequence)
                else { return nil }
                state.outstanding[sequence] = nil
                return ProbeAnswer(tunnel: probe.tunnel, address: source, roundTrip: now - probe.sent)
            }
        }
    }

    struct Outstanding {
        var tunnel: String
        var key: SocketKey
        var target: IPAddress
        var sent: Tick
    }

    struct State {
        static let limit: UInt64 = 1024
        var sockets: [SocketKey: ProbeSocket] = [:]
        var outstanding: [UInt64: Outstanding] = [:]
        /// Of the last probe; its low 16 bits are on the wire.
        var sequence: UInt64 = 0
        var isStopped = false

        mutating func socket(
            for key: SocketKey, _ shared: Shared, _ continuation: AsyncStream<ProbeAnswer>.Continuation
        ) throws(SystemFailure) -> ProbeSocket {
            if let socket = sockets[key] { return socket }
            let socket = try ProbeSocket(key, in: shared.namespace)
            // The handler holds `shared`, which holds the socket: closing the socket lets both go.
            socket.listen { reply, source in
                if let answer = shared.accept(reply, from: source, on: key, at: shared.clock.now) {
                    continuation.yield(answer)
                }
            }
            sockets[key] = socket
            return socket
        }

        mutating func drop(_ key: SocketKey) { sockets.removeValue(forKey: key)?.close() }

        mutating func send(
            on socket: ProbeSocket, _ shared: Shared, tunnel: String, from: IPAddress, to: IPAddress
        ) throws(SystemFailure) {
            sequence += 1
            // Known before it leaves, so that no answer can be faster than our memory.
            if sequence > Self.limit { outstanding[sequence - Self.limit] = nil }
            outstanding[sequence] = Outstanding(tunnel: tunnel, key: socket.key, target: to, sent: shared.clock.now)
            let packet = EchoPacket(
                identifier: shared.identifier, sequence: UInt16(truncatingIfNeeded: sequence),
                payload: shared.payload(sequence))
            do throws(SystemFailure) {
                try socket.send(packet.request(to.family), from: from, to: to)
            } catch {
                outstanding[sequence] = nil
                throw error
            }
        }
    }
}

/// A system call failed with this error number.
struct SystemFailure: Error, Hashable {
    var errno: Int32
}
