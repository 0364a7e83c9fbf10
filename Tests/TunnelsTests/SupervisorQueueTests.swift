import Base
import Testing
@testable import Tunnels

@Suite struct SupervisorQueueTests {
    @Test func ringsInOrderWhateverWasMovedOrRemoved() {
        var queue = DeadlineQueue<Int>()
        var model: [Int: Tick] = [:]
        var state: UInt64 = 7
        func random(_ bound: UInt64) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % bound)
        }
        for _ in 0..<5000 {
            let key = random(200)
            if random(4) == 0 {
                #expect(queue.remove(key) == model.removeValue(forKey: key))
            } else {
                let tick = Tick(nanoseconds: Int64(random(1000)))
                queue.set(key, tick)
                model[key] = tick
            }
            #expect(queue.count == model.count)
            #expect(queue.first?.tick == model.values.min())
        }
        var last = Tick.zero
        while let first = queue.first {
            #expect(first.tick >= last && model[first.key] == first.tick)
            last = first.tick
            #expect(queue.popDue(first.tick - Tick.Span(nanoseconds: 1)) == nil)
            #expect(queue.popDue(first.tick) == first.key)
            model[first.key] = nil
        }
        #expect(model.isEmpty)
    }

    @Test func equalTicksRingInTheOrderTheyWereSet() {
        var queue = DeadlineQueue<Int>()
        for key in [3, 1, 2] { queue.set(key, .zero) }
        queue.set(3, .zero)
        #expect([queue.popDue(.zero), queue.popDue(.zero), queue.popDue(.zero), queue.popDue(.zero)] == [1, 2, 3, nil])
    }
}
