internal import CXML2

extension XMLNode {
    /// The element with all within it in exclusive canonical form without comments
    /// (<http://www.w3.org/2001/10/xml-exc-c14n#>), and with one element in it left out.
    ///
    /// `inclusivePrefixes` are the namespace prefixes that are written as inclusive canonicalization would, `#default`
    /// among them for the default namespace.
    public func canonical(
        without excluded: XMLNode? = nil, inclusivePrefixes: [String] = []
    ) throws(XMLError) -> [UInt8] {
        guard let buffer = xmlBufferCreate(), let output = xmlOutputBufferCreateBuffer(buffer, nil) else {
            throw XMLError(reason: .noCanonicalForm, line: line)
        }
        defer { xmlBufferFree(buffer) }
        // libxml2 would print its complaint; the setting is the thread's own.
        xmlSetStructuredErrorFunc(nil, { _, _ in })
        defer { xmlSetStructuredErrorFunc(nil, nil) }
        var selection = Selection(target: pointer, excluded: excluded?.pointer)
        var prefixes = inclusivePrefixes.map { prefix -> UnsafeMutablePointer<xmlChar>? in xmlStrdup(prefix) }
        prefixes.append(nil)
        defer { for case let prefix? in prefixes { gh_xml_free(prefix) } }
        let status = withExtendedLifetime(tree) {
            prefixes.withUnsafeMutableBufferPointer { prefixes in
                xmlC14NExecute(
                    tree.document, Selection.isVisible, &selection, Int32(XML_C14N_EXCLUSIVE_1_0.rawValue),
                    inclusivePrefixes.isEmpty ? nil : prefixes.baseAddress, 0, output)
            }
        }
        let closed = xmlOutputBufferClose(output)
        guard status >= 0, closed >= 0, let content = xmlBufferContent(buffer) else {
            throw XMLError(reason: .noCanonicalForm, line: line)
        }
        return Array(UnsafeBufferPointer(start: content, count: Int(xmlBufferLength(buffer))))
    }
}

/// Which nodes belong to a canonical form: those of one element, less those of another.
private struct Selection {
    let target: xmlNodePtr
    let excluded: xmlNodePtr?

    static let isVisible: xmlC14NIsVisibleCallback = { data, node, parent in
        guard let data, let node else { return 0 }
        let selection = data.assumingMemoryBound(to: Selection.self).pointee
        // An attribute or namespace node is where the element is that it stands in; a namespace node does not know.
        let isElementOrText =
            node.pointee.type != XML_ATTRIBUTE_NODE && node.pointee.type != XML_NAMESPACE_DECL
        var place = isElementOrText ? node : parent
        while let here = place {
            if here == selection.excluded { return 0 }
            if here == selection.target { return 1 }
            place = here.pointee.parent
        }
        return 0
    }
}
