import Base
import Cryptography
import ESP
import Testing

/// Selectors that let everything pass.
let everything = SelectorPair(
    local: [Selector(.all(.ipv4)), Selector(.all(.ipv6))], remote: [Selector(.all(.ipv4)), Selector(.all(.ipv6))])

func bytes(_ text: String) throws -> [UInt8] { try #require([UInt8](hexadecimal: text)) }

/// Both halves of an SA with keys that anyone can compute.
struct SAPair {
    let outbound: OutboundSA
    let inbound: InboundSA

    init(
        _ encryption: EncryptionAlgorithm, _ integrity: IntegrityAlgorithm?, esn: Bool = false, window: Int = 64,
        from sequence: UInt64 = 0, newest: UInt64? = nil, selectors: SelectorPair = everything
    ) throws {
        let key = Secret((0..<encryption.keyLength + encryption.saltLength).map { UInt8($0) })
        let integrityKey = Secret((0..<(integrity?.keyLength ?? 0)).map { UInt8($0 + 100) })
        outbound = try OutboundSA(
            spi: 0x1000, encryption: encryption, integrity: integrity, encryptionKey: key, integrityKey: integrityKey,
            extendedSequence: esn, sequence: sequence)
        inbound = try InboundSA(
            spi: 0x1000, encryption: encryption, integrity: integrity, encryptionKey: key, integrityKey: integrityKey,
            extendedSequence: esn, replayWindow: window, selectors: selectors, newest: newest ?? sequence)
    }

    func seal(_ inner: [UInt8]) throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0xEE, count: 70000)
        buffer.replaceSubrange(outbound.format.headerLength..<outbound.format.headerLength + inner.count, with: inner)
        let sealed = buffer.withUnsafeMutableBytes { outbound.seal($0, length: inner.count) }
        guard case .sealed(let length, _) = sealed else {
            Issue.record("not sealed: \(sealed)")
            return []
        }
        return Array(buffer[..<length])
    }

    func open(_ packet: [UInt8]) -> (InboundSA.Opened, [UInt8]) {
        var copy = packet
        let opened = copy.withUnsafeMutableBytes { inbound.open($0) }
        guard case .packet(let inner, let offset, _) = opened else { return (opened, []) }
        return (opened, Array(copy[offset..<offset + inner.length]))
    }
}

/// An IPv4 UDP packet of `length` bytes.
func ipv4Packet(
    length: Int = 100, from: String = "10.1.0.2", to: String = "10.2.0.2", ipProtocol: UInt8 = 17,
    ports: (UInt16, UInt16) = (4001, 4002), fragment: UInt16 = 0x4000, tos: UInt8 = 0
) -> [UInt8] {
    var writer = ByteWriter()
    writer.uint8(0x45)
    writer.uint8(tos)
    writer.uint16(UInt16(length))
    writer.uint16(0x1234)
    writer.uint16(fragment)
    writer.uint8(64)
    writer.uint8(ipProtocol)
    writer.uint16(0)
    writer.append(IPAddress(from)?.bytes ?? [])
    writer.append(IPAddress(to)?.bytes ?? [])
    writer.patchUInt16(checksum(writer.bytes), at: 10)
    writer.uint16(ports.0)
    writer.uint16(ports.1)
    for index in 0..<max(0, length - 24) { writer.uint8(UInt8(truncatingIfNeeded: index)) }
    return Array(writer.bytes[..<length])
}

func ipv6Packet(
    length: Int = 100, from: String = "fd00:1::2", to: String = "fd00:2::2", next: UInt8 = 17, rest: [UInt8]? = nil
) -> [UInt8] {
    var writer = ByteWriter()
    writer.uint32(6 << 28)
    writer.uint16(UInt16((rest?.count).map { $0 } ?? length - 40))
    writer.uint8(next)
    writer.uint8(64)
    writer.append(IPAddress(from)?.bytes ?? [])
    writer.append(IPAddress(to)?.bytes ?? [])
    writer.append(rest ?? [0x0F, 0xA1, 0x0F, 0xA2] + (0..<length - 44).map { UInt8(truncatingIfNeeded: $0) })
    return writer.bytes
}

/// The Internet checksum by the letter of RFC 1071, in host order.
func checksum(_ bytes: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for (index, byte) in bytes.enumerated() { sum += UInt32(byte) << (index % 2 == 0 ? 8 : 0) }
    while sum >> 16 != 0 { sum = (sum & 0xFFFF) + (sum >> 16) }
    return ~UInt16(sum)
}

let suites: [(EncryptionAlgorithm, IntegrityAlgorithm?)] =
    EncryptionAlgorithm.allCases.flatMap { cipher in
        cipher.isAEAD ? [(cipher, nil)] : IntegrityAlgorithm.allCases.map { (cipher, $0) }
    }

@Suite struct SATests {
    @Test(arguments: vectors)
    func opensPacketsOfAnotherImplementation(vector: Vector) throws {
        let cipher = try #require(EncryptionAlgorithm(rawValue: vector.cipher))
        let inbound = try InboundSA(
            spi: 0xC0FF_EE01, encryption: cipher, integrity: IntegrityAlgorithm(rawValue: vector.integrity),
            encryptionKey: Secret(try bytes(vector.key)), integrityKey: Secret(try bytes(vector.integrityKey)),
            extendedSequence: vector.esn, replayWindow: 64, selectors: everything,
            newest: vector.esn ? vector.sequence - 1 : 0)
        var packet = try bytes(vector.packet)
        let opened = packet.withUnsafeMutableBytes { inbound.open($0) }
        guard case .packet(let inner, let offset, true) = opened else {
            Issue.record("\(opened)")
            return
        }
        #expect(packet[offset..<offset + inner.length].hexadecimal == vector.inner)
    }

    /// AEAD packets are the same byte for byte; CBC ones differ by their IV.
    @Test(arguments: vectors.filter { $0.integrity.isEmpty })
    func sealsTheSameBytesAsAnotherImplementation(vector: Vector) throws {
        let cipher = try #require(EncryptionAlgorithm(rawValue: vector.cipher))
        let outbound = try OutboundSA(
            spi: 0xC0FF_EE01, encryption: cipher, integrity: nil, encryptionKey: Secret(try bytes(vector.key)),
            integrityKey: Secret([]), extendedSequence: vector.esn, sequence: vector.sequence - 1)
        let inner = try bytes(vector.inner)
        var buffer = [UInt8](repeating: 0, count: outbound.format.sealedLength(inner.count))
        buffer.replaceSubrange(outbound.format.headerLength..<outbound.format.headerLength + inner.count, with: inner)
        let sealed = buffer.withUnsafeMutableBytes { outbound.seal($0, length: inner.count) }
        #expect(sealed == .sealed(length: buffer.count, isNearExhaustion: false))
        #expect(buffer.hexadecimal == vector.packet)
    }

    @Test(arguments: suites, [false, true])
    func everySuiteCarriesPacketsOfEveryLength(suite: (EncryptionAlgorithm, IntegrityAlgorithm?), esn: Bool) throws {
        let pair = try SAPair(suite.0, suite.1, esn: esn)
        for length in [28, 29, 30, 31, 32, 33, 47, 48, 49, 576, 1399, 1446, 9000, 65535] {
            let inner = ipv4Packet(length: length)
            let packet = try pair.seal(inner)
            #expect(packet.count == pair.outbound.format.sealedLength(length))
            #expect(pair.open(packet).1 == inner)
        }
        #expect(pair.outbound.sequence == 14)
    }

    @Test func cbcNeverUsesAnInitialisationVectorTwiceAndHidesTheCounter() throws {
        let pair = try SAPair(.aes128, .sha256)
        var seen: Set<[UInt8]> = []
        for _ in 0..<1000 { seen.insert(Array(try pair.seal(ipv4Packet())[8..<24])) }
        #expect(seen.count == 1000)
        #expect(seen.filter { $0.starts(with: [0, 0, 0, 0]) }.isEmpty)
    }

    @Test func trafficFlowPaddingIsCutOff() throws {
        let inbound = try InboundSA(
            spi: 1, encryption: .aes128gcm16, integrity: nil, encryptionKey: Secret(try bytes(paddedVector.key)),
            integrityKey: Secret([]), extendedSequence: false, replayWindow: 64, selectors: everything)
        var packet = try bytes(paddedVector.packet)
        guard case .packet(let inner, _, _) = packet.withUnsafeMutableBytes({ inbound.open($0) }) else {
            Issue.record("refused")
            return
        }
        #expect(inner.length == 48)
    }

    @Test(arguments: suites)
    func everyChangedBitIsForgedAndMovesNothing(suite: (EncryptionAlgorithm, IntegrityAlgorithm?)) throws {
        let pair = try SAPair(suite.0, suite.1)
        let genuine = try pair.seal(ipv4Packet(length: 40))
        for index in 4..<genuine.count {
            var packet = genuine
            packet[index] ^= 0x40
            #expect(pair.open(packet).0 == .forged, "byte \(index)")
        }
        #expect(pair.open(genuine).1 == ipv4Packet(length: 40))
        #expect(pair.open(genuine).0 == .replayed)
    }

    @Test func theHighHalfOfAnExtendedNumberIsAuthenticated() throws {
        for suite in [(EncryptionAlgorithm.aes128gcm16, nil), (.aes128, IntegrityAlgorithm.sha1)] {
            let sender = try SAPair(suite.0, suite.1, esn: true, from: 1 << 32)
            let receiver = try SAPair(suite.0, suite.1, esn: true)
            #expect(receiver.open(try sender.seal(ipv4Packet())).0 == .forged)
        }
    }

    @Test func extendedNumbersRunOnAcrossTheEndOfTheLowHalf() throws {
        let pair = try SAPair(.aes256gcm16, nil, esn: true, from: 0xFFFF_FFF0)
        var packets: [[UInt8]] = []
        for _ in 0..<40 { packets.append(try pair.seal(ipv4Packet())) }
        #expect(pair.outbound.sequence == 0x1_0000_0018)
        for packet in packets[20...] { #expect(pair.open(packet).1 == ipv4Packet()) }
        // Late ones from before the turn are still within the window.
        for packet in packets[..<20] { #expect(pair.open(packet).1 == ipv4Packet()) }
        for packet in packets { #expect(pair.open(packet).0 == .replayed) }
    }

    @Test func numbersNeverWrapWithoutExtension() throws {
        let pair = try SAPair(.aes128gcm16, nil, from: UInt64(UInt32.max) - 1)
        #expect(pair.open(try pair.seal(ipv4Packet())).1 == ipv4Packet())
        var buffer = [UInt8](repeating: 0, count: 200)
        buffer.replaceSubrange(16..<116, with: ipv4Packet())
        #expect(buffer.withUnsafeMutableBytes { pair.outbound.seal($0, length: 100) } == .exhausted)
        #expect(pair.outbound.sequence == UInt64(UInt32.max))
    }

    @Test func warnsOnceAheadOfExhaustion() throws {
        let pair = try SAPair(.aes128gcm16, nil, from: 1 << 32 - 1 << 28 - 2)
        var warnings: [Bool] = []
        for _ in 0..<4 {
            var buffer = [UInt8](repeating: 0, count: 200)
            buffer.replaceSubrange(16..<116, with: ipv4Packet())
            guard case .sealed(_, let isNear) = buffer.withUnsafeMutableBytes({ pair.outbound.seal($0, length: 100) })
            else { continue }
            warnings.append(isNear)
        }
        #expect(warnings == [false, true, false, false])
    }

    @Test func refusesWhatIsNoPacketOrDoesNotFit() throws {
        let pair = try SAPair(.aes128, .sha256)
        var buffer = [UInt8](repeating: 0, count: 120)
        #expect(buffer.withUnsafeMutableBytes { pair.outbound.seal($0, length: 40) } == .unsuitable)
        buffer[24] = 0x45
        #expect(buffer.withUnsafeMutableBytes { pair.outbound.seal($0, length: 100) } == .unsuitable)
        #expect(buffer.withUnsafeMutableBytes { pair.outbound.seal($0, length: 0) } == .unsuitable)
        #expect(buffer.withUnsafeMutableBytes { pair.outbound.seal($0, length: 70000) } == .unsuitable)
        #expect(pair.outbound.sequence == 0)
    }

    @Test(arguments: suites)
    func anyBytesAreRefusedWithoutHarm(suite: (EncryptionAlgorithm, IntegrityAlgorithm?)) throws {
        let pair = try SAPair(suite.0, suite.1, esn: true)
        for length in 0..<200 {
            var state = UInt64(length) &* 0x9E37_79B9_7F4A_7C15 | 1
            let noise = (0..<length).map { _ -> UInt8 in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return UInt8(truncatingIfNeeded: state >> 33)
            }
            switch pair.open(noise).0 {
            case .malformed, .replayed, .forged: break
            case let other: Issue.record("\(length) bytes: \(other)")
            }
        }
    }

    @Test func keysOfTheWrongLengthAreRefusedByName() {
        #expect(throws: PacketCipher.Refusal.encryptionKeyLength(expected: 20, given: 16)) {
            try PacketCipher(
                .seal, encryption: .aes128gcm16, integrity: nil,
                encryptionKey: Secret([UInt8](repeating: 0, count: 16)),
                integrityKey: Secret([]), extendedSequence: false)
        }
        #expect(throws: PacketCipher.Refusal.integrityMismatch) {
            try PacketCipher(
                .seal, encryption: .aes128, integrity: nil, encryptionKey: Secret([UInt8](repeating: 0, count: 16)),
                integrityKey: Secret([]), extendedSequence: false)
        }
        #expect(throws: PacketCipher.Refusal.integrityKeyLength(expected: 32, given: 20)) {
            try PacketCipher(
                .open, encryption: .aes128, integrity: .sha256,
                encryptionKey: Secret([UInt8](repeating: 0, count: 16)),
                integrityKey: Secret([UInt8](repeating: 0, count: 20)), extendedSequence: false)
        }
    }
}
