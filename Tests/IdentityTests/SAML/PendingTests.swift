import Base
import Testing

@testable import Identity

/// Sign-ins that were begun: no client's pushes out those of others.
@Suite struct PendingTests {
    private let end = Tick.zero + .seconds(900)

    private func client(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    @Test func aClientCountsByItsAddressAndItsNetworkOfIPv6() throws {
        func keys(_ text: String) throws -> [ClientKey] { ClientKey.keys(of: try client(text)) }
        #expect(try keys("192.0.2.1") != keys("192.0.2.2") && keys("192.0.2.1").count == 1)
        let (one, same) = (try keys("2001:db8:1:2::1"), try keys("2001:db8:1:2:ffff:ffff:ffff:ffff"))
        #expect(one[0] == same[0] && one[1] != same[1] && one.map(\.shares) == [16, 1])
        #expect(try one[0] != keys("2001:db8:1:3::1")[0])
        #expect(try keys("::ffff:192.0.2.1") == keys("192.0.2.1"))
        #expect(try keys("2001:db8:1:2::")[0] != keys("2001:db8:1:2::")[1])
    }

    @Test func aClientPushesOutItsOwnOldest() throws {
        let (busy, other) = (try client("10.0.0.1"), try client("10.0.0.2"))
        var table = PendingTable<Int>(limit: 100, clientLimit: 3)
        table.add(-1, named: "other", from: other, until: end, now: .zero)
        for number in 0..<10 { table.add(number, named: "n\(number)", from: busy, until: end, now: .zero) }
        #expect(table["other"] == -1 && table.count == 4)
        #expect((0..<10).compactMap { table["n\($0)"] } == [7, 8, 9])
        // One that was answered makes room.
        table.remove("n8")
        table.add(10, named: "n10", from: busy, until: end, now: .zero)
        #expect((0..<11).compactMap { table["n\($0)"] } == [7, 9, 10])
        table.add(11, named: "n11", from: busy, until: end, now: .zero)
        #expect((0..<12).compactMap { table["n\($0)"] } == [9, 10, 11])
        // And so does one whose time is over.
        table.add(12, named: "n12", from: busy, until: end + .seconds(900), now: end)
        #expect(table["n12"] == 12 && table.count == 1)
    }

    @Test func theTableIsBoundedWhoeverFillsIt() throws {
        var table = PendingTable<Int>(limit: 10, clientLimit: 3)
        for number in 0..<1000 {
            let from = try number % 2 == 0 ? client("10.0.\(number / 256).\(number % 256)") : nil
            table.add(number, named: "n\(number)", from: from, until: end, now: .zero)
            #expect(table.count == min(number + 1, 10))
        }
        #expect((0..<1000).compactMap { table["n\($0)"] } == Array(990..<1000))
    }

    /// Those that are answered leave from among those that are not.
    @Test func anOldOneStaysWhileManyComeAndGo() throws {
        let visitor = try client("10.0.0.1")
        var table = PendingTable<Int>(limit: 10, clientLimit: 3)
        table.add(-1, named: "old", until: end, now: .zero)
        for number in 0..<1000 {
            table.add(number, named: "n\(number)", from: visitor, until: end, now: .zero)
            if number < 998 { table.remove("n\(number)") }
        }
        #expect(table["old"] == -1 && table["n998"] == 998 && table["n999"] == 999 && table.count == 3)
        for number in 1000..<1008 { table.add(number, named: "n\(number)", until: end, now: .zero) }
        // The oldest of all went first.
        #expect(table["old"] == nil && table["n998"] == 998 && table.count == 10)
    }

    @Test func requestsAreKeptForEachClient() throws {
        let provider = RequestTests.provider()
        func request(_ number: UInt8) throws -> AuthnRequest {
            try AuthnRequest(
                to: provider, acsURL: TestProvider.acs, entropy: [UInt8](repeating: number, count: 32),
                now: TestProvider.now)
        }
        var pending = PendingRequests()
        let mine = try request(200)
        pending.add(mine, to: provider.id, from: "mine", at: try #require(IPAddress("2001:db8:1:2::1")), now: .zero)
        let address = try #require(IPAddress("2001:db8:1:3::1"))
        for number in 0..<UInt8(40) {
            pending.add(try request(number), to: provider.id, from: "theirs", at: address, now: .zero)
        }
        #expect(pending.count == PendingRequests.clientLimit + 1)
        func isOpen(_ request: AuthnRequest, _ browser: String) -> Bool {
            let found = pending.find(
                request.id, provider: provider.id, relayState: request.relayState, browser: browser, now: .zero)
            return found != nil
        }
        #expect(isOpen(mine, "mine"))
        let (early, late) = (try request(19), try request(20))
        #expect(!isOpen(early, "theirs") && isOpen(late, "theirs"))
    }
}
