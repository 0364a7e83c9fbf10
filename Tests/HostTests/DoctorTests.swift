import Base
import Glibc
import Testing
import Tunnels

@testable import Host

private func prefix(_ text: String) -> IPPrefix { IPPrefix(text) ?? .all(.ipv6) }

@Suite("The doctor's judgement")
struct DoctorJudgementTests {
    private let doctor = Doctor(plan: .init())
    private let hasTUN = Doctor.tunnelDevice(failure: nil)
    private let lacksTUN = Doctor.tunnelDevice(failure: ENOENT)

    @Test("Each missing right is named with what it takes away")
    func capabilities() {
        #expect(Doctor.capabilities([.netAdmin, .netRaw, .netBindService]).state == .ok)
        let finding = Doctor.capabilities([.netAdmin])
        #expect(finding.state == .failed)
        #expect(finding.detail.contains("CAP_NET_RAW") && finding.detail.contains("UDP port 500"))
        #expect(finding.remedy?.contains("AmbientCapabilities=CAP_NET_RAW CAP_NET_BIND_SERVICE") == true)
    }

    @Test("The data path that auto picks, and a choice that cannot be honoured")
    func dataPath() {
        func verdict(_ choice: String, _ esp: KernelESP, _ device: Finding) -> Finding {
            Doctor(plan: .init(dataPath: choice)).dataPath(esp, device)
        }
        let esp = KernelESP.available(["cbc(aes) + hmac(sha1)"])
        let none = KernelESP.missing("Requested type not found")
        #expect(verdict("auto", esp, hasTUN).detail == "auto picks the kernel")
        #expect(verdict("auto", none, hasTUN).detail == "auto picks userspace: this kernel has no ESP (Requested type not found)")
        #expect(verdict("auto", .withoutInterfaces("Unknown device type"), hasTUN).detail.hasPrefix("auto picks userspace"))
        #expect(verdict("auto", none, lacksTUN).state == .failed)
        #expect(verdict("auto", esp, lacksTUN).state == .ok)
        #expect(verdict("kernel", none, hasTUN).state == .failed)
        #expect(verdict("kernel", esp, lacksTUN).state == .ok)
        #expect(verdict("userspace", esp, lacksTUN).state == .failed)
        #expect(verdict("userspace", none, hasTUN).state == .ok)
    }

    @Test("Policies of others matter when they can take packets for the networks behind the tunnels")
    func policies() {
        let ours = [prefix("10.2.0.0/16")]
        func state(_ policy: KernelPolicy) -> Finding.State { Doctor.policies([policy], remoteNetworks: ours).state }
        func policy(_ direction: KernelPolicy.Direction, _ to: String, interface: UInt32 = 0) -> KernelPolicy {
            KernelPolicy(
                direction: direction, source: prefix("0.0.0.0/0"), destination: prefix(to), interfaceID: interface)
        }
        #expect(state(policy(.output, "10.2.3.0/24")) == .failed)
        #expect(state(policy(.forward, "0.0.0.0/0")) == .failed)
        #expect(state(policy(.output, "10.3.0.0/16")) == .ok)
        #expect(state(policy(.input, "10.2.0.0/16")) == .ok)
        #expect(state(policy(.output, "10.2.0.0/16", interface: 7)) == .ok)
        #expect(Doctor.policies([], remoteNetworks: ours).detail == "none")
    }

    @Test(
        "The reverse path filter is strict only where the kernel would be",
        arguments: [
            // all, default, gh0, writable, expected
            ("0", "0", "2", true, Finding.State.ok), ("1", "1", "2", true, .ok), ("1", "1", "1", true, .failed),
            ("0", "0", "1", true, .failed), ("2", "1", "1", true, .ok), ("1", "0", "0", true, .failed),
            ("1", "1", "2", false, .warning), ("2", "2", "0", false, .ok), ("0", "0", "0", true, .ok),
        ])
    func reversePathFilter(all: String, default: String, gh0: String, isWritable: Bool, expected: Finding.State) {
        let finding = Doctor.reversePathFilter(
            ["all": all, "default": `default`, "gh0": gh0], tunnels: ["gh0"], isWritable: isWritable)
        #expect(finding.state == expected)
    }

    @Test("A bound socket is read from the kernel's table in either family")
    func boundSockets() {
        let table4 = """
              sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
             1203: 0100007F:01F4 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 40011 2 0000 0
            broken
             1204: 00000000:1194 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 40012 2 0000 0
            """
        #expect(
            BoundSocket.parse(table4) == [
                BoundSocket(address: .v4(0x7F00_0001), port: 500, inode: 40_011),
                BoundSocket(address: .v4(0), port: 4500, inode: 40_012),
            ])
        let table6 = """
              sl  local_address                         remote_address                        st
             1: B80D0120000000000000000001000000:01F4 00000000000000000000000000000000:0000 07 0:0 0:0 0 0 0 77 2 0 0
            """
        #expect(
            BoundSocket.parse(table6) == [
                BoundSocket(address: IPAddress("2001:db8::1") ?? .v4(0), port: 500, inode: 77)
            ])
    }

    @Test("A socket is in the way when the two addresses meet")
    func inTheWay() {
        let specific = BoundSocket(address: .v4(0x0A00_0001), port: 500, inode: 1)
        let general = BoundSocket(address: .any(.ipv4), port: 500, inode: 2)
        #expect(Doctor.isInTheWay(specific, of: [], port: 500))
        #expect(Doctor.isInTheWay(specific, of: [.v4(0x0A00_0001)], port: 500))
        #expect(!Doctor.isInTheWay(specific, of: [.v4(0x0A00_0002)], port: 500))
        #expect(Doctor.isInTheWay(specific, of: [.any(.ipv4)], port: 500))
        #expect(Doctor.isInTheWay(general, of: [.v4(0x0A00_0002)], port: 500))
        #expect(!Doctor.isInTheWay(general, of: [], port: 4500))
        let absent = Doctor.listeners([.v4(1), .any(.ipv4), .v4(2)], here: [.v4(2)])
        #expect(absent.map(\.id) == ["listen-0.0.0.1"] && absent.allSatisfy { $0.state == .warning })
    }

    @Test("The holder of a port is named with the command that stops it; our own daemon may hold it")
    func ports() {
        let socket = BoundSocket(address: .any(.ipv4), port: 500, inode: 1)
        let charon = Doctor.port(500, "IKE", [(socket, RunningProcess(id: 812, name: "charon-systemd"))])
        #expect(charon.state == .failed && charon.remedy == "systemctl disable --now strongswan")
        #expect(charon.detail.contains("held by charon-systemd (process 812) on 0.0.0.0:500"))
        #expect(Doctor.port(500, "IKE", [(socket, RunningProcess(id: 9, name: "gatehoused"))]).state == .ok)
        #expect(Doctor.port(500, "IKE", [(socket, nil)]).remedy == "ss -lunp 'sport = :500'")
        #expect(Doctor.port(500, "IKE", []).detail == "free")
    }

    @Test("A clock that is years behind fails, one that nobody keeps is a warning")
    func clock() throws {
        #expect(Doctor.clock(try #require(WallTime(rfc3339: "2025-12-31T23:59:59Z"))).state == .failed)
        #expect(Doctor.clock(try #require(WallTime(rfc3339: "2026-01-01T00:00:00Z"))).state == .ok)
        #expect(Doctor.clockDiscipline(isSynchronized: false).state == .warning)
        #expect(Doctor.clockDiscipline(isSynchronized: true).state == .ok)
    }

    @Test("A full disk fails before it is full")
    func disk() {
        func state(_ free: UInt64) -> Finding.State { Doctor.stateDirectory("/x", free: free, isNew: false).state }
        #expect(state(10 << 30) == .ok)
        #expect(state(100 << 20) == .warning)
        #expect(state(1 << 20) == .failed)
    }

    @Test("The state folder may be missing if it can be made; else the reason is given")
    func stateFolder() throws {
        let base = "/tmp/ghk-state-\(getpid())"
        try run("mkdir -p \(base) && touch \(base)/file")
        defer { _ = try? run("rm -r \(base)") }
        func finding(_ folder: String) -> Finding { Doctor(plan: .init(stateDirectory: folder)).stateDirectory() }
        #expect(finding(base).state == .ok)
        #expect(finding(base + "/new").detail.contains("will be made"))
        #expect(finding(base + "/file").detail.contains("Not a directory"))
        #expect(finding("/proc/none/here").state == .failed)
    }
}

@Suite("The doctor on the running kernel", .timeLimit(.minutes(5)))
struct DoctorTests {
    let lab: KernelLab

    init() throws { lab = try KernelLab() }

    /// A process of another program in this namespace, under a name of its own, which tells when it is ready.
    private func process(named name: String, _ perl: String) throws -> Stranger {
        let folder = "/tmp/\(lab.name)-\(name)"
        try run("mkdir -p \(folder) && cp \"$(readlink -f \"$(command -v perl)\")\" \(folder)/\(name)")
        let script = "\(perl); $|=1; print $$; close STDOUT; close STDERR; sleep 60"
        let output = try run("ip netns exec \(lab.name) \(folder)/\(name) -e '\(script)' &")
        return Stranger(id: try #require(Int32(output)), folder: folder)
    }

    private final class Stranger: Sendable {
        let id: Int32
        private let folder: String

        init(id: Int32, folder: String) {
            self.id = id
            self.folder = folder
        }

        deinit {
            kill(id, SIGKILL)
            _ = try? run("rm -r \(folder)")
        }
    }

    @Test("The trial of ESP agrees with what ip can do, and leaves nothing behind")
    func kernelESP() throws {
        let states = try run("ip xfrm state count")
        let result = KernelESP.probe()
        #expect(try run("ip xfrm state count") == states)
        let key = "0x" + String(repeating: "01", count: 16)
        let add =
            "xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 mode tunnel "
            + "enc 'cbc(aes)' \(key) auth-trunc 'hmac(sha1)' \(key)01010101 96"
        let isTaken = (try? lab.ip(add)) != nil
        #expect(result.isAvailable == isTaken)
        if case .unknown(let reason) = result { Issue.record("\(reason)") }
        let finding = Doctor(plan: .init()).kernelESP(result)
        #expect((finding.state == .ok) == isTaken && (finding.remedy == nil) == isTaken)
    }

    @Test("Policies are read with their selectors and direction")
    func policies() throws {
        try lab.ip("xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out tmpl proto esp mode tunnel")
        try lab.ip("xfrm policy add src fd02::/48 dst fd01::/48 dir fwd action block")
        let policies = try Netlink(.xfrm, in: lab.namespace).policies()
        var encrypting = KernelPolicy(
            direction: .output, source: prefix("10.1.0.0/16"), destination: prefix("10.2.0.0/16"))
        encrypting.template = KernelPolicy.Template(requestID: 0, family: .ipv4)
        let blocking = KernelPolicy(
            direction: .forward, source: prefix("fd02::/48"), destination: prefix("fd01::/48"), isBlock: true)
        #expect(Set(policies) == [encrypting, blocking])
    }

    @Test("The way to an address is found, and a dead end is none", arguments: IPAddress.Family.allCases)
    func wayToPeer(_ family: IPAddress.Family) throws {
        let isIPv4 = family == .ipv4
        let (own, gateway, peer) =
            isIPv4
            ? ("198.51.100.2/24", "198.51.100.1", "203.0.113.9")
            : ("2001:db8:1::2/64", "2001:db8:1::1", "2001:db8:9::9")
        let target = try #require(IPAddress(peer))
        let netlink = try Netlink(in: lab.namespace)
        #expect(try netlink.route(to: target) == nil)
        try lab.addPair("wan", "isp")
        try lab.ip("addr add \(own) dev wan" + (isIPv4 ? "" : " nodad"))
        try lab.ip("route add default via \(gateway)")
        let route = try #require(try netlink.route(to: target))
        #expect(route.gateway?.description == gateway)
        #expect(route.interface == (try netlink.link(named: "wan"))?.index)
        try lab.ip("route add unreachable \(prefix(isIPv4 ? "203.0.113.0/24" : "2001:db8:9::/64"))")
        #expect(try netlink.route(to: target) == nil)
    }

    @Test("A sound host has nothing that fails")
    func soundHost() async throws {
        try lab.addPair("wan", "isp")
        try lab.addPair("gh0", "far0")
        try lab.ip("addr add 198.51.100.2/24 dev wan")
        try lab.ip("route add default via 198.51.100.1")
        try lab.exec("sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.gh0.rp_filter=2")
        let peer = try #require(IPAddress("203.0.113.9"))
        let findings = await Doctor.examine(
            .init(
                peers: [peer], remoteNetworks: [prefix("10.2.0.0/16")], tunnelInterfaces: ["gh0"],
                stateDirectory: "/tmp"), in: lab.namespace)
        #expect(findings.filter { $0.state == .failed }.isEmpty)
        #expect(Set(findings.map(\.id)).count == findings.count)
        #expect(findings.allSatisfy { ($0.state == .ok) == ($0.remedy == nil) })
        let way = findings.first { $0.id == "peer-route-203.0.113.9" }
        #expect(way?.detail == "via 198.51.100.1 on wan")
        let expected = [
            "capabilities", "tun-device", "kernel-esp", "data-path", "openssl", "nftables", "xfrm-policies",
            "forwarding-ipv4", "forwarding-ipv6", "rp-filter", "port-500", "port-4500", "other-ike",
            "peer-route-203.0.113.9", "clock", "clock-sync", "state-directory",
        ]
        #expect(findings.map(\.id) == expected)
    }

    @Test("A host with everything wrong is told so, each with its remedy")
    func brokenHost() async throws {
        try lab.addPair("gh0", "far0")
        try lab.ip("route add 203.0.113.0/24 dev gh0")
        try lab.ip("xfrm policy add src 0.0.0.0/0 dst 10.2.0.0/16 dir out tmpl proto esp mode tunnel")
        try lab.exec(
            "sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0 net.ipv4.conf.all.rp_filter=1 "
                + "net.ipv4.conf.gh0.rp_filter=1")
        let socket = "use Socket; socket(S, PF_INET, SOCK_DGRAM, 0); bind(S, sockaddr_in(500, INADDR_ANY)) or die"
        let charon = try process(named: "charon", socket)
        let peers = try ["203.0.113.9", "192.0.2.77"].map { try #require(IPAddress($0)) }
        let findings = await Doctor.examine(
            .init(
                peers: peers, remoteNetworks: [prefix("10.2.0.0/16"), prefix("fd02::/48")],
                tunnelInterfaces: ["gh0"], stateDirectory: "/proc/none"), in: lab.namespace)
        func finding(_ id: String) throws -> Finding { try #require(findings.first { $0.id == id }) }
        #expect(try finding("port-500").detail.contains("charon (process \(charon.id)) on 0.0.0.0:500"))
        #expect(try finding("port-4500").state == .ok)
        #expect(try finding("other-ike").state == .warning)
        #expect(try finding("other-ike").remedy == "systemctl disable --now strongswan-starter")
        #expect(try finding("xfrm-policies").state == .failed)
        #expect(try finding("rp-filter").remedy == "sysctl -w net.ipv4.conf.gh0.rp_filter=2")
        #expect(try finding("forwarding-ipv4").state == .warning && finding("forwarding-ipv6").state == .warning)
        #expect(try finding("peer-route-203.0.113.9").detail.contains("leads into the tunnel gh0"))
        #expect(try finding("peer-route-192.0.2.77").detail.contains("no route"))
        #expect(try finding("state-directory").state == .failed)
        #expect(findings.allSatisfy { ($0.state == .ok) == ($0.remedy == nil) })
    }

    @Test("An IKE daemon in another network is no rival")
    func daemonElsewhere() throws {
        let stranger = try process(named: "pluto", "1")
        defer { withExtendedLifetime(stranger) {} }
        let doctor = Doctor(plan: .init())
        #expect(try lab.namespace.run { doctor.otherIKE() }.detail.contains("pluto (process \(stranger.id))"))
        let elsewhere = try KernelLab()
        #expect(try elsewhere.namespace.run { doctor.otherIKE() }.state == .ok)
    }
}
