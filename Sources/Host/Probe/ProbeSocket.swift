import Base
import CMnl
import Dispatch
import Glibc

/// A raw ICMP or ICMPv6 socket that is bound to one interface.
struct ProbeSocket: Sendable {
    let key: Prober.SocketKey
    private let descriptor: Int32
    /// The interface's index when the socket was bound: a new interface of the same name has another.
    private let index: Int32
    // Proof of Sendable: a dispatch source may be used from any thread once it is set up, and that is done only by
    // ``listen(_:)``, which the maker calls once.
    private nonisolated(unsafe) let reader: any DispatchSourceRead

    init(_ key: Prober.SocketKey, in namespace: NetworkNamespace?) throws(SystemFailure) {
        self.key = key
        let isIPv4 = key.family == .ipv4
        func open() -> Result<Int32, SystemFailure> {
            let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
            let descriptor = socket(isIPv4 ? AF_INET : AF_INET6, type, Int32(isIPv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6))
            return descriptor >= 0 ? .success(descriptor) : .failure(SystemFailure(errno: errno))
        }
        do {
            descriptor = try (namespace?.run(open) ?? open()).get()
        } catch {
            throw error as? SystemFailure
                ?? SystemFailure(errno: (error as? NetworkNamespace.Unreachable)?.errno ?? EINVAL)
        }
        index = gh_interface_index(descriptor, key.interface)
        let name = Array(key.interface.utf8)
        // Echo replies alone pass: a set bit blocks (ICMP_FILTER is 1 on SOL_RAW, ICMP6_FILTER is 1 on ICMPv6).
        var filter4: UInt32 = ~(1 << 0)
        var filter6 = [UInt32](repeating: .max, count: 8)
        filter6[129 / 32] &= ~(1 << (129 % 32))
        let isReady =
            index >= 0 && setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, name, socklen_t(name.count)) == 0
            && (isIPv4
                ? setsockopt(descriptor, 255, 1, &filter4, 4)
                : setsockopt(descriptor, Int32(IPPROTO_ICMPV6), 1, &filter6, 32)) == 0
        guard isReady else {
            let failure = SystemFailure(errno: index < 0 ? ENODEV : errno)
            Glibc.close(descriptor)
            throw failure
        }
        reader = DispatchSource.makeReadSource(
            fileDescriptor: descriptor, queue: DispatchQueue(label: "gatehouse.prober"))
    }

    /// Hands every echo reply to `handler`, on a queue of its own. Called once.
    func listen(_ handler: @escaping @Sendable (EchoPacket, IPAddress) -> Void) {
        reader.setEventHandler { [descriptor, family = key.family] in
            // A turn is bounded; what is left makes the source fire again.
            for _ in 0..<64 {
                guard let (bytes, source) = Self.receive(descriptor, family) else { return }
                if let reply = EchoPacket(reply: bytes, family) { handler(reply, source) }
            }
        }
        reader.setCancelHandler { [descriptor] in Glibc.close(descriptor) }
        reader.activate()
    }

    /// The descriptor closes when the reader has let go of it.
    func close() { reader.cancel() }

    /// False when the interface that the socket is bound to has gone, even if another has its name now.
    func isOnInterface() throws(SystemFailure) -> Bool {
        let current = gh_interface_index(descriptor, key.interface)
        guard current >= 0 else { throw SystemFailure(errno: ENODEV) }
        return current == index
    }

    func send(_ packet: [UInt8], from: IPAddress, to: IPAddress) throws(SystemFailure) {
        let family = to.isIPv4 ? AF_INET : AF_INET6
        guard gh_send_from(descriptor, family, from.bytes, to.bytes, packet, packet.count) >= 0 else {
            throw SystemFailure(errno: errno)
        }
    }

    private static func receive(_ descriptor: Int32, _ family: IPAddress.Family) -> ([UInt8], IPAddress)? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var bytes = [UInt8](repeating: 0, count: 2048)
        let received = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                recvfrom(descriptor, &bytes, bytes.count, 0, $0, &length)
            }
        }
        guard received >= 0 else { return nil }
        bytes.removeLast(bytes.count - received)
        // The address stands at 4 of sockaddr_in and at 8 of sockaddr_in6.
        let source = withUnsafeBytes(of: storage) {
            IPAddress(bytes: family == .ipv4 ? $0[4..<8] : $0[8..<24])
        }
        return source.map { (bytes, $0) }
    }
}
