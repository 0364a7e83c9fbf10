import Base
import Testing

@Suite struct ByteTests {
    @Test func readsWhatWasWritten() throws {
        var writer = ByteWriter()
        writer.uint8(1)
        writer.uint16(0x0203)
        writer.uint32(0x0405_0607)
        writer.uint64(0x0809_0A0B_0C0D_0E0F)
        writer.append([0x10, 0x11])
        #expect(writer.bytes == Array(1...0x11))
        var reader = ByteReader(writer.bytes)
        #expect(try reader.uint8() == 1)
        #expect(try reader.uint16() == 0x0203)
        #expect(try reader.uint32() == 0x0405_0607)
        #expect(try reader.uint64() == 0x0809_0A0B_0C0D_0E0F)
        #expect(Array(reader.rest()) == [0x10, 0x11] && reader.isAtEnd)
    }

    @Test func readingPastTheEndSaysWhere() {
        var reader = ByteReader([1, 2, 3])
        #expect(throws: ByteReader.Truncated(offset: 0, needed: 4, available: 3)) { try reader.uint32() }
        #expect(throws: ByteReader.Truncated(offset: 0, needed: -1, available: 3)) { try reader.slice(-1) }
        #expect(reader.remaining == 3, "a failed read moves nothing")
    }

    @Test func nestedReadersKeepTheOutermostOffset() throws {
        var reader = ByteReader(Array(0..<10))
        _ = try reader.slice(4)
        var inner = try reader.nested(3)
        #expect(inner.offset == 4)
        #expect(throws: ByteReader.Truncated(offset: 4, needed: 4, available: 3)) { try inner.uint32() }
    }

    @Test(arguments: ["", "0", "0g", "00:1", "é"])
    func hexadecimalRefusesWhatIsNone(text: String) {
        #expect([UInt8](hexadecimal: text) == (text.isEmpty ? [] : nil))
    }

    @Test func hexadecimalReadsWhatItWrites() {
        #expect([UInt8](hexadecimal: "00:Ff 7a\n") == [0, 255, 0x7A])
        #expect([0, 255, 0x7A].hexadecimal == "00ff7a")
    }

    @Test func patchesLengthsAfterwards() {
        var writer = ByteWriter()
        writer.zeros(6)
        writer.patchUInt16(0x0102, at: 0)
        writer.patchUInt32(0x0304_0506, at: 2)
        #expect(writer.bytes == [1, 2, 3, 4, 5, 6])
    }
}
