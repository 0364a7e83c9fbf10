internal import CXML2

/// One element of an ``XMLTree``. Equal when it is the very same element.
public struct XMLNode {
    let tree: XMLTree
    let pointer: xmlNodePtr

    /// The name without a namespace prefix.
    public var name: String { pointer.pointee.name.map { String(cString: $0) } ?? "" }

    /// Namespace URI; nil outside any namespace.
    public var namespace: String? { pointer.pointee.ns?.pointee.href.map { String(cString: $0) } }

    /// The line of the start tag, from 1.
    public var line: Int { max(0, Int(xmlGetLineNo(pointer))) }

    /// Whether this is the element `name` of `namespace`.
    public func matches(_ name: String, _ namespace: String) -> Bool {
        guard let href = pointer.pointee.ns?.pointee.href else { return false }
        return xmlStrEqual(pointer.pointee.name, name) == 1 && xmlStrEqual(href, namespace) == 1
    }

    /// The element around this one; nil for the root.
    public var parent: XMLNode? {
        guard let parent = pointer.pointee.parent, parent.pointee.type == XML_ELEMENT_NODE else { return nil }
        return XMLNode(tree: tree, pointer: parent)
    }

    /// The child elements, in order.
    public var children: [XMLNode] {
        var found: [XMLNode] = []
        var child = pointer.pointee.children
        while let current = child {
            if current.pointee.type == XML_ELEMENT_NODE { found.append(XMLNode(tree: tree, pointer: current)) }
            child = current.pointee.next
        }
        return found
    }

    /// The child elements of that name.
    public func children(_ name: String, _ namespace: String) -> [XMLNode] {
        children.filter { $0.matches(name, namespace) }
    }

    /// The value of an attribute outside any namespace, as SAML and XML signatures have them.
    public func attribute(_ name: String) -> String? {
        var attribute = pointer.pointee.properties
        while let current = attribute {
            if current.pointee.ns == nil, xmlStrEqual(current.pointee.name, name) == 1 {
                return Self.text(of: current.pointee.children)
            }
            attribute = current.pointee.next
        }
        return nil
    }

    /// The value of an attribute of a namespace.
    public func attribute(_ name: String, _ namespace: String) -> String? {
        var attribute = pointer.pointee.properties
        while let current = attribute {
            if let href = current.pointee.ns?.pointee.href, xmlStrEqual(href, namespace) == 1,
                xmlStrEqual(current.pointee.name, name) == 1
            {
                return Self.text(of: current.pointee.children)
            }
            attribute = current.pointee.next
        }
        return nil
    }

    /// All attributes by local name, whatever their namespace, in the order of the document.
    public var attributes: [(name: String, value: String)] {
        var found: [(String, String)] = []
        var attribute = pointer.pointee.properties
        while let current = attribute {
            if let name = current.pointee.name {
                found.append((String(cString: name), Self.text(of: current.pointee.children)))
            }
            attribute = current.pointee.next
        }
        return found
    }

    /// The character data of the element when it holds nothing else, CDATA sections included. Nil where an element or
    /// a comment stands within.
    public var onlyText: String? {
        var child = pointer.pointee.children
        while let current = child {
            guard current.pointee.type == XML_TEXT_NODE || current.pointee.type == XML_CDATA_SECTION_NODE else {
                return nil
            }
            child = current.pointee.next
        }
        return Self.text(of: pointer.pointee.children)
    }

    /// The character data of the element and all elements within, joined.
    public var text: String {
        var bytes: [UInt8] = []
        Self.append(pointer.pointee.children, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Calls `body` with this element and every one within it, in the order of the document.
    public func walk<Failure: Error>(_ body: (XMLNode) throws(Failure) -> Void) throws(Failure) {
        try body(self)
        var child = pointer.pointee.children
        while let current = child {
            if current.pointee.type == XML_ELEMENT_NODE {
                try XMLNode(tree: tree, pointer: current).walk(body)
            }
            child = current.pointee.next
        }
    }

    /// Namespace declarations that apply within this element: prefix (nil for the default) and URI.
    public var namespacesInScope: [(prefix: String?, uri: String)] {
        var found: [(prefix: String?, uri: String)] = []
        var element: XMLNode? = self
        while let current = element {
            var declaration = current.pointer.pointee.nsDef
            while let one = declaration {
                let prefix = one.pointee.prefix.map { String(cString: $0) }
                if !found.contains(where: { $0.prefix == prefix }) {
                    found.append((prefix, one.pointee.href.map { String(cString: $0) } ?? ""))
                }
                declaration = one.pointee.next
            }
            element = current.parent
        }
        return found
    }

    private static func append(_ first: xmlNodePtr?, to bytes: inout [UInt8]) {
        var node = first
        while let current = node {
            if current.pointee.type == XML_ELEMENT_NODE {
                append(current.pointee.children, to: &bytes)
            } else if current.pointee.type == XML_TEXT_NODE || current.pointee.type == XML_CDATA_SECTION_NODE,
                let content = current.pointee.content
            {
                bytes.append(contentsOf: UnsafeBufferPointer(start: content, count: Int(xmlStrlen(content))))
            }
            node = current.pointee.next
        }
    }

    private static func text(of first: xmlNodePtr?) -> String {
        var bytes: [UInt8] = []
        append(first, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension XMLNode: Equatable {
    public static func == (a: XMLNode, b: XMLNode) -> Bool { a.pointer == b.pointer }
}
