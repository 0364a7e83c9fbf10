/// One element of a document: what stood between its tags, and where.
public struct XMLElement: Hashable, Sendable {
    /// The name without a namespace prefix.
    public var name: String
    /// Namespace URI; nil outside any namespace.
    public var namespace: String?
    /// Attributes by local name. `xmlns` declarations are not among them.
    public var attributes: [String: String]
    public var children: [XMLElement]
    /// The character data that stands directly in this element, joined, as written.
    public var text: String
    /// The line of the start tag, from 1.
    public var line: Int

    public init(
        name: String, namespace: String? = nil, attributes: [String: String] = [:], children: [XMLElement] = [],
        text: String = "", line: Int = 1
    ) {
        self.name = name
        self.namespace = namespace
        self.attributes = attributes
        self.children = children
        self.text = text
        self.line = line
    }

    /// ``text`` without the white space around it.
    public var trimmedText: String {
        let bytes = text.utf8
        let isBlank: (UInt8) -> Bool = { $0 == 32 || (9...13).contains($0) }
        guard let first = bytes.firstIndex(where: { !isBlank($0) }), let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(text[first...last])
    }

    /// The child elements of that name, in order.
    public func children(named name: String) -> [XMLElement] { children.filter { $0.name == name } }

    /// The first child element of that name.
    public func child(_ name: String) -> XMLElement? { children.first { $0.name == name } }

    /// Walks down by names, taking the first of each.
    public subscript(path: String...) -> XMLElement? {
        var element = self
        for name in path {
            guard let next = element.child(name) else { return nil }
            element = next
        }
        return element
    }
}

/// Why bytes are no document that we accept. Nothing of the document's text is in it: it may hold keys.
public struct XMLError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        case tooLarge(limit: Int)
        case tooDeep(limit: Int)
        case tooManyAttributes(limit: Int)
        case tooManyElements(limit: Int)
        /// A name with its prefix, or a namespace URI.
        case nameTooLong(limit: Int)
        /// A document type declaration, internal or external: we never read one.
        case documentType
        /// An entity reference other than the five of XML and character references.
        case undefinedEntity
        /// A processing instruction, where none is accepted.
        case processingInstruction
        case tooManyNamespaces(limit: Int)
        /// libxml2 could not write the canonical form, such as of a relative namespace URI.
        case noCanonicalForm
        /// Bytes that are not the declared encoding, or an encoding other than UTF-8.
        case encoding
        /// An end tag that does not match the open element.
        case mismatchedTag
        /// The bytes end before the root element does.
        case truncated
        /// There is no root element, or something stands beside it.
        case contentOutsideRoot
        case attribute
        /// Any other fault of form; the number is libxml2's `xmlParserErrors` code.
        case malformed(code: Int)
    }

    public var reason: Reason
    /// From 1; 0 when the fault is in no line.
    public var line: Int
    /// The name of the innermost element that was open. It comes from the document: show it only where known.
    public var openElement: String?

    public init(reason: Reason, line: Int, openElement: String? = nil) {
        self.reason = reason
        self.line = line
        self.openElement = openElement
    }

    /// The reason alone, as a clause.
    public var explanation: String {
        switch reason {
        case .tooLarge(let limit): "the document is larger than \(limit) bytes"
        case .tooDeep(let limit): "elements are nested deeper than \(limit)"
        case .tooManyAttributes(let limit): "an element has more than \(limit) attributes"
        case .tooManyElements(let limit): "the document has more than \(limit) elements"
        case .nameTooLong(let limit): "a name or a namespace is longer than \(limit) bytes"
        case .documentType: "a document type declaration (DOCTYPE) is not accepted"
        case .undefinedEntity:
            "an entity is used that XML itself does not define; only &amp; &lt; &gt; &quot; &apos; are"
        case .processingInstruction: "a processing instruction (<?…?>) is not accepted"
        case .tooManyNamespaces(let limit): "more than \(limit) namespace declarations apply to one element"
        case .noCanonicalForm: "the element has no canonical form"
        case .encoding: "the text is not valid UTF-8"
        case .mismatchedTag: "an end tag does not belong to the element that is open"
        case .truncated: "the document ends before its root element is closed"
        case .contentOutsideRoot: "there is text outside the root element"
        case .attribute: "an attribute is malformed"
        case .malformed(let code): "not well-formed XML (parser code \(code))"
        }
    }

    public var description: String { line > 0 ? "line \(line): \(explanation)" : explanation }
}
