public import Base
import CMnl
import Glibc
import Synchronization

/// A conversation with the kernel over one netlink family: requests with acknowledgement, questions and dumps.
///
/// One request at a time; callers queue behind a lock, and every wait is bounded. Errors carry the kernel's own text.
public final class Netlink: Sendable {
    /// The netlink family that a socket speaks.
    public enum Bus: Sendable {
        /// Links, addresses, routes, rules and neighbours.
        case route
        /// IPsec states and policies.
        case xfrm
        /// nftables and conntrack.
        case netfilter

        var number: Int32 {
            switch self {
            case .route: NETLINK_ROUTE
            case .xfrm: NETLINK_XFRM
            case .netfilter: NETLINK_NETFILTER
            }
        }
    }

    private let connection: Mutex<Connection>
    private let patience: Tick.Span
    /// Our address on the bus: multicast messages about our own changes carry it.
    let port: UInt32

    /// Opens a socket in the caller's network namespace, or in another one.
    ///
    /// - Parameter patience: how long the kernel may be silent before a request counts as failed.
    public init(
        _ bus: Bus = .route, in namespace: NetworkNamespace? = nil, patience: Tick.Span = .seconds(5)
    ) throws(NetlinkError) {
        self.patience = patience
        let socket = try NetlinkSocket.open(bus, in: namespace)
        port = socket.port
        connection = Mutex(Connection(socket: socket))
    }

    private struct Connection: ~Copyable {
        let socket: NetlinkSocket
        var sequence = UInt32.random(in: .min ... .max)
    }

    /// Sends one request and waits for the kernel's yes or no.
    func request(_ request: consuming NetlinkRequest, _ operation: @autoclosure () -> String) throws(NetlinkError) {
        let isSecret = request.isSecret
        var requests = [request]
        defer { if isSecret { for index in requests.indices { requests[index].body.wipe() } } }
        _ = try exchange(requests, operation)
    }

    /// Sends one request and returns what the kernel says before it acknowledges.
    func ask(
        _ request: NetlinkRequest, _ operation: @autoclosure () -> String
    ) throws(NetlinkError) -> [NetlinkMessage] {
        try exchange([request], operation)
    }

    /// Sends several messages in one datagram (an nftables batch is one) and waits until each that asks for an
    /// acknowledgement has it. The first refusal is thrown; what it means for the others is the family's rule.
    func batch(
        _ requests: [NetlinkRequest], _ operation: @autoclosure () -> String
    ) throws(NetlinkError) -> [NetlinkMessage] {
        try exchange(requests, operation, acknowledgeAll: false)
    }

    /// Everything that the kernel lists for `request`, as one consistent picture: a dump that was interrupted by a
    /// change, or of which a part was lost, is done again.
    func dump(
        _ request: NetlinkRequest, _ operation: @autoclosure () -> String
    ) throws(NetlinkError) -> [NetlinkMessage] {
        try connection.withLock { (connection) throws(NetlinkError) in
            for _ in 0..<Self.dumpAttempts {
                if let messages = try dumpOnce(request, operation, on: &connection) { return messages }
            }
            throw NetlinkError(
                operation: operation(), errno: EAGAIN,
                kernelText: "the list changed while it was read, \(Self.dumpAttempts) times over", kind: .unreadable)
        }
    }

    /// A table that changes all the time (a full BGP feed coming in) is seldom still for the length of a dump.
    private static let dumpAttempts = 20

    private func exchange(
        _ requests: [NetlinkRequest], _ operation: () -> String, acknowledgeAll: Bool = true
    ) throws(NetlinkError) -> [NetlinkMessage] {
        try connection.withLock { (connection) throws(NetlinkError) in
            var datagram = NetlinkWriter()
            let first = connection.sequence &+ 1
            var awaited: Set<UInt32> = []
            for request in requests {
                connection.sequence &+= 1
                var flags = request.flags | UInt16(NLM_F_REQUEST)
                if acknowledgeAll { flags |= UInt16(NLM_F_ACK) }
                if flags & UInt16(NLM_F_ACK) != 0 { awaited.insert(connection.sequence) }
                datagram.message(request, flags: flags, sequence: connection.sequence, port: connection.socket.port)
            }
            let last = connection.sequence
            do throws(NetlinkError) {
                try connection.socket.send(datagram.bytes, operation)
            } catch {
                if requests.contains(where: \.isSecret) { datagram.wipe() }
                throw error
            }
            if requests.contains(where: \.isSecret) { datagram.wipe() }
            var answers: [NetlinkMessage] = []
            var deadline = SystemClock().now + patience
            while !awaited.isEmpty {
                guard let messages = try connection.socket.receive(until: deadline, patience, operation) else {
                    throw NetlinkError(
                        operation: operation(), errno: ENOBUFS, kernelText: "its answer was lost", kind: .socket)
                }
                for message in messages where message.port == connection.socket.port {
                    // Anything else is the late answer to a request that was given up.
                    guard message.sequence &- first <= last &- first else { continue }
                    deadline = SystemClock().now + patience
                    switch Int32(message.type) {
                    case NLMSG_ERROR:
                        let verdict = try read(operation) { () throws(NetlinkMalformed) in try message.errorVerdict() }
                        guard verdict.errno == 0 else {
                            throw NetlinkError(
                                operation: operation(), errno: verdict.errno, kernelText: verdict.text)
                        }
                        awaited.remove(message.sequence)
                    case NLMSG_NOOP, NLMSG_DONE: break
                    default: answers.append(message)
                    }
                }
            }
            return answers
        }
    }

    /// Nil when the dump must be repeated.
    private func dumpOnce(
        _ request: NetlinkRequest, _ operation: () -> String, on connection: inout Connection
    ) throws(NetlinkError) -> [NetlinkMessage]? {
        connection.sequence &+= 1
        var datagram = NetlinkWriter()
        datagram.message(
            request, flags: request.flags | UInt16(NLM_F_REQUEST | NLM_F_DUMP), sequence: connection.sequence,
            port: connection.socket.port)
        try connection.socket.send(datagram.bytes, operation)
        var found: [NetlinkMessage] = []
        var isConsistent = true
        while true {
            // Each datagram shows that the kernel is at work: the time runs from the last one.
            let deadline = SystemClock().now + patience
            guard let messages = try connection.socket.receive(until: deadline, patience, operation) else { return nil }
            for message in messages
            where message.port == connection.socket.port && message.sequence == connection.sequence {
                if message.flags & UInt16(NLM_F_DUMP_INTR) != 0 { isConsistent = false }
                switch Int32(message.type) {
                case NLMSG_DONE, NLMSG_ERROR:
                    let verdict = try read(operation) { () throws(NetlinkMalformed) in
                        try message.type == NLMSG_DONE ? message.doneVerdict() : message.errorVerdict()
                    }
                    guard verdict.errno == 0 else {
                        throw NetlinkError(operation: operation(), errno: verdict.errno, kernelText: verdict.text)
                    }
                    return isConsistent ? found : nil
                case NLMSG_NOOP: break
                default: found.append(message)
                }
            }
        }
    }

    /// Runs a parser, and says for which operation it failed.
    func read<Value>(
        _ operation: () -> String, _ body: () throws(NetlinkMalformed) -> Value
    ) throws(NetlinkError) -> Value {
        do {
            return try body()
        } catch {
            throw NetlinkError(operation: operation(), errno: 0, kernelText: error.reason, kind: .unreadable)
        }
    }
}

extension NetlinkWriter {
    /// A whole message with its header.
    fileprivate mutating func message(_ request: NetlinkRequest, flags: UInt16, sequence: UInt32, port: UInt32) {
        append(UInt32(clamping: NetlinkMessage.headerLength + request.body.bytes.count))
        append(request.type)
        append(flags)
        append(sequence)
        append(port)
        append(request.body.bytes)
        append(repeatElement(0, count: (4 - bytes.count % 4) % 4))
    }
}
