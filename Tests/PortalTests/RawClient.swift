import Foundation
import Glibc

/// A blocking client of a Unix socket that says and hears exact bytes, on threads of its own so that it never
/// holds one that the server needs.
final class RawClient: Sendable {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let number = errno
            close(descriptor)
            throw Failure(number: number)
        }
        // A test that waits for bytes that never come fails, rather than hangs.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit {
        // A child process that another test is just starting may hold a copy for a moment.
        shutdown(descriptor, Int32(SHUT_RDWR))
        close(descriptor)
    }

    struct Failure: Error, Equatable { var number: Int32 }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    private func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { continuation.resume(returning: body()) }
        }
    }

    /// All bytes up to the end of the connection, or up to the first time that `isEnough` says so.
    func read(until isEnough: @escaping @Sendable (String) -> Bool = { _ in false }) async -> String {
        await onThread { [self] in
            var bytes: [UInt8] = []
            var block = [UInt8](repeating: 0, count: 65_536)
            while !isEnough(String(decoding: bytes, as: UTF8.self)) {
                let count = recv(descriptor, &block, block.count, 0)
                guard count > 0 else { break }
                bytes += block[0..<count]
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// One whole exchange: the server is told to close afterwards.
    static func exchange(
        _ path: String, _ method: String, _ target: String, headers: [String] = [], body: String = ""
    ) async throws -> Reply {
        let client = try RawClient(path)
        var lines = ["\(method) \(target) HTTP/1.1", "Host: gatehouse", "Connection: close"] + headers
        if !body.isEmpty { lines.append("Content-Length: \(body.utf8.count)") }
        client.send(lines.joined(separator: "\r\n") + "\r\n\r\n" + body)
        return Reply(await client.read())
    }
}

/// An HTTP response, split.
struct Reply: Sendable {
    var status = 0
    var reason = ""
    var headers: [String: String] = [:]
    var body = ""

    init(_ text: String) {
        guard let end = text.firstRange(of: "\r\n\r\n") else { return }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        let first = (lines.first ?? "").split(separator: " ", maxSplits: 2)
        if first.count > 1 { status = Int(first[1]) ?? 0 }
        if first.count > 2 { reason = String(first[2]) }
        for line in lines.dropFirst() {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { headers[parts[0].lowercased()] = String(parts[1].drop { $0 == " " }) }
        }
        body = String(text[end.upperBound...])
    }
}
