extension String {
    /// Whether it can be the short name of something: 1 to 64 letters and digits of ASCII, `-`, `_` and `.`. Such a name
    /// needs no quotes in commands, nor an escape in the paths of URLs.
    public var isShortName: Bool { (1...64).contains(utf8.count) && hasOnlyNameCharacters }

    /// Whether nothing else than the characters of short names is in it, however long it is.
    public var hasOnlyNameCharacters: Bool {
        utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                true
            default: false
            }
        }
    }
}
