import Base
import Cryptography
import Glibc
import Testing

@testable import Host

private func prefix(_ text: String) -> IPPrefix { IPPrefix(text) ?? .all(.ipv6) }

/// What goes to the kernel about IPsec and what comes back, byte by byte; the layouts are those of `<linux/xfrm.h>`.
@Suite("IPsec wire format")
struct KernelIPsecWireTests {
    static func association(_ change: (inout KernelSA) -> Void = { _ in }) -> KernelSA {
        var association = KernelSA(
            source: IPAddress("198.51.100.2")!, destination: IPAddress("203.0.113.2")!, spi: 0x1234_5678,
            requestID: 0x4748_0001, interfaceID: 0x4748_0001)
        change(&association)
        return association
    }

    static let gcm = KernelSA.Keys(
        encryption: .aes256gcm16, encryptionKey: Secret([UInt8](1...36)), integrity: nil, integrityKey: Secret([]))
    static let cbc = KernelSA.Keys(
        encryption: .aes128, encryptionKey: Secret([UInt8](1...16)), integrity: .sha256,
        integrityKey: Secret([UInt8](1...32)))

    static let associations: [KernelSA] = [
        association(),
        association {
            $0.direction = .input
            $0.hasExtendedSequence = true
            $0.replayWindow = 2048
            $0.sequence.sent = 0x1_0000_0007
            $0.sequence.received = 0x2_0000_0009
            $0.sequence.bitmap = (0..<64).map { UInt32($0) }
            $0.encapsulation = KernelSA.Encapsulation(sourcePort: 4500, destinationPort: 31234)
            $0.mark = KernelMark(value: 7, mask: 0xFF)
            $0.lifetime.softBytes = 1 << 40
            $0.lifetime.hardPackets = 99
            $0.lifetime.softSeconds = 5
            $0.lifetime.hardSeconds = 10
            $0.lifetime.hardUseSeconds = 11
            $0.selector = KernelSelector(
                source: prefix("10.2.0.0/16"), destination: prefix("10.1.0.0/16"), ipProtocol: 6,
                sourcePorts: .init(value: 443, mask: 0xFFFF))
        },
        association {
            $0.source = IPAddress("2001:db8::1")!
            $0.destination = IPAddress("2001:db8::2")!
            $0.offload = KernelSA.Offload(interface: 3, isWholePacket: true)
            $0.copiesDontFragment = false
        },
    ]

    @Test("An association comes back as it went", arguments: associations)
    func association(_ association: KernelSA) throws {
        let body = association.body(Self.gcm).bytes[...]
        #expect(try KernelSA(body) == association)
        // Old kernels read it by these offsets.
        #expect(body.count >= 224 && body.host(UInt32.self, at: 72) == association.spi.bigEndian)
        let keys = try #require(try KernelSA.Keys(body))
        #expect(keys == Self.gcm && keys.encryptionKey == Self.gcm.encryptionKey)
    }

    /// Kernels from 6.10 on refuse an outbound association with a replay state, which all of them want for long sequence
    /// numbers.
    @Test("The direction is said of inbound associations alone")
    func direction() throws {
        func direction(_ value: KernelSA.Direction?) throws -> UInt8? {
            let body = Self.association { $0.direction = value; $0.hasExtendedSequence = true }.body(Self.gcm).bytes
            return try NetlinkAttributes(body[224...]).all.first { $0.type == 33 }?.value.integer(UInt8.self)
        }
        #expect(try direction(.input) == 1 && direction(.output) == nil && direction(nil) == nil)
    }

    @Test("Every cipher has its keys read back", arguments: EncryptionAlgorithm.allCases)
    func keys(_ encryption: EncryptionAlgorithm) throws {
        for integrity in encryption.isAEAD ? [nil] : IntegrityAlgorithm.allCases.map(Optional.some) {
            let keys = KernelSA.Keys(
                encryption: encryption,
                encryptionKey: Secret([UInt8](repeating: 7, count: encryption.keyLength + encryption.saltLength)),
                integrity: integrity, integrityKey: Secret([UInt8](repeating: 9, count: integrity?.keyLength ?? 0)))
            #expect(try KernelSA.Keys(Self.association().body(keys).bytes[...]) == keys)
        }
    }

    @Test("The truncation of a hash is the one of its RFC")
    func truncation() throws {
        let attributes = try NetlinkAttributes(Self.association().body(Self.cbc).bytes[224...])
        let auth = try #require(attributes.all.first { $0.type == 20 }?.value.bytes)
        #expect(auth.host(UInt32.self, at: 64) == 256 && auth.host(UInt32.self, at: 68) == 128)
    }

    @Test("A message of the kernel is read with its counters")
    func counters() throws {
        var bytes = Self.association().body(Self.cbc).bytes
        bytes.replaceSubrange(160..<168, with: [1, 2, 0, 0, 0, 0, 0, 0])
        bytes[168] = 9
        bytes[196] = 3
        bytes[200] = 4
        let netlink = try Netlink()
        let message = NetlinkMessage(type: 16, flags: 0, sequence: 1, port: 1, body: bytes[...])
        let uses = try Array(repeating: message, count: 3).associationUses(netlink, { "reading" })
        #expect(uses.count == 3)
        #expect(uses.allSatisfy { $0.id == Self.association().id && $0.use.bytes == 513 && $0.use.packets == 9 })
        #expect(uses[0].use.replayed == 3 && uses[0].use.forged == 4)
    }

    static let policies = [
        KernelPolicy(direction: .input, source: prefix("10.0.0.0/8"), destination: prefix("10.2.0.0/16"), isBlock: true),
        KernelPolicy(
            direction: .output,
            selector: KernelSelector(
                source: prefix("2001:db8::/32"), destination: prefix("::/0"), ipProtocol: 17,
                destinationPorts: .init(value: 0x1000, mask: 0xF000)),
            interfaceID: 0x4748_0001, priority: 77, mark: KernelMark(value: 1),
            template: KernelPolicy.Template(
                source: IPAddress("198.51.100.2"), destination: IPAddress("203.0.113.2"), spi: 0xDEAD_BEEF,
                requestID: 5, family: .ipv4)),
        KernelPolicy(
            direction: .forward, selector: .all(.ipv4), interfaceID: 3,
            template: KernelPolicy.Template(requestID: 9, family: .ipv6)),
    ]

    @Test("A policy comes back as it went", arguments: policies)
    func policy(_ policy: KernelPolicy) throws {
        #expect(try KernelPolicy(policy.body.bytes[...]) == policy)
    }

    @Test("Events are told apart")
    func events() throws {
        func event(_ type: UInt16, _ body: [UInt8]) throws -> IPsecEvent? {
            try IPsecEvent(NetlinkMessage(type: type, flags: 0, sequence: 0, port: 0, body: body[...]))
        }
        let association = Self.association()
        let info = association.body(nil).bytes
        let expired = Array(info.prefix(224)) + [1, 0, 0, 0, 0, 0, 0, 0] + Array(info.dropFirst(224))
        #expect(try event(24, expired) == .expired(association, isHard: true))
        var id = NetlinkWriter()
        id.append(association.id)
        #expect(try event(17, id.bytes + info) == .associationRemoved(association.id))
        var moved = id
        moved.append(UInt32(5))
        moved.appendAddress(IPAddress("203.0.113.2"))
        moved.appendAddress(IPAddress("203.0.113.99"))
        moved.append(UInt16(4500).bigEndian)
        moved.append(UInt16(6000).bigEndian)
        #expect(
            try event(38, moved.bytes)
                == .moved(association.id, requestID: 5, address: IPAddress("203.0.113.99")!, port: 6000))
        #expect(try event(28, [50]) == .associationsFlushed)
        #expect(try event(29, []) == .policiesFlushed)
        let policy = Self.policies[1]
        var removed = NetlinkWriter()
        removed.append(policy.id)
        removed.attribute(7, Array(policy.body.bytes.prefix(168)))
        // The attributes of the policy follow; its identity's own are the same.
        removed.append(policy.body.bytes.dropFirst(168))
        #expect(try event(20, removed.bytes) == .policyRemoved(policy))
        #expect(try event(19, policy.body.bytes) == .policyAdded(policy))
        #expect(throws: NetlinkMalformed.self) { try event(24, [1, 2, 3]) }
        #expect(try event(99, []) == nil)
    }

    @Test("No bytes at all make a reader trap", arguments: 16..<40)
    func fuzz(_ type: Int) {
        var generator = SplitMix(state: UInt64(type))
        let seeds = [Self.associations[1].body(Self.cbc).bytes, Self.policies[1].body.bytes]
        for round in 0..<2000 {
            var bytes = seeds[round % 2]
            for _ in 0..<4 { bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next()) }
            bytes = Array(bytes.prefix(Int(generator.next() % UInt64(bytes.count + 1))))
            let message = NetlinkMessage(
                type: UInt16(type), flags: 0, sequence: 0, port: 0, body: bytes[...])
            _ = try? IPsecEvent(message)
            _ = try? KernelSA.Keys(bytes[...])
        }
    }

    @Test("Ranges of ports become masks")
    func ports() {
        typealias Ports = KernelSelector.Ports
        #expect(Ports.covering(0...65535) == [.any])
        #expect(Ports.covering(443...443) == [Ports(value: 443, mask: 0xFFFF)])
        #expect(
            Ports.covering(1...6) == [
                Ports(value: 1, mask: 0xFFFF), Ports(value: 2, mask: 0xFFFE), Ports(value: 4, mask: 0xFFFE),
                Ports(value: 6, mask: 0xFFFF),
            ])
        for range in [UInt16(0)...0, 5...1000, 1024...65535, 65535...65535] {
            let masks = Ports.covering(range)
            for port in UInt16.min...UInt16.max {
                #expect(masks.filter { port & $0.mask == $0.value }.count == (range.contains(port) ? 1 : 0))
            }
        }
    }
}
