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

    @Test(arguments: Sample.importable + Sample.faulty)
    func sectionsShuffledAndDoubled(path: String) throws {
        let text = try Sample.text(path).replacing("\r\n", with: "\n")
        check(Array((text + "\n" + text).utf8), "\(path) doubled")
        var numbers = SeededNumbers(state: 0x5EC_5EED + UInt64(text.utf8.count))
        let sections = text.split(separator: "\n\n")
        for round in 0..<20 {
            var shuffled = sections
            shuffled.shuffle(using: &numbers)
            if round % 2 == 1, let some = sections.randomElement(using: &numbers) { shuffled.append(some) }
            check(Array(shuffled.joined(separator: "\n\n").utf8), "\(path) shuffled, round \(round)")
        }
    }

    @Test(arguments: Sample.importable + Sample.faulty)
    func encodingsSwapped(path: String) throws {
        let text = try Sample.text(path)
        let little = text.utf16.flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }
        check(little, "\(path) as UTF-16 without a mark")
        check([0xFE, 0xFF] + little, "\(path) with the wrong mark")
        check([0xFF, 0xFE] + little.dropLast(), "\(path) with half a character")
        check(Array(text.utf8).map { $0 == UInt8(ascii: " ") ? 0xA0 : $0 }, "\(path) as Latin-1")
        check([0xEF, 0xBB, 0xBF, 0xEF, 0xBB, 0xBF] + Array(text.utf8), "\(path) with two marks")
        check(Array(text.utf8).flatMap { $0 >= 0x80 ? [0xC3, $0] : [$0] } + [0xC3], "\(path) encoded twice")
    }

    @Test func anyBytes() {
        var numbers = SeededNumbers(state: 42)
        for round in 0..<200 {
            let count = Int.random(in: 0...400, using: &numbers)
            check((0..<count).map { _ in UInt8.random(in: 0...255, using: &numbers) }, "round \(round)")
        }
    }
}
