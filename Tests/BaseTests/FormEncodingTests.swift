import Base
import Testing

@Suite struct FormEncodingTests {
    @Test func pairsAreRead() throws {
        let pairs = try #require(FormEncoding.decode("a=1&b=x%20y+z&a=2&c&d=%C3%A9=="))
        #expect(pairs.map(\.name) == ["a", "b", "a", "c", "d"])
        #expect(pairs.map(\.value) == ["1", "x y z", "2", "", "é=="])
    }

    @Test(arguments: ["a=%", "a=%4", "a=%zz", "a=%ff", "%c3=1", "a=%C3%28"])
    func damagedTextsAreRefused(_ text: String) { #expect(FormEncoding.decode(text) == nil) }

    @Test func whatIsWrittenIsRead() throws {
        let values = ["", "a b", "&=+%", "ü€😀", "\n\0", "~-._"]
        let text = FormEncoding.encode(values.map { ("k" + $0, $0) })
        let read = try #require(FormEncoding.decode(text))
        #expect(read.map(\.value) == values && read.map(\.name) == values.map { "k" + $0 })
        #expect(text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F })
    }
}
