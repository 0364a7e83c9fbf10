import Base
import Identity
import Testing

@testable import Portal

/// What one client may have, and what it costs to keep count of it.
@Suite struct ClientLimitsTests {
    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    /// Of one request from each of the addresses, how many are admitted.
    private func admitted(_ addresses: [String], by limit: inout AddressLimit, at now: Tick) throws -> Int {
        var count = 0
        for text in addresses {
            let address = try address(text)
            if limit.admits(address, now: now) { count += 1 }
        }
        return count
    }

    /// An office has one /64, and each of its machines could take any address in it.
    @Test func aNetworkOfIPv6HasSixteenTimesWhatAnAddressHas() throws {
        var limit = AddressLimit(burst: 2, perMinute: 60)
        let one = try admitted(Array(repeating: "2001:db8:1:2::1", count: 5), by: &limit, at: .zero)
        let network = (2...100).map { "2001:db8:1:2::\($0)" }
        let rest = try admitted(network, by: &limit, at: .zero)
        let others = try admitted(["2001:db8:1:3::1", "10.0.0.1", "10.0.0.2"], by: &limit, at: .zero)
        let later = try admitted(network, by: &limit, at: .zero + .seconds(1))
        #expect(one == 2 && rest == 30 && others == 3 && later == 16)
    }

    /// At most once a second it is looked who need not be counted any longer, and until then nobody else gets in.
    @Test func aFullTableKeepsWhomItHasAndIsSweptOnceASecond() throws {
        var limit = AddressLimit(burst: 1, perMinute: 6000, capacity: 3)
        let first = try admitted(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"], by: &limit, at: .zero)
        #expect(first == 3)
        // The three need not be counted any longer; but that is not looked for yet.
        let early = Tick.zero + .milliseconds(999)
        let stranger = try admitted(["10.0.0.4"], by: &limit, at: early)
        let known = try admitted(["10.0.0.1"], by: &limit, at: early)
        #expect(stranger == 0 && known == 1)
        let second = Tick.zero + .seconds(1)
        let strangers = try admitted(["10.0.0.4", "10.0.0.5"], by: &limit, at: second)
        let more = try admitted(["10.0.0.6"], by: &limit, at: second)
        #expect(strangers == 2 && more == 0)
    }

    @Test func aFullTableForgetsNobodyWhoMustWait() throws {
        var limit = AddressLimit(burst: 1, perMinute: 1, capacity: 2)
        let first = try admitted(["10.0.0.1", "10.0.0.2"], by: &limit, at: .zero)
        #expect(first == 2)
        for second in 1...59 {
            let others = try admitted(["10.0.0.1", "10.0.0.3"], by: &limit, at: .zero + .seconds(second))
            #expect(others == 0)
        }
        let last = try admitted(["10.0.0.3"], by: &limit, at: .zero + .seconds(61))
        #expect(last == 1)
    }

    @Test func connectionsAreCountedForEachClient() throws {
        let connections = ClientConnections(limit: 2)
        let (one, other) = (try address("2001:db8:1:2::1"), try address("10.0.0.1"))
        let taken = [one, one, one, other, other, other].map { connections.take($0) }
        #expect(taken == [true, true, false, true, true, false])
        let network = try (2...100).map { try address("2001:db8:1:2::\($0)") }
        #expect(network.count { connections.take($0) } == 30)
        connections.release(one)
        let again = [one, one].map { connections.take($0) }
        #expect(again == [true, false])
        for client in [one, one, other, other] { connections.release(client) }
        let anew = [one, one, other].map { connections.take($0) }
        #expect(anew == [true, true, true])
    }
}
