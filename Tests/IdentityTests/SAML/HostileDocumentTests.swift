import Base
import Cryptography
import Testing
import XML

@testable import Identity

/// Documents that are meant to harm: all end in a refusal, and soon.
@Suite struct HostileDocumentTests {
    @Test func hugeAndDeepDocumentsAreRefused() throws {
        let parts = TestProvider.Parts()
        func deep(_ count: Int) -> String {
            String(repeating: "<x>", count: count) + String(repeating: "</x>", count: count)
        }
        // With the Response itself there are 32 levels: nothing is wrong with them, but that an assertion is missing.
        #expect(TestProvider.refusal(Array(parts.response(deep(31)).utf8)) == .structure)
        for depth in [32, 200, 5000] {
            #expect(TestProvider.refusal(Array(parts.response(deep(depth)).utf8)) == .size)
        }
        for count in [20_000, 300_000] {
            let many = String(repeating: "<x/>", count: count)
            #expect(TestProvider.refusal(Array(parts.response(many).utf8)) == .size)
        }
        let attributes = (0..<5000).map { " a\($0)=\"\"" }.joined()
        #expect(TestProvider.refusal(Array(parts.response("<x\(attributes)/>").utf8)) == .size)
        let namespaces = (0..<100).map { " xmlns:n\($0)=\"urn:\($0)\"" }.joined()
        #expect(TestProvider.refusal(Array(parts.response("<x\(namespaces)><y\(namespaces)/></x>").utf8)) == .size)
        // As many as a provider with hundreds of groups sends, one beside the other.
        var many = parts
        many.attributes =
            "<a:AttributeStatement><a:Attribute Name=\"groups\">"
            + (0..<800).map {
                "<a:AttributeValue xmlns:i=\"\(Names.schemaInstance)\" i:type=\"s\">g\($0)</a:AttributeValue>"
            }.joined() + "</a:Attribute></a:AttributeStatement>"
        #expect(try TestProvider.verdict(many.document()).get().subject.groups.count == 800)
    }

    /// A signed response with elements within elements, each with a namespace of a long name, many empty ones inside,
    /// and a PrefixList for SignedInfo. libxml2 looked for every prefix at every element, among those of all around,
    /// byte by byte.
    private func prefixStorm(depth: Int, name: Int, elements: Int, list: String) throws -> [UInt8] {
        let prefix = String(repeating: "n", count: name)
        let open = (0..<depth).map { "<\(prefix)\($0):x xmlns:\(prefix)\($0)=\"urn:x\">" }
        let close = (0..<depth).reversed().map { "</\(prefix)\($0):x>" }
        let storm = open.joined() + String(repeating: "<a/>", count: elements) + close.joined()
        let inclusive =
            "<i:InclusiveNamespaces xmlns:i=\"\(Names.exclusiveCanonicalization)\" PrefixList=\"\(list)\"/>"
        let signed = String(decoding: try TestProvider.Parts().document(sign: .response), as: UTF8.self)
        let listed = try signed.replacing(
            once: "></ds:CanonicalizationMethod>", with: ">\(inclusive)</ds:CanonicalizationMethod>")
        return Array(try listed.replacing(once: "</p:Response>", with: storm + "</p:Response>").utf8)
    }

    @Test func prefixesAreNotLookedForAllOverAStrangersDocument() throws {
        let word = String(repeating: "n", count: 64)
        let list = [String](repeating: word, count: 32).joined(separator: " ")
        // A megabyte that took minutes.
        let worst = try prefixStorm(depth: 120, name: 2000, elements: 60_000, list: list)
        #expect(worst.count > 900_000 && worst.count <= ResponseVerifier.sizeLimit)
        #expect(TestProvider.refusal(worst) == .size)
        // Each bound by itself.
        #expect(TestProvider.refusal(try prefixStorm(depth: 20, name: 260, elements: 9, list: "xs")) == .size)
        #expect(TestProvider.refusal(try prefixStorm(depth: 32, name: 9, elements: 9, list: "xs")) == .size)
        #expect(TestProvider.refusal(try prefixStorm(depth: 9, name: 9, elements: 20_000, list: "xs")) == .size)
        // As much as is read: two thousand million steps when the whole document was gone through for SignedInfo, and a
        // few thousand when it is taken by itself. What was put into SignedInfo is not signed.
        let full = try prefixStorm(depth: 29, name: 240, elements: 19_000, list: list)
        #expect(TestProvider.refusal(full) == .signature)
    }

    @Test func prefixListsAreShort() throws {
        func refusal(_ list: String) throws -> SAMLRefusal.Reason? {
            try TestProvider.refusal(TestProvider.Parts().document(sign: .response, .init(prefixList: list)))
        }
        #expect(try refusal("a b c d e f g h") == nil)
        #expect(try refusal("a b c d e f g h i") == .transform)
        #expect(try refusal(String(repeating: "a p #default ", count: 100)) == nil)
        #expect(try refusal(String(repeating: "n", count: 64)) == nil)
        #expect(try refusal(String(repeating: "n", count: 65)) == .transform)
        let one = String(
            decoding: try TestProvider.Parts().document(sign: .response, .init(prefixList: "a")), as: UTF8.self)
        let filled = try one.replacing(
            once: "PrefixList=\"a\"/>", with: "PrefixList=\"a\"><x/></ec:InclusiveNamespaces>")
        #expect(TestProvider.refusal(Array(filled.utf8)) == .transform)
    }

    @Test(arguments: [
        ("", SAMLRefusal.Reason.malformed), ("   ", .malformed), ("<", .malformed), ("<a/>", .structure),
        ("<a/><b/>", .malformed), ("<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>", .malformed),
        ("<?xml version=\"1.0\" encoding=\"UTF-7\"?><a/>", .malformed), ("<?xml-stylesheet href=\"x\"?><a/>", .structure),
        ("<a><?php ?></a>", .structure), ("<a>&e;</a>", .doctype), ("<!doctype a><a/>", .doctype),
        ("<a b='&e;'/>", .doctype), ("<a>\u{0}</a>", .malformed),
    ])
    func formIsHeld(_ text: String, _ reason: SAMLRefusal.Reason) {
        #expect(TestProvider.refusal(Array(text.utf8)) == reason)
    }

    @Test func entityBombsEndAtOnce() throws {
        let clock = ContinuousClock()
        let sample = try Sample.named("attack-entity-expansion.xml")
        let document = try sample.document
        var refused = 0
        _ = clock.measure {
            for _ in 0..<100 where TestProvider.refusal(document) == .doctype { refused += 1 }
        }
        #expect(refused == 100)
    }

    /// Whatever bytes change, a response is refused, or says what it said.
    @Test(arguments: Sample.all)
    func mutationsNeverSayAnythingElse(_ sample: Sample) throws {
        let document = try sample.document
        let original = try? sample.verdict().get()
        let trust = try sample.trust()
        let time = try sample.time
        var random = SplitMix(seed: UInt64(document.count))
        for _ in 0..<300 {
            let mutated = random.mutate(document)
            guard case .success(let response) = try sample.verdict(mutated, trust: trust, at: time) else { continue }
            let original = try #require(original, "a mutation of a refused response is accepted")
            #expect(response.subject == original.subject)
            #expect(response.notOnOrAfter == original.notOnOrAfter && response.assertionID == original.assertionID)
        }
    }

    @Test func randomBytesAreRefusedWithWords() throws {
        var random = SplitMix(seed: 7)
        for _ in 0..<500 {
            let bytes = (0..<Int(random.next() % 300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            #expect(TestProvider.refusal(bytes) != nil)
            do throws(SAMLRefusal) { _ = try MessageText.document(bytes) } catch { #expect(!error.detail.isEmpty) }
        }
    }
}

/// Reproducible randomness.
struct SplitMix {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// One to three changes: bytes flipped, pieces removed, doubled or moved, comments and entities put in.
    mutating func mutate(_ document: [UInt8]) -> [UInt8] {
        var bytes = document
        for _ in 0...Int(next() % 3) where bytes.count > 64 {
            let at = Int(next() % UInt64(bytes.count - 40))
            let length = 1 + Int(next() % 32)
            switch next() % 7 {
            case 0: bytes[at] ^= 1 << UInt8(next() % 8)
            case 1: bytes.removeSubrange(at..<at + length)
            case 2: bytes.insert(contentsOf: bytes[at..<at + length], at: at)
            case 3: bytes.insert(contentsOf: Array("<!-- x -->".utf8), at: at)
            case 4: bytes.insert(contentsOf: Array("<![CDATA[]]>".utf8), at: at)
            case 5: bytes.insert(contentsOf: Array("&#65;".utf8), at: at)
            default: bytes[at] = UInt8(truncatingIfNeeded: next())
            }
        }
        return bytes
    }
}
