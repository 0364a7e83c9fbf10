import Base
import Cryptography
import Glibc
import IKE
import Testing

@testable import Host

private func prefix(_ text: String) -> IPPrefix { IPPrefix(text) ?? .all(.ipv6) }

/// IPsec against the running kernel, as far as one without ESP goes; the kernel lab does the rest.
@Suite("IPsec against the running kernel")
struct KernelIPsecTests {
    let lab: KernelLab
    let netlink: Netlink

    init() throws {
        lab = try KernelLab()
        netlink = try Netlink(.xfrm, in: lab.namespace)
    }

    static let template = KernelPolicy.Template(
        source: IPAddress("198.51.100.2"), destination: IPAddress("203.0.113.2"), spi: 0x1234, requestID: 0x4748_0001,
        family: .ipv4)
    static let policy = KernelPolicy(
        direction: .output,
        selector: KernelSelector(
            source: prefix("10.1.0.0/16"), destination: prefix("10.2.0.0/16"), ipProtocol: 6,
            destinationPorts: .init(value: 443, mask: 0xFFFF)),
        interfaceID: 0x4748_0001, priority: 1000, template: template)

    @Test("A policy is added, found, replaced in one step and removed")
    func policies() throws {
        var policy = Self.policy
        try netlink.addPolicy(policy)
        #expect(try netlink.policies() == [policy])
        #expect(try netlink.policy(policy.id) == policy)
        #expect(throws: NetlinkError.self) { try netlink.addPolicy(policy) }
        let shown = try lab.ip("xfrm policy")
        #expect(shown.contains("dport 443") && shown.contains("if_id 0x47480001") && shown.contains("spi 0x00001234"))
        policy.template?.spi = 0x9999
        policy.priority = 900
        try netlink.replacePolicy(policy)
        #expect(try netlink.policies() == [policy])
        #expect(try netlink.deletePolicy(policy.id))
        #expect(try !netlink.deletePolicy(policy.id))
        #expect(try netlink.policies().isEmpty && netlink.policy(policy.id) == nil)
    }

    @Test("What others do to policies is told, what we do is not")
    func policyEvents() async throws {
        let watcher = try IPsecWatcher(besides: netlink, in: lab.namespace)
        try netlink.addPolicy(Self.policy)
        try lab.ip("xfrm policy delete src 10.1.0.0/16 dst 10.2.0.0/16 proto tcp dport 443 dir out if_id 0x47480001")
        // An empty list is flushed without a word.
        try netlink.addPolicy(Self.policy)
        try lab.ip("xfrm policy flush")
        var events = watcher.events.makeAsyncIterator()
        #expect(await events.next() == .policyRemoved(Self.policy))
        #expect(await events.next() == .policiesFlushed)
        watcher.stop()
    }

    @Test("A place that is only kept for an association is listed, and carries nothing")
    func reserved() throws {
        try lab.ip(
            "xfrm state allocspi src 198.51.100.2 dst 203.0.113.2 proto esp mode tunnel min 0x2000 max 0x2fff")
        let place = try #require(try netlink.associations().first)
        #expect(try (0x2000...0x2fff).contains(place.spi) && netlink.keyedAssociations().isEmpty)
        #expect(try netlink.deleteAssociation(place.id))
        #expect(try !netlink.deleteAssociation(place.id))
        #expect(try netlink.association(KernelSAID(destination: .v4(9), spi: 9)) == nil)
    }

    @Test("An association is taken where the kernel has ESP, and refused in the kernel's words where it has not")
    func associations() throws {
        let association = KernelIPsecWireTests.association {
            $0.direction = .input
            $0.replayWindow = 64
        }
        let isAvailable = if case .missing = KernelESP.probe() { false } else { true }
        guard isAvailable else {
            let error = #expect(throws: NetlinkError.self) { try netlink.add(association, KernelIPsecWireTests.cbc) }
            #expect(error?.kernelText == "Requested type not found" && error?.errno == EPROTONOSUPPORT)
            return
        }
        try netlink.add(association, KernelIPsecWireTests.cbc)
        let found = try #require(try netlink.associationWithKeys(association.id))
        #expect(found.association.id == association.id && found.association.replayWindow == 64)
        #expect(found.keys == KernelIPsecWireTests.cbc)
        #expect(try netlink.associations().map(\.id) == [association.id])
        #expect(try netlink.deleteAssociation(association.id))
    }

    /// Sends a packet that a policy wants encrypted, by an association that is not there.
    private func sendOutOfPlace() throws {
        try lab.addPair("out0", "far0")
        try lab.ip("addr add 198.51.100.2/24 dev out0")
        try lab.ip("route add default via 198.51.100.1")
        try lab.ip("neigh add 198.51.100.1 lladdr 02:00:00:00:00:01 dev out0")
        var policy = Self.policy
        policy.interfaceID = 0
        policy.selector = KernelSelector(source: .all(.ipv4), destination: prefix("10.2.0.0/16"))
        try netlink.addPolicy(policy)
        _ = try? lab.exec("ping -c 1 -W 1 10.2.0.1")
    }

    @Test("A packet that a policy wants encrypted and no association takes keeps no place where nobody hears of it")
    func noAcquire() throws {
        let watcher = try IPsecWatcher(besides: netlink, in: lab.namespace)
        try sendOutOfPlace()
        #expect(try netlink.associations().isEmpty)
        watcher.stop()
    }

    @Test("It is told to who asks for that, and has the kernel keep a place, which is no association")
    func acquire() async throws {
        let watcher = try IPsecWatcher(besides: netlink, in: lab.namespace, hearsAcquires: true)
        try sendOutOfPlace()
        var iterator = watcher.events.makeAsyncIterator()
        while let event = await iterator.next() {
            guard case .acquire(let source, let destination, let requestID, let wanted) = event else { continue }
            #expect(source == IPAddress("198.51.100.2") && destination == IPAddress("203.0.113.2"))
            #expect(requestID == 0x4748_0001 && wanted?.direction == .output)
            break
        }
        #expect(try netlink.associations().map(\.spi) == [0x1234] && netlink.keyedAssociations().isEmpty)
        watcher.stop()
    }

    @Test("No policy touches the IKE sockets of a gateway whose kernel carries ESP")
    func bypass() throws {
        try lab.addPair("out0", "far0")
        try lab.ip("addr add 198.51.100.2/24 dev out0")
        try lab.ip("neigh add 198.51.100.9 lladdr 02:00:00:00:00:09 dev out0")
        try lab.ip("xfrm policy add src 0.0.0.0/0 dst 0.0.0.0/0 dir out action block")
        try lab.namespace.run {
            var configuration = SocketConfiguration()
            configuration.addresses = [IPAddress("198.51.100.2")!]
            let open = try OutsideSockets(configuration.forKernelESP)
            #expect(!open.hasRawESP)
            let path = Path(
                local: Endpoint(IPAddress("198.51.100.2")!, 500), remote: Endpoint(IPAddress("198.51.100.9")!, 500),
                isNATPort: false)
            try open.send([1, 2, 3, 4, 5], path)
            configuration.ikePort = 501
            configuration.natPort = 4501
            configuration.rawESP = false
            let plain = try OutsideSockets(configuration)
            #expect(throws: HostFailure.self) { try plain.send([1, 2, 3, 4, 5], path) }
        }
    }
}

@Suite("Firewall and neighbours against the running kernel")
struct KernelFirewallTests {
    let lab: KernelLab
    init() throws { lab = try KernelLab() }

    @Test("Segment sizes stand in a table of our own, element by element")
    func segmentClamp() throws {
        let clamp = SegmentClamp(try Netlink(.netfilter, in: lab.namespace))
        #expect(try clamp.isIntact())
        try clamp.set("gh0", mss: 1360)
        try clamp.set("gh12", mss: 1300)
        try clamp.set("gh0", mss: 1350)
        let rules = try lab.exec("nft list table inet \(SegmentClamp.table)")
        #expect(rules.contains("\"gh0\" : 1350") && rules.contains("\"gh12\" : 1280"))
        #expect(rules.contains("tcp option maxseg size set oifname map @mss4"))
        try clamp.remove("gh12")
        #expect(try !lab.exec("nft list table inet \(SegmentClamp.table)").contains("gh12"))
        // Someone flushes everything: the next change makes it anew.
        try lab.exec("nft flush ruleset")
        #expect(try !clamp.isIntact())
        try clamp.set("gh1", mss: 1200)
        #expect(try lab.exec("nft list ruleset").contains("\"gh0\" : 1350"))
        // That it was set before does not say that it is there.
        #expect(try !clamp.set("gh1", mss: 1200))
        try lab.exec("nft flush ruleset")
        #expect(try clamp.set("gh1", mss: 1200))
        #expect(try lab.exec("nft list ruleset").contains("\"gh0\" : 1350"))
        // Another in its place, as a firewall's file may bring back, is none of ours.
        try lab.exec("nft flush ruleset")
        try lab.exec("nft add table inet \(SegmentClamp.table)")
        #expect(try !clamp.isIntact())
        try clamp.rebuild()
        #expect(try clamp.isIntact() && lab.exec("nft list ruleset").contains("\"gh1\" : 1200"))
        try clamp.removeTable()
        #expect(try lab.exec("nft list ruleset").isEmpty)
    }

    @Test("The segment size of a connection is lowered, and a smaller one stays")
    func clamping() throws {
        let far = try KernelLab()
        try lab.addPair("gh0", "far0", in: far)
        try lab.ip("addr add 10.9.0.1/24 dev gh0")
        try far.ip("addr add 10.9.0.2/24 dev far0")
        let clamp = SegmentClamp(try Netlink(.netfilter, in: lab.namespace))
        try clamp.set("gh0", mss: 1111)
        let listener = "timeout 10 ip netns exec \(far.name) socat -u TCP-LISTEN:5000 OPEN:/dev/null"
        let seen = try run(
            "\(listener) & sleep 0.3; timeout 5 ip netns exec \(far.name) tcpdump -c 1 -nvi far0 'tcp[tcpflags] & tcp-syn != 0' & "
                + "sleep 0.7; echo x | timeout 5 ip netns exec \(lab.name) socat -u - TCP:10.9.0.2:5000; wait")
        #expect(seen.contains("mss 1111"))
    }

    @Test("Neighbours are listed with their hardware address, and told when they change")
    func neighbours() async throws {
        try lab.addPair("lan0", "far0")
        let watcher = try KernelWatcher(.neighbours, in: lab.namespace)
        try lab.ip("neigh add 10.1.0.9 lladdr 02:00:00:00:00:09 dev lan0")
        let found = try Netlink(in: lab.namespace).neighbours(.ipv4).first { $0.address == IPAddress("10.1.0.9") }
        #expect(found?.hardwareAddress == [2, 0, 0, 0, 0, 9] && found?.isValid == true)
        for await event in watcher.events {
            guard case .neighbour(let neighbour) = event, neighbour.address == IPAddress("10.1.0.9") else { continue }
            #expect(neighbour == found)
            break
        }
    }

    @Test("The tracked connections of one address are forgotten, no others")
    func connections() throws {
        let far = try KernelLab()
        try lab.addPair("lan0", "far0", in: far)
        for number in 1...2 { try lab.ip("addr add 10.9.0.\(number)/24 dev lan0") }
        try far.ip("addr add 10.9.0.9/24 dev far0")
        try lab.exec("nft 'add table inet t; add chain inet t c { type filter hook output priority 0; }; add rule inet t c ct state new accept'")
        for number in 1...2 { try lab.exec("ping -c 1 -I 10.9.0.\(number) 10.9.0.9") }
        let netlink = try Netlink(.netfilter, in: lab.namespace)
        #expect(try netlink.forgetConnections(of: IPAddress("10.9.0.1")!) == 1)
        #expect(try netlink.forgetConnections(of: IPAddress("10.9.0.1")!) == 0)
        #expect(try netlink.forgetConnections(of: IPAddress("10.9.0.2")!) == 1)
    }
}
