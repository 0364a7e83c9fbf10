import Base
import CLinux
import Foundation
import Glibc
import Host
import IKE
import Testing

/// The outside sockets and their loop, in a namespace with several addresses. Needs root.
@Suite(.serialized) struct SocketsTests {
    private typealias Inbox = AsyncStream<TunnelLab.Received>

    private static func loop(_ spaces: Namespaces, _ configuration: SocketConfiguration = SocketConfiguration()) throws
        -> (IOLoop, Inbox)
    {
        let (stream, continuation) = AsyncStream.makeStream(of: TunnelLab.Received.self)
        let loop = try spaces.inside("a") {
            try IOLoop(try OutsideSockets(configuration)) {
                continuation.yield(TunnelLab.Received(message: $0, path: $1))
            }
        }
        return (loop, stream)
    }

    private static func spaces() throws -> Namespaces {
        let spaces = try Namespaces("a")
        for address in ["192.0.2.1/32", "192.0.2.2/32", "2001:db8::1/128", "2001:db8::2/128"] {
            // Without the kernel's own test for duplicates, during which nobody may bind to it.
            try spaces.ip("-n", spaces.full("a"), "addr", "add", address, "dev", "lo", "nodad")
        }
        return spaces
    }

    private static func only(_ addresses: String..., ikePort: UInt16 = 0, natPort: UInt16 = 0) -> SocketConfiguration {
        var configuration = SocketConfiguration()
        configuration.addresses = addresses.compactMap { IPAddress($0) }
        configuration.ikePort = ikePort
        configuration.natPort = natPort
        return configuration
    }

    @Test(arguments: ["192.0.2.2", "2001:db8::2"], [false, true])
    func answersLeaveFromTheAddressThatWasAsked(address: String, isNATPort: Bool) async throws {
        let spaces = try Self.spaces()
        let (gateway, inbox) = try Self.loop(spaces)
        let asked = try #require(IPAddress(address))
        let (peer, answers) = try Self.loop(
            spaces,
            Self.only(
                address.replacing("::2", with: "::1").replacing(".2.2", with: ".2.1"), ikePort: 1500, natPort: 1600))
        let marker: [UInt8] = isNATPort ? [0, 0, 0, 0] : []
        let target = Endpoint(asked, isNATPort ? 4500 : 500)
        try peer.sockets.send(
            marker + [1, 2, 3], Path(local: Endpoint(.any(asked.family), 0), remote: target, isNATPort: isNATPort))
        var questions = inbox.makeAsyncIterator()
        let question = try #require(await questions.next())
        #expect(question.message == marker + [1, 2, 3])
        #expect(question.path.local == target)
        #expect(question.path.remote.port == (isNATPort ? 1600 : 1500))
        #expect(question.path.isNATPort == isNATPort)
        try gateway.sockets.send(marker + [4], question.path)
        var replies = answers.makeAsyncIterator()
        let answer = try #require(await replies.next())
        #expect(answer.path.remote == target)
        #expect(answer.message == marker + [4])
        gateway.stop()
        peer.stop()
    }

    @Test func keepAlivesAreDroppedAndIKEKeepsItsMarker() async throws {
        let spaces = try Self.spaces()
        let (gateway, inbox) = try Self.loop(spaces)
        let peer = try spaces.inside("a") { try OutsideSockets(Self.only("192.0.2.1", ikePort: 1500, natPort: 1600)) }
        let path = Path(
            local: Endpoint(try #require(IPAddress("192.0.2.1")), 1600),
            remote: Endpoint(try #require(IPAddress("192.0.2.2")), 4500), isNATPort: true)
        try peer.send([0xFF], path)
        try peer.send([], path)
        try peer.send([0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8], path)
        try peer.send([0, 0, 0, 0, 42], path)
        var iterator = inbox.makeAsyncIterator()
        #expect(try #require(await iterator.next()).message == [0, 0, 0, 0, 42])
        gateway.stop()
    }

    @Test func twoDaemonsShareANamespaceByAddress() throws {
        let spaces = try Self.spaces()
        try spaces.inside("a") {
            let first = try OutsideSockets(Self.only("192.0.2.1", "2001:db8::1", ikePort: 500, natPort: 4500))
            let second = try OutsideSockets(Self.only("192.0.2.2", "2001:db8::2", ikePort: 500, natPort: 4500))
            #expect(first.ikePort == 500 && second.natPort == 4500)
            let failure = #expect(throws: HostFailure.self) {
                try OutsideSockets(Self.only("192.0.2.2", ikePort: 500, natPort: 4500))
            }
            #expect(failure?.description.contains("binding UDP 192.0.2.2:500 failed: Address already in use") == true)
        }
    }

    /// As when the modem boots more slowly than the gateway.
    @Test func anAddressMayComeLater() throws {
        let spaces = try Self.spaces()
        let sockets = try spaces.inside("a") { try OutsideSockets(Self.only("198.51.100.7", "2001:db8:9::7", ikePort: 500)) }
        #expect(sockets.ikePort == 500)
        try spaces.ip("-n", spaces.full("a"), "address", "add", "198.51.100.7/32", "dev", "lo")
        let bound = try launch("ip", "netns", "exec", spaces.full("a"), "ss", "-Hlun", "src", "198.51.100.7")
        #expect(bound.output.contains("198.51.100.7:500"), "\(bound.output)")
    }

    @Test func anUnreachablePortDoesNotKillTheSocket() async throws {
        let spaces = try Self.spaces()
        let (gateway, inbox) = try Self.loop(spaces)
        let here = Endpoint(try #require(IPAddress("192.0.2.1")), 500)
        let nobody = Path(local: here, remote: Endpoint(try #require(IPAddress("192.0.2.2")), 9), isNATPort: false)
        for _ in 0..<20 { try gateway.sockets.send([1], nobody) }
        try gateway.sockets.send([2], Path(local: here, remote: here, isNATPort: false))
        var iterator = inbox.makeAsyncIterator()
        #expect(try #require(await iterator.next()).message == [2])
        gateway.stop()
    }

    /// Sockets as a service manager holds them when the process that opened them has gone.
    private static func keptOpen(_ configuration: SocketConfiguration) throws -> [Int32] {
        let earlier = try OutsideSockets(configuration)
        return withExtendedLifetime(earlier) { earlier.udpDescriptors.map { dup($0) } }
    }

    @Test func socketsThatWereKeptOpenGoOnWithWhatWaitsInThem() async throws {
        let spaces = try Self.spaces()
        let configuration = Self.only("192.0.2.1", "2001:db8::1", ikePort: 500, natPort: 4500).forKernelESP
        let kept = try spaces.inside("a") { try Self.keptOpen(configuration) }
        #expect(kept.count == 4 && !kept.contains(-1))
        for (ours, theirs) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            let peer = try spaces.inside("a") { try OutsideSockets(Self.only(theirs, ikePort: 1500)) }
            let ours = try #require(IPAddress(ours))
            try peer.send(
                [7], Path(local: Endpoint(.any(ours.family), 0), remote: Endpoint(ours, 500), isNATPort: false))
        }
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
        let strange = ends[0]
        let (stream, continuation) = AsyncStream.makeStream(of: TunnelLab.Received.self)
        let loop = try spaces.inside("a") {
            try IOLoop(try OutsideSockets(configuration, kept: [strange] + kept)) {
                continuation.yield(TunnelLab.Received(message: $0, path: $1))
            }
        }
        var iterator = stream.makeAsyncIterator()
        for _ in 0..<2 { #expect(try #require(await iterator.next()).message == [7]) }
        #expect(Set(loop.sockets.udpDescriptors) == Set(kept))
        // The far end of one that is of no use sees it close.
        var byte: UInt8 = 0
        #expect(recv(ends[1], &byte, 1, Int32(MSG_DONTWAIT)) == 0)
        close(ends[1])
        loop.stop()
    }

    @Test(arguments: [true, false]) func socketsThatWereKeptAreNotInTheWay(isKernelESP: Bool) throws {
        let spaces = try Self.spaces()
        let configuration = Self.only("0.0.0.0", ikePort: 500, natPort: 4500)
        // With another address, or without ESP in the kernel, they cannot be used.
        let wanted = isKernelESP ? Self.only("192.0.2.1", ikePort: 500, natPort: 4500).forKernelESP : configuration
        try spaces.inside("a") {
            let kept = try Self.keptOpen(configuration.forKernelESP)
            #expect(throws: HostFailure.self) { try OutsideSockets(wanted) }
            #expect(try OutsideSockets(wanted, kept: kept).ikePort == 500)
        }
    }

    @Test func theLocalAddressFollowsTheRoutes() throws {
        let spaces = try Self.spaces()
        try spaces.ip("-n", spaces.full("a"), "route", "add", "198.51.100.0/24", "dev", "lo", "src", "192.0.2.2")
        let sockets = try spaces.inside("a") { try OutsideSockets() }
        #expect(sockets.localAddress(towards: try #require(IPAddress("198.51.100.9"))) == IPAddress("192.0.2.2"))
        #expect(sockets.localAddress(towards: try #require(IPAddress("203.0.113.9"))) == nil)
        #expect(sockets.localAddress(towards: try #require(IPAddress("2001:db8::2"))) != nil)
    }
}
