import Base
import Glibc
import Testing

@testable import Host

@Suite("Netlink wire format")
struct KernelNetlinkWireTests {
    /// A message header in host order (this machine is little endian).
    private func message(type: UInt16, flags: UInt16 = 0, _ body: [UInt8]) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.append(UInt32(16 + body.count))
        writer.append(type)
        writer.append(flags)
        writer.append(UInt32(7))
        writer.append(UInt32(9))
        writer.append(body)
        writer.append(repeatElement(0, count: (4 - body.count % 4) % 4))
        return writer.bytes
    }

    @Test("Attributes are padded to four bytes and nest")
    func attributes() throws {
        var writer = NetlinkWriter()
        writer.attribute(1, text: "gh0")
        writer.attribute(2, value: UInt16(0x0102))
        writer.nested(3) { $0.attribute(4, [9]) }
        #expect(
            writer.bytes == [
                8, 0, 1, 0, 0x67, 0x68, 0x30, 0, 6, 0, 2, 0, 2, 1, 0, 0, 12, 0, 3, 0x80, 5, 0, 4, 0, 9, 0, 0, 0,
            ])
        let read = try NetlinkAttributes(writer.bytes[...])
        #expect(read[1]?.text == "gh0")
        #expect(read[2]?.integer(UInt16.self) == 0x0102)
        #expect(read[2]?.integer(UInt32.self) == nil)
        #expect(try read[3]?.nested()[4]?.bytes == [9])
        #expect(read[5] == nil)
    }

    @Test("Several messages of one datagram are told apart")
    func datagram() throws {
        let messages = try NetlinkMessage.parse(
            message(type: 16, [1, 2, 3]) + message(type: 3, flags: 2, [0, 0, 0, 0]))
        #expect(messages.map(\.type) == [16, 3])
        #expect(messages[0].body == [1, 2, 3])
        #expect(messages[1].flags == 2)
        #expect(messages.allSatisfy { $0.sequence == 7 && $0.port == 9 })
    }

    @Test(
        "Lengths that lie are refused",
        arguments: [
            [UInt8](repeating: 0, count: 15), [15, 0, 0, 0] + [UInt8](repeating: 0, count: 12),
            [255, 255, 255, 255] + [UInt8](repeating: 0, count: 12), [17, 0, 0, 0] + [UInt8](repeating: 0, count: 12),
        ])
    func lyingMessages(_ bytes: [UInt8]) {
        #expect(throws: NetlinkMalformed.self) { try NetlinkMessage.parse(bytes) }
    }

    @Test(
        "Attributes that lie are refused",
        arguments: [[3, 0, 1, 0], [0, 0, 0, 0], [9, 0, 1, 0, 1, 2, 3, 4]] as [[UInt8]])
    func lyingAttributes(_ bytes: [UInt8]) {
        #expect(throws: NetlinkMalformed.self) { try NetlinkAttributes(bytes[...]) }
    }

    @Test("No bytes at all make a parser trap")
    func fuzz() async {
        var generator = SplitMix(state: 1)
        for round in 0..<20_000 {
            if round % 256 == 0 { await Task.yield() }
            var bytes = (0..<Int(generator.next() % 96)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
            // Sound lengths at the front lead deeper in.
            if round % 2 == 0, bytes.count >= 24 {
                bytes[0] = UInt8(bytes.count)
                bytes[1] = 0
                bytes[2] = 0
                bytes[3] = 0
            }
            guard let messages = try? NetlinkMessage.parse(bytes) else { continue }
            for message in messages {
                _ = try? message.errorVerdict()
                _ = try? message.doneVerdict()
                _ = try? KernelLink(message)
                _ = try? KernelAddress(message)
                _ = try? KernelRoute(message)
            }
        }
    }

    @Test("The kernel's text is found behind a capped and behind a whole echo of the request")
    func extendedAcknowledgement() throws {
        var text = NetlinkWriter()
        text.attribute(1, text: "no such thing")
        let code: [UInt8] = [0xEA, 0xFF, 0xFF, 0xFF]  // -22, EINVAL
        let echoed = message(type: 24, [1, 2, 3, 4, 5])
        let whole = try NetlinkMessage.parse(message(type: 2, flags: 0x200, code + echoed + text.bytes))
        #expect(try whole[0].errorVerdict() == .init(errno: 22, text: "no such thing"))
        let capped = try NetlinkMessage.parse(message(type: 2, flags: 0x300, code + echoed[0..<16] + text.bytes))
        #expect(try capped[0].errorVerdict() == .init(errno: 22, text: "no such thing"))
        let bare = try NetlinkMessage.parse(message(type: 2, code + echoed[0..<16]))
        #expect(try bare[0].errorVerdict() == .init(errno: 22, text: nil))
    }

    @Test("Errors read well")
    func words() {
        let refused = NetlinkError(
            operation: "adding route 10.0.0.0/16 via gh0", errno: EINVAL, kernelText: "Invalid prefsrc address")
        #expect(
            refused.description
                == "adding route 10.0.0.0/16 via gh0: the kernel refused: Invalid prefsrc address (Invalid argument)")
        let forbidden = NetlinkError(operation: "removing the interface gh0", errno: EPERM)
        #expect(forbidden.description.hasSuffix("Operation not permitted; CAP_NET_ADMIN is needed"))
        let silent = NetlinkError(operation: "listing the rules", errno: 0, kind: .noAnswer(within: .seconds(5)))
        #expect(silent.description == "listing the rules: the kernel did not answer within 5.0 s")
    }
}

/// A small generator with a fixed seed, so that a failure comes again.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

@Suite("Netlink against the running kernel")
struct KernelNetlinkTests {
    let lab: KernelLab
    let netlink: Netlink

    init() throws {
        lab = try KernelLab()
        netlink = try Netlink(in: lab.namespace)
    }

    @Test("A socket speaks for the namespace it was made in")
    func namespaces() throws {
        #expect(try netlink.links().map(\.name).contains("lo"))
        try lab.addPair("near", "far")
        #expect(try netlink.links().contains { $0.name == "near" && $0.kind == "veth" })
        #expect(try Netlink().link(named: "near") == nil)
    }

    @Test("A namespace that does not exist is named in the error")
    func missingNamespace() {
        let error = #expect(throws: NetlinkError.self) { try Netlink(in: NetworkNamespace(named: "ghk-none")) }
        #expect(error?.description.contains("/run/netns/ghk-none") == true)
    }

    @Test("Links are found, switched, resized and removed")
    func links() throws {
        try lab.addPair("near", "far")
        #expect(try netlink.link(named: "none") == nil)
        try netlink.setLink("near", isUp: true, mtu: 1400)
        let near = try #require(try netlink.link(named: "near"))
        #expect(near.isUp && near.isRunning && near.mtu == 1400 && near.kind == "veth")
        #expect(near.hardwareAddress.count == 6)
        try netlink.setLink("near", isUp: false)
        #expect(try netlink.link(named: "near")?.isUp == false)
        #expect(try netlink.link(named: "near")?.mtu == 1400)
        #expect(try netlink.deleteLink("near"))
        #expect(try !netlink.deleteLink("near"))
        #expect(try netlink.link(named: "far") == nil)
    }

    @Test("A refusal carries the kernel's own words")
    func kernelText() throws {
        try lab.addPair("near", "far")
        let error = #expect(throws: NetlinkError.self) { try netlink.setLink("near", mtu: 100_000) }
        #expect(error?.errno == EINVAL)
        #expect(error?.description.contains("mtu greater than device maximum") == true)
        let missing = #expect(throws: NetlinkError.self) { try netlink.setLink("gh9", isUp: true) }
        #expect(missing?.description.contains("there is no interface gh9") == true)
    }

    @Test("Addresses of both families come and go, with and without a route to their prefix")
    func addresses() throws {
        try lab.addPair("near", "far")
        let v4 = try #require(IPPrefix("169.254.10.2/30"))
        let v6 = try #require(IPPrefix("fd00:10::2/126"))
        for prefix in [v4, v6] {
            try netlink.addAddress(prefix, to: "near")
            try netlink.addAddress(prefix, to: "near")  // Once more changes nothing.
        }
        let present = try netlink.addresses(of: "near").filter { !$0.address.address.isLinkLocal || $0.address == v4 }
        #expect(present.map(\.address) == [v4, v6])
        #expect(present.allSatisfy { $0.hasNoPrefixRoute && !$0.isTentative })
        #expect(try netlink.routes(.ipv4, table: KernelRoute.mainTable).isEmpty)
        #expect(try netlink.addresses(of: "far").allSatisfy { $0.address != v4 })

        #expect(try netlink.removeAddress(v4, from: "near"))
        #expect(try !netlink.removeAddress(v4, from: "near"))
        #expect(try netlink.removeAddress(v6, from: "near"))
        #expect(try !netlink.addresses().contains { $0.address == v4 || $0.address == v6 })

        try netlink.addAddress(v4, to: "near", prefixRoute: true)
        let routes = try netlink.routes(.ipv4, table: KernelRoute.mainTable)
        #expect(routes.map(\.destination) == [v4.network])
        #expect(routes.first?.origin == .kernel)
    }

    @Test("Routes of every kind are added, read back alike, replaced and removed", arguments: IPAddress.Family.allCases)
    func routes(_ family: IPAddress.Family) throws {
        try lab.addPair("near", "far")
        let near = try #require(try netlink.link(named: "near")).index
        let far = try #require(try netlink.link(named: "far")).index
        func prefix(_ v4: String, _ v6: String) throws -> IPPrefix { try #require(IPPrefix(family == .ipv4 ? v4 : v6)) }
        let own = try prefix("169.254.10.2/32", "fd00:10::2/128")
        try netlink.addAddress(own, to: "near")

        var plain = KernelRoute(
            destination: try prefix("10.0.0.0/16", "fd01::/48"), interface: near, metric: 100,
            preferredSource: own.address)
        let blocked = KernelRoute(destination: plain.destination, kind: .unreachable, metric: 4000)
        let hole = KernelRoute(destination: try prefix("10.1.0.0/16", "fd02::/48"), kind: .blackhole, metric: 5)
        let aside = KernelRoute(destination: .all(family), interface: near, metric: 7, table: 1000)
        for route in [plain, blocked, hole, aside] { try netlink.addRoute(route) }
        #expect(Set(try netlink.routes(family, origin: .gatehouse)) == [plain, blocked, hole, aside])
        #expect(try netlink.routes(family, table: 1000) == [aside])
        #expect(try netlink.routes(family, table: 1001) == [])

        let exists = #expect(throws: NetlinkError.self) { try netlink.addRoute(plain, interfaceName: "near") }
        #expect(exists?.errno == EEXIST)
        #expect(exists?.operation == "adding route \(plain.destination) via near metric 100")

        plain.interface = far
        plain.preferredSource = nil
        try netlink.replaceRoute(plain)
        #expect(Set(try netlink.routes(family, origin: .gatehouse)) == [plain, blocked, hole, aside])
        let flag = family == .ipv4 ? "-4" : "-6"
        #expect(try lab.ip("\(flag) route show proto 71").contains("\(plain.destination) dev far"))

        for route in [plain, blocked, hole, aside] {
            #expect(try netlink.deleteRoute(route))
            #expect(try !netlink.deleteRoute(route))
        }
        #expect(try netlink.routes(family, origin: .gatehouse).isEmpty)
    }

    @Test("Deleting spares the same route of another maker")
    func foreignRouteStays() throws {
        try lab.addPair("near", "far")
        try lab.ip("route add 10.0.0.0/16 dev near metric 100 proto static")
        let near = try #require(try netlink.link(named: "near")).index
        let ours = KernelRoute(destination: try #require(IPPrefix("10.0.0.0/16")), interface: near, metric: 100)
        #expect(try !netlink.deleteRoute(ours))
        #expect(try lab.ip("route show").contains("10.0.0.0/16 dev near proto static"))
    }

    @Test("A dump of thousands of routes is complete")
    func largeDump() throws {
        try lab.addPair("near", "far")
        let near = try #require(try netlink.link(named: "near")).index
        let base = try #require(IPAddress("10.0.0.0"))
        for number in 0..<4000 {
            try netlink.addRoute(
                KernelRoute(destination: IPPrefix(host: base.advanced(by: number)), interface: near, metric: 10))
        }
        try lab.ip("route add 192.0.2.0/24 dev near proto static")
        let routes = try netlink.routes(.ipv4, origin: .gatehouse)
        #expect(Set(routes.map(\.destination.address)) == Set((0..<4000).map { base.advanced(by: $0) }))
    }

    @Test("Many threads share one socket, and each gets its own answers")
    func sharing() async throws {
        try lab.addPair("near", "far")
        try await withThrowingTaskGroup(of: Bool.self) { group in
            for task in 0..<8 {
                group.addTask { [netlink] in
                    for _ in 0..<50 {
                        let name = task.isMultiple(of: 2) ? "near" : "far"
                        guard try netlink.link(named: name)?.name == name else { return false }
                        if try netlink.link(named: "none") != nil { return false }
                    }
                    return true
                }
            }
            for try await isRight in group { #expect(isRight) }
        }
    }
}
