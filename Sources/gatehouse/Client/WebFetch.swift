import FoundationEssentials
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Reads a document from the web, as metadata of identity providers is offered.
enum WebFetch {
    /// Bytes beyond which nothing is read.
    static let limit = 4 << 20

    /// The document at an address. Follows up to five redirects, never from https to http.
    static func document(_ address: String) async throws -> [UInt8] {
        var address = address
        for _ in 0..<6 {
            guard let place = Place(address) else { throw CommandFailure("'\(address)' is no web address", isUsage: true) }
            let answer: Answer
            do {
                answer = try await ask(place)
            } catch let failure as CommandFailure {
                throw failure
            } catch {
                throw CommandFailure("cannot read \(address): \(error)")
            }
            switch answer.status.code {
            case 200..<300: return answer.body
            case 301, 302, 303, 307, 308:
                guard let location = answer.location else { throw CommandFailure("\(address) leads nowhere") }
                let next = location.hasPrefix("/") ? place.origin + location : location
                guard !place.isSecure || next.hasPrefix("https://") else {
                    throw CommandFailure("\(address) leads away from https, and is not followed")
                }
                address = next
            default: throw CommandFailure("\(address) answered \(answer.status.code) \(answer.status.reasonPhrase)")
            }
        }
        throw CommandFailure("\(address) leads on and on")
    }

    private struct Place {
        var isSecure: Bool
        var host: String
        var port: Int
        var target: String
        var origin: String

        init?(_ address: String) {
            isSecure = address.hasPrefix("https://")
            guard let scheme = address.firstRange(of: "://"), isSecure || address.hasPrefix("http://") else { return nil }
            let rest = address[scheme.upperBound...]
            let authority = String(rest.prefix { !"/?#".contains($0) })
            target = String(rest.dropFirst(authority.count).prefix { $0 != "#" })
            if !target.hasPrefix("/") { target = "/" + target }
            let halves = authority.split(separator: ":", omittingEmptySubsequences: false)
            guard halves.count <= 2, let name = halves.first, !name.isEmpty, !name.contains("@") else { return nil }
            host = String(name)
            port = isSecure ? 443 : 80
            if halves.count == 2 {
                guard let number = UInt16(halves[1]) else { return nil }
                port = Int(number)
            }
            origin = address[..<scheme.upperBound] + authority
        }
    }

    private struct Answer {
        var status: HTTPResponseStatus
        var location: String?
        var body: [UInt8]
    }

    private typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    private static func ask(_ place: Place) async throws -> Answer {
        let context = place.isSecure ? try NIOSSLContext(configuration: .makeClientConfiguration()) : nil
        let connection = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .connectTimeout(.seconds(10))
            .connect(host: place.host, port: place.port) { channel in
                channel.eventLoop.makeCompletedFuture {
                    if let context {
                        let isAddress = (try? SocketAddress(ipAddress: place.host, port: 0)) != nil
                        try channel.pipeline.syncOperations.addHandler(
                            NIOSSLClientHandler(context: context, serverHostname: isAddress ? nil : place.host))
                    }
                    try channel.pipeline.syncOperations.addHTTPClientHandlers()
                    return try Connection(wrappingChannelSynchronously: channel)
                }
            }
        let alarm = connection.channel.eventLoop.scheduleTask(in: .seconds(30)) {
            connection.channel.close(promise: nil)
        }
        defer { alarm.cancel() }
        return try await connection.executeThenClose { inbound, outbound in
            var head = HTTPRequestHead(version: .http1_1, method: .GET, uri: place.target)
            head.headers = [
                "Host": place.host + (place.port == (place.isSecure ? 443 : 80) ? "" : ":\(place.port)"),
                "Accept": "application/samlmetadata+xml, application/xml, text/xml", "User-Agent": "gatehouse",
                "Connection": "close",
            ]
            try await outbound.write(.head(head))
            try await outbound.write(.end(nil))
            var answer: Answer?
            for try await part in inbound {
                switch part {
                case .head(let head):
                    answer = Answer(status: head.status, location: head.headers.first(name: "Location"), body: [])
                case .body(let buffer):
                    guard (answer?.body.count ?? 0) + buffer.readableBytes <= limit else {
                        throw CommandFailure("\(place.host) sends more than \(limit >> 20) MiB: that is no metadata")
                    }
                    answer?.body += buffer.readableBytesView
                case .end:
                    if let answer { return answer }
                }
            }
            throw CommandFailure("\(place.host) ended the connection before its answer was whole")
        }
    }
}
