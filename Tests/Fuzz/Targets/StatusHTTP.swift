import Base
import Dispatch
import JSONText
@testable import Portal
import PortalFake
import Synchronization
import Tunnels

private let methods = ["GET", "POST", "PATCH", "DELETE", "PUT", "HEAD"]

/// The first byte is the method, then comes the request target up to a line feed, then the body.
func fuzzStatusHTTP(_ bytes: [UInt8]) {
    guard let first = bytes.first else { return }
    let parts = bytes.dropFirst().split(separator: 10, maxSplits: 1, omittingEmptySubsequences: false)
    let target = String(decoding: parts[0], as: UTF8.self)
    let body = parts.count > 1 ? Array(parts[1]) : []
    do {
        let request = try RequestTarget(target)
        // A gateway for this input alone: nothing is remembered from one to the next.
        let gateway = FakeGateway()
        let routes = Routes(
            readingEndpoints(api: gateway, wall: { .example(0) }) + controlEndpoints(api: gateway),
            socket: "control.sock")
        let (endpoint, arguments) = try routes.find(methods[Int(first) % methods.count], request)
        try request.query.check(endpoint.parameters)
        let call = Call(
            arguments: arguments, query: request.query, lastEventID: nil, body: body,
            caller: Caller(uid: 0, pid: 1, name: "root"))
        if let failure = failure(of: { try await endpoint.handle(call) }) { require(failure) }
    } catch {
        require(error)
    }
}

/// Every error is one of ours with words in it: an unforeseen one would be a fault of the server.
private func require(_ error: any Error) {
    let answer = (error as? APIError) ?? (error as? Refusal)?.error
    guard let answer else { preconditionFailure("an error that no one foresaw: \(error)") }
    precondition((400..<600).contains(answer.status) && !answer.message.isEmpty, "an answer that says nothing")
    precondition(answer.status != 500, "an internal error: \(answer.message)")
}

/// Runs an endpoint to its end on this thread's time. What it threw, or nil.
private func failure(of handle: @escaping @Sendable () async throws -> Answer) -> (any Error)? {
    let outcome = Mutex<(any Error)?>(nil)
    let done = DispatchSemaphore(value: 0)
    Task {
        do {
            if case .json(let json, _) = try await handle() { _ = json.text() }
        } catch {
            outcome.withLock { $0 = error }
        }
        done.signal()
    }
    done.wait()
    return outcome.withLock { $0 }
}

func statusHTTPSeeds() -> [[UInt8]] {
    let requests: [(UInt8, String)] = [
        (0, "/v1/status\n"), (0, "/v1/tunnels/vpn-1-1\n"), (0, "/v1/events/recent?limit=10\n"), (0, "/metrics\n"),
        (1, "/v1/import/aws-vpn?name=a%20b&local-network=10.0.0.0/8&dry-run=1\nfile"),
        (2, "/v1/connectors/vpn-1\n{\"isEnabled\":true}"), (3, "/v1/connectors/vpn-1\n"),
        (1, "/v1/connectors/vpn-1/rekey?phase=child\n"), (0, "/v1/audit?limit=5\n"), (0, "http://host/health?\n"),
    ]
    return requests.map { [$0.0] + Array($0.1.utf8) } + [connectorBody()]
}

/// A whole connector as `POST /v1/connectors` takes it.
private func connectorBody() -> [UInt8] {
    let text = (try? JSON(encoding: Connector.example(), revealsSecrets: true).text()) ?? ""
    return [1] + Array("/v1/connectors?replace=1\n\(text)".utf8)
}
