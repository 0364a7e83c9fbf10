internal import CXML2

/// Bytes to a tree of ``XMLElement``, by libxml2's SAX interface.
///
/// No document type, no entities beyond the five, no network, no files; bounded in size and depth. Memory that
/// libxml2 takes is given back before ``parse(_:limits:)`` returns, whatever the input.
public enum XMLParser {
    public struct Limits: Hashable, Sendable {
        /// Bytes of the whole document.
        public var size: Int
        /// Elements within elements.
        public var depth: Int
        /// Attributes and namespace declarations of one element.
        public var attributes: Int

        public init(size: Int = 1 << 20, depth: Int = 64, attributes: Int = 256) {
            self.size = size
            self.depth = depth
            self.attributes = attributes
        }
    }

    /// Reads one document in UTF-8, with or without a byte order mark; blanks before the root are passed over.
    public static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(XMLError) -> XMLElement {
        guard bytes.count <= limits.size else { throw XMLError(reason: .tooLarge(limit: limits.size), line: 0) }
        // A document whose declaration stands after blanks or a BOM is refused by libxml2; pasted ones have both.
        var start = 0
        var skippedLines = 0
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { start = 3 }
        while start < bytes.count, bytes[start] == 32 || (9...13).contains(bytes[start]) {
            skippedLines += bytes[start] == 10 ? 1 : 0
            start += 1
        }
        guard start < bytes.count else { throw XMLError(reason: .truncated, line: skippedLines + 1) }
        guard String(validating: bytes[start...], as: UTF8.self) != nil else {
            throw XMLError(reason: .encoding, line: firstInvalidLine(bytes[start...]) + skippedLines)
        }
        _ = isReady
        // Depth is counted while it parses, namespaces are not looked for, and it stops at the first fault.
        let bounds = XMLTree.Limits(size: .max, depth: .max, attributes: limits.attributes, namespaces: .max)
        if let excess = MarkupScan(bytes[start...], bounds).excess {
            let line = bytes[start..<start + excess.offset].count(where: { $0 == 10 }) + skippedLines + 1
            throw XMLError(reason: excess.reason, line: line)
        }

        let builder = Builder(depthLimit: limits.depth, skippedLines: skippedLines)
        bytes.withUnsafeBytes { buffer in
            let body = UnsafeRawBufferPointer(rebasing: buffer[start...])
            // Both conversions cannot fail: the buffer is not empty and at most `limits.size` bytes long.
            guard let base = body.baseAddress, let count = Int32(exactly: body.count),
                let context = xmlCreateMemoryParserCtxt(base.assumingMemoryBound(to: CChar.self), count)
            else {
                builder.fail(.tooLarge(limit: Int(Int32.max)), line: 0)
                return
            }
            defer { xmlFreeParserCtxt(context) }
            builder.context = context
            defer { builder.context = nil }
            let options =
                XML_PARSE_NONET.rawValue | XML_PARSE_NOERROR.rawValue | XML_PARSE_NOWARNING.rawValue
                | XML_PARSE_NOCDATA.rawValue
            _ = xmlCtxtUseOptions(context, Int32(bitPattern: options))
            guard let sax = context.pointee.sax else { return }
            sax.pointee = Self.handler
            context.pointee.userData = Unmanaged.passUnretained(builder).toOpaque()
            withExtendedLifetime(builder) { _ = xmlParseDocument(context) }
            builder.finish(isWellFormed: context.pointee.wellFormed == 1, code: Int(context.pointee.errNo))
            // SAX builds no document of its own, unless a default handler slipped in.
            if let document = context.pointee.myDoc { xmlFreeDoc(document) }
            context.pointee.myDoc = nil
        }
        if let error = builder.error { throw error }
        guard let root = builder.root else { throw XMLError(reason: .truncated, line: builder.lastLine) }
        return root
    }

    static func firstInvalidLine(_ bytes: ArraySlice<UInt8>) -> Int {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var line = 1
        while case .scalarValue(let scalar) = decoder.decode(&iterator) { line += scalar == "\n" ? 1 : 0 }
        return line
    }

    /// libxml2 wants its globals made once, before threads use it.
    static let isReady: Bool = {
        xmlInitParser()
        return true
    }()

    private static var handler: xmlSAXHandler {
        var handler = xmlSAXHandler()
        handler.initialized = UInt32(XML_SAX2_MAGIC)
        handler.internalSubset = { data, _, _, _ in Builder.of(data)?.fail(.documentType) }
        handler.externalSubset = { data, _, _, _ in Builder.of(data)?.fail(.documentType) }
        handler.startElementNs = { data, name, _, uri, _, _, count, _, attributes in
            Builder.of(data)?.open(name, uri: uri, count: Int(count), attributes: attributes)
        }
        handler.endElementNs = { data, _, _, _ in Builder.of(data)?.close() }
        handler.characters = { data, bytes, count in Builder.of(data)?.append(bytes, count) }
        handler.ignorableWhitespace = { data, bytes, count in Builder.of(data)?.append(bytes, count) }
        handler.cdataBlock = { data, bytes, count in Builder.of(data)?.append(bytes, count) }
        handler.serror = { data, error in
            guard let error else { return }
            Builder.of(data)?.noticed(error.pointee)
        }
        return handler
    }

    /// Collects elements while libxml2 parses. Lives on one thread, within one call of ``parse(_:limits:)``.
    private final class Builder {
        var context: xmlParserCtxtPtr?
        private(set) var root: XMLElement?
        private(set) var error: XMLError?
        private var open: [(element: XMLElement, text: [UInt8])] = []
        private let depthLimit: Int
        private let skippedLines: Int

        init(depthLimit: Int, skippedLines: Int) {
            self.depthLimit = depthLimit
            self.skippedLines = skippedLines
        }

        static func of(_ data: UnsafeMutableRawPointer?) -> Builder? {
            data.map { Unmanaged<Builder>.fromOpaque($0).takeUnretainedValue() }
        }

        private(set) var lastLine = 1

        private var line: Int {
            if let input = context?.pointee.input { lastLine = Int(input.pointee.line) + skippedLines }
            return lastLine
        }

        func fail(_ reason: XMLError.Reason, line: Int? = nil) {
            guard error == nil else { return }
            error = XMLError(reason: reason, line: line ?? self.line, openElement: open.last?.element.name)
            if let context { xmlStopParser(context) }
        }

        func open(
            _ name: UnsafePointer<xmlChar>?, uri: UnsafePointer<xmlChar>?, count: Int,
            attributes: UnsafeMutablePointer<UnsafePointer<xmlChar>?>?
        ) {
            guard error == nil, let name else { return }
            guard open.count < depthLimit else { return fail(.tooDeep(limit: depthLimit)) }
            var element = XMLElement(name: Self.string(name), namespace: uri.map(Self.string), line: line)
            if let attributes {
                // Five pointers an attribute: local name, prefix, URI, first byte of the value, one past its last.
                for index in 0..<count {
                    guard let key = attributes[index * 5], let first = attributes[index * 5 + 3],
                        let end = attributes[index * 5 + 4], end >= first
                    else { continue }
                    let value = UnsafeBufferPointer(start: first, count: end - first)
                    element.attributes[Self.string(key)] = String(decoding: value, as: UTF8.self)
                }
            }
            open.append((element, []))
        }

        func append(_ bytes: UnsafePointer<xmlChar>?, _ count: Int32) {
            guard error == nil, let bytes, count > 0, !open.isEmpty else { return }
            open[open.count - 1].text.append(contentsOf: UnsafeBufferPointer(start: bytes, count: Int(count)))
        }

        func close() {
            guard error == nil, let last = open.popLast() else { return }
            var element = last.element
            element.text = String(decoding: last.text, as: UTF8.self)
            if open.isEmpty { root = element } else { open[open.count - 1].element.children.append(element) }
        }

        func noticed(_ fault: xmlError) {
            guard error == nil, fault.level.rawValue >= XML_ERR_ERROR.rawValue else { return }
            // A namespace fault leaves the document well formed, and a prefix without a URI harms no one here.
            guard fault.domain != Int32(bitPattern: XML_FROM_NAMESPACE.rawValue) else { return }
            let code = Int(fault.code)
            let isAtEnd = open.isEmpty ? false : context.map(Self.isAtEnd) ?? false
            fail(
                XMLError.Reason(parserCode: code, isAtEnd: isAtEnd, hasRoot: root != nil),
                line: max(1, Int(fault.line)) + skippedLines)
        }

        func finish(isWellFormed: Bool, code: Int) {
            guard error == nil else { return }
            if !open.isEmpty || (root == nil && isWellFormed) {
                error = XMLError(reason: .truncated, line: line, openElement: open.last?.element.name)
            } else if !isWellFormed {
                error = XMLError(
                    reason: XMLError.Reason(parserCode: code, isAtEnd: false, hasRoot: root != nil), line: line)
            }
        }

        private static func isAtEnd(_ context: xmlParserCtxtPtr) -> Bool {
            guard let input = context.pointee.input, let current = input.pointee.cur, let end = input.pointee.end else {
                return true
            }
            return current >= end
        }

        private static func string(_ name: UnsafePointer<xmlChar>) -> String { String(cString: name) }
    }
}

extension XMLError.Reason {
    /// What libxml2 means by one of its `xmlParserErrors`.
    init(parserCode code: Int, isAtEnd: Bool, hasRoot: Bool) {
        func any(_ codes: xmlParserErrors...) -> Bool { codes.contains { Int($0.rawValue) == code } }
        let isEncoding = any(
            XML_ERR_INVALID_ENCODING, XML_ERR_UNSUPPORTED_ENCODING, XML_ERR_UNKNOWN_ENCODING, XML_I18N_CONV_FAILED)
        let isAttribute = any(
            XML_ERR_ATTRIBUTE_NOT_STARTED, XML_ERR_ATTRIBUTE_NOT_FINISHED, XML_ERR_ATTRIBUTE_WITHOUT_VALUE,
            XML_ERR_ATTRIBUTE_REDEFINED, XML_ERR_LT_IN_ATTRIBUTE)
        if isEncoding {
            self = .encoding
        } else if any(XML_ERR_UNDECLARED_ENTITY, XML_WAR_UNDECLARED_ENTITY, XML_ERR_ENTITY_LOOP) {
            self = .undefinedEntity
        } else if any(XML_ERR_DOCUMENT_END, XML_ERR_DOCUMENT_EMPTY) {
            self = hasRoot ? .contentOutsideRoot : .malformed(code: code)
        } else if isAtEnd || any(XML_ERR_TAG_NOT_FINISHED) {
            self = .truncated
        } else if any(XML_ERR_TAG_NAME_MISMATCH) {
            self = .mismatchedTag
        } else {
            self = isAttribute ? .attribute : .malformed(code: code)
        }
    }
}
