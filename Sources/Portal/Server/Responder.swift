import HTTPTypes
import Hummingbird
import HummingbirdCore
import JSONText
import Logging
import NIOCore
import Tunnels

/// Turns one HTTP request into one answer.
struct Responder: Sendable {
    let routes: Routes
    let limits: PortalConfiguration.Limits
    let connections: Connections
    let logger: Logger

    func respond(to request: Request, writer: consuming ResponseWriter, channel: any Channel) async throws {
        let admission = connections.begin(channel)
        var isLast = admission != .serve
        var answer: Answer
        var fields = HTTPFields()
        do {
            switch admission {
            case .serve: break
            case .refuse: throw Refusal(.unavailable("this socket has all \(limits.connections) connections in use"))
            case .stop: throw Refusal(.unavailable("gatehoused is stopping"))
            }
            let (endpoint, call) = try await read(request, channel: channel) {
                try await writer.writeInformationalHead(HTTPResponse(status: .continue))
            }
            answer = try await endpoint.handle(call)
        } catch {
            let refusal = Self.refusal(for: error)
            if refusal.error.status == 500 { logger.error("\(request.method.rawValue) \(request.uri.path): \(error)") }
            if !refusal.allow.isEmpty { fields[.allow] = refusal.allow.joined(separator: ", ") }
            // What is left of a body that is too long is not worth reading.
            isLast = isLast || refusal.error.status == 413
            answer = .json(Self.body(of: refusal.error), status: refusal.error.status)
        }
        fields[.cacheControl] = "no-store"
        let isHead = request.method == .head
        if case .events(let events) = answer {
            fields[.contentType] = "text/event-stream; charset=utf-8"
            let head = HTTPResponse(status: .ok, headerFields: fields)
            if isHead {
                try await writer.writeResponse(head)
            } else {
                let stream = EventStream(limits: limits, connections: connections)
                try await stream.write(events, head: head, writer: writer, channel: channel)
                // A stream that has ended says so by closing, whatever ended it.
                isLast = true
            }
        } else {
            let (status, contentType, text) = Self.content(of: answer)
            let body = ByteBuffer(string: text)
            fields[.contentType] = contentType
            fields[.contentLength] = String(body.readableBytes)
            if isLast { fields[.connection] = "close" }
            let head = HTTPResponse(status: HTTPResponse.Status(integerLiteral: status), headerFields: fields)
            let alarm = channel.closeAlarm(in: limits.writeMilliseconds)
            defer { alarm.cancel() }
            if isHead {
                try await writer.writeResponse(head)
            } else {
                try await writer.write(response: head, body: ResponseBody(byteBuffer: body))
            }
        }
        let isStopping = connections.end(channel)
        guard isLast || isStopping else { return }
        // Half a close: what is written still goes out, and the client's own close ends the rest.
        let isFlushed = channel.eventLoop.makePromise(of: Void.self)
        channel.close(mode: .output, promise: isFlushed)
        if isStopping { isFlushed.futureResult.whenComplete { _ in channel.close(promise: nil) } }
    }

    private func read(
        _ request: Request, channel: any Channel, sayContinue: () async throws -> Void
    ) async throws -> (Endpoint, Call) {
        let target = try RequestTarget(request.head.path ?? "/")
        let (endpoint, arguments) = try routes.find(request.method.rawValue, target)
        try target.query.check(endpoint.parameters)
        var body: [UInt8] = []
        if endpoint.method != .get {
            let tooLong = APIError(
                status: 413, code: "too-large", message: "the body may have \(limits.bodyBytes) bytes at most")
            if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > limits.bodyBytes {
                throw tooLong
            }
            // The idle timeout restarts with every byte; this one does not.
            let alarm = channel.closeAlarm(in: limits.requestMilliseconds)
            defer { alarm.cancel() }
            if request.headers[.expect]?.lowercased() == "100-continue" { try await sayContinue() }
            for try await part in request.body {
                guard body.count + part.readableBytes <= limits.bodyBytes else { throw tooLong }
                body.append(contentsOf: part.readableBytesView)
            }
        }
        let call = Call(
            arguments: arguments, query: target.query, lastEventID: request.headers[.lastEventID], body: body,
            caller: try await Caller(of: channel))
        return (endpoint, call)
    }

    private static func refusal(for error: any Error) -> Refusal {
        switch error {
        case let error as Refusal: error
        case let error as APIError: Refusal(error)
        // An error that no one foresaw: its text goes to the log, where it cannot tell a stranger anything.
        default: Refusal(.internal("gatehoused failed at this request; its log says more"))
        }
    }

    /// `{"error":{"code":…,"message":…}}`.
    private static func body(of error: APIError) -> JSON {
        .object([
            JSON.Member(
                "error",
                .object([
                    JSON.Member("code", .string(error.code)), JSON.Member("message", .string(error.message)),
                ]))
        ])
    }

    private static func content(of answer: Answer) -> (status: Int, contentType: String, text: String) {
        switch answer {
        case .json(let json, let status): (status, "application/json", json.text() + "\n")
        case .text(let text, let contentType): (200, contentType, text)
        case .events: (200, "text/event-stream", "")
        }
    }
}

/// Writes events as they come (HTML Living Standard, "Server-sent events").
struct EventStream: Sendable {
    let limits: PortalConfiguration.Limits
    let connections: Connections

    private enum Item {
        case event(GatewayEvent)
        case keepAlive
    }

    /// Ends when the events do, the reader goes or falls behind, or the server stops.
    func write(
        _ events: AsyncStream<GatewayEvent>, head: HTTPResponse, writer: consuming ResponseWriter, channel: any Channel
    ) async throws {
        var body = try await writer.writeHead(head)
        let (items, continuation) = AsyncStream<Item>.makeStream(
            bufferingPolicy: .bufferingOldest(limits.waitingEvents))
        connections.whenStreamMustEnd(channel) { continuation.finish() }
        let interval = TimeAmount.milliseconds(limits.keepAliveMilliseconds)
        let ticker = channel.eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in
            continuation.yield(.keepAlive)
        }
        let pump = Task {
            for await event in events {
                // Better to end a stream than to leave events out: the reader resumes by the last number it has.
                if case .dropped = continuation.yield(.event(event)) { break }
            }
            continuation.finish()
        }
        defer {
            pump.cancel()
            ticker.cancel()
        }
        // The first bytes tell the client that it is connected, and when to come back.
        try await write(": gatehouse events\nretry: 2000\n\n", to: &body, channel: channel)
        for await item in items {
            switch item {
            case .event(let event): try await write(Self.text(of: event), to: &body, channel: channel)
            case .keepAlive: try await write(": keep-alive\n\n", to: &body, channel: channel)
            }
        }
        try await body.finish(nil)
    }

    private func write(_ text: String, to body: inout some ResponseBodyWriter, channel: any Channel) async throws {
        let alarm = channel.closeAlarm(in: limits.writeMilliseconds)
        defer { alarm.cancel() }
        try await body.write(ByteBuffer(string: text))
    }

    private static func text(of event: GatewayEvent) throws -> String {
        // A line break in the kind would start a field of its own.
        let kind = String(event.kind.map { $0.isNewline ? " " : $0 })
        return "id: \(event.number)\nevent: \(kind)\ndata: \(try JSON.line(event))\n\n"
    }
}

extension Channel {
    /// Closes the connection after a time, unless it is cancelled.
    fileprivate func closeAlarm(in milliseconds: Int64) -> Scheduled<Void> {
        eventLoop.scheduleTask(in: .milliseconds(milliseconds)) { self.close(promise: nil) }
    }
}

extension HTTPField.Name {
    fileprivate static let lastEventID = HTTPField.Name("Last-Event-ID")!
}
