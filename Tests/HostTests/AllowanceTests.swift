import IKE
import Testing

@testable import Host

@Suite struct AllowanceTests {
    private func limits(
        _ softBytes: UInt64, _ hardBytes: UInt64, _ softPackets: UInt64, _ hardPackets: UInt64
    ) -> ChildLimits {
        var limits = ChildLimits()
        (limits.softBytes, limits.hardBytes) = (softBytes, hardBytes)
        (limits.softPackets, limits.hardPackets) = (softPackets, hardPackets)
        return limits
    }

    @Test func eachLimitIsToldOnce() {
        var allowance = Allowance(limits(900, 1000, .max, .max))
        let verdicts = (0..<12).map { _ in allowance.count(100) }
        #expect(verdicts.prefix(8).allSatisfy { $0 == .fine })
        #expect(verdicts[8] == .exhausted && verdicts[9] == .spent)
        #expect(verdicts.suffix(2).allSatisfy { $0 == .fine })
        #expect(allowance.isSpent)
    }

    @Test func packetsCountAsWell() {
        var allowance = Allowance(limits(.max, .max, 2, 3))
        #expect([allowance.count(1), allowance.count(1), allowance.count(1)] == [.fine, .exhausted, .spent])
    }

    @Test func aLargePacketMayPassBothAtOnce() {
        var allowance = Allowance(limits(900, 1000, .max, .max))
        #expect(allowance.count(5000) == .spent)
        #expect(allowance.isSpent)
    }

    @Test func withoutLimitsNothingIsTold() {
        var allowance = Allowance(ChildLimits())
        #expect((0..<1000).allSatisfy { _ in allowance.count(65_535) == .fine })
        #expect(!allowance.isSpent)
    }
}
