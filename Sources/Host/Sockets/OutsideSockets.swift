public import Base
import CLinux
import Glibc
public import IKE
import Synchronization

/// Where the gateway listens on its outside.
public struct SocketConfiguration: Hashable, Sendable {
    /// Addresses to listen on; `0.0.0.0` and `::` are all of a family. Two daemons can share a host or a namespace if
    /// each names addresses of its own.
    public var addresses: [IPAddress] = [.any(.ipv4), .any(.ipv6)]
    /// UDP port of IKE.
    public var ikePort: UInt16 = 500
    /// UDP port of IKE and ESP through NATs (RFC 3948).
    public var natPort: UInt16 = 4500
    /// Also receive ESP without UDP (IP protocol 50). Off where the kernel carries ESP.
    public var rawESP = true
    /// The kernel carries ESP: it takes ESP in UDP off the NAT port's sockets, and no IPsec policy touches any of ours.
    public var isKernelESP = false
    /// Have the kernel join ESP-in-UDP datagrams of one peer (UDP GRO): for the userspace data path.
    public var joinsDatagrams = true
    /// Bytes of kernel buffer asked for, for each socket and direction.
    public var bufferBytes = 8 << 20

    public init() {}

    /// The same for a host whose kernel carries ESP.
    public var forKernelESP: SocketConfiguration {
        var configuration = self
        configuration.rawESP = false
        configuration.joinsDatagrams = false
        configuration.isKernelESP = true
        return configuration
    }
}

/// The sockets that face the peers: IKE and ESP in UDP on two ports, and raw ESP, for each listen address.
///
/// Every datagram is answered from the address that it was sent to, whichever socket it came in on.
public final class OutsideSockets: Sendable {
    enum Role: Sendable {
        /// UDP 500, UDP 4500 and IP protocol 50.
        case ike, nat, esp
    }

    struct Socket: Sendable {
        let descriptor: Descriptor
        let role: Role
        let address: IPAddress
        let port: UInt16
    }

    private struct Opened {
        var sockets: [Socket]
        /// One unbound UDP socket a family, for questions about routes.
        var probes: [IPAddress.Family: Descriptor]
    }

    private let opened: Mutex<Opened>
    /// The ports in use, which the kernel chose where 0 was configured.
    public let ikePort: UInt16
    public let natPort: UInt16

    /// Opens and binds everything, or says which part was refused. IPv6 is left out where `::` is asked for and the
    /// host has no IPv6 at all.
    ///
    /// - Parameter kept: sockets that an earlier process had open, by descriptor. Where the kernel carries ESP, one that
    ///   is bound as wanted goes on, with what waits in it; all others are closed.
    public init(
        _ configuration: SocketConfiguration = SocketConfiguration(), kept: [Int32] = []
    ) throws(HostFailure) {
        var kept = Self.take(configuration, from: kept)
        // Those that are still there when something was refused.
        defer { for descriptor in kept.values { Glibc.close(descriptor) } }
        var sockets: [Socket] = []
        var probes: [IPAddress.Family: Descriptor] = [:]
        var ports = [Role.ike: configuration.ikePort, .nat: configuration.natPort, .esp: 0]
        for address in configuration.addresses {
            let roles: [Role] = configuration.rawESP ? [.ike, .nat, .esp] : [.ike, .nat]
            for role in roles {
                let port = ports[role] ?? 0
                let result = kept.removeValue(forKey: Endpoint(address, port)) ?? address.bytes.withUnsafeBufferPointer {
                    clinux_socket(
                        address.isIPv4 ? 0 : 1, role == .esp ? 1 : 0, $0.baseAddress, port,
                        Int32(clamping: configuration.bufferBytes), role == .nat && configuration.joinsDatagrams ? 1 : 0)
                }
                if result == -EAFNOSUPPORT, address == .any(.ipv6) { break }
                let descriptor = Descriptor(
                    try HostFailure.check(
                        result,
                        role == .esp ? "opening raw ESP on \(address)" : "binding UDP \(Endpoint(address, port))"))
                if configuration.isKernelESP, role != .esp {
                    let family: Int32 = address.isIPv4 ? 0 : 1
                    _ = try HostFailure.check(
                        clinux_bypass_ipsec(descriptor.number, family), "keeping IPsec policies off the IKE sockets")
                    if role == .nat {
                        _ = try HostFailure.check(
                            clinux_esp_in_udp(descriptor.number),
                            "letting the kernel take ESP in UDP on \(Endpoint(address, port))")
                    }
                }
                let bound = role == .esp ? 0 : UInt16(clamping: clinux_port(descriptor.number))
                ports[role] = bound
                sockets.append(Socket(descriptor: descriptor, role: role, address: address, port: bound))
            }
            if probes[address.family] == nil {
                let probe = clinux_probe_socket(address.isIPv4 ? 0 : 1)
                if probe >= 0 { probes[address.family] = Descriptor(probe) }
            }
        }
        guard !sockets.isEmpty else { throw HostFailure("opening sockets: no address to listen on", code: 0) }
        ikePort = ports[.ike] ?? 0
        natPort = ports[.nat] ?? 0
        opened = Mutex(Opened(sockets: sockets, probes: probes))
    }

    /// Those of `kept` that are bound as wanted, by their places. The others are closed, for they might be in the way.
    private static func take(_ configuration: SocketConfiguration, from kept: [Int32]) -> [Endpoint: Int32] {
        let ports = [configuration.ikePort, configuration.natPort]
        let places = configuration.addresses.flatMap { address in ports.map { Endpoint(address, $0) } }
        var taken: [Endpoint: Int32] = [:]
        for descriptor in kept {
            let place = places.first { place in
                place.address.bytes.withUnsafeBufferPointer {
                    clinux_take_socket(descriptor, place.address.isIPv4 ? 0 : 1, $0.baseAddress, place.port) != 0
                }
            }
            if configuration.isKernelESP, let place, taken[place] == nil {
                taken[place] = descriptor
            } else {
                Glibc.close(descriptor)
            }
        }
        return taken
    }

    /// Sends an IKE message from `path.local` (an unspecified address lets the kernel choose), from any thread.
    ///
    /// On a NAT path the message has its marker in front already. Like every datagram it may get lost; what is thrown
    /// is the kernel's own refusal, such as an unreachable network.
    public func send(_ message: [UInt8], _ path: Path) throws(HostFailure) {
        guard let socket = descriptor(path.isNATPort ? .nat : .ike, path.local.address, path.remote.address.family)
        else {
            throw HostFailure("sending to \(path.remote) from \(path.local): no such socket", code: 0)
        }
        var outgoing = clinux_outgoing(path: path)
        let sent = message.withUnsafeBytes { bytes in
            outgoing.data = bytes.baseAddress
            outgoing.length = UInt32(clamping: bytes.count)
            return clinux_send(socket.number, &outgoing, 1)
        }
        _ = try HostFailure.check(sent, "sending to \(path.remote)")
    }

    /// The address that packets to `remote` leave from by the routes of this host; nil without a route, or when nothing
    /// listens on that address.
    public func localAddress(towards remote: IPAddress) -> IPAddress? {
        let address = routed(towards: remote)
        return address.flatMap { descriptor(.ike, $0, remote.family) == nil ? nil : $0 }
    }

    private func routed(towards remote: IPAddress) -> IPAddress? {
        opened.withLock { opened in
            guard let probe = opened.probes[remote.family] else { return nil }
            var local = [UInt8](repeating: 0, count: remote.isIPv4 ? 4 : 16)
            let result = remote.bytes.withUnsafeBufferPointer { remoteBytes in
                local.withUnsafeMutableBufferPointer {
                    clinux_source_address(probe.number, remote.isIPv4 ? 0 : 1, remoteBytes.baseAddress, $0.baseAddress)
                }
            }
            guard result == 0, let address = IPAddress(bytes: local), !address.isUnspecified else { return nil }
            return address
        }
    }

    /// The socket that reaches a peer from `local`; nil when nothing listens on that address or family.
    func descriptor(_ role: Role, _ local: IPAddress, _ family: IPAddress.Family) -> Descriptor? {
        opened.withLock { opened in
            let fitting = opened.sockets.filter { $0.role == role && $0.address.family == family }
            return
                (fitting.first { $0.address == local } ?? fitting.first { $0.address.isUnspecified }
                ?? (local.isUnspecified ? fitting.first : nil))?.descriptor
        }
    }

    var all: [Socket] { opened.withLock { $0.sockets } }

    /// The descriptors of the UDP sockets, to be kept open beyond the end of this process.
    public var udpDescriptors: [Int32] { all.filter { $0.role != .esp }.map(\.descriptor.number) }

    /// Whether ESP can travel without UDP.
    public var hasRawESP: Bool { all.contains { $0.role == .esp } }

    /// Gives the sockets up; each closes when its last user is gone.
    func close() {
        opened.withLock {
            $0.sockets = []
            $0.probes = [:]
        }
    }
}

extension clinux_outgoing {
    /// A datagram along `path`, without its data.
    init(path: Path) {
        self.init()
        is_ipv6 = path.remote.address.isIPv4 ? 0 : 1
        remote_port = path.remote.port
        withUnsafeMutableBytes(of: &local) { $0.copyBytes(from: path.local.address.bytes) }
        withUnsafeMutableBytes(of: &remote) { $0.copyBytes(from: path.remote.address.bytes) }
    }
}
