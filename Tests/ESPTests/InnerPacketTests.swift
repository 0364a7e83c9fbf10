import Base
import Cryptography
import ESP
import Testing

func read(_ bytes: [UInt8]) -> InnerPacket? { bytes.withUnsafeBytes { InnerPacket($0) } }

@Suite struct InnerPacketTests {
    @Test func readsIPv4() throws {
        let packet = try #require(read(ipv4Packet(length: 60, tos: 0x2A) + [9, 9, 9]))
        #expect(packet.length == 60)
        #expect(packet.source == IPAddress("10.1.0.2") && packet.destination == IPAddress("10.2.0.2"))
        #expect(packet.ports?.source == 4001 && packet.ports?.destination == 4002)
        #expect(packet.mustNotFragment && !packet.isFragment && packet.trafficClass == 0x2A)
    }

    @Test func laterFragmentsShowNoPorts() throws {
        let first = try #require(read(ipv4Packet(fragment: 0x2000)))
        #expect(first.isFragment && first.ports != nil && !first.mustNotFragment)
        let later = try #require(read(ipv4Packet(fragment: 0x00B9)))
        #expect(later.isFragment && later.ports == nil)
    }

    @Test func extensionHeadersOfIPv6ArePassedOver() throws {
        let udp: [UInt8] = [0x0F, 0xA1, 0x0F, 0xA2, 0, 8, 0, 0]
        let hops: [UInt8] = [60, 0, 1, 4, 0, 0, 0, 0]
        let options: [UInt8] = [17, 1] + [UInt8](repeating: 0, count: 14)
        let packet = try #require(read(ipv6Packet(next: 0, rest: hops + options + udp)))
        #expect(packet.ipProtocol == 17 && packet.transportOffset == 64)
        #expect(packet.ports?.source == 4001 && packet.ports?.destination == 4002)
        let fragment = try #require(read(ipv6Packet(next: 44, rest: [17, 0, 0, 8, 0, 0, 0, 1] + udp)))
        #expect(fragment.isFragment && fragment.ports == nil && fragment.ipProtocol == 17)
    }

    @Test func lengthsThatLieAreRefused() {
        var long = ipv4Packet(length: 60)
        long[3] = 61
        #expect(read(long) == nil)
        var header = ipv4Packet(length: 60)
        header[0] = 0x44
        #expect(read(header) == nil)
        header[0] = 0x4F
        #expect(read(Array(header[..<40])) == nil)
        var six = ipv6Packet()
        six[5] += 1
        #expect(read(six) == nil)
        #expect(read([0x50] + [UInt8](repeating: 0, count: 60)) == nil)
        #expect(read([]) == nil)
    }

    @Test func anyBytesAreReadWithoutHarm() {
        var draw = Draw(7)
        let clamp = MSSClamp(mtu: 1400)
        var parsed = 0
        for round in 0..<30_000 {
            var bytes = (0..<Int.random(in: 0...160, using: &draw)).map { _ in UInt8.random(in: 0...255, using: &draw) }
            if bytes.count > 40 {
                // Most have a plausible head, so that the deeper checks are reached.
                bytes[0] = round % 2 == 0 ? 0x45 + UInt8(round % 7) : 0x60
                if round % 2 == 0 {
                    bytes[2] = 0
                    bytes[3] = UInt8(bytes.count - round % 3)
                    bytes[9] = [6, 17, 1, 50][round / 2 % 4]
                } else {
                    bytes[4] = 0
                    bytes[5] = UInt8(bytes.count - 40)
                    bytes[6] = [0, 43, 44, 51, 60, 6, 58][round / 2 % 7]
                }
            }
            guard let packet = read(bytes) else { continue }
            parsed += 1
            #expect(packet.length <= bytes.count && packet.transportOffset <= packet.length)
            _ = everything.permitsInbound(packet)
            _ = TCPSplitterProbe.count(bytes, packet)
            bytes.withUnsafeMutableBytes { _ = clamp.apply($0, packet) }
            var buffer = [UInt8](repeating: 0, count: 1280)
            let answer = buffer.withUnsafeMutableBytes { buffer in
                bytes.withUnsafeBytes { PacketTooBig.write(answering: $0, packet, mtu: 1300, into: buffer) }
            }
            #expect((answer ?? 0) <= 1280)
        }
        #expect(parsed > 10_000)
    }
}

/// Runs a splitter over whatever it accepts.
enum TCPSplitterProbe {
    static func count(_ bytes: [UInt8], _ packet: InnerPacket) -> Int {
        bytes.withUnsafeBytes { raw in
            guard let splitter = TCPSplitter(raw, packet, segmentSize: 7) else { return 0 }
            var target = [UInt8](repeating: 0, count: splitter.largest)
            for index in 0..<splitter.count { _ = target.withUnsafeMutableBytes { splitter.write(index, to: $0) } }
            return splitter.count
        }
    }
}

@Suite struct SelectorTests {
    private func selector(_ text: String, _ ipProtocol: UInt8 = 0, _ ports: ClosedRange<UInt16> = 0...65535) throws
        -> Selector
    {
        let prefix = try #require(IPPrefix(text))
        return Selector(
            first: prefix.first, last: prefix.last, ipProtocol: ipProtocol, firstPort: ports.lowerBound,
            lastPort: ports.upperBound)
    }

    @Test func bothEndsMustFitInTheirDirection() throws {
        let pair = SelectorPair(local: [try selector("10.1.0.0/16")], remote: [try selector("10.2.0.0/16")])
        let out = try #require(read(ipv4Packet()))
        let back = try #require(read(ipv4Packet(from: "10.2.0.2", to: "10.1.0.2")))
        #expect(pair.permitsOutbound(out) && !pair.permitsInbound(out))
        #expect(pair.permitsInbound(back) && !pair.permitsOutbound(back))
        #expect(!pair.permitsOutbound(try #require(read(ipv4Packet(from: "10.3.0.2")))))
        #expect(!pair.permitsOutbound(try #require(read(ipv6Packet()))))
    }

    @Test func portsAndProtocolsAreHonoured() throws {
        let pair = SelectorPair(
            local: [try selector("10.1.0.0/16", 17, 4001...4001)], remote: [try selector("10.2.0.0/16", 17)])
        #expect(pair.permitsOutbound(try #require(read(ipv4Packet()))))
        #expect(!pair.permitsOutbound(try #require(read(ipv4Packet(ports: (4000, 4002))))))
        #expect(!pair.permitsOutbound(try #require(read(ipv4Packet(ipProtocol: 6)))))
        // A later fragment hides its ports.
        #expect(!pair.permitsOutbound(try #require(read(ipv4Packet(fragment: 0x00B9)))))
        let anyPort = SelectorPair(local: [try selector("10.1.0.0/16", 17)], remote: [try selector("10.2.0.0/16", 17)])
        #expect(anyPort.permitsOutbound(try #require(read(ipv4Packet(fragment: 0x00B9)))))
    }

    @Test func aPacketOutsideIsRefusedAfterItProvedGenuine() throws {
        let pair = SelectorPair(local: [try selector("10.2.0.0/16")], remote: [try selector("10.1.0.0/16")])
        let sa = try SAPair(.aes128gcm16, nil, selectors: pair)
        #expect(sa.open(try sa.seal(ipv4Packet(from: "10.9.0.1"))).0 == .outsideSelectors)
        #expect(sa.open(try sa.seal(ipv4Packet())).1 == ipv4Packet())
        #expect(sa.open(try sa.seal(ipv6Packet())).0 == .outsideSelectors)
    }
}
