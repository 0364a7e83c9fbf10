import Testing

@testable import Gateway

@Suite struct InboxTests {
    @Test func handsOutInOrderOfArrival() async {
        let inbox = Inbox<Int>()
        for number in 0..<5 { inbox.put(number) }
        #expect(await inbox.next() == [0, 1, 2, 3, 4])
    }

    @Test func datagramsBeyondTheBoundAreDroppedAndCounted() async {
        let inbox = Inbox<Int>(datagramLimit: 2)
        for number in 0..<5 { inbox.putDatagram(number) }
        inbox.put(100)
        #expect(await inbox.next() == [0, 1, 100])
        #expect(inbox.dropped == 3)
        inbox.putDatagram(7)
        #expect(await inbox.next() == [7], "room again once the loop has caught up")
    }

    @Test func whatWasPutInBeforeClosingIsStillHandedOut() async {
        let inbox = Inbox<Int>()
        inbox.put(1)
        inbox.close()
        #expect(!inbox.put(2))
        #expect(await inbox.next() == [1])
        #expect(await inbox.next() == nil)
    }

    @Test func losesNothingFromManyWriters() async {
        let inbox = Inbox<Int>()
        async let total = {
            var count = 0
            while let batch = await inbox.next() { count += batch.count }
            return count
        }()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 { group.addTask { for number in 0..<1000 { inbox.put(number) } } }
        }
        inbox.close()
        #expect(await total == 8000)
    }
}
