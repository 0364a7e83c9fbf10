import Base
import Glibc
import Synchronization
import Testing

@testable import Host

@Suite("Echo packets")
struct ProbeEchoPacketTests {
    @Test("The request has the checksum of RFC 1071")
    func request() {
        let packet = EchoPacket(identifier: 0x1234, sequence: 1, payload: [0x61, 0x62, 0x63])
        // 0800 + 1234 + 0001 + 6162 + 6300 = de97, and its complement is 2168.
        #expect(packet.request(.ipv4) == [8, 0, 0x21, 0x68, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x63])
        #expect(packet.request(.ipv6) == [128, 0, 0, 0, 0x12, 0x34, 0, 1, 0x61, 0x62, 0x63])
        #expect(EchoPacket.checksum(packet.request(.ipv4)) == 0)
    }

    private let header: [UInt8] = [0x45] + [UInt8](repeating: 0, count: 19)

    @Test("A reply is read behind an IPv4 header of any length, and without one for IPv6")
    func reply() {
        let packet = EchoPacket(identifier: 7, sequence: 9, payload: [1, 2, 3, 4])
        var bytes = packet.request(.ipv4)
        bytes[0] = 0
        bytes[2] = 0
        bytes[3] = 0
        let sum = EchoPacket.checksum(bytes)
        bytes[2] = UInt8(sum >> 8)
        bytes[3] = UInt8(sum & 255)
        #expect(EchoPacket(reply: header + bytes, .ipv4) == packet)
        #expect(EchoPacket(reply: [0x46] + header.dropFirst() + [0, 0, 0, 0] + bytes, .ipv4) == packet)
        #expect(EchoPacket(reply: [129, 0, 0, 0] + bytes[4...], .ipv6) == packet)
        bytes[9] ^= 1
        #expect(EchoPacket(reply: header + bytes, .ipv4) == nil)
        #expect(EchoPacket(reply: header + packet.request(.ipv4), .ipv4) == nil)
        #expect(EchoPacket(reply: [128, 0, 0, 0] + bytes[4...], .ipv6) == nil)
    }

    @Test("No bytes at all make the parser trap")
    func fuzz() async {
        var generator = SplitMix(state: 3)
        for round in 0..<20_000 {
            if round % 256 == 0 { await Task.yield() }
            var bytes = (0..<Int(generator.next() % 40)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            if !bytes.isEmpty { bytes[0] = 0x40 | bytes[0] & 15 }
            _ = EchoPacket(reply: bytes, .ipv4)
            _ = EchoPacket(reply: bytes, .ipv6)
        }
    }
}

@Suite("Which answers count")
struct ProbeAcceptanceTests {
    private let shared = Prober.Shared(namespace: nil)
    private let key = Prober.SocketKey(interface: "gh0", family: .ipv4)
    private let target = IPAddress.v4(0xA9FE_0A01)

    private func remember(_ sequence: UInt64, sent: Tick = .zero) {
        shared.state.withLock { state in
            state.sequence = sequence
            state.outstanding[sequence] = Prober.Outstanding(tunnel: "t1", key: key, target: target, sent: sent)
        }
    }

    private func reply(_ sequence: UInt64, payloadOf other: UInt64? = nil) -> EchoPacket {
        EchoPacket(
            identifier: shared.identifier, sequence: UInt16(truncatingIfNeeded: sequence),
            payload: shared.payload(other ?? sequence))
    }

    @Test("An answer counts once, with its round trip", arguments: [1, 65_535, 65_536, 1_000_000] as [UInt64])
    func once(_ sequence: UInt64) {
        remember(sequence, sent: Tick(nanoseconds: 100))
        let answer = shared.accept(reply(sequence), from: target, on: key, at: Tick(nanoseconds: 350))
        #expect(answer == ProbeAnswer(tunnel: "t1", address: target, roundTrip: .init(nanoseconds: 250)))
        #expect(shared.accept(reply(sequence), from: target, on: key, at: Tick(nanoseconds: 351)) == nil)
    }

    @Test("Not from another address, on another interface, with other bytes or of another program")
    func forged() {
        remember(5)
        #expect(shared.accept(reply(5), from: target.advanced(by: 1), on: key, at: .zero) == nil)
        let elsewhere = Prober.SocketKey(interface: "gh1", family: .ipv4)
        #expect(shared.accept(reply(5), from: target, on: elsewhere, at: .zero) == nil)
        #expect(shared.accept(reply(5, payloadOf: 4), from: target, on: key, at: .zero) == nil)
        #expect(shared.accept(reply(6), from: target, on: key, at: .zero) == nil)
        var foreign = reply(5)
        foreign.identifier ^= 1
        #expect(shared.accept(foreign, from: target, on: key, at: .zero) == nil)
        #expect(shared.accept(reply(5), from: target, on: key, at: .zero) != nil)
    }
}

@Suite("Probing through the running kernel", .timeLimit(.minutes(5)))
struct ProbeTests {
    let lab: KernelLab
    let far: KernelLab
    let prober: Prober

    init() throws {
        lab = try KernelLab()
        far = try KernelLab()
        for number in 0..<2 {
            try lab.addPair("gh\(number)", "far\(number)", in: far)
            try lab.ip("addr add 169.254.\(number).2/30 dev gh\(number)")
            try far.ip("addr add 169.254.\(number).1/30 dev far\(number)")
            try lab.ip("addr add fd00:\(number)::2/126 dev gh\(number) nodad")
            try far.ip("addr add fd00:\(number)::1/126 dev far\(number) nodad")
        }
        prober = Prober(in: lab.namespace)
    }

    private func address(_ text: String) -> IPAddress { IPAddress(text) ?? .any(.ipv6) }

    @Test(
        "The far end answers, on each interface and in both families",
        arguments: [("gh0", "169.254.0"), ("gh1", "169.254.1"), ("gh0", "fd00:0:"), ("gh1", "fd00:1:")])
    func answers(_ interface: String, _ network: String) async throws {
        let separator = network.hasSuffix(":") ? ":" : "."
        let target = address("\(network)\(separator)1")
        #expect(
            prober.probe(
                tunnel: "t", interface: interface, from: address("\(network)\(separator)2"), to: target) == nil)
        var answers = prober.answers.makeAsyncIterator()
        let answer = try #require(await answers.next())
        #expect(answer.tunnel == "t" && answer.address == target && answer.roundTrip > .zero)
    }

    @Test("A probe takes its own interface even when the route leads elsewhere")
    func bound() async throws {
        try lab.ip("route add 169.254.0.1/32 dev gh1")
        #expect(
            prober.probe(
                tunnel: "t", interface: "gh0", from: address("169.254.0.2"), to: address("169.254.0.1")) == nil)
        var answers = prober.answers.makeAsyncIterator()
        #expect(await answers.next()?.tunnel == "t")
    }

    @Test("Many probes in flight each find their tunnel")
    func many() async throws {
        for number in 0..<200 {
            let side = number % 2
            prober.probe(
                tunnel: "t\(number)", interface: "gh\(side)", from: address("169.254.\(side).2"),
                to: address("169.254.\(side).1"))
        }
        var heard: Set<String> = []
        for await answer in prober.answers {
            heard.insert(answer.tunnel)
            if heard.count == 200 { break }
        }
        #expect(heard.count == 200)
    }

    @Test("An interface made anew under the same name is probed again")
    func interfaceComesBack() async throws {
        var answers = prober.answers.makeAsyncIterator()
        func probe() -> ProbeFailure? {
            prober.probe(tunnel: "t", interface: "gh0", from: address("169.254.0.2"), to: address("169.254.0.1"))
        }
        #expect(probe() == nil)
        #expect(await answers.next() != nil)
        try lab.ip("link del gh0")
        #expect(probe()?.errno == ENODEV)
        try lab.addPair("gh0", "far0", in: far)
        try lab.ip("addr add 169.254.0.2/30 dev gh0")
        try far.ip("addr add 169.254.0.1/30 dev far0")
        #expect(probe() == nil)
        #expect(await answers.next() != nil)
    }

    @Test("What keeps a probe from leaving is said in words, and no failure waits")
    func failures() {
        let nowhere = prober.probe(
            tunnel: "t", interface: "gh9", from: address("169.254.0.2"), to: address("169.254.0.1"))
        #expect(nowhere?.description == "probing 169.254.0.1 on gh9 for t: No such device")
        let notOurs = prober.probe(
            tunnel: "t", interface: "gh0", from: address("192.0.2.1"), to: address("169.254.0.1"))
        #expect(notOurs != nil)
        let mixed = prober.probe(
            tunnel: "t", interface: "gh0", from: address("fd00::2"), to: address("169.254.0.1"))
        #expect(mixed?.errno == EAFNOSUPPORT)
        prober.stop()
        let stopped = prober.probe(
            tunnel: "t", interface: "gh0", from: address("169.254.0.2"), to: address("169.254.0.1"))
        #expect(stopped?.errno == ECANCELED)
    }
}
