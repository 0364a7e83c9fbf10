import Base
import CMnl
import Glibc

/// A bound netlink socket. It does not block: waiting is done by ``receive(until:_:_:)``, with a bound.
///
/// Proof of Sendable: `handle` and the descriptor in it are written only while they are made, and there is one owner.
struct NetlinkSocket: ~Copyable, @unchecked Sendable {
    private let handle: OpaquePointer
    /// Our address on the bus.
    let port: UInt32

    /// Opens a socket in the caller's network namespace or another, and joins the multicast `groups` by number
    /// (`RTNLGRP_…`). The receive buffer is made large for those, because the kernel drops what does not fit.
    static func open(
        _ bus: Netlink.Bus, groups: [UInt32] = [], in namespace: NetworkNamespace? = nil
    ) throws(NetlinkError) -> NetlinkSocket {
        let socket = NetlinkSocket(handle: try bound(bus, in: namespace))
        try socket.prepare(bus, groups)
        return socket
    }

    private func prepare(_ bus: Netlink.Bus, _ groups: [UInt32]) throws(NetlinkError) {
        // Each of these only adds comfort; an old kernel that lacks one still serves.
        option(NETLINK_EXT_ACK, 1)
        option(NETLINK_CAP_ACK, 1)
        if bus == .route { option(NETLINK_GET_STRICT_CHK, 1) }
        let size: Int32 = groups.isEmpty ? 1 << 20 : 8 << 20
        if !setSocketOption(SO_RCVBUFFORCE, size) { _ = setSocketOption(SO_RCVBUF, size) }
        for group in groups {
            guard option(NETLINK_ADD_MEMBERSHIP, Int32(clamping: group)) else {
                throw NetlinkError(
                    operation: "listening to the kernel's changes (group \(group))", errno: errno,
                    kernelText: "the kernel has no such group or does not let us in", kind: .socket)
            }
        }
    }

    private init(handle: OpaquePointer) {
        self.handle = handle
        port = mnl_socket_get_portid(handle)
    }

    /// A socket with an address on the bus, made in `namespace`.
    private static func bound(
        _ bus: Netlink.Bus, in namespace: NetworkNamespace?
    ) throws(NetlinkError) -> OpaquePointer {
        func failure(_ code: Int32, _ text: String) -> NetlinkError {
            NetlinkError(operation: "opening a netlink socket", errno: code, kernelText: text, kind: .socket)
        }
        func make() -> Result<OpaquePointer, NetlinkError> {
            guard let handle = mnl_socket_open2(bus.number, Int32(SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue))
            else { return .failure(failure(errno, "the kernel gives none")) }
            guard mnl_socket_bind(handle, 0, pid_t(MNL_SOCKET_AUTOPID)) == 0 else {
                let code = errno
                mnl_socket_close(handle)
                return .failure(failure(code, "it cannot be bound"))
            }
            return .success(handle)
        }
        guard let namespace else { return try make().get() }
        do {
            return try namespace.run(make).get()
        } catch let error as NetlinkError {
            throw error
        } catch {
            throw failure((error as? NetworkNamespace.Unreachable)?.errno ?? 0, "\(error)")
        }
    }

    deinit { mnl_socket_close(handle) }

    var descriptor: Int32 { mnl_socket_get_fd(handle) }

    @discardableResult
    private func option(_ name: Int32, _ value: Int32) -> Bool {
        var value = value
        return mnl_socket_setsockopt(handle, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    private func setSocketOption(_ name: Int32, _ value: Int32) -> Bool {
        var value = value
        return setsockopt(descriptor, SOL_SOCKET, name, &value, socklen_t(MemoryLayout<Int32>.size)) == 0
    }

    /// Lets in only datagrams that begin with a message of one type; the kernel drops the others before they take room.
    func keepOnly(type: UInt16) throws(NetlinkError) {
        guard gh_keep_only(descriptor, type) == 0 else {
            throw NetlinkError(
                operation: "listening to the kernel's changes", errno: errno, kernelText: "its filter is refused",
                kind: .socket)
        }
    }

    /// A batch must fit the send buffer as a whole; the kernel works on it before the call returns.
    func send(_ datagram: [UInt8], _ operation: () -> String) throws(NetlinkError) {
        if datagram.count > 100_000, !setSocketOption(SO_SNDBUFFORCE, Int32(clamping: datagram.count * 2)) {
            _ = setSocketOption(SO_SNDBUF, Int32(clamping: datagram.count * 2))
        }
        while mnl_socket_sendto(handle, datagram, datagram.count) < 0 {
            if errno == EINTR { continue }
            throw NetlinkError(
                operation: operation(), errno: errno, kernelText: "the request could not be sent", kind: .socket)
        }
    }

    /// The next datagram's messages, waiting at most until `deadline`. Nil when the kernel had to drop something
    /// that was meant for us (ENOBUFS).
    func receive(
        until deadline: Tick, _ patience: Tick.Span, _ operation: () -> String
    ) throws(NetlinkError) -> [NetlinkMessage]? {
        while true {
            switch try receiveNow(operation) {
            case .messages(let messages): return messages
            case .overrun: return nil
            case .nothing: break
            }
            let left = deadline - SystemClock().now
            guard left > .zero else {
                throw NetlinkError(operation: operation(), errno: 0, kind: .noAnswer(within: patience))
            }
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            _ = poll(&waiting, 1, Int32(clamping: left.nanoseconds / 1_000_000 + 1))
        }
    }

    enum Arrival {
        case messages([NetlinkMessage])
        /// The receive buffer ran over and messages are lost.
        case overrun
        case nothing
    }

    /// What is there already, one datagram.
    func receiveNow(_ operation: () -> String) throws(NetlinkError) -> Arrival {
        // The kernel fills dumps up to 32 KiB; a larger message would be an error (ENOSPC), never cut silently.
        let datagram: [UInt8]
        do {
            datagram = try [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                while true {
                    let received = mnl_socket_recvfrom(handle, buffer.baseAddress, buffer.count)
                    if received >= 0 {
                        count = received
                        return
                    }
                    guard errno == EINTR else { throw Failure(errno: errno) }
                }
            }
        } catch let failure as Failure {
            switch failure.errno {
            case EAGAIN: return .nothing
            case ENOBUFS: return .overrun
            default:
                throw NetlinkError(
                    operation: operation(), errno: failure.errno, kernelText: "the answer could not be received",
                    kind: .socket)
            }
        } catch {
            return .nothing
        }
        do throws(NetlinkMalformed) {
            return .messages(try NetlinkMessage.parse(datagram))
        } catch {
            throw NetlinkError(operation: operation(), errno: 0, kernelText: error.reason, kind: .unreadable)
        }
    }

    private struct Failure: Error {
        var errno: Int32
    }
}
