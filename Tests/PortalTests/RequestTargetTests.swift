import Testing

@testable import Portal

@Suite struct RequestTargetTests {
    @Test(arguments: [
        ("/v1/tunnels", ["v1", "tunnels"]), ("//v1//tunnels/", ["v1", "tunnels"]), ("/", []), ("", []),
        ("/a%2Fb/%C3%A9", ["a/b", "é"]), ("http://localhost/v1/status", ["v1", "status"]), ("http://localhost", []),
        ("/a+b", ["a+b"]),
    ])
    func pathsAreCutAndDecoded(text: String, segments: [String]) throws {
        #expect(try RequestTarget(text).segments == segments)
    }

    @Test func queriesKeepTheirOrderAndRepeats() throws {
        let query = try RequestTarget("/x?a=1&b&a=2%263&c=&=d").query
        #expect(query.pairs.map(\.0) == ["a", "b", "a", "c", ""])
        #expect(query.all("a") == ["1", "2&3"])
        #expect(try query.flag("b"))
        #expect(try !query.flag("z"))
        #expect(throws: APIError.self) { try query.one("a") }
        #expect(throws: APIError.self) { try RequestTarget("/x?n=maybe").query.flag("n") }
    }

    @Test(arguments: ["/%", "/%4", "/%4g", "/%ff", "/%00", "/x?%", "/x?a=%ff"])
    func brokenEncodingIsRefused(text: String) {
        #expect(throws: APIError.self) { try RequestTarget(text) }
    }

    @Test func anyTextIsReadOrRefused() {
        var state: UInt64 = 1
        let parts = ["/", "%", "%2", "%41", "%ff", "?", "&", "=", "a", "é", "http://", "..", "\u{0}", "+"]
        for _ in 0..<5000 {
            var text = ""
            for _ in 0..<12 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                text += parts[Int(state >> 33) % parts.count]
            }
            if let target = try? RequestTarget(text) {
                #expect(target.segments.allSatisfy { !$0.utf8.contains(0) })
            }
        }
    }
}
