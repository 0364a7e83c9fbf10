import Testing
import XML

/// What a tree is not made of.
@Suite struct XMLTreeTests {
    private func refusal(_ text: String, _ limits: XMLTree.Limits = XMLTree.Limits()) -> XMLError? {
        do throws(XMLError) { _ = try XMLTree(Array(text.utf8), limits: limits) } catch { return error }
        return nil
    }

    private static let small = XMLTree.Limits(depth: 3, attributes: 4, namespaces: 3, elements: 5, names: 8)

    @Test func limitsAreHeld() {
        let documents: [(String, XMLError.Reason?)] = [
            ("<a><b><c/></b></a>", nil), ("<a><b><c><d/></c></b></a>", .tooDeep(limit: 3)),
            ("<a><b/><b/><b></b><b/></a>", nil), ("<a><b/><b/><b></b><b/><b/></a>", .tooManyElements(limit: 5)),
            ("<a b='' c='' d='' e=''/>", nil), ("<a b='' c='' d='' e='' f=''/>", .tooManyAttributes(limit: 4)),
            ("<eightlet/>", nil), ("<nineletts/>", .nameTooLong(limit: 8)),
            ("<a eightlet=''/>", nil), ("<a nineletts=''/>", .nameTooLong(limit: 8)),
            ("<a xmlns:bc='u:345678'/>", nil), ("<a xmlns:bcd='u:1'/>", .nameTooLong(limit: 8)),
            ("<a xmlns:bc='u:3456789'/>", .nameTooLong(limit: 8)), ("<a xmlns='u:3456789'/>", .nameTooLong(limit: 8)),
            ("<a b='123456789'>123456789</a>", nil),
            ("<a xmlns:b='u:1' xmlns:c='u:1'><d xmlns:e='u:1'/><d xmlns:e='u:1'></d><d xmlns:e='u:1'/></a>", nil),
            ("<a xmlns:b='u:1' xmlns:c='u:1'><d xmlns:e='u:1' xmlns:f='u:1'/></a>", .tooManyNamespaces(limit: 3)),
            ("<a xmlns = 'u:1' xmlns:b\n=\n\"u:1\" xmlns:c='u:1'><d xmlns:e='u:1'/></a>", .tooManyNamespaces(limit: 3)),
        ]
        for (document, reason) in documents {
            #expect(refusal(document, Self.small)?.reason == reason, "\(document)")
        }
    }

    /// Nothing that only looks like markup counts.
    @Test func quotesCommentsAndCDATADoNotMislead() {
        let document = """
            <?xml version="1.0"?><a xmlnsx='u' b='xmlns:c="u:1" xmlns:d="u:1" / > ' c="/"><!-- <e><e><e><e> it's -->\
            <![CDATA[<e a="><e><e><e>]]><e/></a>
            """
        #expect(refusal(document, Self.small) == nil)
    }

    @Test func refusalsNameTheLine() {
        #expect(refusal("\n<a>\n<b>\n<c>\n<d/></c></b></a>", Self.small)?.line == 5)
        #expect(refusal("<a>\n<b x='<'/></a>")?.line == 2)
        #expect(refusal("<a>\n\u{1}</a>")?.line == 2)
    }

    /// A megabyte of each took libxml2 many seconds: it looks for every prefix among all declarations around.
    @Test func whatIsDearToParseIsNotParsed() {
        let declarations = (0..<100).map { " xmlns:p\($0)='urn:u'" }.joined()
        let deep = String(repeating: "<a\(declarations)>", count: 120)
        let leaves = String(repeating: "<a p0:x=''/>", count: 50_000)
        #expect(refusal(deep + leaves)?.reason == .tooManyNamespaces(limit: 128))
        let nested = String(repeating: "<a>", count: 300_000)
        #expect(refusal(nested)?.reason == .tooDeep(limit: 128))
    }

    /// libxml2 reads on behind a fault, and compares all attributes of a tag that it finds there with each other. None
    /// may hide from the scan in what the fault made of the markup.
    @Test func nothingIsParsedBehindAFaultThatHidesTags() {
        let crowd = "<c" + (0..<100_000).map { " a\($0)=''" }.joined() + "/>"
        #expect(refusal("<r>\n<a b=\"\(crowd)\"/></r>")?.reason == .attribute)
        #expect(refusal("<r><a \(crowd)</r>")?.reason == .attribute)
        for document in [
            "<r></r \(crowd)>", "<?xml version=\"1.0\" ><r>\(crowd)</r>?>", "<r><!-- \u{1}\(crowd) --></r>",
            "<r><![CDATA[\u{FFFF}\(crowd)]]></r>",
        ] {
            let reason = refusal(document)?.reason
            if case .malformed? = reason { continue }
            Issue.record("\(document.prefix(30)): \(String(describing: reason))")
        }
    }

    @Test func charactersThatXMLForbidsAreRefused() {
        for character in ["\u{0}", "\u{8}", "\u{B}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            #expect(refusal("<a>\(character)</a>") != nil && refusal("<a b='\(character)'/>") != nil)
        }
        for character in ["\t", "\r", "\u{7F}", "\u{85}", "\u{FFFD}", "\u{FFBE}", "\u{10FFFF}"] {
            #expect(refusal("<a b='\(character)'>\(character)</a>") == nil)
        }
    }
}
