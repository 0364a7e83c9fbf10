import Testing
import Tunnels

/// Whatever is done to a good file, it gives a plan or a typed refusal, and no message holds a part of a key.
@Suite struct ImportPropertyTests {
    static let all =
        Sample.importable + Sample.moto + Sample.faulty + ["client-vpn-REFUSE/downloaded-client-config.ovpn"]

    private func check(_ bytes: [UInt8], _ what: @autoclosure () -> String) {
        let outcome = Outcome(bytes)
        let visible = outcome.visible
        if Sample.holdsKey(visible) { Issue.record("a key in the message: \(what())") }
        switch outcome {
        case .plan(let plan):
            if plan.tunnels.isEmpty { Issue.record("a plan without tunnels: \(what())") }
            if !plan.remoteNetworks.isEmpty { Issue.record("a guessed network: \(what())") }
        case .refusal(let error):
            if error.reason.isEmpty || error.remedy.isEmpty { Issue.record("no words: \(what())") }
        }
    }

    @Test(arguments: all)
    func cutAtEveryLine(path: String) throws {
        let bytes = try Sample.bytes(path)
        for (index, byte) in bytes.enumerated() where byte == 10 {
            check(Array(bytes[..<index]), "\(path) cut at byte \(index)")
        }
    }

    @Test(arguments: all)
    func bytesChanged(path: String) throws {
        let bytes = try Sample.bytes(path)
        var numbers = SeededNumbers(state: 0x1_5EED + UInt64(bytes.count))
        for round in 0..<120 {
            var changed = bytes
            for _ in 0..<Int.random(in: 1...4, using: &numbers) {
                let at = Int.random(in: 0..<changed.count, using: &numbers)
                switch Int.random(in: 0..<4, using: &numbers) {
                case 0: changed[at] = UInt8.random(in: 0...255, using: &numbers)
                case 1: changed.remove(at: at)
                case 2: changed.insert(UInt8.random(in: 32...126, using: &numbers), at: at)
                default: changed[at] = [10, 13, 32, 58, 60, 61, 62, 34][Int.random(in: 0..<8, using: &numbers)]
                }
            }
            check(changed, "\(path) round \(round)")
        }
    }

    @Test(arguments: Sample.importable + Sample.faulty)
    func linesDroppedDoubledAndMoved(path: String) throws {
        let lines = try Sample.text(path).replacing("\r\n", with: "\n")
            .split(separator: "\n", omittingEmptySubsequences: false)
        var numbers = SeededNumbers(state: 0x11_5EED + UInt64(lines.count))
        for round in 0..<80 {
            var changed = lines
            for _ in 0..<Int.random(in: 1...3, using: &numbers) {
                let at = Int.random(in: 0..<changed.count, using: &numbers)
                switch Int.random(in: 0..<3, using: &numbers) {
                case 0: changed.remove(at: at)
                case 1: changed.insert(changed[at], at: at)
                default: changed.swapAt(at, Int.random(in: 0..<changed.count, using: &numbers))
                }
            }
            check(Array(changed.joined(separator: "\n").utf8), "\(path) round \(round)")
        }
    }

    @Test func anyBytes() {
        var numbers = SeededNumbers(state: 42)
        for round in 0..<200 {
            let count = Int.random(in: 0...400, using: &numbers)
            check((0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }, "round \(round)")
        }
    }
}
