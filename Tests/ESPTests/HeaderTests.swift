import Base
import Cryptography
import ESP
import Testing

/// A TCP packet whose checksums are right.
func tcpPacket(
    isIPv4: Bool = true, options: [UInt8] = [], payload: [UInt8] = [], flags: UInt8 = 0x10, sequence: UInt32 = 1000,
    acknowledgement: UInt32 = 77, identification: UInt16 = 100, ports: (UInt16, UInt16) = (5000, 80), tos: UInt8 = 0
) -> [UInt8] {
    var tcp = ByteWriter()
    tcp.uint16(ports.0)
    tcp.uint16(ports.1)
    tcp.uint32(sequence)
    tcp.uint32(acknowledgement)
    tcp.uint8(UInt8(5 + options.count / 4) << 4)
    tcp.uint8(flags)
    tcp.uint16(512)
    tcp.uint32(0)
    tcp.append(options)
    tcp.append(payload)
    var head = ByteWriter()
    if isIPv4 {
        head.uint8(0x45)
        head.uint8(tos)
        head.uint16(UInt16(20 + tcp.count))
        head.uint16(identification)
        head.uint16(0x4000)
        head.uint32(0x4006_0000)
        head.append([10, 1, 0, 2, 10, 2, 0, 2])
        head.patchUInt16(checksum(head.bytes), at: 10)
    } else {
        head.uint32(6 << 28 | UInt32(tos) << 20)
        head.uint16(UInt16(tcp.count))
        head.uint16(0x0640)
        head.append(IPAddress("fd00:1::2")?.bytes ?? [])
        head.append(IPAddress("fd00:2::2")?.bytes ?? [])
    }
    tcp.patchUInt16(tcpChecksum(head.bytes + tcp.bytes), at: 16)
    return head.bytes + tcp.bytes
}

/// What the checksum of the TCP header should be (0 over a packet whose field is right).
func tcpChecksum(_ packet: [UInt8]) -> UInt16 {
    let isIPv4 = packet[0] >> 4 == 4
    let start = isIPv4 ? 20 : 40
    let length = packet.count - start
    return checksum(
        Array(isIPv4 ? packet[12..<20] : packet[8..<40]) + [0, 6, UInt8(length >> 8), UInt8(length & 255)]
            + packet[start...])
}

func hasRightChecksums(_ packet: [UInt8]) -> Bool {
    tcpChecksum(packet) == 0 && (packet[0] >> 4 == 6 || checksum(Array(packet[..<20])) == 0)
}

@Suite struct HeaderTests {
    @Test func sumsAgreeWithThePlainAlgorithm() {
        var draw = Draw(3)
        for length in Array(0...200) + [1399, 1400, 9001, 65535] {
            let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &draw) }
            var sum = Checksum()
            bytes.withUnsafeBytes { sum.add($0) }
            #expect(UInt16(bigEndian: sum.stored) == checksum(bytes), "\(length) bytes")
        }
        var ones = Checksum()
        [UInt8](repeating: 0xFF, count: 65536).withUnsafeBytes { ones.add($0) }
        #expect(ones.folded == 0xFFFF)
    }

    /// RFC 6040, figure 4: rows are the inner, columns the outer mark; nil drops the packet.
    @Test(
        arguments: [
            (0, [0, 0, 0, nil]), (2, [2, 1, 2, 3]), (1, [1, 1, 1, 3]), (3, [3, 3, 3, 3]),
        ] as [(UInt8, [UInt8?])])
    func marksLeaveTheTunnelAsTheTableSays(inner: UInt8, expected: [UInt8?]) {
        // The figure lists Not-ECT, ECT(0), ECT(1), CE; numbers here are the code points 0, 1, 2, 3.
        for outer in 0..<4 as Range<UInt8> {
            for var packet in [ipv4Packet(tos: 0xB8 | inner), tcpPacket(isIPv4: false, tos: 0xB8 | inner)] {
                let isKept = packet.withUnsafeMutableBytes { ECN.decapsulate($0, inner: 0xB8 | inner, outer: outer) }
                #expect(isKept == (expected[Int(outer)] != nil))
                guard let mark = expected[Int(outer)] else { continue }
                #expect(read(packet)?.trafficClass == 0xB8 | mark, "inner \(inner), outer \(outer)")
                if packet[0] >> 4 == 4 { #expect(checksum(Array(packet[..<20])) == 0) }
            }
        }
    }

    @Test(arguments: [true, false], [[], [1], [1, 1, 1], [4, 2, 1]] as [[UInt8]])
    func synsAnnounceNoMoreThanTheTunnelCarries(isIPv4: Bool, before: [UInt8]) throws {
        let clamp = MSSClamp(mtu: 1400)
        var options = before + [2, 4, 0x05, 0xB4]
        while options.count % 4 != 0 { options.append(0) }
        var packet = tcpPacket(isIPv4: isIPv4, options: options, flags: 0x12)
        let inner = try #require(read(packet))
        #expect(packet.withUnsafeMutableBytes { clamp.apply($0, inner) })
        let at = (isIPv4 ? 40 : 60) + before.count + 2
        #expect(Int(packet[at]) << 8 | Int(packet[at + 1]) == (isIPv4 ? 1360 : 1340))
        #expect(hasRightChecksums(packet))
        #expect(!packet.withUnsafeMutableBytes { clamp.apply($0, inner) })
    }

    @Test func onlySynsAreClampedAndNeverUpwards() throws {
        let clamp = MSSClamp(mtu: 1400, mss: 1300)
        #expect(clamp.ipv4 == 1300 && clamp.ipv6 == 1280)
        for (options, flags) in [
            ([2, 4, 5, 0xB4], 0x10), ([2, 4, 2, 0], 0x02), ([3, 3, 7, 0], 0x02), ([2, 9, 9, 9], 0x02),
            ([2, 0, 5, 0xB4], 0x02),
        ] as [([UInt8], UInt8)] {
            var packet = tcpPacket(options: options, flags: flags)
            let same = packet
            let inner = try #require(read(packet))
            #expect(!packet.withUnsafeMutableBytes { clamp.apply($0, inner) })
            #expect(packet == same)
        }
    }

    @Test func tooLongPacketsAreAnsweredInTheirOwnFamily() throws {
        var buffer = [UInt8](repeating: 0xEE, count: 1280)
        let four = ipv4Packet(length: 1500)
        let length4 = try #require(
            buffer.withUnsafeMutableBytes { to in
                four.withUnsafeBytes { PacketTooBig.write(answering: $0, read(four)!, mtu: 1438, into: to) }
            })
        let answer4 = Array(buffer[..<length4])
        #expect(length4 == 576)
        #expect(checksum(Array(answer4[..<20])) == 0 && checksum(Array(answer4[20...])) == 0)
        #expect(answer4[20...27].elementsEqual([3, 4, answer4[22], answer4[23], 0, 0, 0x05, 0x9E]))
        #expect(read(answer4)?.destination == IPAddress("10.1.0.2"))
        #expect(answer4[28...].elementsEqual(four[..<548]))

        let six = ipv6Packet(length: 1500)
        let length6 = try #require(
            buffer.withUnsafeMutableBytes { to in
                six.withUnsafeBytes { PacketTooBig.write(answering: $0, read(six)!, mtu: 1438, into: to) }
            })
        let answer6 = Array(buffer[..<length6])
        #expect(length6 == 1280)
        #expect(answer6[40] == 2 && answer6[44...47].elementsEqual([0, 0, 0x05, 0x9E]))
        let size = length6 - 40
        #expect(checksum(Array(answer6[8..<40]) + [UInt8(size >> 8), UInt8(size & 255), 0, 58] + answer6[40...]) == 0)
    }

    @Test func errorsFragmentsAndMulticastAreNotAnswered() throws {
        var buffer = [UInt8](repeating: 0, count: 1280)
        func isAnswered(_ packet: [UInt8]) throws -> Bool {
            let inner = try #require(read(packet))
            return buffer.withUnsafeMutableBytes { to in
                packet.withUnsafeBytes { PacketTooBig.write(answering: $0, inner, mtu: 1400, into: to) } != nil
            }
        }
        #expect(try !isAnswered(ipv4Packet(length: 1500, ipProtocol: 1, ports: (0x0301, 0))))
        #expect(try isAnswered(ipv4Packet(length: 1500, ipProtocol: 1, ports: (0x0800, 0))))
        #expect(try !isAnswered(ipv4Packet(length: 1500, fragment: 0x40B9)))
        #expect(try !isAnswered(ipv4Packet(length: 1500, to: "224.0.0.5")))
        #expect(try !isAnswered(ipv6Packet(length: 1500, next: 58, rest: [1, 0] + [UInt8](repeating: 0, count: 1458))))
    }

    /// The MTU table of the AWS Site-to-Site VPN user guide ("best practices for a customer gateway device").
    @Test(
        arguments: [
            (.aes128gcm16, nil, 1446, 1438), (.aes256gcm16, nil, 1446, 1438), (.aes128, .sha1, 1438, 1422),
            (.aes256, .sha256, 1438, 1422), (.aes256, .sha384, 1422, 1422), (.aes256, .sha512, 1422, 1406),
        ] as [(EncryptionAlgorithm, IntegrityAlgorithm?, Int, Int)])
    func theLargestInnerPacketIsWhatAWSSays(
        encryption: EncryptionAlgorithm, integrity: IntegrityAlgorithm?, plain: Int, inUDP: Int
    ) {
        let format = ESPFormat(encryption: encryption, integrity: integrity)
        #expect(format.largestInner(outsideMTU: 1500, outside: .ipv4, inUDP: false) == plain)
        #expect(format.largestInner(outsideMTU: 1500, outside: .ipv4, inUDP: true) == inUDP)
        #expect(format.sealedLength(plain) + 20 <= 1500 && format.sealedLength(plain + 1) + 20 > 1500)
        #expect(format.sealedLength(inUDP) + 28 <= 1500 && format.sealedLength(inUDP + 1) + 28 > 1500)
    }
}
