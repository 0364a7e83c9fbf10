import Access
import Base
import Cryptography
import Foundation
import HTTP
import JSONText
import Testing

@testable import Vendors

/// A text among the test's files.
func file(_ name: String) throws -> String {
    let url = try #require(Bundle.module.url(forResource: name, withExtension: nil), "\(name)")
    return try String(contentsOf: url, encoding: .utf8)
}

/// The exchange of a sample.
struct Sample {
    var response: HTTPResponse
    var body: JSONTree?

    init(_ name: String) throws {
        let tree = try JSONTree.parse(try file("Samples/\(name).json"))
        let answer = try #require(tree["response"])
        var headers: [HTTPResponse.Header] = []
        if case .object(let members)? = answer["headers"]?.value {
            headers = members.compactMap { name, value in value.string.map { HTTPResponse.Header(name, $0) } }
        }
        body = answer["body"]
        let text = body.map { $0.string ?? JSON($0).text() } ?? ""
        response = HTTPResponse(
            status: Int(answer["status"]?.scalar ?? "") ?? 0, headers: headers, body: Array(text.utf8))
    }
}

extension WallTime {
    static func at(_ text: String) -> WallTime { WallTime(rfc3339: text) ?? WallTime(nanoseconds: 0) }
}

extension EndpointConnection {
    /// One with everything that its profile asks for.
    static func example(_ kind: String) -> EndpointConnection {
        var connection = EndpointConnection(id: "test", kind: kind)
        connection.key = Secret(Array("k3y".utf8))
        connection.values = ["customer": "12345", "tenant": "t", "client-id": "c", "organisation": "oak"]
        switch kind {
        case "sentinelone": connection.url = "https://acme.sentinelone.net"
        case "gravityzone": connection.url = "https://cloud.gravityzone.bitdefender.com/api/"
        case EndpointConnection.custom: connection.url = "https://console.acorn.example"
        default: break
        }
        return connection
    }
}
