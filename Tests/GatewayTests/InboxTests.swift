import Base
import Testing

@testable import Gateway

@Suite struct InboxTests {
    @Test func handsOutInOrderOfArrival() async {
        let inbox = Inbox<Int>()
        for number in 0..<5 { inbox.put(number) }
        #expect(await inbox.next() == [0, 1, 2, 3, 4])
    }

    private func sender(_ number: Int) -> Endpoint { Endpoint(.v4(0xCB00_7100 + UInt32(number)), 4500) }

    @Test func datagramsBeyondTheBoundAreDroppedAndCounted() async {
        let inbox = Inbox<Int>(limits: .init(datagrams: 2))
        for number in 0..<5 { inbox.putDatagram(number, from: sender(number), isFirstContact: false) }
        inbox.put(100)
        #expect(await inbox.next() == [0, 1, 100])
        #expect(inbox.dropped == 3)
        inbox.putDatagram(7, from: sender(7), isFirstContact: false)
        #expect(await inbox.next() == [7], "room again once the loop has caught up")
    }

    @Test func onePeerDoesNotCrowdOutAnother() async {
        let inbox = Inbox<Int>(limits: .init(datagrams: 100, datagramsOfOne: 3))
        for number in 0..<50 { inbox.putDatagram(number, from: sender(1), isFirstContact: false) }
        inbox.putDatagram(1000, from: sender(2), isFirstContact: false)
        // Another port is another peer behind the same translator.
        inbox.putDatagram(1001, from: Endpoint(sender(1).address, 4501), isFirstContact: false)
        #expect(await inbox.next() == [0, 1, 2, 1000, 1001])
        #expect(inbox.dropped == 47)
    }

    @Test func strangersWaitBehindThosePeersThatStand() async {
        let inbox = Inbox<Int>(limits: .init(firstContacts: 5, firstContactsInBatch: 2))
        for number in 0..<9 { inbox.putDatagram(number, from: sender(number), isFirstContact: true) }
        inbox.putDatagram(100, from: sender(1), isFirstContact: false)
        inbox.put(101)
        #expect(await inbox.next() == [100, 101, 0, 1])
        inbox.putDatagram(102, from: sender(1), isFirstContact: false)
        #expect(await inbox.next() == [102, 2, 3])
        #expect(await inbox.next() == [4])
        #expect(inbox.dropped == 4)
        inbox.putDatagram(10, from: sender(1), isFirstContact: true)
        inbox.close()
        #expect(await inbox.next() == [10])
        #expect(await inbox.next() == nil)
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
