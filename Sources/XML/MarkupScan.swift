internal import Base

/// What can be told of a document's markup before a parser takes it: enough to keep from it what costs too much or what
/// is never accepted. Offsets count from the start of the bytes.
///
/// On a document that is not well-formed the answer may be wrong either way; the parser refuses that one itself.
struct MarkupScan {
    /// The first start tag with more attributes than the limit. libxml2 compares every attribute of an element with
    /// every other before it tells anyone of the element, so that bound must be kept before it parses.
    private(set) var crowdedTag: Int?
    /// The first declaration that is neither a comment nor a CDATA section: a document type.
    private(set) var documentType: Int?
    /// The first processing instruction other than an XML declaration at the very start.
    private(set) var processingInstruction: Int?

    init(_ bytes: ArraySlice<UInt8>, attributeLimit: Int) {
        bytes.withUnsafeBytes { buffer in
            var at = 0
            func begins(_ mark: StaticString) -> Bool {
                buffer.count - at >= mark.utf8CodeUnitCount
                    && mark.withUTF8Buffer { mark in mark.indices.allSatisfy { buffer[at + $0] == mark[$0] } }
            }
            func skip(past mark: StaticString) {
                while at < buffer.count, !begins(mark) { at += 1 }
                at += mark.utf8CodeUnitCount
            }
            while at < buffer.count {
                guard buffer[at] == UInt8(ascii: "<") else {
                    at += 1
                    continue
                }
                let tag = at
                if begins("<!--") {
                    at += 4
                    skip(past: "-->")
                } else if begins("<![CDATA[") {
                    skip(past: "]]>")
                } else if begins("<?") {
                    let isDeclaration = at == 0 && begins("<?xml") && at + 5 < buffer.count && buffer[at + 5] <= 32
                    if !isDeclaration, processingInstruction == nil { processingInstruction = tag }
                    skip(past: "?>")
                } else {
                    if begins("<!"), documentType == nil { documentType = tag }
                    var count = 0
                    at += 1
                    while at < buffer.count, buffer[at] != UInt8(ascii: ">") {
                        let byte = buffer[at]
                        at += 1
                        if byte == UInt8(ascii: "=") { count += 1 }
                        guard byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") else { continue }
                        while at < buffer.count, buffer[at] != byte { at += 1 }
                        at += 1
                    }
                    if count > attributeLimit, crowdedTag == nil { crowdedTag = tag }
                    at += 1
                }
            }
        }
    }
}
