import Base
import Testing

@Suite struct KeyedListTests {
    /// Against an array that is searched: whatever comes, changes and goes, in whatever order.
    @Test(arguments: [(1, 8), (2, 40), (3, 3000)] as [(UInt64, Int)])
    func itIsWhatAnArrayWouldBe(seed: UInt64, keys: Int) {
        var random = seed
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }
        var list = KeyedList<Int, Int>()
        var model: [(key: Int, value: Int)] = []
        for step in 0..<6000 {
            let key = next(keys)
            let place = model.firstIndex { $0.key == key }
            #expect(list[key] == place.map { model[$0].value })
            // Waves of growing and shrinking, so that both ways of searching and the clearing out have their turn.
            if next(10) < (step / 1000 % 2 == 0 ? 7 : 2) {
                list[key] = step
                if let place { model[place].value = step } else { model.append((key, step)) }
            } else {
                list[key] = nil
                if let place { model.remove(at: place) }
            }
            #expect(list.count == model.count && list.last == model.last?.value && list.isEmpty == model.isEmpty)
            if step % 97 == 0 { #expect(list.map { [$0.key, $0.value] } == model.map { [$0.key, $0.value] }) }
        }
    }
}
