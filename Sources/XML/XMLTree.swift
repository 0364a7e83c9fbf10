internal import Base
internal import CXML2

/// A document kept as libxml2's tree, for what needs the nodes themselves: canonical forms of parts of it.
///
/// Stricter than ``XMLParser``, since signatures are read from it: UTF-8 only, no document type, no processing
/// instructions, no entities beyond the five. Freed with the last ``XMLNode`` that refers to it.
public final class XMLTree {
    public struct Limits: Hashable, Sendable {
        /// Bytes of the whole document.
        public var size: Int
        /// Elements within elements.
        public var depth: Int
        /// Attributes and namespace declarations of one element.
        public var attributes: Int
        /// Namespace declarations of one element and those around it. libxml2 looks through them for every prefix, when
        /// it parses and when it writes a canonical form.
        public var namespaces: Int
        /// Elements of the whole document.
        public var elements: Int
        /// Bytes of a name with its prefix, and of a namespace URI.
        public var names: Int

        public init(
            size: Int = 1 << 20, depth: Int = 128, attributes: Int = 128, namespaces: Int = 128, elements: Int = .max,
            names: Int = .max
        ) {
            self.size = size
            self.depth = depth
            self.attributes = attributes
            self.namespaces = namespaces
            self.elements = elements
            self.names = names
        }
    }

    let document: xmlDocPtr
    private let rootPointer: xmlNodePtr

    deinit { xmlFreeDoc(document) }

    public var root: XMLNode { XMLNode(tree: self, pointer: rootPointer) }

    /// Reads one document. A byte order mark and blanks before the root are passed over.
    public init(_ bytes: [UInt8], limits: Limits = Limits()) throws(XMLError) {
        guard bytes.count <= limits.size else { throw XMLError(reason: .tooLarge(limit: limits.size), line: 0) }
        var start = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
        var skippedLines = 0
        while start < bytes.count, bytes[start] == 32 || (9...13).contains(bytes[start]) {
            skippedLines += bytes[start] == 10 ? 1 : 0
            start += 1
        }
        guard start < bytes.count else { throw XMLError(reason: .truncated, line: skippedLines + 1) }
        let body = bytes[start...]
        guard String(validating: body, as: UTF8.self) != nil else {
            throw XMLError(reason: .encoding, line: XMLParser.firstInvalidLine(body) + skippedLines)
        }
        func refusal(_ reason: XMLError.Reason, at offset: Int) -> XMLError {
            XMLError(reason: reason, line: body.prefix(offset).count(where: { $0 == 10 }) + skippedLines + 1)
        }
        let scan = MarkupScan(body, limits)
        if let offset = scan.documentType { throw refusal(.documentType, at: offset) }
        if let offset = scan.processingInstruction { throw refusal(.processingInstruction, at: offset) }
        if let finding = scan.excess ?? scan.fault { throw refusal(finding.reason, at: finding.offset) }
        if let name = Self.declaredEncoding(body), !["utf-8", "utf8", "us-ascii", "ascii"].contains(name) {
            throw refusal(.encoding, at: 0)
        }

        _ = XMLParser.isReady
        guard let context = xmlNewParserCtxt() else { throw XMLError(reason: .malformed(code: 2), line: 0) }
        defer { xmlFreeParserCtxt(context) }
        // The declared encoding is one that we have checked: no converter of libxml2's comes into play.
        let options =
            XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
            | XML_PARSE_IGNORE_ENC.rawValue
        let parsed = body.withUnsafeBytes { buffer -> xmlDocPtr? in
            // Both conversions cannot fail: the buffer is not empty and at most `limits.size` bytes long.
            guard let base = buffer.baseAddress, let count = Int32(exactly: buffer.count) else { return nil }
            return xmlCtxtReadMemory(
                context, base.assumingMemoryBound(to: CChar.self), count, nil, nil, Int32(bitPattern: options))
        }
        guard let parsed, let root = xmlDocGetRootElement(parsed) else {
            if let parsed { xmlFreeDoc(parsed) }
            let fault = context.pointee.lastError
            var isAtEnd = false
            if let input = context.pointee.input, let current = input.pointee.cur, let end = input.pointee.end {
                isAtEnd = current >= end
            }
            throw XMLError(
                reason: .init(parserCode: Int(fault.code), isAtEnd: isAtEnd, hasRoot: context.pointee.myDoc != nil),
                line: max(1, Int(fault.line)) + skippedLines)
        }
        document = parsed
        rootPointer = root
        try check(limits, skippedLines)
    }

    /// The value of `encoding` in the XML declaration, in lower case.
    private static func declaredEncoding(_ body: ArraySlice<UInt8>) -> String? {
        guard body.starts(with: "<?xml".utf8) else { return nil }
        let text = String(decoding: body.prefix(256).prefix { $0 != UInt8(ascii: ">") }, as: UTF8.self)
        let parts = text.split(separator: "encoding", maxSplits: 1)
        guard parts.count == 2, let quote = parts[1].first(where: { $0 == "\"" || $0 == "'" }) else { return nil }
        let quoted = parts[1].split(separator: quote, omittingEmptySubsequences: false)
        return quoted.count > 1 ? quoted[1].lowercased() : ""
    }

    /// Walks the whole tree once for what the scan cannot tell for sure.
    private func check(_ limits: Limits, _ skippedLines: Int) throws(XMLError) {
        func refusal(_ reason: XMLError.Reason, _ node: xmlNodePtr) -> XMLError {
            XMLError(reason: reason, line: max(0, Int(xmlGetLineNo(node))) + skippedLines)
        }
        guard document.pointee.intSubset == nil, document.pointee.extSubset == nil else {
            throw XMLError(reason: .documentType, line: 1 + skippedLines)
        }
        // Namespace declarations of the open elements, innermost last.
        var declared: [Int] = []
        var total = 0
        var node = document.pointee.children
        while let current = node {
            switch current.pointee.type {
            case XML_ELEMENT_NODE:
                guard declared.count < limits.depth else { throw refusal(.tooDeep(limit: limits.depth), current) }
                var count = 0
                var namespace = current.pointee.nsDef
                while let one = namespace {
                    count += 1
                    namespace = one.pointee.next
                }
                total += count
                guard total <= limits.namespaces else {
                    throw refusal(.tooManyNamespaces(limit: limits.namespaces), current)
                }
                if let child = current.pointee.children {
                    declared.append(count)
                    node = child
                    continue
                }
                total -= count
            case XML_TEXT_NODE, XML_CDATA_SECTION_NODE, XML_COMMENT_NODE: break
            case XML_PI_NODE: throw refusal(.processingInstruction, current)
            case XML_ENTITY_REF_NODE, XML_ENTITY_NODE: throw refusal(.undefinedEntity, current)
            default: throw refusal(.documentType, current)
            }
            // On to the next sibling, or that of the nearest ancestor that has one.
            var place: xmlNodePtr? = current
            while let here = place, here.pointee.next == nil {
                guard let parent = here.pointee.parent, parent.pointee.type == XML_ELEMENT_NODE else {
                    place = nil
                    break
                }
                total -= declared.popLast() ?? 0
                place = parent
            }
            node = place?.pointee.next
        }
    }
}
