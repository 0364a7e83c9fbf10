import Base
import Cryptography
import HTTP
import Testing

@testable import Identity
@testable import Vendors

/// Stamps and limits that no sane directory sends: they are read, and stop nothing.
@Suite struct OktaNumberTests {
    private let now = WallTime(nanoseconds: 1_795_521_600_000_000_000)

    private var directory: Directory {
        var directory = Directory(id: "corp", kind: .okta)
        directory.host = "acme.okta.com"
        directory.secret = Secret(Array("abcdef".utf8))
        directory.groups = [.init(id: "g1", name: "VPN")]
        return directory
    }

    private func answer(_ body: String, status: Int = 200, _ headers: [(String, String)] = []) -> DirectoryAnswer {
        .web(HTTPResponse(status: status, headers: headers.map { .init($0.0, $0.1) }, body: Array(body.utf8)))
    }

    /// The first second that a time can hold, and others less than five minutes after the first that is taken.
    @Test(arguments: ["1677-09-21T00:12:44.000Z", "1700-01-01T00:00:00.000Z", "1970-01-01T00:01:00.000Z"])
    func nothingIsTakenFromAStampOfLongAgo(_ stamp: String) throws {
        var mirror = DirectoryMirror()
        var reader = try directory.reader(since: nil)
        try reader.receive(
            answer(#"[{"id": "g1", "lastUpdated": "\#(stamp)", "profile": {"name": "VPN"}}]"#), into: &mirror, now: now)
        let bookmark = try #require(reader.bookmark)
        #expect(directory.reader(at: bookmark) != nil)
        try reader.receive(answer("[]"), into: &mirror, now: now)
        #expect(reader.question == nil)
        // Also one that an earlier version has stored.
        for cursor in [reader.cursor, ["since": stamp]] {
            guard case .web(let request) = try directory.reader(since: cursor).question else {
                Issue.record("it asks nothing")
                return
            }
            #expect(request.url.description.contains("lastUpdated%20gt%20%221970-01-01T00%3A00%3A00.000Z"))
        }
    }

    @Test(arguments: [
        ("600", "299", 200), ("600", "300", 0), ("601", "300", 199), ("600", "9223372036854775807", 0),
        ("9223372036854775807", "4611686018427387904", 0), ("9223372036854775807", "-9223372036854775808", 0),
        ("-9223372036854775808", "0", 0),
    ])
    func limitsOfAnySizeAreRead(_ limit: String, _ left: String, _ milliseconds: Int) throws {
        var mirror = DirectoryMirror()
        var reader = try directory.reader(since: nil)
        let headers = [("x-rate-limit-limit", limit), ("x-rate-limit-remaining", left)]
        try reader.receive(answer("[]", headers), into: &mirror, now: now)
        #expect(Int(reader.pause.milliseconds.rounded(.down)) == milliseconds)
    }

    @Test(arguments: ["9223372036854775807", "-9223372036854775808", "100000000000", "0"])
    func resetsOfAnyTimeAreRead(_ reset: String) throws {
        var mirror = DirectoryMirror()
        var reader = try directory.reader(since: nil)
        let headers = [
            ("Date", "Fri, 01 Jan 1700 00:00:00 GMT"), ("x-rate-limit-limit", "600"), ("x-rate-limit-reset", reset),
        ]
        do throws(DirectoryFault) {
            try reader.receive(answer("{}", status: 429, headers), into: &mirror, now: now)
            Issue.record("it was taken for an answer")
        } catch {
            guard case .throttled(let wait) = error.kind else {
                Issue.record("\(error)")
                return
            }
            #expect(wait >= .seconds(1) && wait <= .seconds(900))
        }
    }
}
