import Testing
import XML

/// Exclusive canonical forms, written out by hand.
@Suite struct CanonicalTests {
    /// The form of the first element of that name, without the first of another.
    private func form(
        _ document: String, of name: String, without excluded: String? = nil, _ prefixes: [String] = []
    ) throws -> String {
        let root = try XMLTree(Array(document.utf8)).root
        let element = try #require(Self.find(name, root))
        var other: XMLNode?
        if let excluded {
            let found: XMLNode = try #require(Self.find(excluded, root))
            other = found
        }
        let bytes = try element.canonical(without: other, inclusivePrefixes: prefixes)
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func find(_ name: String, _ root: XMLNode) -> XMLNode? {
        var found: XMLNode?
        root.walk { if found == nil, $0.name == name { found = $0 } }
        return found
    }

    /// What the list names is written where it applies, also when nothing uses it and it is declared further out.
    @Test func inclusivePrefixesAreThoseOfWhatStandsAround() throws {
        let document = #"<r xmlns:a="urn:a" xmlns:b="urn:b" xmlns:c="urn:c"><a:t><u b:x="1"/></a:t></r>"#
        let expected: [([String], String)] = [
            ([], #"<a:t xmlns:a="urn:a"><u xmlns:b="urn:b" b:x="1"></u></a:t>"#),
            (["b"], #"<a:t xmlns:a="urn:a" xmlns:b="urn:b"><u b:x="1"></u></a:t>"#),
            (["c"], #"<a:t xmlns:a="urn:a" xmlns:c="urn:c"><u xmlns:b="urn:b" b:x="1"></u></a:t>"#),
            (["nowhere"], #"<a:t xmlns:a="urn:a"><u xmlns:b="urn:b" b:x="1"></u></a:t>"#),
            (["c", "b", "b", "a"], #"<a:t xmlns:a="urn:a" xmlns:b="urn:b" xmlns:c="urn:c"><u b:x="1"></u></a:t>"#),
        ]
        for (prefixes, text) in expected { #expect(try form(document, of: "t", prefixes) == text) }
    }

    @Test func theNearestDeclarationCounts() throws {
        let far = #"<r xmlns:b="urn:far"><m xmlns:b="urn:near"><t/></m></r>"#
        #expect(try form(far, of: "t", ["b"]) == #"<t xmlns:b="urn:near"></t>"#)
        let own = #"<r xmlns:b="urn:far"><t xmlns:b="urn:own"/></r>"#
        #expect(try form(own, of: "t", ["b"]) == #"<t xmlns:b="urn:own"></t>"#)
        #expect(try form(own, of: "t") == "<t></t>")
    }

    @Test func theDefaultNamespaceIsKeptAndCanBeUndone() throws {
        let document = #"<r xmlns="urn:d" xmlns:a="urn:a"><a:t><u/></a:t></r>"#
        #expect(try form(document, of: "t") == #"<a:t xmlns:a="urn:a"><u xmlns="urn:d"></u></a:t>"#)
        let inclusive = #"<a:t xmlns="urn:d" xmlns:a="urn:a"><u></u></a:t>"#
        #expect(try form(document, of: "t", ["#default"]) == inclusive)
        let undone = #"<r xmlns="urn:d"><m xmlns=""><t><u xmlns="urn:u"/></t></m></r>"#
        #expect(try form(undone, of: "t") == #"<t><u xmlns="urn:u"></u></t>"#)
        #expect(try form(undone, of: "t", ["#default"]) == #"<t><u xmlns="urn:u"></u></t>"#)
    }

    /// Unlike inclusive forms, exclusive ones take no attributes from around.
    @Test func attributesOfTheXMLNamespaceStayWhereTheyAre() throws {
        let document = #"<r xml:lang="de" xml:space="preserve"><t xml:id="i"/></r>"#
        #expect(try form(document, of: "t", ["xml"]) == #"<t xml:id="i"></t>"#)
    }

    @Test func oneElementIsLeftOutWhereverItStands() throws {
        let document = "<t>a<s/>b<!-- c --><x>2</x><v><w/></v></t>"
        #expect(try form(document, of: "t") == "<t>a<s></s>b<x>2</x><v><w></w></v></t>")
        #expect(try form(document, of: "t", without: "x") == "<t>a<s></s>b<v><w></w></v></t>")
        #expect(try form(document, of: "t", without: "w") == "<t>a<s></s>b<x>2</x><v></v></t>")
        #expect(try form(document, of: "t", without: "t") == "")
        #expect(try form("<r><t/><x/></r>", of: "t", without: "x") == "<t></t>")
    }

    @Test func leavingOutChangesNothingInTheDocument() throws {
        let root = try XMLTree(Array(#"<t xmlns:a="urn:a"><a:s><a:x/></a:s><v/></t>"#.utf8)).root
        let whole = try root.canonical()
        let first: XMLNode = try #require(root.children.first)
        _ = try root.canonical(without: first)
        #expect(try root.canonical() == whole)
        #expect(root.children.map(\.name) == ["s", "v"])
    }

    @Test func textAndAttributesAreWrittenInOneWay() throws {
        let document = "<t b='2' a=\"&#9;&lt;'&quot;\">a<![CDATA[<&]]>b&#13;&gt;</t>"
        let expected = "<t a=\"&#x9;&lt;'&quot;\" b=\"2\">a&lt;&amp;b&#xD;&gt;</t>"
        #expect(try form(document, of: "t") == expected)
    }

    @Test func relativeNamespacesHaveNoFormWhereTheyApply() throws {
        #expect(try form(#"<r><o xmlns:q="rel"/><t/></r>"#, of: "t") == "<t></t>")
        for document in [#"<r xmlns:q="rel"><t/></r>"#, #"<r><t xmlns:q="rel"/></r>"#] {
            let error = #expect(throws: XMLError.self) { try form(document, of: "t") }
            #expect(error?.reason == .noCanonicalForm)
        }
    }
}
