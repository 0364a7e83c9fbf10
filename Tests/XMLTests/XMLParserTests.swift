import Testing
import XML

@Suite struct XMLParserTests {
    private func parse(_ text: String) throws(XMLError) -> XMLElement { try XMLParser.parse(Array(text.utf8)) }

    private func refusal(_ text: String) -> XMLError? {
        do throws(XMLError) { _ = try parse(text) } catch { return error }
        return nil
    }

    @Test func readsElementsAttributesTextAndLines() throws {
        let root = try parse(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<a id=\"x\">\n  <b> one &amp; two </b>\n  <b/>\n</a>\n")
        #expect(root.name == "a")
        #expect(root.attributes == ["id": "x"])
        #expect(root.line == 2)
        #expect(root.children.map(\.name) == ["b", "b"])
        #expect(root["b"]?.trimmedText == "one & two")
        #expect(root["b"]?.line == 3)
        #expect(root.children(named: "b")[1].line == 4)
    }

    @Test func readsNamespacesCharacterReferencesAndCDATA() throws {
        let root = try parse("<s:a xmlns:s=\"urn:x\"><s:b>&#65;<![CDATA[<raw>]]></s:b><c/></s:a>")
        #expect(root.name == "a")
        #expect(root.namespace == "urn:x")
        #expect(root["b"]?.text == "A<raw>")
        #expect(root["c"]?.namespace == nil)
    }

    @Test func passesOverBOMAndBlanksBeforeTheDeclarationAndKeepsLines() throws {
        let root = try XMLParser.parse(
            [0xEF, 0xBB, 0xBF] + Array("\n\r\n  <?xml version=\"1.0\"?>\r\n<a>\r\n<b/></a>".utf8))
        #expect(root.line == 4)
        #expect(root["b"]?.line == 5)
    }

    @Test(arguments: [
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        "<!DOCTYPE a SYSTEM \"http://192.0.2.1/x.dtd\"><a/>",
        "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>",
        "<!DOCTYPE l [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;\">]><l>&c;</l>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM \"http://192.0.2.1/p\">%p;]><a/>",
    ])
    func refusesEveryDocumentType(document: String) {
        #expect(refusal(document)?.reason == .documentType)
        #expect(refusal(document)?.line == 1)
    }

    @Test func refusesEntitiesThatXMLDoesNotDefineAndDoesNotEchoThem() {
        let error = refusal("<a>\n<key>secretpart&verysecret;</key></a>")
        #expect(error?.reason == .undefinedEntity)
        #expect(error?.line == 2)
        #expect(error?.description.contains("secret") == false)
    }

    @Test func namesTheLineOfAMismatchedTag() {
        let error = refusal("<a>\n<b>\n</c>\n</a>")
        #expect(error?.reason == .mismatchedTag)
        #expect(error?.line == 3)
        #expect(error?.openElement == "b")
    }

    @Test(arguments: [
        "", "   \n", "<a>", "<a><b>text", "<a><b", "<a x=", "<?xml version=\"1.0\"?>", "<a></a", "<a>&am",
    ])
    func refusesWhatEndsEarly(document: String) {
        #expect(refusal(document) != nil)
    }

    @Test func saysTruncatedWhenTheRootStaysOpen() {
        #expect(refusal("<a>\n<b>text")?.reason == .truncated)
        #expect(refusal("<a>\n<b>text")?.line == 2)
    }

    @Test(arguments: ["text<a/>", "<a/>text", "<a/><b/>", "{}", "\\n<a/>"])
    func refusesTextBesideTheRoot(document: String) {
        #expect(refusal(document) != nil)
    }

    @Test func refusesOtherEncodings() {
        #expect(refusal("<?xml version=\"1.0\" encoding=\"EBCDIC-CP-NL\"?><a/>") != nil)
        let error = #expect(throws: XMLError.self) {
            try XMLParser.parse(Array("<a>".utf8) + [0xFF, 0xC0] + Array("</a>".utf8))
        }
        #expect(error?.reason == .encoding)
    }

    @Test func boundsDepth() throws {
        let allowed = String(repeating: "<a>", count: 64) + String(repeating: "</a>", count: 64)
        _ = try parse(allowed)
        let deep = String(repeating: "<a>\n", count: 100_000)
        #expect(refusal(deep)?.reason == .tooDeep(limit: 64))
        #expect(refusal(deep)?.line == 65)
    }

    @Test func boundsSize() throws {
        let big = "<a>" + String(repeating: "x", count: 2 << 20) + "</a>"
        #expect(refusal(big)?.reason == .tooLarge(limit: 1 << 20))
        let full = "<a>" + String(repeating: "<b>y</b>", count: 131_000) + "</a>"
        #expect(try parse(full).children.count == 131_000)
    }

    @Test func boundsAttributesAndIsNotMisledByQuotesCommentsOrCDATA() throws {
        func element(_ count: Int) -> String {
            "<b " + (0..<count).map { "a\($0)='>\"='" }.joined(separator: " ") + "/>"
        }
        #expect(try parse("<a>" + element(256) + "</a>")["b"]?.attributes.count == 256)
        #expect(refusal("<a>\n" + element(257) + "</a>")?.reason == .tooManyAttributes(limit: 256))
        #expect(refusal("<a>\n" + element(257) + "</a>")?.line == 2)
        let equals = String(repeating: "=", count: 1000)
        #expect(
            try parse("<a><!-- <b it's \(equals) --><![CDATA[<c \"\(equals)]]><?p <d '\(equals)?></a>").text.count
                == 1004)
    }

    @Test func manyFaultsAndManyDocumentsLeaveTheParserUsable() throws {
        for round in 0..<500 {
            _ = refusal("<a" + String(repeating: "<", count: round % 7) + ">&x;")
        }
        #expect(try parse("<a>ok</a>").text == "ok")
    }

    @Test func anyPrefixAndAnySingleByteChangeGivesATreeOrAnError() {
        let bytes = Array(
            "<?xml version=\"1.0\"?>\n<a i=\"1\" j='2'>\n<b>t&lt;<![CDATA[c]]><!-- n --></b><?p q?><c/></a>\n".utf8)
        var refused = 0
        for count in 0..<bytes.count {
            do throws(XMLError) { _ = try XMLParser.parse(Array(bytes.prefix(count))) } catch { refused += 1 }
        }
        #expect(refused >= bytes.count - 2)
        for index in bytes.indices {
            for value in [UInt8(0), 60, 62, 38, 255, 34] {
                var changed = bytes
                changed[index] = value
                do throws(XMLError) { _ = try XMLParser.parse(changed) } catch { #expect(!error.description.isEmpty) }
            }
        }
    }
}
