import Base
import Cryptography
import ESP
import Foundation
import Host
import IKE
import Testing
import Tunnels

/// Two userspace data paths against each other over a cable, in namespaces of their own. Needs root.
@Suite(.serialized) struct DataPathTests {
    @Test(
        arguments: [
            "aes128gcm16", "aes256gcm16-esn", "chacha20poly1305", "aes128-sha1", "aes256-sha256-esn", "aes256-sha512",
        ],
        [true, false])
    func everySuiteFamilyCarriesPacketsBothWays(suite: String, inUDP: Bool) async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite(suite), inUDP: inUDP)
        for address in ["10.2.0.1", "fd00:2::1"] {
            let ping = try lab.ping(address)
            #expect(ping.status == 0, "\(ping.output)")
            #expect(try transfer(lab, from: "l", to: "r", address: address, megabytes: 3) == 3 << 20)
        }
        for address in ["10.1.0.1", "fd00:1::1"] {
            #expect(try transfer(lab, from: "r", to: "l", address: address, megabytes: 3) == 3 << 20)
        }
        // The last acknowledgements may still be under way.
        var (left, right) = (ChildCounters(), ChildCounters())
        for _ in 0..<500 {
            left = try #require(await lab.left.path.counters(spiIn: 0x1000_0001))
            right = try #require(await lab.right.path.counters(spiIn: 0x2000_0001))
            if left.packetsOut == right.packetsIn, right.packetsOut == left.packetsIn { break }
            try await Task.sleep(for: .milliseconds(10))
        }
        #expect(left.packetsOut == right.packetsIn && left.bytesOut == right.bytesIn)
        #expect(right.packetsOut == left.packetsIn && right.bytesOut == left.bytesIn)
        #expect(left.bytesIn > 6 << 20 && left.bytesOut > 6 << 20)
        #expect(left.replayed + left.forged + left.outsideSelectors == 0)
        #expect(left.lastInbound != nil)
        await lab.shutDown()
    }

    @Test(arguments: [true, false])
    func outerPacketsTravelOverIPv6(inUDP: Bool) async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite("aes128gcm16"), outside: .ipv6, inUDP: inUDP)
        #expect(try lab.ping("10.2.0.1").status == 0)
        #expect(try lab.ping("fd00:2::1").status == 0)
        #expect(try transfer(lab, from: "l", to: "r", address: "10.2.0.1", megabytes: 3) == 3 << 20)
        await lab.shutDown()
    }

    @Test func aPacketThatFillsTheTunnelPassesAndALongerOneIsAnswered() async throws {
        let lab = try await TunnelLab(mtu: 1500)
        try await lab.install(ESPSuite("aes128gcm16"))
        // 1438 bytes is what AES-GCM leaves of 1500 with NAT-T.
        let fits = try launch(
            "ip", "netns", "exec", lab.spaces.full("l"), "ping", "-n", "-c", "2", "-i", "0.05", "-M", "do", "-s",
            "1410", "10.2.0.1")
        #expect(fits.status == 0, "\(fits.output)")
        let tooLong = try launch(
            "ip", "netns", "exec", lab.spaces.full("l"), "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1411",
            "10.2.0.1")
        #expect(tooLong.output.contains("mtu = 1438") || tooLong.output.contains("mtu=1438"), "\(tooLong.output)")
        let fragmented = try launch(
            "ip", "netns", "exec", lab.spaces.full("l"), "ping", "-n", "-c", "2", "-i", "0.05", "-M", "dont", "-s",
            "3000", "10.2.0.1")
        #expect(fragmented.status == 0, "\(fragmented.output)")
        let six = try launch(
            "ip", "netns", "exec", lab.spaces.full("l"), "ping", "-n", "-c", "1", "-W", "1", "-M", "do", "-s", "1391",
            "fd00:2::1")
        #expect(six.output.contains("mtu = 1438") || six.output.contains("mtu=1438"), "\(six.output)")
        await lab.shutDown()
    }

    @Test func replayedForgedUnknownAndOutsidePacketsAreDroppedAndCounted() async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite("aes128gcm16"))
        #expect(try lab.ping("10.2.0.1", count: 3).status == 0)
        let child = lab.child(lab.left, ESPSuite("aes128gcm16"))
        let peer = try lab.spaces.inside("l") { try OutsideSockets(Self.side("192.0.2.1", 4600)) }
        let path = IKE.Path(
            local: Endpoint(try #require(IPAddress("192.0.2.1")), 4600), remote: child.path.remote, isNATPort: true)

        // Number 1 has been used.
        try peer.send(try Self.sealed(child, from: 0), path)
        var forged = try Self.sealed(child, from: 1000)
        forged[20] ^= 1
        try peer.send(forged, path)
        try peer.send([0, 0, 0, 99, 0, 0, 0, 1] + [UInt8](repeating: 7, count: 60), path)
        try peer.send(try Self.sealed(child, from: 2000, source: 0x0A09_0001), path)
        let tally = try await Self.eventually(lab.right.path) { $0.outsideSelectors == 1 }
        #expect(tally.replayed == 1)
        #expect(tally.forged == 1)
        #expect(tally.packetsIn == 3)
        var events = lab.right.path.events.makeAsyncIterator()
        #expect(await events.next() == .unknownSPI(99, from: path.local))
        await lab.shutDown()
    }

    @Test func aGenuineNewPacketFromAnotherPortIsReportedAndTheMoveIsFollowed() async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite("aes256gcm16"))
        #expect(try lab.ping("10.2.0.1").status == 0)
        let child = lab.child(lab.left, ESPSuite("aes256gcm16"))
        let peer = try lab.spaces.inside("l") { try OutsideSockets(Self.side("192.0.2.1", 4600)) }
        let from = Endpoint(try #require(IPAddress("192.0.2.1")), 4600)
        let way = Path(local: from, remote: child.path.remote, isNATPort: true)
        // One datagram may get lost, so it is sent again after a pause; it is reported once.
        let sending = Task {
            for sequence in UInt64(1000)..<1100 {
                try peer.send(try Self.sealed(child, from: sequence), way)
                // No wait for a result: only the distance between two tries.
                try await Task.sleep(for: .milliseconds(200))
            }
        }
        var events = lab.right.path.events.makeAsyncIterator()
        let moved = Path(local: child.path.remote, remote: from, isNATPort: true)
        #expect(await events.next() == .peerMoved(spiIn: 0x2000_0001, moved))
        sending.cancel()
        await lab.right.path.move(spiIn: 0x2000_0001, to: moved)
        // Answers now go to a port where nobody reads.
        #expect(
            try launch(
                "ip", "netns", "exec", lab.spaces.full("l"), "ping", "-c", "1", "-W", "1", "10.2.0.1"
            ).status != 0)
        await lab.right.path.move(spiIn: 0x2000_0001, to: lab.child(lab.right, ESPSuite("aes256gcm16")).path)
        #expect(try lab.ping("10.2.0.1").status == 0)
        await lab.shutDown()
    }

    @Test func rekeysUnderTrafficLoseNothing() async throws {
        let lab = try await TunnelLab()
        let suite = ESPSuite("aes128-sha256")
        try await lab.install(suite)
        let pinging = Running { try lab.ping("10.2.0.1", count: 1500, size: 200, interval: "0.002") }
        for generation in UInt32(2)...20 {
            let old = 0x1000_0000 + generation - 1
            // As IKE does it: both inbound halves live before either outbound half is used.
            try await lab.right.path.install(
                lab.child(lab.right, suite, generation: generation, replaces: 0x2000_0000 + generation - 1),
                interface: "gh0", outbound: false)
            try await lab.left.path.install(
                lab.child(lab.left, suite, generation: generation, replaces: old), interface: "gh0", outbound: true)
            try await Task.sleep(for: .milliseconds(40))
            await lab.right.path.useOutbound(spiIn: 0x2000_0000 + generation)
            try await Task.sleep(for: .milliseconds(40))
            await lab.left.path.remove(spiIn: old)
            await lab.right.path.remove(spiIn: 0x2000_0000 + generation - 1)
            #expect(await lab.left.path.counters(spiIn: old) == nil)
        }
        let result = try pinging.value()
        #expect(result.output.contains(" 0% packet loss"), "\(result.output)")
        let last = try #require(await lab.left.path.counters(spiIn: 0x1000_0000 + 20))
        #expect(last.packetsOut > 0 && last.packetsIn > 0)
        await lab.shutDown()
    }

    @Test func aRemovedInterfaceIsReportedAndCanBeOpenedAgain() async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite("aes128gcm16"))
        try lab.spaces.ip("-n", lab.spaces.full("l"), "link", "del", "gh0")
        var events = lab.left.path.events.makeAsyncIterator()
        #expect(await events.next() == .tunnelLost(interface: "gh0", reason: "the interface was removed"))
        let link = TunnelLink(
            interface: "gh0", tunnel: "test", addresses: [try #require(IPPrefix("10.1.0.1/24"))], mtu: 1300, mss: nil)
        try await lab.left.path.openTunnel(link)
        #expect(try lab.link().contains("mtu 1300"))
        #expect(await lab.left.path.counters(spiIn: 0x1000_0001) == nil)
        try lab.spaces.ip("-n", lab.spaces.full("l"), "route", "add", "10.2.0.0/16", "dev", "gh0")
        // The peer's SA is as it was: numbers that it has seen would not pass, so both begin anew.
        let suite = ESPSuite("aes128gcm16")
        for gateway in [lab.left, lab.right] {
            try await gateway.path.install(lab.child(gateway, suite, generation: 2), interface: "gh0", outbound: true)
        }
        #expect(try lab.ping("10.2.0.1").status == 0)
        await lab.shutDown()
    }

    @Test func aTunnelFollowsItsLinkAndAForeignNameIsRefused() async throws {
        let lab = try await TunnelLab()
        let link = TunnelLink(
            interface: "gh0", tunnel: "test",
            addresses: ["169.254.10.2/30", "10.1.0.1/24", "fd00:9::1/64"].compactMap(IPPrefix.init), mtu: 1422, mss: nil
        )
        try await lab.left.path.openTunnel(link)
        let shown = try lab.link()
        #expect(shown.contains("169.254.10.2/30") && shown.contains("10.1.0.1/24") && shown.contains("fd00:9::1/64"))
        #expect(!shown.contains("fd00:1::1") && shown.contains("mtu 1422") && !shown.contains("fe80"))
        // What is refused changes nothing.
        let refused = TunnelLink(
            interface: "gh0", tunnel: "test", addresses: [try #require(IPPrefix("10.9.0.1/24"))], mtu: 70000, mss: nil)
        await #expect(throws: HostFailure.self) { try await lab.left.path.openTunnel(refused) }
        #expect(try lab.link() == shown)
        let taken = TunnelLink(interface: "eth0", tunnel: "x", addresses: [], mtu: 1400, mss: nil)
        await #expect(throws: HostFailure.self) { try await lab.left.path.openTunnel(taken) }
        await #expect(throws: HostFailure.self) {
            try await lab.left.path.install(
                lab.child(lab.left, ESPSuite("aes128gcm16")), interface: "gh7", outbound: true)
        }
        await lab.shutDown()
    }

    @Test(arguments: [("l", "r", "10.2.0.1", 1000), ("r", "l", "10.1.0.1", 1000), ("l", "r", "fd00:2::1", 980)])
    func segmentsAreClampedInBothDirections(from: String, to: String, address: String, limit: Int) async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite("aes128-sha256"))
        // Only the left gateway clamps: the SYN of one side and the answer of the other both pass it.
        try await lab.left.path.openTunnel(
            TunnelLink(
                interface: "gh0", tunnel: "test",
                addresses: ["10.1.0.1/24", "fd00:1::1/64"].compactMap(IPPrefix.init), mtu: 1400, mss: 1000))
        let sizes = try segmentSizes(lab, from: from, to: to, address: address)
        // Time stamps take 12 of them.
        #expect(sizes.client == limit - 12)
        #expect(sizes.server == limit - 12)
        await lab.shutDown()
    }

    @Test(arguments: [true, false])
    func outerPacketsThatAreTooLongForThePathAreFragmented(inUDP: Bool) async throws {
        let lab = try await TunnelLab()
        for name in ["l", "r"] { try lab.spaces.ip("-n", lab.spaces.full(name), "link", "set", "eth0", "mtu", "1300") }
        try await lab.install(ESPSuite("aes128gcm16"), inUDP: inUDP)
        #expect(try lab.ping("10.2.0.1", size: 1300).status == 0)
        #expect(try transfer(lab, from: "l", to: "r", address: "10.2.0.1", megabytes: 2) == 2 << 20)
        await lab.shutDown()
    }

    @Test func shuttingDownLeavesNothingBehind() async throws {
        let lab = try await TunnelLab()
        try await lab.install(ESPSuite("aes128gcm16"))
        #expect(try lab.ping("10.2.0.1").status == 0)
        await lab.shutDown()
        #expect(try launch("ip", "-n", lab.spaces.full("l"), "link", "show", "gh0").status != 0)
        // The ports are free again.
        let again = try lab.spaces.inside("l") { try OutsideSockets() }
        #expect(again.ikePort == 500)
        let devices = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").filter {
            (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + $0)) == "/dev/net/tun"
        }
        #expect(devices.isEmpty)
        let threads = try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").filter {
            (try? String(contentsOfFile: "/proc/self/task/\($0)/comm", encoding: .utf8))?.hasPrefix("gatehouse-out")
                == true
        }
        #expect(threads.isEmpty)
        await #expect(throws: HostFailure.self) {
            try await lab.left.path.openTunnel(
                TunnelLink(interface: "gh0", tunnel: "test", addresses: [], mtu: 1400, mss: nil))
        }
    }

    // MARK: Helpers

    /// Sockets of a stranger on one address: IKE on some port, NAT-T on `port`.
    private static func side(_ address: String, _ port: UInt16) throws -> SocketConfiguration {
        var configuration = SocketConfiguration()
        configuration.addresses = [try #require(IPAddress(address))]
        configuration.ikePort = 0
        configuration.natPort = port
        configuration.rawESP = false
        return configuration
    }

    /// The packet that the sender of `child` would send next after number `from`: a UDP packet to 10.2.0.1.
    private static func sealed(_ child: ChildSA, from sequence: UInt64, source: UInt32 = 0x0A01_0001) throws -> [UInt8]
    {
        let sa = try OutboundSA(
            spi: child.spiOut, encryption: child.suite.encryption, integrity: child.suite.integrity,
            encryptionKey: child.encryptionKeyOut, integrityKey: child.integrityKeyOut,
            extendedSequence: child.suite.esn, sequence: sequence)
        var writer = ByteWriter()
        writer.zeros(sa.format.headerLength)
        writer.uint32(0x4500_0020)
        writer.uint32(0x0001_4000)
        writer.uint32(0x4011_0000)
        writer.uint32(source)
        writer.uint32(0x0A02_0001)
        writer.uint32(0x1000_1001)
        writer.uint32(0x000C_0000)
        writer.uint32(0)
        writer.zeros(64)
        var bytes = writer.bytes
        guard case .sealed(let length, _) = bytes.withUnsafeMutableBytes({ sa.seal($0, length: 32) }) else {
            throw LabFailure("not sealed")
        }
        return Array(bytes[..<length])
    }

    /// The counters of the right gateway's first SA, as soon as they are as expected.
    private static func eventually(
        _ path: UserspaceDataPath, _ isSo: (ChildCounters) -> Bool
    ) async throws -> ChildCounters {
        for _ in 0..<500 {
            if let counters = await path.counters(spiIn: 0x2000_0001), isSo(counters) { return counters }
            try await Task.sleep(for: .milliseconds(10))
        }
        return try #require(await path.counters(spiIn: 0x2000_0001))
    }
}

extension TunnelLab {
    /// What the left tunnel interface looks like.
    func link() throws -> String { try launch("ip", "-n", spaces.full("l"), "addr", "show", "gh0").output }
}
