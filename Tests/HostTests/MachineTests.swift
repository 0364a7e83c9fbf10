import Base
import Glibc
import Testing

@testable import Host

@Suite("Clocks and randomness")
struct MachineClockTests {
    @Test("Ticks only go forward, and convert to the calendar and on")
    func clocks() {
        let clock = SystemClock()
        let first = clock.now
        let second = clock.now
        #expect(first > .zero && second >= first)
        let wall = clock.wall
        #expect(clock.wallTime(of: clock.now) >= wall)
        // An hour apart stays an hour apart, give or take the instant between the two readings.
        let later = clock.wallTime(of: first + .seconds(3600))
        let apart = later.nanoseconds - clock.wallTime(of: first).nanoseconds
        #expect(abs(apart - 3_600_000_000_000) < 1_000_000_000)
    }

    @Test("Seeds are 32 bytes and never the same")
    func seeds() {
        let seeds = (0..<100).map { _ in SystemRandom.seed() }
        #expect(seeds.allSatisfy { $0.count == 32 })
        #expect(Set(seeds).count == 100)
        #expect(SystemRandom.bytes(0).isEmpty)
    }
}

@Suite("Talking to systemd")
struct MachineServiceManagerTests {
    /// A socket as systemd would have it; `name` begins with `@` or `/`.
    private func listener(_ name: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if name.hasPrefix("@") { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count + (name.hasPrefix("@") ? 0 : 1))
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        guard descriptor >= 0, bound == 0 else { throw CannotRun(reason: "bind \(name): errno \(errno)") }
        return descriptor
    }

    private func received(_ descriptor: Int32) -> [String] {
        var messages: [String] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while case let count = recv(descriptor, &block, block.count, Int32(MSG_DONTWAIT)), count >= 0 {
            messages.append(String(decoding: block[0..<count], as: UTF8.self))
        }
        return messages
    }

    @Test("Every message arrives, at a path as at an abstract name", arguments: ["@", "/tmp/"])
    func messages(_ prefix: String) throws {
        let name = "\(prefix)gatehouse-notify-\(getpid())"
        let descriptor = try listener(name)
        defer {
            close(descriptor)
            if prefix == "/tmp/" { unlink(name) }
        }
        let manager = ServiceManager { $0 == "NOTIFY_SOCKET" ? name : nil }
        #expect(manager.isPresent && manager.watchdogTimeout == nil)
        manager.ready(status: "2 tunnels\nonline")
        manager.reloading()
        manager.status("1 tunnel online")
        manager.watchdog()
        manager.stopping()
        var messages = received(descriptor)
        let reload = messages.count > 1 ? messages.remove(at: 1) : ""
        #expect(
            messages == ["READY=1\nSTATUS=2 tunnels online", "STATUS=1 tunnel online", "WATCHDOG=1", "STOPPING=1"])
        #expect(reload.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
        #expect(Int64(reload.dropFirst("RELOADING=1\nMONOTONIC_USEC=".count)) ?? 0 > 0)
    }

    @Test("Without a manager, or with one that has gone, nothing happens")
    func absent() {
        let none = ServiceManager { _ in nil }
        #expect(!none.isPresent)
        none.ready()
        ServiceManager { $0 == "NOTIFY_SOCKET" ? "/nowhere/at/all" : nil }.ready()
        for name in ["", "@", "vsock:2:1234", "relative", "/" + String(repeating: "x", count: 200)] {
            #expect(!ServiceManager { $0 == "NOTIFY_SOCKET" ? name : nil }.isPresent)
        }
    }

    @Test("Sockets are given to the manager in the place of earlier ones, and are still open when we have closed them")
    func keep() throws {
        let name = "@gatehouse-keep-\(getpid())"
        let descriptor = try listener(name)
        defer { close(descriptor) }
        let manager = ServiceManager { $0 == "NOTIFY_SOCKET" ? name : nil }
        var pair: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0, &pair) == 0)
        manager.keep([pair[0]])
        close(pair[0])
        #expect(Glibc.send(pair[1], "x", 1, 0) == 1)
        close(pair[1])
        #expect(received(descriptor) == ["FDSTOREREMOVE=1\nFDNAME=outside", "FDSTORE=1\nFDNAME=outside\nFDPOLL=0"])
        manager.keep([])
        #expect(received(descriptor) == ["FDSTOREREMOVE=1\nFDNAME=outside"])
    }

    @Test("What the manager kept counts when it is meant for this process")
    func kept() {
        func kept(_ count: String?, pid: String?) -> [Int32] {
            ServiceManager { ["LISTEN_FDS": count, "LISTEN_PID": pid][$0] ?? nil }.kept
        }
        #expect(kept("4", pid: "\(getpid())") == [3, 4, 5, 6])
        #expect(kept("4", pid: "1").isEmpty && kept("4", pid: nil).isEmpty)
        for text in ["0", "-1", "many", "2147483647"] { #expect(kept(text, pid: "\(getpid())").isEmpty) }
    }

    @Test("The watchdog counts when it is meant for this process")
    func watchdog() {
        func timeout(_ microseconds: String, pid: String? = nil) -> Tick.Span? {
            ServiceManager { ["WATCHDOG_USEC": microseconds, "WATCHDOG_PID": pid][$0] ?? nil }.watchdogTimeout
        }
        #expect(timeout("30000000") == .seconds(30))
        #expect(timeout("30000000", pid: "\(getpid())") == .seconds(30))
        #expect(timeout("30000000", pid: "1") == nil)
        for text in ["0", "-5", "soon", "9223372036854775807"] { #expect(timeout(text) == nil) }
    }
}

@Suite("Settings of the kernel and of the process")
struct MachineSettingsTests {
    @Test("A tunnel's interface is prepared, and no other setting is touched")
    func prepareTunnel() throws {
        let lab = try KernelLab()
        try lab.addPair("gh0", "far0")
        try lab.exec("sysctl -qw net.ipv4.conf.gh0.rp_filter=1 net.ipv4.conf.far0.rp_filter=1")
        func all() throws -> Set<Substring> {
            Set(try lab.exec("sysctl -a -r '^net\\.ipv[46]\\.conf'").split(separator: "\n"))
        }
        let before = try all()
        try lab.namespace.run { try Sysctl.prepareTunnel("gh0") }
        let changed = try all().subtracting(before)
        #expect(changed.contains("net.ipv4.conf.gh0.rp_filter = 2"))
        #expect(changed.contains("net.ipv6.conf.gh0.accept_ra = 0"))
        #expect(changed.allSatisfy { $0.contains(".gh0.") })
        try lab.namespace.run { try Sysctl.prepareTunnel("gh0") }
    }

    @Test("Names that are no interface are refused", arguments: ["", "all", "default", "..", "../all", "gh9"])
    func refused(_ name: String) throws {
        let lab = try KernelLab()
        #expect(throws: Sysctl.Failure.self) { try lab.namespace.run { try Sysctl.prepareTunnel(name) } }
    }

    @Test("Forwarding is read per namespace")
    func forwarding() throws {
        let lab = try KernelLab()
        for (family, name) in [(IPAddress.Family.ipv4, "ipv4.ip_forward"), (.ipv6, "ipv6.conf.all.forwarding")] {
            for value in ["0", "1"] {
                try lab.exec("sysctl -qw net.\(name)=\(value)")
                #expect(try lab.namespace.run { Sysctl.isForwarding(family) } == (value == "1"))
            }
        }
    }

    @Test("Capabilities are read from the status of a process")
    func capabilities() {
        let service = Capabilities(status: "Name:\tx\nCapPrm:\t0\nCapEff:\t0000000000003400\nCapBnd:\t0\n")
        #expect(service == [.netAdmin, .netRaw, .netBindService])
        #expect(Capabilities(status: "Name:\tx\n") == nil)
        #expect(Capabilities.effective?.contains(.netAdmin) == true)
    }

    @Test("Hardening switches core dumps and debuggers off")
    func hardening() throws {
        let complaints = ProcessHardening.apply()
        #expect(complaints.isEmpty)
        let status = try #require(SystemFile.read("/proc/self/limits"))
        let core = status.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
        #expect(core?.split(whereSeparator: \.isWhitespace).dropFirst(4).prefix(2) == ["0", "0"])
        #expect(ProcessHardening.isDumpable == false)
    }
}
