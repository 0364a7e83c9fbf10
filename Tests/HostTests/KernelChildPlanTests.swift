import Base
import Cryptography
import IKE
import Testing

@testable import Host

@Suite("What a child SA needs in the kernel")
struct KernelChildPlanTests {
    private static func plan(isESN: Bool, _ change: (inout ChildLimits) -> Void) throws -> ChildPlan {
        let local = try #require(IPAddress("198.51.100.2"))
        let remote = try #require(IPAddress("203.0.113.2"))
        let now = Tick(nanoseconds: 5_000_000_000)
        var child = ChildSA(
            connection: ConnectionID(1), ikeSA: IKESAID(1), spiIn: 0x1001, spiOut: 0x2001,
            suite: ESPSuite(encryption: .aes128gcm16, integrity: nil, group: nil, esn: isESN),
            encryptionKeyIn: Secret(Array(repeating: 1, count: 20)), encryptionKeyOut: Secret(Array(repeating: 2, count: 20)),
            integrityKeyIn: Secret([]), integrityKeyOut: Secret([]),
            localSelectors: [TrafficSelector(.all(.ipv4))], remoteSelectors: [TrafficSelector(.all(.ipv4))],
            path: Path(local: Endpoint(local, 500), remote: Endpoint(remote, 500), isNATPort: false),
            replayWindow: 1024, rekeyAt: now + .seconds(3000), expiresAt: now + .seconds(3600), replaces: nil)
        change(&child.limits)
        return try ChildPlan(child, interface: "gh0", interfaceID: 0x4748_0001, now: now)
    }

    @Test("Both directions carry no more bytes and packets than the child may")
    func limits() throws {
        let plan = try Self.plan(isESN: true) {
            ($0.softBytes, $0.hardBytes, $0.softPackets, $0.hardPackets) = (900, 1000, 90, 100)
        }
        for association in [plan.inbound, plan.outbound] {
            #expect(association.lifetime.softBytes == 900 && association.lifetime.hardBytes == 1000)
            #expect(association.lifetime.softPackets == 90 && association.lifetime.hardPackets == 100)
            // A minute beyond the child's own end.
            #expect(association.lifetime.hardSeconds == 3660)
        }
    }

    @Test("Without limits there are none, but of 2^32 sequence numbers none is sent twice")
    func noLimits() throws {
        let long = try Self.plan(isESN: true) { _ in }
        #expect(long.outbound.lifetime.softPackets == nil && long.outbound.lifetime.hardPackets == nil)
        let short = try Self.plan(isESN: false) { _ in }
        #expect(short.outbound.lifetime.softPackets == 3 << 30 && short.outbound.lifetime.hardPackets == 0xFFFF_FF00)
        #expect(short.outbound.lifetime.softBytes == nil && short.inbound.lifetime.hardPackets == nil)
        let narrow = try Self.plan(isESN: false) { ($0.softPackets, $0.hardPackets) = (90, 100) }
        #expect(narrow.outbound.lifetime.softPackets == 90 && narrow.outbound.lifetime.hardPackets == 100)
    }

    @Test("Of a child that has lost an association, what is left is neither missed nor too much")
    func lost() throws {
        var book = KernelBook()
        let plan = try Self.plan(isESN: true) { _ in }
        book.add(KernelBook.Child(plan: plan, hasOutbound: true))
        #expect(book.plan.associations.count == 2 && book.plan.leaving.isEmpty)
        book.update(plan.spiIn) { $0.isLost = true }
        #expect(book.plan.associations.isEmpty && book.plan.leaving == [plan.inbound.id, plan.outbound.id])
    }

    @Test("An end by what was carried is told from an end by time")
    func spent() throws {
        var association = try Self.plan(isESN: true) {
            ($0.softBytes, $0.hardBytes, $0.softPackets, $0.hardPackets) = (900, 1000, 90, 100)
        }.inbound
        #expect(!association.isNearItsEnd && !association.hasCarriedAll)
        association.use.packets = 90
        #expect(association.isNearItsEnd && !association.hasCarriedAll)
        association.use.bytes = 1000
        #expect(association.hasCarriedAll)
        let unlimited = try Self.plan(isESN: true) { _ in }.inbound
        #expect(!unlimited.isNearItsEnd && !unlimited.hasCarriedAll)
    }
}
