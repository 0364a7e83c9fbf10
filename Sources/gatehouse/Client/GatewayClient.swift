import FoundationEssentials
import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import Portal

/// Asks the daemon over its Unix sockets.
struct GatewayClient: Sendable {
    let directory: String
    /// How long an answer may take.
    var patience = TimeAmount.seconds(30)

    enum Socket: String, Sendable { case status, control }
    enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    func path(_ socket: Socket) -> String { directory + "/\(socket.rawValue).sock" }

    /// A successful answer's body.
    ///
    /// - Parameter accepted: statuses beside 2xx whose body is an answer too.
    /// - Throws: ``CommandFailure`` in the daemon's own words, or with the reason why it cannot be reached.
    func ask(
        _ socket: Socket, _ path: [String], method: Method = .get, query: [(String, String)] = [],
        body: [UInt8]? = nil, accepting accepted: [UInt] = []
    ) async throws -> [UInt8] {
        let connection = try await connect(socket)
        let alarm = connection.channel.eventLoop.scheduleTask(in: patience) { connection.channel.close(promise: nil) }
        defer { alarm.cancel() }
        let target = Self.target(path, query)
        return try await connection.executeThenClose { inbound, outbound in
            try await Self.send(method, target, body, accept: "application/json", to: outbound)
            var status: HTTPResponseStatus?
            var bytes: [UInt8] = []
            loop: for try await part in inbound {
                switch part {
                case .head(let head): status = head.status
                case .body(let buffer): bytes += buffer.readableBytesView
                case .end: break loop
                }
            }
            guard let status else {
                throw CommandFailure("gatehoused did not answer \(method.rawValue) \(target): see its log")
            }
            guard (200..<300).contains(status.code) || accepted.contains(status.code) else {
                throw Self.refusal(status, bytes)
            }
            return bytes
        }
    }

    /// An answer as a value.
    func value<Value: Decodable>(
        _: Value.Type, _ socket: Socket, _ path: [String], method: Method = .get, query: [(String, String)] = [],
        body: [UInt8]? = nil, accepting accepted: [UInt] = []
    ) async throws -> Value {
        let bytes = try await ask(socket, path, method: method, query: query, body: body, accepting: accepted)
        do {
            return try JSONDecoder().decode(Value.self, from: Data(bytes))
        } catch {
            throw CommandFailure(
                "gatehoused answered /\(path.joined(separator: "/")) in a form that this command cannot read: "
                    + "are both of the same version?")
        }
    }

    /// Reads server-sent events until `body` answers false or the daemon ends the stream.
    func events(after: UInt64?, _ body: (ServerSentEvent) async throws -> Bool) async throws {
        let connection = try await connect(.status)
        let target = Self.target(["v1", "events"], after.map { [("after", String($0))] } ?? [])
        try await connection.executeThenClose { inbound, outbound in
            try await Self.send(.get, target, nil, accept: "text/event-stream", to: outbound)
            var parser = ServerSentEventParser()
            var refused: HTTPResponseStatus?
            var refusal: [UInt8] = []
            for try await part in inbound {
                switch part {
                case .head(let head):
                    if head.status != .ok { refused = head.status }
                case .body(let buffer) where refused != nil:
                    refusal += buffer.readableBytesView
                case .body(let buffer):
                    for event in parser.receive(buffer.readableBytesView) {
                        guard try await body(event) else { return }
                    }
                case .end:
                    if let refused { throw Self.refusal(refused, refusal) }
                    return
                }
            }
        }
    }

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPPart<HTTPRequestHead, ByteBuffer>>

    private func connect(_ socket: Socket) async throws -> Connection {
        let path = path(socket)
        do {
            return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .connect(unixDomainSocketPath: path) { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHTTPClientHandlers()
                        try channel.pipeline.syncOperations.addHandler(BufferBodies())
                        return try Connection(wrappingChannelSynchronously: channel)
                    }
                }
        } catch {
            throw unreachable(socket, error)
        }
    }

    private func unreachable(_ socket: Socket, _ error: any Error) -> CommandFailure {
        let path = path(socket)
        switch (error as? IOError)?.errnoCode {
        case ENOENT, ECONNREFUSED, ENOTDIR:
            return CommandFailure(
                "gatehoused is not running: nothing answers at \(path). Start it with 'systemctl start gatehoused', or "
                    + "name the place of its sockets with --socket-directory.", isDaemonAbsent: true)
        case EACCES, EPERM:
            guard socket == .status else {
                return CommandFailure("you may not use \(path): changes are for root alone. Use sudo.")
            }
            return CommandFailure(
                "you may not read \(path): join the group that owns it"
                    + (Self.group(of: path).map { " ('usermod -aG \($0) USER', then log in again)" } ?? "")
                    + ", or use sudo.")
        default:
            return CommandFailure("cannot reach gatehoused at \(path): \(error)")
        }
    }

    private static func group(of path: String) -> String? {
        var file = stat()
        guard stat(path, &file) == 0, file.st_gid != 0, let entry = getgrgid(file.st_gid) else { return nil }
        return String(cString: entry.pointee.gr_name)
    }

    private static func send(
        _ method: Method, _ target: String, _ body: [UInt8]?, accept: String,
        to outbound: NIOAsyncChannelOutboundWriter<HTTPPart<HTTPRequestHead, ByteBuffer>>
    ) async throws {
        var headers = HTTPHeaders([("Host", "gatehouse"), ("Accept", accept), ("Connection", "close")])
        if let body { headers.add(name: "Content-Length", value: String(body.count)) }
        let head = HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: method.rawValue), uri: target, headers: headers)
        // At once: a request without a body is whole with its head, and may be answered and the connection closed before
        // a second write.
        var parts: [HTTPPart<HTTPRequestHead, ByteBuffer>] = [.head(head)]
        if let body { parts.append(.body(ByteBuffer(bytes: body))) }
        try await outbound.write(contentsOf: parts + [.end(nil)])
    }

    private static func refusal(_ status: HTTPResponseStatus, _ bytes: [UInt8]) -> CommandFailure {
        struct Body: Decodable { var error: Detail }
        struct Detail: Decodable { var message: String }
        if let body = try? JSONDecoder().decode(Body.self, from: Data(bytes)) {
            return CommandFailure(body.error.message)
        }
        return CommandFailure("gatehoused answered \(status.code) \(status.reasonPhrase)")
    }

    /// A path and a query, percent-encoded but for what RFC 3986 calls unreserved.
    static func target(_ path: [String], _ query: [(String, String)]) -> String {
        func encoded(_ text: String) -> String {
            var result = ""
            for byte in text.utf8 {
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "~"):
                    result.unicodeScalars.append(Unicode.Scalar(byte))
                default:
                    result += byte < 16 ? "%0" : "%"
                    result += String(byte, radix: 16, uppercase: true)
                }
            }
            return result
        }
        let pairs = query.map { encoded($0.0) + "=" + encoded($0.1) }
        return "/" + path.map(encoded).joined(separator: "/")
            + (pairs.isEmpty ? "" : "?" + pairs.joined(separator: "&"))
    }
}

/// Lets request bodies be byte buffers, which the HTTP encoder wants wrapped.
private final class BufferBodies: ChannelOutboundHandler {
    typealias OutboundIn = HTTPPart<HTTPRequestHead, ByteBuffer>
    typealias OutboundOut = HTTPClientRequestPart

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        let part: HTTPClientRequestPart =
            switch unwrapOutboundIn(data) {
            case .head(let head): .head(head)
            case .body(let buffer): .body(.byteBuffer(buffer))
            case .end(let trailers): .end(trailers)
            }
        context.write(wrapOutboundOut(part), promise: promise)
    }
}
