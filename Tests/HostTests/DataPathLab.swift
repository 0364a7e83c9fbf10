import Base
import CLinux
import Cryptography
import Foundation
import Glibc
import Host
import IKE
import Testing
import Tunnels

/// What a program printed and how it ended.
struct Ran {
    var status: Int32
    var output: String
}

/// Runs a program to its end. Not by Foundation, whose `Process` needs its thread's run loop to see an end: many tests run
/// programs at the same time, and one that is missed would be waited for for ever.
@discardableResult
func launch(_ arguments: String...) throws -> Ran { try launch(arguments) }

func launch(_ arguments: [String]) throws -> Ran {
    var pipe: [Int32] = [-1, -1]
    guard Glibc.pipe(&pipe) == 0 else { throw LabFailure("no pipe: \(String(cString: strerror(errno)))") }
    for end in pipe { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1)
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 2)
    // Threads of ours may block signals, which the child needs: ping lives by SIGALRM.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer {
        posix_spawnattr_destroy(&attributes)
        posix_spawn_file_actions_destroy(&actions)
        for word in words { free(word) }
        close(pipe[0])
    }
    var child: pid_t = 0
    let refused = posix_spawnp(&child, arguments[0], &actions, &attributes, &words, environ)
    close(pipe[1])
    guard refused == 0 else { throw LabFailure("\(arguments[0]): \(String(cString: strerror(refused)))") }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    var status: Int32 = 0
    var hasEnded = false
    // Another program that began in the same moment may hold the pipe open: its end is not waited for.
    while true {
        var waiting = pollfd(fd: pipe[0], events: Int16(POLLIN), revents: 0)
        if poll(&waiting, 1, hasEnded ? 0 : 20) > 0 {
            let count = read(pipe[0], &chunk, chunk.count)
            if count > 0 {
                output += chunk[..<count]
                continue
            }
        }
        if hasEnded { break }
        hasEnded = waitpid(child, &status, waiting.revents == 0 ? WNOHANG : 0) == child
    }
    let code = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
    return Ran(status: code, output: String(decoding: output, as: UTF8.self))
}

/// Network namespaces of our own, with names that nobody else uses, removed at the end.
final class Namespaces: Sendable {
    let prefix: String
    let names: [String]

    init(_ names: String...) throws {
        guard getuid() == 0 else { throw LabFailure("this test makes network namespaces: run it as root") }
        prefix = "ghdp\(getpid())x\(UInt32.random(in: 0...0xFFFF))"
        self.names = names
        for name in names {
            try ip("netns", "add", full(name))
            try ip("-n", full(name), "link", "set", "lo", "up")
        }
    }

    deinit { for name in names { _ = try? launch("ip", "netns", "del", full(name)) } }

    func full(_ name: String) -> String { prefix + "-" + name }

    /// Runs `ip` and fails unless it succeeds.
    func ip(_ arguments: String...) throws {
        let ran = try launch(["ip"] + arguments)
        guard ran.status == 0 else { throw LabFailure("ip \(arguments.joined(separator: " ")): \(ran.output)") }
    }

    /// Runs `body` on a thread of its own inside the namespace. Threads and sockets that it makes belong there.
    func inside<Result: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> Result) throws -> Result {
        try start(name, body).value()
    }

    func start<Result: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> Result) -> Running<Result> {
        let path = "/run/netns/" + full(name)
        return Running {
            let result = clinux_enter_network_namespace(path)
            guard result == 0 else { throw LabFailure("entering \(path): \(String(cString: strerror(-result)))") }
            return try body()
        }
    }
}

struct LabFailure: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}

/// A closure on a thread of its own.
final class Running<Result: Sendable>: @unchecked Sendable {
    // Proof: `result` is written by the thread before it ends and read after joining it.
    private var result: Swift.Result<Result, any Error>?
    private let body: () throws -> Result
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () throws -> Result) {
        self.body = body
        pthread_create(
            &thread, nil,
            { context in
                guard let context else { return nil }
                Unmanaged<Work>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, Unmanaged.passRetained(Work { [self] in result = Swift.Result { try self.body() } }).toOpaque())
    }

    func value() throws -> Result {
        pthread_join(thread, nil)
        guard let result else { throw LabFailure("the thread left no result") }
        return try result.get()
    }
}

private final class Work {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
}

/// Two gateways in two namespaces, joined by a cable: `left` (192.0.2.1, 2001:db8::1) and `right` (.2, ::2). Behind
/// their tunnels lie 10.1.0.1 and fd00:1::1, 10.2.0.1 and fd00:2::1.
final class TunnelLab: Sendable {
    let spaces: Namespaces
    let left: Gateway
    let right: Gateway

    struct Gateway: Sendable {
        let space: String
        let number: Int
        let loop: IOLoop
        let path: UserspaceDataPath
        let ike: AsyncStream<Received>

        var other: Int { 3 - number }
        func outside(_ family: IPAddress.Family, _ number: Int) -> IPAddress {
            family == .ipv4 ? .v4(0xC000_0200 + UInt32(number)) : .v6(0x2001_0DB8 << 96 | UInt128(number))
        }
    }

    struct Received: Sendable {
        var message: [UInt8]
        var path: IKE.Path
    }

    init(mtu: Int = 1400) async throws {
        let spaces = try Namespaces("l", "r")
        self.spaces = spaces
        let (a, b) = (spaces.full("l"), spaces.full("r"))
        try spaces.ip("link", "add", "eth0", "netns", a, "type", "veth", "peer", "name", "eth0", "netns", b)
        for (name, number) in [(a, 1), (b, 2)] {
            try spaces.ip("-n", name, "addr", "add", "192.0.2.\(number)/24", "dev", "eth0")
            try spaces.ip("-n", name, "addr", "add", "2001:db8::\(number)/64", "dev", "eth0", "nodad")
            try spaces.ip("-n", name, "link", "set", "eth0", "up")
        }
        left = try await Self.gateway(spaces, "l", 1, mtu)
        right = try await Self.gateway(spaces, "r", 2, mtu)
    }

    private static func gateway(_ spaces: Namespaces, _ space: String, _ number: Int, _ mtu: Int) async throws
        -> Gateway
    {
        let (ike, continuation) = AsyncStream.makeStream(of: Received.self)
        let (loop, path) = try spaces.inside(space) {
            let loop = try IOLoop(try OutsideSockets()) { continuation.yield(Received(message: $0, path: $1)) }
            return (loop, try UserspaceDataPath(loop))
        }
        let addresses = ["10.\(number).0.1/24", "fd00:\(number)::1/64"].compactMap(IPPrefix.init)
        try await path.openTunnel(
            TunnelLink(interface: "gh0", tunnel: "test", addresses: addresses, mtu: mtu, mss: nil))
        try spaces.ip("-n", spaces.full(space), "route", "add", "10.\(3 - number).0.0/16", "dev", "gh0")
        try spaces.ip("-n", spaces.full(space), "route", "add", "fd00:\(3 - number)::/64", "dev", "gh0")
        return Gateway(space: space, number: number, loop: loop, path: path, ike: ike)
    }

    /// The SA pair of one gateway; with the same `generation` and `suite` the two gateways' pairs fit each other.
    func child(
        _ gateway: Gateway, _ suite: ESPSuite, generation: UInt32 = 1, outside: IPAddress.Family = .ipv4,
        inUDP: Bool = true, replaces: UInt32? = nil, local: IPAddress? = nil
    ) -> ChildSA {
        func spi(_ number: Int) -> UInt32 { 0x1000_0000 * UInt32(number) + generation }
        func key(_ number: Int, _ count: Int, _ salt: UInt8) -> Secret {
            Secret(
                (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number &* 50 &+ Int(salt) &+ Int(generation)) })
        }
        let encryption = suite.encryption.keyLength + suite.encryption.saltLength
        let integrity = suite.integrity?.keyLength ?? 0
        func selectors(_ number: Int) -> [TrafficSelector] {
            ["10.\(number).0.0/16", "fd00:\(number)::/64"].compactMap(IPPrefix.init).map { TrafficSelector($0) }
        }
        let port: UInt16 = inUDP ? 4500 : 500
        return ChildSA(
            connection: ConnectionID(1), ikeSA: IKESAID(1), spiIn: spi(gateway.number), spiOut: spi(gateway.other),
            suite: suite, encryptionKeyIn: key(gateway.number, encryption, 1),
            encryptionKeyOut: key(gateway.other, encryption, 1), integrityKeyIn: key(gateway.number, integrity, 9),
            integrityKeyOut: key(gateway.other, integrity, 9), localSelectors: selectors(gateway.number),
            remoteSelectors: selectors(gateway.other),
            path: Path(
                local: Endpoint(local ?? gateway.outside(outside, gateway.number), port),
                remote: Endpoint(gateway.outside(outside, gateway.other), port), isNATPort: inUDP),
            replayWindow: 1024, rekeyAt: .zero, expiresAt: .zero, replaces: replaces)
    }

    func install(_ suite: ESPSuite, outside: IPAddress.Family = .ipv4, inUDP: Bool = true) async throws {
        for gateway in [left, right] {
            try await gateway.path.install(
                child(gateway, suite, outside: outside, inUDP: inUDP), interface: "gh0", outbound: true)
        }
    }

    /// Sends and receives `count` echoes from left to right; the share that was lost, in percent, as ping prints it.
    func ping(_ address: String, count: Int = 3, size: Int = 56, interval: String = "0.01") throws -> Ran {
        try launch(
            "ip", "netns", "exec", spaces.full("l"), "ping", "-n", "-q", "-c", "\(count)", "-i", interval, "-W", "2",
            "-s", "\(size)", address)
    }

    func shutDown() async {
        for gateway in [left, right] {
            await gateway.path.shutDown()
            gateway.loop.stop()
        }
    }
}

extension ESPSuite {
    /// Reads `aes128gcm16`, `aes256-sha256` and, with `-esn` behind, the same with extended sequence numbers.
    init(_ text: String) {
        let parts = text.split(separator: "-")
        self.init(
            encryption: EncryptionAlgorithm(rawValue: String(parts[0])) ?? .aes128gcm16,
            integrity: parts.count > 1 ? IntegrityAlgorithm(rawValue: String(parts[1])) : nil, group: nil,
            esn: text.hasSuffix("-esn"))
    }
}

/// Sends `megabytes` of known bytes over TCP from one namespace to another and compares them on arrival.
func transfer(_ lab: TunnelLab, from: String, to: String, address: String, megabytes: Int) throws -> Int {
    let total = megabytes << 20
    // A prime length, so that no two segments begin alike.
    let block = (0..<65_521).map { UInt8(truncatingIfNeeded: ($0 &* 0x9E37_79B1) >> 11 ^ $0) }
    let target = try #require(IPAddress(address))
    let listener = try lab.spaces.inside(to) { try tcpSocket(target, listening: true) }
    let port = clinux_port(listener)
    let receiver = lab.spaces.start(to) { () -> Int in
        let connection = accept(listener, nil, nil)
        defer { close(connection) }
        var count = 0
        while true {
            let start = count % block.count
            var buffer = [UInt8](repeating: 0, count: block.count - start)
            let got = read(connection, &buffer, buffer.count)
            guard got > 0 else { return count }
            guard buffer[..<got] == block[start..<start + got] else {
                throw LabFailure("bytes from \(count) on differ")
            }
            count += got
        }
    }
    let sender = lab.spaces.start(from) {
        let connection = try tcpSocket(target, port: UInt16(port), listening: false)
        defer { close(connection) }
        var sent = 0
        while sent < total {
            let start = sent % block.count
            let end = min(block.count, start + total - sent)
            let wrote = block[start..<end].withUnsafeBytes { write(connection, $0.baseAddress, $0.count) }
            guard wrote > 0 else { throw LabFailure("write: \(String(cString: strerror(errno)))") }
            sent += wrote
        }
    }
    defer { close(listener) }
    try sender.value()
    return try receiver.value()
}

/// The segment sizes that both ends of a TCP connection between two namespaces settle on.
func segmentSizes(
    _ lab: TunnelLab, from: String, to: String, address: String
) throws -> (client: Int, server: Int) {
    let target = try #require(IPAddress(address))
    let listener = try lab.spaces.inside(to) { try tcpSocket(target, listening: true) }
    defer { close(listener) }
    let port = UInt16(clamping: clinux_port(listener))
    let client = try lab.spaces.inside(from) { try tcpSocket(target, port: port, listening: false) }
    defer { close(client) }
    let server = accept(listener, nil, nil)
    defer { close(server) }
    func size(_ descriptor: Int32) -> Int {
        var value: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor, Int32(IPPROTO_TCP), TCP_MAXSEG, &value, &length)
        return Int(value)
    }
    return (size(client), size(server))
}

private func tcpSocket(_ address: IPAddress, port: UInt16 = 0, listening: Bool) throws -> Int32 {
    let descriptor = socket(address.isIPv4 ? AF_INET : AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    func act(_ pointer: UnsafePointer<sockaddr>, _ length: Int) -> Int32 {
        listening ? bind(descriptor, pointer, socklen_t(length)) : connect(descriptor, pointer, socklen_t(length))
    }
    let result: Int32
    if address.isIPv4 {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin_addr) { $0.copyBytes(from: address.bytes) }
        result = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { act($0, MemoryLayout<sockaddr_in>.size) }
        }
    } else {
        var name = sockaddr_in6()
        name.sin6_family = sa_family_t(AF_INET6)
        name.sin6_port = port.bigEndian
        withUnsafeMutableBytes(of: &name.sin6_addr) { $0.copyBytes(from: address.bytes) }
        result = withUnsafePointer(to: &name) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { act($0, MemoryLayout<sockaddr_in6>.size) }
        }
    }
    guard result == 0, !listening || listen(descriptor, 1) == 0 else {
        let reason = String(cString: strerror(errno))
        close(descriptor)
        throw LabFailure("TCP with \(address): \(reason)")
    }
    return descriptor
}
