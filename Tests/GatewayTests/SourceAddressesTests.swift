import Base
import Cryptography
import IKE
import Testing

@testable import Gateway

@Suite struct SourceAddressesTests {
    private let id = ConnectionID(1)
    private let remote = IPAddress.v4(0xCB00_7101)
    private let first = IPAddress.v4(0xC633_6407)
    private let second = IPAddress.v4(0xC633_6408)

    private func configuration(local: IPAddress) -> ConnectionConfiguration {
        ConnectionConfiguration(
            name: "test", localAddress: local, remoteAddress: remote, authentication: .psk(Secret([1])), ikeProposals: [],
            espProposals: [], localSelectors: [], remoteSelectors: [])
    }

    private func addresses(_ inputs: [Input]) -> [IPAddress] {
        inputs.compactMap { if case .configure(_, let configuration) = $0 { configuration.localAddress } else { nil } }
    }

    @Test func anOpenAddressIsTheRoutes() {
        var sources = SourceAddresses()
        let inputs = sources.fill(.configure(id, configuration(local: .any(.ipv4)))) { $0 == remote ? first : nil }
        #expect(addresses(inputs) == [first])
    }

    @Test func anAddressThatWasConfiguredIsKept() {
        var sources = SourceAddresses()
        #expect(addresses(sources.fill(.configure(id, configuration(local: second))) { _ in first }) == [second])
        #expect(sources.fill(.initiate(id)) { _ in first }.count == 1)
    }

    @Test func anotherRouteIsNoticedAtTheNextAttempt() {
        var sources = SourceAddresses()
        _ = sources.fill(.configure(id, configuration(local: .any(.ipv4)))) { _ in first }
        #expect(addresses(sources.fill(.initiate(id)) { _ in first }).isEmpty, "nothing new, nothing configured")
        #expect(addresses(sources.fill(.initiate(id)) { _ in second }) == [second])
    }

    @Test func aRouteThatAppearsLaterIsUsed() {
        var sources = SourceAddresses()
        let inputs = sources.fill(.configure(id, configuration(local: .any(.ipv4)))) { _ in nil }
        #expect(addresses(inputs) == [.any(.ipv4)])
        #expect(addresses(sources.fill(.initiate(id)) { _ in first }) == [first])
    }

    private func relocations(_ inputs: [Input]) -> [(to: IPAddress, hasLostOld: Bool)] {
        inputs.compactMap {
            if case .relocate(_, let address, let hasLostOld) = $0 { (address, hasLostOld) } else { nil }
        }
    }

    @Test func aChangeOfTheHostIsFollowedOnce() throws {
        var sources = SourceAddresses()
        _ = sources.fill(.configure(id, configuration(local: .any(.ipv4)))) { _ in first }
        #expect(sources.follow(isPresent: { _ in true }) { _ in first }.isEmpty)
        // No way to the peer for a while: nothing moves.
        #expect(sources.follow(isPresent: { _ in false }) { _ in nil }.isEmpty)
        let inputs = sources.follow(isPresent: { $0 == second }) { _ in second }
        #expect(addresses(inputs) == [second])
        let move = try #require(relocations(inputs).first)
        #expect(move.to == second && move.hasLostOld)
        #expect(sources.follow(isPresent: { $0 == second }) { _ in second }.isEmpty)
        let back = try #require(relocations(sources.follow(isPresent: { _ in true }) { _ in first }).first)
        #expect(back.to == first && !back.hasLostOld)
    }

    @Test func anAttemptDoesNotHideAMove() throws {
        var sources = SourceAddresses()
        _ = sources.fill(.configure(id, configuration(local: .any(.ipv4)))) { _ in first }
        _ = sources.fill(.initiate(id)) { _ in second }
        #expect(relocations(sources.follow(isPresent: { $0 == second }) { _ in second }).count == 1)
    }

    @Test func anAddressThatWasConfiguredStaysWhereItIs() {
        var sources = SourceAddresses()
        _ = sources.fill(.configure(id, configuration(local: first))) { _ in first }
        #expect(sources.follow(isPresent: { _ in false }) { _ in second }.isEmpty)
    }

    @Test func whatWasRemovedIsForgotten() {
        var sources = SourceAddresses()
        _ = sources.fill(.configure(id, configuration(local: .any(.ipv4)))) { _ in first }
        _ = sources.fill(.remove(id)) { _ in first }
        #expect(addresses(sources.fill(.initiate(id)) { _ in second }).isEmpty)
    }
}
