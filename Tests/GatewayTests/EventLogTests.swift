import Base
import Testing
import Tunnels

@testable import Gateway

@Suite struct EventLogTests {
    private func log(capacity: Int) -> EventLog { EventLog(capacity: capacity) { WallTime(nanoseconds: 0) } }

    @Test func numbersRiseByOneAndTheNewestAreKept() {
        let log = log(capacity: 8)
        for number in 1...20 { log.add(.info, kind: "test", message: "\(number)") }
        #expect(log.recent(limit: 3).map(\.number) == [18, 19, 20])
        #expect((8...10).contains(log.recent(limit: 100).count))
        #expect(log.recent(limit: -1).isEmpty)
    }

    @Test func aFollowerGetsWhatItMissedAndWhatComes() async {
        let log = log(capacity: 8)
        for number in 1...3 { log.add(.info, kind: "test", message: "\(number)") }
        let stream = log.follow(after: 1)
        log.add(.warning, kind: "test", message: "4")
        log.close()
        var numbers: [UInt64] = []
        for await event in stream { numbers.append(event.number) }
        #expect(numbers == [2, 3, 4])
    }

    @Test func aFollowerThatFallsTooFarBehindIsCutOff() async {
        let log = log(capacity: 4)
        let stream = log.follow(after: nil)
        for number in 1...50 { log.add(.info, kind: "test", message: "\(number)") }
        var numbers: [UInt64] = []
        for await event in stream { numbers.append(event.number) }
        #expect(numbers == Array(1...8), "no holes, then the end")
    }

    @Test func followingAClosedLogEndsAtOnce() async {
        let log = log(capacity: 4)
        log.close()
        var count = 0
        for await _ in log.follow(after: nil) { count += 1 }
        #expect(count == 0)
    }
}
