/// One event of a `text/event-stream`.
struct ServerSentEvent: Hashable {
    var id: String?
    var event: String?
    var data: String
}

/// Puts the lines of an event stream together (HTML Living Standard, "Parsing an event stream"). Any bytes are fine:
/// fields that it does not know, comments and events without data are passed over.
struct ServerSentEventParser {
    /// Bytes of one event beyond which it is dropped.
    static let limit = 1 << 20

    private var line: [UInt8] = []
    private var hadReturn = false
    private var id: String?
    private var event: String?
    private var data: [String] = []
    private var size = 0

    /// The events that these bytes complete.
    mutating func receive(_ bytes: some Sequence<UInt8>) -> [ServerSentEvent] {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            // A line ends in LF, CR, or CR LF, which may come in two pieces.
            if byte == UInt8(ascii: "\n"), hadReturn {
                hadReturn = false
                continue
            }
            hadReturn = byte == UInt8(ascii: "\r")
            guard byte == UInt8(ascii: "\n") || hadReturn else {
                size += 1
                if size <= Self.limit { line.append(byte) }
                continue
            }
            if let event = endLine() { events.append(event) }
        }
        return events
    }

    private mutating func endLine() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        guard !line.isEmpty else {
            defer {
                event = nil
                data = []
                size = 0
            }
            guard !data.isEmpty, size <= Self.limit else { return nil }
            return ServerSentEvent(id: id, event: event, data: data.joined(separator: "\n"))
        }
        let text = String(decoding: line, as: UTF8.self)
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var value = parts.count > 1 ? parts[1] : ""
        if value.hasPrefix(" ") { value.removeFirst() }
        switch parts[0] {
        case "id": id = String(value)
        case "event": event = String(value)
        case "data": data.append(String(value))
        default: break
        }
        return nil
    }
}
