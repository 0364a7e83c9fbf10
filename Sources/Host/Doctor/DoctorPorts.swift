import Base
import Glibc
import Tunnels

/// A bound UDP socket, as `/proc/net/udp` lists it.
struct BoundSocket: Hashable, Sendable {
    var address: IPAddress
    var port: UInt16
    var inode: UInt64

    /// Reads the whole text of `/proc/net/udp` or `udp6`; lines that cannot be read are passed over.
    static func parse(_ text: String) -> [BoundSocket] {
        text.split(separator: "\n").dropFirst().compactMap { line in
            let words = line.split(separator: " ", omittingEmptySubsequences: true)
            guard words.count > 9, let inode = UInt64(words[9]) else { return nil }
            let parts = words[1].split(separator: ":")
            guard parts.count == 2, let bytes = [UInt8](hexadecimal: String(parts[0])), bytes.count % 4 == 0,
                let port = UInt16(parts[1], radix: 16)
            else { return nil }
            // Each group of four bytes is printed as one number of this little-endian machine.
            let ordered = stride(from: 0, to: bytes.count, by: 4).flatMap { bytes[$0..<$0 + 4].reversed() }
            return IPAddress(bytes: ordered).map { BoundSocket(address: $0, port: port, inode: inode) }
        }
    }
}

/// A process on this machine.
struct RunningProcess: Hashable, Sendable {
    var id: Int32
    var name: String

    /// Every process that /proc shows.
    static func all() -> [RunningProcess] {
        SystemFile.names(in: "/proc").compactMap { entry in
            guard let id = Int32(entry), let name = SystemFile.read("/proc/\(entry)/comm", limit: 64) else {
                return nil
            }
            return RunningProcess(id: id, name: name.split(separator: "\n").first.map(String.init) ?? "")
        }
    }

    /// The process that holds the socket with this inode, as far as we may look into others.
    static func holding(inode: UInt64) -> RunningProcess? {
        all().first { process in
            let folder = "/proc/\(process.id)/fd"
            return SystemFile.names(in: folder).contains { SystemFile.link("\(folder)/\($0)") == "socket:[\(inode)]" }
        }
    }

    /// The command that ends it for good.
    var stopCommand: String {
        switch name {
        case "charon-systemd": "systemctl disable --now strongswan"
        case "charon", "starter": "systemctl disable --now strongswan-starter"
        case "pluto": "systemctl disable --now ipsec"
        case "iked": "systemctl disable --now iked"
        case "racoon": "systemctl disable --now racoon"
        default: "kill \(id)"
        }
    }

    /// Our own daemon.
    var isGatehouse: Bool { id == getpid() || name == "gatehoused" }
}

extension Doctor {
    func port(_ port: UInt16, _ purpose: String) -> Finding {
        let sockets = ["udp", "udp6"].flatMap { file in
            BoundSocket.parse(SystemFile.read("/proc/thread-self/net/\(file)", limit: 16 << 20) ?? "")
        }
        let inTheWay = sockets.filter { Self.isInTheWay($0, of: plan.listen, port: port) }
        return Self.port(port, purpose, inTheWay.map { ($0, RunningProcess.holding(inode: $0.inode)) })
    }

    /// Whether a socket keeps us from binding one of `listen` (all addresses when empty).
    static func isInTheWay(_ socket: BoundSocket, of listen: [IPAddress], port: UInt16) -> Bool {
        guard socket.port == port else { return false }
        guard !listen.isEmpty, !socket.address.isUnspecified else { return true }
        return listen.contains { $0 == socket.address || ($0.isUnspecified && $0.family == socket.address.family) }
    }

    static func port(_ port: UInt16, _ purpose: String, _ holders: [(BoundSocket, RunningProcess?)]) -> Finding {
        let id = "port-\(port)"
        let title = "UDP port \(port)"
        guard let (socket, holder) = holders.first(where: { $0.1?.isGatehouse != true }) else {
            let ours = holders.first?.1
            return Finding(
                id: id, title: title, state: .ok, detail: ours.map { "held by \($0.name) (\($0.id))" } ?? "free")
        }
        let who = holder.map { "\($0.name) (process \($0.id))" } ?? "a program that cannot be seen from here"
        return Finding(
            id: id, title: title, state: .failed,
            detail: "held by \(who) on \(Endpoint(socket.address, port)): \(purpose) cannot be received, so tunnels "
                + "do not come up",
            remedy: holder?.stopCommand ?? "ss -lunp 'sport = :\(port)'")
    }

    /// The addresses that we are to listen on; those that no interface has may come later.
    func listeners() -> [Finding] {
        guard !plan.listen.isEmpty, let here = try? Netlink().addresses() else { return [] }
        return Self.listeners(plan.listen, here: Set(here.map(\.address.address)))
    }

    static func listeners(_ wanted: [IPAddress], here: Set<IPAddress>) -> [Finding] {
        wanted.filter { !$0.isUnspecified && !here.contains($0) }.map { address in
            Finding(
                id: "listen-\(address)", title: "Listening on \(address)", state: .warning,
                detail: "no interface has this address: IKE and ESP are received there as soon as one has it",
                remedy: "ip address show")
        }
    }

    func otherIKE() -> Finding {
        let here = SystemFile.link("/proc/thread-self/ns/net")
        let daemons = RunningProcess.all().filter { process in
            guard Self.otherDaemons.contains(process.name) else { return false }
            // One that lives in another network does not meet us; one that has just ended has no network (ENOENT).
            // What we may not look into counts as here.
            guard let there = SystemFile.link("/proc/\(process.id)/ns/net") else { return errno == EACCES }
            return there == here
        }
        return Self.otherIKE(daemons)
    }

    private static let otherDaemons: Set<String> = [
        "charon", "charon-systemd", "charon-nm", "pluto", "iked", "racoon", "isakmpd",
    ]

    static func otherIKE(_ daemons: [RunningProcess]) -> Finding {
        let title = "Other IKE daemons"
        guard let first = daemons.first else {
            return Finding(id: "other-ike", title: title, state: .ok, detail: "none")
        }
        return Finding(
            id: "other-ike", title: title, state: .warning,
            detail: daemons.map { "\($0.name) (process \($0.id))" }.joined(separator: ", ")
                + " is running: it may answer for our peers and takes ports and IPsec policies that tunnels need",
            remedy: first.stopCommand)
    }
}
