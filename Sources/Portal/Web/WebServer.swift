public import Base
public import Cryptography
import Glibc
import HTTPTypes
import Hummingbird
import HummingbirdCore
public import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Where the sign-in pages listen, and with which certificate.
public struct WebConfiguration: Sendable {
    public var address: SiteAddress
    /// Addresses to listen on; empty means all.
    public var listen: [IPAddress]
    /// The port to listen on, when it is not that of the address.
    public var port: UInt16
    /// A port that leads unencrypted requests to the pages; nil for none.
    public var redirectPort: UInt16?
    public var identity: @Sendable () throws -> WebIdentity
    /// Connections at a time, of all browsers together.
    public var connections = 2_000
    /// Connections at a time of one client. More are closed as soon as they come.
    public var connectionsPerClient = 200
    /// Bytes of the largest request body.
    public var bodyBytes = 1 << 20
    /// Milliseconds that a connection may be idle, or take to send its request.
    public var requestMilliseconds: Int64 = 20_000

    public init(
        address: SiteAddress, listen: [IPAddress], port: UInt16, redirectPort: UInt16?,
        identity: @escaping @Sendable () throws -> WebIdentity
    ) {
        self.address = address
        self.listen = listen
        self.port = port
        self.redirectPort = redirectPort
        self.identity = identity
    }
}

/// A certificate chain and its key, both in PEM.
public struct WebIdentity: Hashable, Sendable {
    public var chain: [UInt8]
    public var key: Secret

    public init(chain: [UInt8], key: Secret) {
        self.chain = chain
        self.key = key
    }
}

/// The HTTPS server of the sign-in pages.
public final class WebServer: Sendable {
    private let configuration: WebConfiguration
    private let site: SignInSite
    private let context: ContextBox
    private let logger: Logger
    private let clients: ClientConnections
    private let listeners: Mutex<[Listener]> = Mutex([])

    private struct Listener: Sendable {
        var channel: any Channel
        var connections: Connections
        var work: Task<Void, Never>
    }

    /// The context that new connections are made with.
    private final class ContextBox: Sendable {
        let value: Mutex<(identity: WebIdentity, context: NIOSSLContext)>
        init(_ identity: WebIdentity, _ context: NIOSSLContext) { value = Mutex((identity, context)) }
    }

    /// Begins to listen.
    ///
    /// - Throws: an error that says which address or file cannot be used.
    public static func start(
        _ configuration: WebConfiguration, api: any SignInAPI, random: @escaping @Sendable (Int) -> [UInt8],
        wall: @escaping @Sendable () -> WallTime, tick: @escaping @Sendable () -> Tick, logger: Logger
    ) async throws -> WebServer {
        let identity = try configuration.identity()
        let server = WebServer(
            configuration: configuration,
            site: SignInSite(address: configuration.address, api: api, random: random, wall: wall, tick: tick),
            context: ContextBox(identity, try Self.context(identity)), logger: logger)
        do {
            let hosts = configuration.listen.isEmpty ? [IPAddress("::")!, IPAddress("0.0.0.0")!] : configuration.listen
            for host in hosts {
                do {
                    try await server.listen(host, configuration.port, isSecure: true)
                    if let port = configuration.redirectPort { try await server.listen(host, port, isSecure: false) }
                } catch let error as IOError where configuration.listen.isEmpty && host.family == .ipv6 {
                    logger.notice("the sign-in pages are not offered over IPv6: \(error)")
                }
            }
        } catch {
            await server.stop()
            throw error
        }
        return server
    }

    private init(configuration: WebConfiguration, site: SignInSite, context: ContextBox, logger: Logger) {
        self.configuration = configuration
        self.site = site
        self.context = context
        self.logger = logger
        clients = ClientConnections(limit: configuration.connectionsPerClient)
    }

    private static func context(_ identity: WebIdentity) throws -> NIOSSLContext {
        let chain = try NIOSSLCertificate.fromPEMBytes(identity.chain)
        let key = try NIOSSLPrivateKey(bytes: identity.key.exposedBytes, format: .pem)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key))
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        return try NIOSSLContext(configuration: configuration)
    }

    /// Reads the certificate again; new connections have it, open ones keep theirs.
    ///
    /// - Returns: whether it is another one.
    public func reloadIdentity() throws -> Bool {
        let identity = try configuration.identity()
        guard context.value.withLock({ $0.identity != identity }) else { return false }
        let fresh = try Self.context(identity)
        context.value.withLock { $0 = (identity, fresh) }
        return true
    }

    /// Whether it takes connections on every address. A fault of the kernel's, such as too many open files, can end that.
    public var isListening: Bool { listeners.withLock { !$0.isEmpty && $0.allSatisfy(\.channel.isActive) } }

    /// Accepts no more, and closes what is open after a moment.
    public func stop() async {
        let all = listeners.withLock { listeners in
            defer { listeners = [] }
            return listeners
        }
        for listener in all {
            try? await listener.channel.close()
            listener.connections.stop()
            let end = listener.channel.eventLoop.scheduleTask(in: .seconds(1)) { listener.connections.closeAll() }
            await listener.work.value
            end.cancel()
        }
    }

    private func listen(_ host: IPAddress, _ port: UInt16, isSecure: Bool) async throws {
        let connections = Connections(limit: configuration.connections)
        var http1 = HTTP1Channel.Configuration(idleTimeout: .milliseconds(configuration.requestMilliseconds))
        http1.httpDecoder = HTTP1Channel.Configuration.DecoderConfiguration(
            maxHeaderFieldSize: 16 << 10, maxHeaderListSize: 64 << 10, maxHeaderFieldCount: 100)
        let logger = logger
        let http = HTTP1Channel(
            responder: { [self] request, writer, channel in
                try await respond(to: request, writer: writer, channel: channel, connections, isSecure: isSecure)
            }, configuration: http1)
        let (context, clients) = (context, clients)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .serverChannelOption(ChannelOptions.backlog, value: 512)
            .childChannelOption(ChannelOptions.tcpOption(.tcp_nodelay), value: 1)
            .serverChannelInitializer { channel in
                guard host.family == .ipv6, let provider = channel as? any SocketOptionProvider else {
                    return channel.eventLoop.makeSucceededVoidFuture()
                }
                // IPv4 has a socket of its own, so that addresses are what they are.
                return provider.unsafeSetSocketOption(
                    level: .ipv6, name: NIOBSDSocket.Option(rawValue: IPV6_V6ONLY), value: CInt(1))
            }
            .bind(to: try SocketAddress(ipAddress: host.description, port: Int(port))) {
                (channel: any Channel) -> EventLoopFuture<HTTP1Channel.Value> in
                // A channel whose initialization fails is handed to nobody, and NIO leaves it to us to close it.
                guard clients.add(channel) else {
                    channel.close(promise: nil)
                    return channel.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
                }
                connections.add(channel)
                if isSecure {
                    do {
                        let handler = NIOSSLServerHandler(context: context.value.withLock { $0.context })
                        try channel.pipeline.syncOperations.addHandler(handler)
                    } catch {
                        channel.close(promise: nil)
                        return channel.eventLoop.makeFailedFuture(error)
                    }
                }
                return http.setup(channel: channel, logger: logger).map { connections.keep($0, of: channel) }
            }
        let work = Task<Void, Never> {
            try? await server.executeThenClose { inbound in
                await withDiscardingTaskGroup { group in
                    do {
                        for try await connection in inbound {
                            group.addTask { await http.handle(value: connection, logger: logger) }
                        }
                    } catch {
                        logger.error("the sign-in pages no longer accept connections: \(error)")
                    }
                }
            }
        }
        listeners.withLock { $0.append(Listener(channel: server.channel, connections: connections, work: work)) }
    }

    // MARK: - Requests

    private func respond(
        to request: Request, writer: consuming ResponseWriter, channel: any Channel, _ connections: Connections,
        isSecure: Bool
    ) async throws {
        let admission = connections.begin(channel)
        var isLast = admission != .serve
        var answer: WebAnswer
        if admission != .serve {
            answer = .page(
                Pages.plain("Not possible at the moment", "The gateway is busy. Try again in a minute.", status: 503))
        } else if let read = try await read(request, channel) {
            answer = isSecure ? await site.answer(read) : redirect(read)
        } else {
            isLast = true
            answer = .page(Pages.plain("Too much", "What was sent is larger than anything that belongs here.", status: 413))
        }
        var fields = HTTPFields()
        for (name, value) in answer.fields(isSecure: isSecure) where HTTPField.Name(name) != nil {
            fields.append(HTTPField(name: HTTPField.Name(name)!, value: value))
        }
        let body = ByteBuffer(string: answer.body)
        fields[.contentLength] = String(body.readableBytes)
        if isLast { fields[.connection] = "close" }
        let head = HTTPResponse(status: HTTPResponse.Status(code: answer.status), headerFields: fields)
        let alarm = channel.eventLoop.scheduleTask(in: .milliseconds(configuration.requestMilliseconds)) {
            channel.close(promise: nil)
        }
        defer { alarm.cancel() }
        if request.method == .head {
            try await writer.writeResponse(head)
        } else {
            try await writer.write(response: head, body: ResponseBody(byteBuffer: body))
        }
        let isStopping = connections.end(channel)
        if isLast || isStopping { channel.close(promise: nil) }
    }

    /// Unencrypted requests, such as those that the gate leads here, go to the pages (RFC 8910 §3).
    private func redirect(_ request: WebRequest) -> WebAnswer {
        var answer = WebAnswer(status: 302, contentType: "text/plain; charset=utf-8", location: site.address.origin + "/")
        answer.body = "Sign in at \(site.address.origin)/\n"
        return answer
    }

    /// Nil when the body is larger than any that is wanted.
    private func read(_ request: Request, _ channel: any Channel) async throws -> WebRequest? {
        var body: [UInt8] = []
        if let length = request.headers[.contentLength].flatMap({ Int($0) }), length > configuration.bodyBytes {
            return nil
        }
        let alarm = channel.eventLoop.scheduleTask(in: .milliseconds(configuration.requestMilliseconds)) {
            channel.close(promise: nil)
        }
        defer { alarm.cancel() }
        for try await part in request.body {
            guard body.count + part.readableBytes <= configuration.bodyBytes else { return nil }
            body.append(contentsOf: part.readableBytesView)
        }
        let target = request.head.path ?? "/"
        let halves = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let type = request.headers[.contentType]?.lowercased() ?? ""
        // A browser that has gone has no address any more, and a session without one would be nobody's.
        guard let address = channel.remoteAddress?.ipAddress.flatMap({ IPAddress($0) }) else {
            throw ChannelError.ioOnClosedChannel
        }
        return WebRequest(
            method: request.method.rawValue, path: String(halves[0]), query: halves.count > 1 ? String(halves[1]) : "",
            host: request.head.authority,
            cookies: WebRequest.cookies(request.headers[values: .cookie].joined(separator: "; ")),
            isForm: type.hasPrefix("application/x-www-form-urlencoded"),
            authorization: request.headers[.authorization].map { Secret(Array($0.utf8)) }, body: body,
            address: address)
    }
}
