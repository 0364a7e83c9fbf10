import Testing

@testable import gatehouse

@Suite struct ServerSentEventTests {
    private func parse(_ pieces: [String]) -> [ServerSentEvent] {
        var parser = ServerSentEventParser()
        return pieces.flatMap { parser.receive($0.utf8) }
    }

    @Test func fieldsMakeAnEventAtTheBlankLine() {
        #expect(
            parse([": hello\nretry: 2000\n\nid: 7\nevent: tunnel-online\ndata: {\"a\":1}\n\n"])
                == [ServerSentEvent(id: "7", event: "tunnel-online", data: "{\"a\":1}")])
    }

    @Test func everyWayOfCuttingTheBytesGivesTheSame() {
        let text = "id: 1\r\ndata: one\r\ndata: two\r\n\r\ndata:three\n\nid: 3\rdata: four\r\r"
        let whole = parse([text])
        #expect(
            whole == [
                ServerSentEvent(id: "1", event: nil, data: "one\ntwo"),
                ServerSentEvent(id: "1", event: nil, data: "three"),
                ServerSentEvent(id: "3", event: nil, data: "four"),
            ])
        #expect(parse(text.unicodeScalars.map { String($0) }) == whole)
    }

    @Test func eventsWithoutDataAndUnknownFieldsArePassedOver() {
        #expect(parse(["event: x\n\nfoo: bar\nbaz\n\n: comment\n\n"]) == [])
    }

    @Test func anyBytesAreFine() {
        var random = SplitMix(state: 7)
        for _ in 0..<500 {
            var parser = ServerSentEventParser()
            let bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                // Mostly what means something to the parser.
                Array("id:data\n\r\n: event\n\n".utf8).randomElement(using: &random) ?? UInt8.random(in: 0...255)
            }
            let whole = parser.receive(bytes)
            var again = ServerSentEventParser()
            #expect(bytes.flatMap { again.receive([$0]) } == whole)
        }
    }

    @Test func anEventThatIsTooLongIsDroppedAndTheNextOneIsRead() {
        let long = String(repeating: "x", count: ServerSentEventParser.limit + 1)
        #expect(parse(["data: \(long)\n\ndata: short\n\n"]).map(\.data) == ["short"])
    }
}

/// Repeatable randomness.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

@Suite struct SharedOptionsTests {
    @Test func optionsBeforeTheVerbAreMovedBehindIt() {
        #expect(SharedOptions.moved(["--json", "status", "x"]) == ["status", "x", "--json"])
        #expect(
            SharedOptions.moved(["--socket-directory", "/d", "--json", "events"]) == [
                "events", "--socket-directory", "/d", "--json",
            ])
        #expect(
            SharedOptions.moved(["--socket-directory=/d", "status", "--", "--json"]) == [
                "status", "--socket-directory=/d", "--", "--json",
            ])
        #expect(SharedOptions.moved(["status", "--json"]) == ["status", "--json"])
        #expect(SharedOptions.moved(["--socket-directory"]) == ["--socket-directory"])
    }

    @Test func pathsAndQueriesAreEncoded() {
        #expect(
            GatewayClient.target(["v1", "connectors", "a/b c"], [("name", "é&="), ("x", "1")])
                == "/v1/connectors/a%2Fb%20c?name=%C3%A9%26%3D&x=1")
    }
}
