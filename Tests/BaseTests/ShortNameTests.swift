import Base
import Testing

@Suite struct ShortNameTests {
    @Test(arguments: ["a", "Z9", "hq-1_b.c", String(repeating: "x", count: 64)])
    func isOne(_ text: String) { #expect(text.isShortName) }

    @Test(arguments: ["", "a b", "a/b", "é", "a\n", "a:", String(repeating: "x", count: 65)])
    func isNone(_ text: String) { #expect(!text.isShortName) }

    @Test func lengthIsNoMatterOfCharacters() {
        #expect(String(repeating: "x", count: 65).hasOnlyNameCharacters && !"a b".hasOnlyNameCharacters)
    }
}
