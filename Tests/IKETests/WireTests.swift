import Base
import Cryptography
@testable import IKE
import Testing

/// Bytes and values of the payloads.
struct WireTests {
    private func payloads(_ first: UInt8, _ text: String) throws(MessageError) -> Payloads {
        try Payloads(first: first, ([UInt8](hexadecimal: text) ?? [])[...])
    }

    @Test func anSAPayloadReadsAndWritesTheSame() throws {
        // AES-CBC-128, HMAC-SHA1 PRF and integrity, group 2, as RFC 7296 §3.3 lays them out.
        let body = """
            0000002c 01010004 0300000c 0100000c 800e0080 03000008 02000002 03000008 03000002 00000008 04000002
            """
        let bytes = try #require([UInt8](hexadecimal: body))
        let proposals = try Proposal.parse(bytes[...])
        #expect(proposals.summary == "aes128-sha1-prfsha1-modp1024")
        var writer = ByteWriter()
        Proposal.write(proposals, to: &writer)
        #expect(writer.bytes == bytes)
        let offer = IKEProposal(encryption: [.aes128], integrity: [.sha1], prf: [.sha1], groups: [.modp1024])
        var ours = ByteWriter()
        Proposal.write(Negotiation.wire([offer]), to: &ours)
        #expect(ours.bytes == bytes)
    }

    @Test func aeadAndOtherCiphersNeverShareAProposal() {
        let offer = IKEProposal(
            encryption: [.aes256gcm16, .aes256, .chacha20poly1305], integrity: [.sha256], prf: [.sha256],
            groups: [.ecp256])
        let wire = Negotiation.wire([offer])
        #expect(wire.map(\.number) == [1, 2])
        #expect(wire.summary == "aes256gcm16/chacha20poly1305-prfsha256-ecp256, aes256-sha256-prfsha256-ecp256")
        let esp = ESPProposal(
            encryption: [.aes128, .aes128gcm16], integrity: [.sha1], groups: [.ecp256], esn: [true, false])
        #expect(
            Negotiation.wire([esp], spi: 1, withGroups: false).summary == "aes128-sha1-esn/noesn, aes128gcm16-esn/noesn"
        )
    }

    @Test func integrityNoneIsFineWithAnAEADCipherOnly() {
        let offer = IKEProposal(
            encryption: [.aes128gcm16, .aes128], integrity: [.sha256], prf: [.sha256], groups: [.ecp256])
        let common = [Transform(PRFAlgorithm.sha256), Transform(DHGroup.ecp256), Transform(type: 3, id: 0)]
        let aead = Proposal(
            number: 1, protocolID: 1, spi: [], transforms: [Transform(EncryptionAlgorithm.aes128gcm16)] + common)
        let plain = Proposal(
            number: 1, protocolID: 1, spi: [], transforms: [Transform(EncryptionAlgorithm.aes128)] + common)
        #expect(Negotiation.choose([offer], from: [aead], keyExchangeGroup: nil)?.suite.encryption == .aes128gcm16)
        #expect(Negotiation.choose([offer], from: [plain], keyExchangeGroup: nil) == nil)
    }

    @Test func unknownAttributesSpoilTheTransformAndUnknownTypesTheProposal() {
        let offer = IKEProposal(encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: [.ecp256])
        var proposal = Negotiation.wire([offer])[0]
        #expect(Negotiation.choose([offer], from: [proposal], keyExchangeGroup: nil) != nil)
        proposal.transforms.append(Transform(type: 9, id: 1))
        #expect(Negotiation.choose([offer], from: [proposal], keyExchangeGroup: nil) == nil)
        proposal.transforms.removeLast()
        proposal.transforms[0].hasUnknownAttribute = true
        #expect(Negotiation.choose([offer], from: [proposal], keyExchangeGroup: nil) == nil)
    }

    @Test func anAnswerMustBeOneChoiceOfOurOffer() throws {
        let offer = IKEProposal(encryption: [.aes128, .aes256], integrity: [.sha1], prf: [.sha1], groups: [.modp1024])
        let offered = Negotiation.wire([offer])
        var good = offered[0]
        good.transforms.removeAll { $0.keyLength == 256 }
        #expect(try Negotiation.checkAnswer([good], against: offered) == good)
        var foreign = good
        foreign.transforms[0] = Transform(EncryptionAlgorithm.aes192)
        var numbered = good
        numbered.number = 2
        for bad in [[], [good, good], offered, [foreign], [numbered]] {
            #expect(throws: MessageError.self) { try Negotiation.checkAnswer(bad, against: offered) }
        }
    }

    @Test func theKeyExchangesGroupIsPreferred() {
        let offer = IKEProposal(
            encryption: [.aes128gcm16], integrity: [], prf: [.sha256], groups: [.ecp384, .ecp256])
        let theirs = Negotiation.wire([offer])
        #expect(Negotiation.choose([offer], from: theirs, keyExchangeGroup: 19)?.suite.group == .ecp256)
        #expect(Negotiation.choose([offer], from: theirs, keyExchangeGroup: 14)?.suite.group == .ecp384)
    }

    @Test func malformedPayloadsTellWhereAndWhy() {
        let cases: [(UInt8, String, String)] = [
            (40, "00000008 01020304", "Nonce at offset 0: 4 bytes; RFC 7296 wants 16 to 256"),
            (41, "00000003", "payload Notify length at offset 2: 3 is less than its own header"),
            (41, "00000010 0000", "payload Notify length at offset 4: needs 12 bytes at offset 4, has 2"),
            (41, "00000008 03040001", "Notify at offset 8: needs 4 bytes at offset 8, has 0"),
            (42, "0000000c 03040002 00000001", "Delete at offset 8: 2 SPIs of 4 bytes in 4 bytes"),
            (42, "00000008 03080000 ff", "payload chain at offset 8: 1 bytes behind the last payload"),
            (35, "0000000a 01000000 0102", "IDi at offset 8: an IPv4 address of 2 bytes"),
            (39, "00000006 0200", "AUTH at offset 0: needs 4 bytes, has 2"),
            (
                44, "00000018 01000000 07000010 0000ffff 0a000002 0a000001",
                "TSi selector 1 at offset 16: the range ends before it begins"
            ),
            (33, "0000000c 01000008 01010000", "SA proposal 1 at offset 4: last-substructure byte is 1, not 0 or 2"),
        ]
        for (type, bytes, words) in cases {
            do {
                _ = try payloads(type, bytes)
                Issue.record("accepted \(bytes)")
            } catch {
                #expect(error.description == words)
                #expect(error.fault == .malformed)
                #expect(error.answer == .invalidSyntax)
            }
        }
    }

    @Test func payloadsThatMayComeOnceAreRefusedTwice() {
        let nonce = "00000014" + String(repeating: "00", count: 16)
        #expect(throws: MessageError.self) { try payloads(40, "28" + nonce.dropFirst(2) + nonce) }
    }

    @Test func selectorsNarrowToWhatBothHave() {
        let any = Pair.selector("0.0.0.0/0")
        let ten = Pair.selector("10.0.0.0/8")
        let part = Pair.selector("10.2.0.0/16")
        let other = Pair.selector("192.168.0.0/16")
        #expect(TrafficSelector.narrow([any], to: [part]) == [part])
        #expect(TrafficSelector.narrow([part], to: [any]) == [part])
        #expect(TrafficSelector.narrow([ten, part], to: [any]) == [ten])
        #expect(TrafficSelector.narrow([part, ten], to: [any]) == [ten])
        #expect(TrafficSelector.narrow([part], to: [other]).isEmpty)
        #expect(TrafficSelector.narrow([any], to: [Pair.selector("::/0")]).isEmpty)
        var web = any
        web.ipProtocol = 6
        web.firstPort = 80
        web.lastPort = 443
        let narrowed = TrafficSelector.narrow([web], to: [part])
        #expect(narrowed.summary == "10.2.0.0/16[protocol 6 ports 80-443]")
        var udp = any
        udp.ipProtocol = 17
        #expect(TrafficSelector.narrow([web], to: [udp]).isEmpty)
        var opaque = any
        opaque.firstPort = 65535
        opaque.lastPort = 0
        #expect(TrafficSelector.narrow([any], to: [opaque]).isEmpty)
    }

    @Test func selectorsReadAndWriteTheSame() throws {
        let selectors = [Pair.selectorA, Pair.selector("2001:db8::/32"), Pair.selector("0.0.0.0/0")]
        var writer = ByteWriter()
        TrafficSelector.write(selectors, to: &writer)
        #expect(try TrafficSelector.parse(writer.bytes[...], "TSi") == selectors)
    }

    @Test func deadlinesComeOutInOrderWhateverIsSetAndRemoved() {
        var heap = DeadlineHeap()
        var reference: [Int: Tick] = [:]
        var random = SmallRandom(3)
        for _ in 0..<5000 {
            let slot = Int(random.next(below: 200))
            if random.next(below: 3) == 0 {
                heap.set(slot, nil)
                reference[slot] = nil
            } else {
                let tick = Tick(nanoseconds: Int64(random.next(below: 1000)))
                heap.set(slot, (tick, .liveness))
                reference[slot] = tick
            }
            #expect(heap.first?.tick == reference.values.min())
            #expect(heap.count == reference.count)
        }
    }
}
