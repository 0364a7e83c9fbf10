import Base
import Testing

@testable import Access
@testable import Identity

/// Which card has which address: what the kernel says, what it takes back, and no more than fits.
@Suite struct NeighbourTests {
    private func card(_ number: UInt8) -> MACAddress { MACAddress(bytes: [2, 0, 0, 0, 0, number])! }

    @Test func whomTheKernelHasForgottenIsForgottenButNotHisSession() throws {
        var scene = Scene()
        let place = address("10.1.0.10")
        #expect(scene.receive(.neighbour(place, card(1))).isEmpty)
        #expect(try scene.signIn("a@b").opened.first?.mac == card(1))
        #expect(scene.receive(.neighbourGone(place)).isEmpty)
        #expect(scene.engine.mac(of: place) == nil)
        #expect(scene.engine.sessions[place]?.mac == card(1))
        // Whoever has the address next is another one, also after a pause.
        #expect(scene.receive(.neighbour(place, card(2))).ends == [.addressChangedHands(to: card(2))])
        #expect(scene.receive(.neighbourGone(address("10.9.9.9"))).isEmpty)
    }

    @Test func aWholeTableTakesThePlaceOfWhatWasKnown() throws {
        var scene = Scene()
        for (number, text) in ["10.1.0.1", "10.1.0.2", "10.1.0.3", "10.1.0.4"].enumerated() {
            // Of the second one no card is known.
            if number != 1 { _ = scene.receive(.neighbour(address(text), card(UInt8(number)))) }
            if number < 3 { _ = try scene.signIn("u\(number)@b", at: text) }
        }
        let effects = scene.receive(
            .neighbours([address("10.1.0.1"): card(9), address("10.1.0.2"): card(8), address("10.1.0.5"): card(7)]))
        #expect(effects.ends == [.addressChangedHands(to: card(9))])
        #expect(effects.contains { if case .learn(let session) = $0 { session.mac == card(8) } else { false } })
        // Who is not in the table has not changed, and who was only in the old one is unknown.
        #expect(scene.engine.sessions[address("10.1.0.3")]?.mac == card(2) && scene.engine.mac(of: address("10.1.0.3")) == nil)
        #expect(scene.engine.mac(of: address("10.1.0.4")) == nil && scene.engine.mac(of: address("10.1.0.5")) == card(7))
        #expect(scene.engine.sessions.count == 2)
    }

    @Test func aCrowdOfAddressesDoesNotFillTheMemory() throws {
        var scene = Scene()
        let mine = address("10.1.0.10")
        let crowd = (0..<SessionEngine.neighbourLimit + 10).map { IPAddress.v4(0x0A80_0000 + UInt32($0)) }
        for place in crowd { _ = scene.receive(.neighbour(place, card(1))) }
        func known() -> Int { crowd.count { scene.engine.mac(of: $0) != nil } }
        #expect(known() == SessionEngine.neighbourLimit)
        let last = try #require(crowd.last)
        #expect(scene.engine.mac(of: last) == nil)
        // One that is known may change, and a session's is known in any case, as long as it lasts.
        _ = scene.receive(.neighbour(crowd[0], card(2)))
        #expect(scene.engine.mac(of: crowd[0]) == card(2))
        _ = try scene.signIn("a@b")
        #expect(scene.receive(.neighbour(mine, card(3))).count == 1)
        #expect(scene.engine.mac(of: mine) == card(3))
        #expect(scene.receive(.end(.address(mine), .signedOut)).ends == [.signedOut])
        #expect(scene.engine.mac(of: mine) == nil)
        // Where one goes, another one fits.
        _ = scene.receive(.neighbourGone(crowd[1]))
        _ = scene.receive(.neighbour(last, card(4)))
        #expect(scene.engine.mac(of: last) == card(4))
        _ = scene.receive(.neighbours(Dictionary(uniqueKeysWithValues: crowd.map { ($0, card(5)) })))
        #expect(known() == SessionEngine.neighbourLimit)
    }
}
