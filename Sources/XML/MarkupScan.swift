internal import CXML2

/// What can be told of a document's markup before a parser takes it: enough to keep from it what costs too much or what
/// is never accepted. Offsets count from the start of the bytes.
///
/// These bounds must be kept before libxml2 parses: it compares every attribute of an element with every other, and
/// looks for every prefix among the declarations of all elements around, one by one and byte by byte. A megabyte can be
/// made so that this takes many seconds.
///
/// The scan ends where the document is refused in any case. Up to a fault of form it reads the tags that a parser
/// reads. libxml2 goes on behind its first fault, and what it takes for a tag there need not be what the scan would:
/// who parses stops at the first fault, or looks at ``fault`` before.
struct MarkupScan {
    struct Finding {
        var reason: XMLError.Reason
        var offset: Int
    }

    /// The first tag that goes past a limit.
    private(set) var excess: Finding?
    /// The first fault of form behind which the scan and a parser that goes on would part.
    private(set) var fault: Finding?
    /// The first declaration that is neither a comment nor a CDATA section: a document type.
    private(set) var documentType: Int?
    /// The first processing instruction other than an XML declaration at the very start.
    private(set) var processingInstruction: Int?

    init(_ bytes: ArraySlice<UInt8>, _ limits: XMLTree.Limits) {
        bytes.withUnsafeBytes { whole in
            let end = MarkupReader.firstForbidden(whole)
            var reader = MarkupReader(buffer: UnsafeRawBufferPointer(rebasing: whole[..<end]))
            var depth = Depth(limits: limits)
            while reader.at < end, excess == nil, fault == nil, documentType == nil {
                guard reader.buffer[reader.at] == UInt8(ascii: "<") else {
                    reader.at += 1
                    continue
                }
                let start = reader.at
                if reader.begins("<!--") {
                    reader.at += 4
                    reader.skip(past: "-->")
                } else if reader.begins("<![CDATA[") {
                    reader.skip(past: "]]>")
                } else if reader.begins("<?") {
                    if start > 0 || !reader.beginsDeclaration {
                        if processingInstruction == nil { processingInstruction = start }
                        reader.skip(past: "?>")
                    } else if !reader.skipDeclaration() {
                        fault = Finding(reason: .parserFault(XML_ERR_XMLDECL_NOT_FINISHED), offset: start)
                    }
                } else if reader.begins("<!") {
                    documentType = start
                } else if reader.begins("</") {
                    if reader.skipEndTag() {
                        depth.close()
                    } else {
                        fault = Finding(reason: .parserFault(XML_ERR_GT_REQUIRED), offset: start)
                    }
                } else if let tag = reader.startTag() {
                    excess = depth.open(tag).map { Finding(reason: $0, offset: start) }
                } else {
                    fault = Finding(reason: .attribute, offset: start)
                }
            }
            if end < whole.count, excess == nil, fault == nil, documentType == nil {
                fault = Finding(reason: .parserFault(XML_ERR_INVALID_CHAR), offset: end)
            }
        }
    }

    /// What is open at a place of the document, held against the limits.
    private struct Depth {
        let limits: XMLTree.Limits
        /// Namespace declarations of the open elements, innermost last.
        private var declared: [Int] = []
        private var namespaces = 0
        private var elements = 0

        init(limits: XMLTree.Limits) { self.limits = limits }

        /// Takes note of a start tag. Gives the limit that it goes past.
        mutating func open(_ tag: MarkupReader.Tag) -> XMLError.Reason? {
            elements += 1
            namespaces += tag.namespaces
            if tag.attributes > limits.attributes { return .tooManyAttributes(limit: limits.attributes) }
            if declared.count >= limits.depth { return .tooDeep(limit: limits.depth) }
            if elements > limits.elements { return .tooManyElements(limit: limits.elements) }
            if tag.longestName > limits.names { return .nameTooLong(limit: limits.names) }
            if namespaces > limits.namespaces { return .tooManyNamespaces(limit: limits.namespaces) }
            if tag.isEmpty {
                namespaces -= tag.namespaces
            } else {
                declared.append(tag.namespaces)
            }
            return nil
        }

        mutating func close() { namespaces -= declared.popLast() ?? 0 }
    }
}

/// Goes through bytes of markup. They end before the first character that no document may hold.
private struct MarkupReader {
    /// What one start tag holds.
    struct Tag {
        /// Namespace declarations among them.
        var attributes = 0
        var namespaces = 0
        /// Bytes of its longest name with the prefix, or of a namespace URI that is longer.
        var longestName = 0
        /// Whether it is the end of its element, too.
        var isEmpty = false
    }

    let buffer: UnsafeRawBufferPointer
    var at = 0

    init(buffer: UnsafeRawBufferPointer) { self.buffer = buffer }

    /// Where the first character stands that XML 1.0 §2.2 forbids, in bytes that are UTF-8; the end if there is none.
    static func firstForbidden(_ bytes: UnsafeRawBufferPointer) -> Int {
        for index in bytes.indices {
            let byte = bytes[index]
            if byte < 32, byte != 9, byte != 10, byte != 13 { return index }
            // U+FFFE and U+FFFF.
            guard byte == 0xEF, index + 2 < bytes.count else { continue }
            if bytes[index + 1] == 0xBF, bytes[index + 2] >= 0xBE { return index }
        }
        return bytes.count
    }

    func begins(_ mark: StaticString) -> Bool {
        buffer.count - at >= mark.utf8CodeUnitCount
            && mark.withUTF8Buffer { mark in mark.indices.allSatisfy { buffer[at + $0] == mark[$0] } }
    }

    /// Whether an XML declaration begins here, and no processing instruction whose name begins alike.
    var beginsDeclaration: Bool { begins("<?xml") && at + 5 < buffer.count && buffer[at + 5] <= 32 }

    mutating func skip(past mark: StaticString) {
        while at < buffer.count, !begins(mark) { at += 1 }
        at += mark.utf8CodeUnitCount
    }

    /// False where the declaration holds what only other markup does.
    mutating func skipDeclaration() -> Bool {
        at += 2
        while at < buffer.count, !begins("?>") {
            if buffer[at] == UInt8(ascii: "<") || buffer[at] == UInt8(ascii: ">") { return false }
            at += 1
        }
        at += 2
        return true
    }

    /// False where another tag begins within.
    mutating func skipEndTag() -> Bool {
        at += 2
        while at < buffer.count, buffer[at] != UInt8(ascii: ">") {
            if buffer[at] == UInt8(ascii: "<") { return false }
            at += 1
        }
        at += 1
        return true
    }

    /// Nil where another tag begins within, which is not even allowed in the value of an attribute.
    mutating func startTag() -> Tag? {
        var tag = Tag()
        at += 1
        // Where the name that is being read begins, and whether the last one declares a namespace.
        var name = at
        var isNamespace = false
        while at < buffer.count, buffer[at] != UInt8(ascii: ">") {
            let byte = buffer[at]
            if byte == UInt8(ascii: "<") { return nil }
            let isQuote = byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
            guard isQuote || byte <= 32 || byte == UInt8(ascii: "=") || byte == UInt8(ascii: "/") else {
                at += 1
                continue
            }
            if at > name {
                tag.longestName = max(tag.longestName, at - name)
                isNamespace = declaresNamespace(name..<at)
            }
            at += 1
            if byte == UInt8(ascii: "=") { tag.attributes += 1 }
            if isQuote {
                let value = at
                while at < buffer.count, buffer[at] != byte {
                    if buffer[at] == UInt8(ascii: "<") { return nil }
                    at += 1
                }
                if isNamespace {
                    tag.namespaces += 1
                    tag.longestName = max(tag.longestName, at - value)
                }
                at += 1
            }
            name = at
        }
        tag.longestName = max(tag.longestName, at - name)
        tag.isEmpty = at < buffer.count && buffer[at - 1] == UInt8(ascii: "/")
        at += 1
        return tag
    }

    /// Whether an attribute of that name is `xmlns` or `xmlns:…`.
    private func declaresNamespace(_ name: Range<Int>) -> Bool {
        guard buffer[name].starts(with: "xmlns".utf8) else { return false }
        return name.count == 5 || buffer[name.lowerBound + 5] == UInt8(ascii: ":")
    }
}

extension XMLError.Reason {
    /// The fault that libxml2 has this number for.
    fileprivate static func parserFault(_ code: xmlParserErrors) -> XMLError.Reason {
        .malformed(code: Int(code.rawValue))
    }
}
