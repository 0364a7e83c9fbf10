import Base
import Testing

@testable import Identity

@Suite struct PersonTableTests {
    /// Against a dictionary: many people who come, change, go and come back, with texts of every length.
    @Test(arguments: [1, 2, 3] as [UInt64]) func itHoldsWhatADictionaryWouldHold(seed: UInt64) throws {
        var random = seed
        func next(_ bound: Int) -> Int {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(random >> 33) % bound
        }
        func text() -> String? {
            switch next(6) {
            case 0: nil
            case 1: ""
            case 2: String(repeating: "é", count: 120 + next(20))
            case 3: String(repeating: "x", count: 250 + next(10))
            default: "name-\(next(1000))"
            }
        }
        var model: [Int32: DirectoryMirror.Person] = [:]
        var table = PersonTable()
        for _ in 0..<20_000 {
            let number = Int32(next(500))
            if next(4) == 0 {
                #expect(table.remove(number) == (model.removeValue(forKey: number) != nil))
            } else {
                let person = DirectoryMirror.Person(
                    mail: text(), login: text(), firstName: text(), lastName: text(), displayName: text(), isActive: next(2) == 0)
                #expect(table.put(person, number) == (model[number] != person))
                model[number] = person
            }
        }
        #expect(table.count == model.count && Set(table.numbers) == Set(model.keys))
        for number in Int32(0)..<600 { #expect(table[number] == model[number]) }
    }

    @Test func aTextOfAnySizeAndARecordOfNone() throws {
        var table = PersonTable()
        let large = DirectoryMirror.Person(mail: String(repeating: "m", count: 1 << 20), isActive: true)
        #expect(table.put(large, 7) && !table.put(large, 7))
        #expect(table[7] == large && table[6] == nil && table[8] == nil && table[Int32.max] == nil)
        #expect(!PersonTable.isRecord([]) && !PersonTable.isRecord([0x40]) && PersonTable.isRecord([1]))
        #expect(!PersonTable.isRecord([2, 3, 0x61]) && !PersonTable.isRecord([2, 1, 0xFF]) && !PersonTable.isRecord([1, 0]))
        #expect(!PersonTable.isRecord([2, 255, 0xFF, 0xFF, 0xFF, 0xFF, 0x61]))
    }
}

@Suite struct KeyTableTests {
    @Test func keysAreNumberedAsTheyCome() {
        var table = KeyTable()
        #expect(table.number(of: "a") == nil)
        for index in 0..<5000 { #expect(table.number("key-\(index)") == Int32(index)) }
        for index in 0..<5000 {
            #expect(table.number(of: "key-\(index)") == Int32(index) && table.number("key-\(index)") == Int32(index))
            #expect(table.key(Int32(index)) == "key-\(index)")
        }
        #expect(table.number(of: "key-5000") == nil && table.count == 5000)
        // The same letters to a reader, in other bytes: another key; and none at all is one too.
        #expect(table.number("e\u{301}") != table.number("\u{E9}"))
        #expect(table.number(of: "") == nil && table.number("") == 5002 && table.number(of: "") == 5002 && table.key(5002) == "")
    }
}
