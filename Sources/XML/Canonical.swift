internal import CXML2

extension XMLNode {
    /// The element with all within it in exclusive canonical form without comments
    /// (<http://www.w3.org/2001/10/xml-exc-c14n#>), and with one element in it left out.
    ///
    /// `inclusivePrefixes` are the namespace prefixes that are written as inclusive canonicalization would, `#default`
    /// among them for the default namespace.
    ///
    /// What stands around the element costs nothing but the namespaces that it declares.
    ///
    /// - Throws: ``XMLError/Reason/noCanonicalForm``, such as where a namespace that is declared in the element or
    ///   applies to it has a relative URI.
    public func canonical(
        without excluded: XMLNode? = nil, inclusivePrefixes: [String] = []
    ) throws(XMLError) -> [UInt8] {
        let refusal = XMLError(reason: .noCanonicalForm, line: line)
        let way = excluded.flatMap { self.way(to: $0) }
        if let way, way.isEmpty { return [] }
        // libxml2 would print its complaint; the setting is the thread's own.
        xmlSetStructuredErrorFunc(nil, { _, _ in })
        defer { xmlSetStructuredErrorFunc(nil, nil) }
        guard let document = copied(without: way) else { throw refusal }
        defer { xmlFreeDoc(document) }
        guard let buffer = xmlBufferCreate() else { throw refusal }
        defer { xmlBufferFree(buffer) }
        guard let output = xmlOutputBufferCreateBuffer(buffer, nil) else { throw refusal }
        var prefixes = inclusivePrefixes.map { prefix -> UnsafeMutablePointer<xmlChar>? in xmlStrdup(prefix) }
        prefixes.append(nil)
        defer { for case let prefix? in prefixes { gh_xml_free(prefix) } }
        let status = prefixes.withUnsafeMutableBufferPointer { prefixes in
            xmlC14NExecute(
                document, nil, nil, Int32(XML_C14N_EXCLUSIVE_1_0.rawValue),
                inclusivePrefixes.isEmpty ? nil : prefixes.baseAddress, 0, output)
        }
        let closed = xmlOutputBufferClose(output)
        guard status >= 0, closed >= 0, let content = xmlBufferContent(buffer) else { throw refusal }
        return Array(UnsafeBufferPointer(start: content, count: Int(xmlBufferLength(buffer))))
    }

    /// A document that holds nothing but a copy of the element, with the namespace declarations that apply to it. Nil
    /// where memory runs out.
    ///
    /// libxml2 can write the form of a part of a document, but goes through the whole of it, and looks for every
    /// inclusive prefix at elements, too, that do not belong to the part: a stranger's document could make that take
    /// minutes before its signature is looked at.
    private func copied(without way: [Int]?) -> xmlDocPtr? {
        guard let document = xmlNewDoc("1.0") else { return nil }
        let isWhole = withExtendedLifetime(tree) { () -> Bool in
            guard let copy = xmlDocCopyNode(pointer, document, 1) else { return false }
            xmlDocSetRootElement(document, copy)
            return Self.declareWhatApplies(to: pointer, on: copy) && Self.leaveOut(way, of: copy)
        }
        guard isWhole else {
            xmlFreeDoc(document)
            return nil
        }
        return document
    }

    /// Declares on a copy what applies to its original. The copy has the original's own declarations, and of those
    /// around what its names need; unused ones count as well where their prefix is an inclusive one.
    private static func declareWhatApplies(to original: xmlNodePtr, on copy: xmlNodePtr) -> Bool {
        var place = original.pointee.parent
        while let element = place, element.pointee.type == XML_ELEMENT_NODE {
            var declaration = element.pointee.nsDef
            while let one = declaration {
                // The nearest declaration of a prefix is the one that counts.
                if !declares(one.pointee.prefix, copy), xmlNewNs(copy, one.pointee.href, one.pointee.prefix) == nil {
                    return false
                }
                declaration = one.pointee.next
            }
            place = element.pointee.parent
        }
        return true
    }

    private static func declares(_ prefix: UnsafePointer<xmlChar>?, _ element: xmlNodePtr) -> Bool {
        var declaration = element.pointee.nsDef
        while let one = declaration {
            if xmlStrEqual(one.pointee.prefix, prefix) == 1 { return true }
            declaration = one.pointee.next
        }
        return false
    }

    /// How one comes from this element to one within it: at each step down, how many elements stand before the right
    /// one. Nil for an element that is not within.
    private func way(to node: XMLNode) -> [Int]? {
        var way: [Int] = []
        var place = node.pointer
        while place != pointer {
            var before = 0
            var sibling = place.pointee.prev
            while let one = sibling {
                if one.pointee.type == XML_ELEMENT_NODE { before += 1 }
                sibling = one.pointee.prev
            }
            way.append(before)
            guard let parent = place.pointee.parent, parent.pointee.type == XML_ELEMENT_NODE else { return nil }
            place = parent
        }
        return Array(way.reversed())
    }

    /// Takes the element at the end of a way out of its document. False where the way leads nowhere.
    private static func leaveOut(_ way: [Int]?, of root: xmlNodePtr) -> Bool {
        guard let way else { return true }
        var place = root
        for before in way {
            var left = before
            var child = place.pointee.children
            while let one = child, one.pointee.type != XML_ELEMENT_NODE || left > 0 {
                if one.pointee.type == XML_ELEMENT_NODE { left -= 1 }
                child = one.pointee.next
            }
            guard let next = child else { return false }
            place = next
        }
        xmlUnlinkNode(place)
        xmlFreeNode(place)
        return true
    }
}
