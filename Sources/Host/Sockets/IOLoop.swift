import Base
import CLinux
import Glibc
public import IKE

/// Where ESP goes that the sockets receive. Called on the loop's thread only.
protocol ESPReceiver: AnyObject {
    /// A batch begins at `now`.
    func begin(now: Tick)
    /// One ESP packet, from SPI to ICV; it may be changed in place and stays valid until ``end()``.
    func receive(_ packet: UnsafeMutableRawBufferPointer, from origin: DatagramOrigin)
    func end()
}

/// Where a datagram came from and was sent to.
struct DatagramOrigin {
    var path: Path
    /// TOS or traffic class of the outer packet.
    var trafficClass: UInt8
    /// Whether it travelled in UDP.
    var isUDP: Bool
}

/// The thread that reads the outside sockets: IKE to a callback, ESP to the data path, without a queue in between.
///
/// ICMP errors (an unreachable port, say) are passed over; the timers of IKE decide what is dead.
public final class IOLoop: Sendable {
    public let sockets: OutsideSockets
    let thread: EventThread
    private let state: State

    /// Proof of Sendable: only jobs and sources of `thread` touch it.
    final class State: @unchecked Sendable {
        weak var receiver: (any ESPReceiver)?
        let arena = UnsafeMutableRawBufferPointer.allocate(byteCount: batch * stride, alignment: 64)
        let received = UnsafeMutablePointer<clinux_received>.allocate(capacity: batch)

        static let batch = 32
        /// The longest datagram, joined ones included.
        static let stride = 65536

        init() { received.initialize(repeating: clinux_received(), count: Self.batch) }

        deinit {
            arena.deallocate()
            received.deallocate()
        }
    }

    /// Starts reading at once. `onIKE` gets every IKE datagram, those of the NAT port with their four marker bytes; it
    /// runs on the loop's thread and must neither block nor stop the loop.
    public init(_ sockets: OutsideSockets, onIKE: @escaping @Sendable ([UInt8], Path) -> Void) throws(HostFailure) {
        self.sockets = sockets
        thread = try EventThread("gatehouse-in")
        state = State()
        let (thread, state) = (thread, state)
        thread.perform {
            for socket in sockets.all {
                thread.add(SocketReader(socket, state, onIKE), socket.descriptor.number)
            }
        }
    }

    /// Hands ESP to `receiver` (nil: to nobody), ahead of any job that the thread is given later.
    func attach(_ receiver: (any ESPReceiver & Sendable)?) {
        let state = state
        thread.perform { state.receiver = receiver }
    }

    /// Ends the thread and closes the sockets. Call it after the data path has been shut down, and never from `onIKE`.
    public func stop() {
        thread.stop()
        sockets.close()
    }

    deinit { stop() }
}

/// Reads one socket in batches.
private final class SocketReader: EventSource {
    private let socket: OutsideSockets.Socket
    private let state: IOLoop.State
    private let onIKE: @Sendable ([UInt8], Path) -> Void
    private let anyAddress: IPAddress

    init(
        _ socket: OutsideSockets.Socket, _ state: IOLoop.State, _ onIKE: @escaping @Sendable ([UInt8], Path) -> Void
    ) {
        self.socket = socket
        self.state = state
        self.onIKE = onIKE
        anyAddress = .any(socket.address.family)
    }

    /// Batches read before the other sockets get their turn.
    private static let turns = 4

    func ready() {
        for _ in 0..<Self.turns {
            let count = Int(
                clinux_receive(
                    socket.descriptor.number, state.arena.baseAddress, IOLoop.State.stride, state.received,
                    Int32(IOLoop.State.batch)))
            guard count > 0 else { return }
            let receiver = state.receiver
            receiver?.begin(now: Tick(nanoseconds: clinux_boottime()))
            for index in 0..<count { take(index, receiver) }
            receiver?.end()
            if count < IOLoop.State.batch { return }
        }
    }

    private func take(_ index: Int, _ receiver: (any ESPReceiver)?) {
        let received = state.received[index]
        let start = index * IOLoop.State.stride
        let length = min(Int(received.length), IOLoop.State.stride)
        guard received.truncated == 0, length > 0 else { return }
        let data = UnsafeMutableRawBufferPointer(rebasing: state.arena[start..<start + length])
        let origin = DatagramOrigin(
            path: Path(
                local: Endpoint(Self.address(received.local, received.is_ipv6), socket.port),
                remote: Endpoint(Self.address(received.remote, received.is_ipv6), received.remote_port),
                isNATPort: socket.role == .nat),
            trafficClass: received.traffic_class, isUDP: socket.role != .esp)
        switch socket.role {
        case .ike: onIKE(Array(data), origin.path)
        case .esp: takeRaw(data, origin, receiver)
        case .nat:
            let segment = received.segment == 0 ? length : Int(received.segment)
            var at = 0
            while at < length {
                let size = min(segment, length - at)
                takeNAT(UnsafeMutableRawBufferPointer(rebasing: data[at..<at + size]), origin, receiver)
                at += size
            }
        }
    }

    /// RFC 3948 §2: four zero bytes mark IKE, a single 0xFF byte is a keep-alive, the rest is ESP.
    private func takeNAT(
        _ data: UnsafeMutableRawBufferPointer, _ origin: DatagramOrigin, _ receiver: (any ESPReceiver)?
    ) {
        guard data.count >= 4 else { return }
        if data.loadUnaligned(as: UInt32.self) == 0 {
            onIKE(Array(data), origin.path)
        } else {
            receiver?.receive(data, from: origin)
        }
    }

    /// A raw IPv4 socket shows the outer header as well, a raw IPv6 socket does not.
    private func takeRaw(
        _ data: UnsafeMutableRawBufferPointer, _ origin: DatagramOrigin, _ receiver: (any ESPReceiver)?
    ) {
        guard anyAddress.isIPv4 else {
            receiver?.receive(data, from: origin)
            return
        }
        let header = Int(data[0] & 15) * 4
        guard data.count >= 20, header >= 20, header < data.count else { return }
        var origin = origin
        origin.trafficClass = data[1]
        receiver?.receive(UnsafeMutableRawBufferPointer(rebasing: data[header...]), from: origin)
    }

    private typealias Bytes16 = (
        UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8
    )

    private static func address(_ bytes: Bytes16, _ isIPv6: UInt8) -> IPAddress {
        withUnsafeBytes(of: bytes) { raw in
            guard isIPv6 != 0 else { return .v4(UInt32(bigEndian: raw.loadUnaligned(as: UInt32.self))) }
            let high = UInt64(bigEndian: raw.loadUnaligned(as: UInt64.self))
            let low = UInt64(bigEndian: raw.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            return .v6(UInt128(high) << 64 | UInt128(low))
        }
    }
}
