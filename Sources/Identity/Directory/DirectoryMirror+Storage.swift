internal import Base

/// How a mirror is kept until the next start: a version, then items, each with its kind, and a sum of them at the end. They
/// come in pieces, so that what is large is never in memory twice.
extension DirectoryMirror {
    /// Rises also when what earlier ones hold is not to be believed any more: before 3, whoever got another's distinguished
    /// name had that one's groups.
    private static let version: UInt8 = 3
    /// The bytes of one piece, more or less.
    private static let pieceSize = 1 << 20
    /// Members of one group in one item.
    private static let membersAtOnce = 100_000

    private enum Item: UInt8 {
        case key = 1, person, group, members, alias, end
    }

    /// The mirror as bytes.
    public var bytes: [UInt8] {
        var all: [UInt8] = []
        pieces { all += $0 }
        return all
    }

    /// The same bytes, in pieces whose order matters. No item is in two pieces.
    public func pieces<Failure: Error>(_ take: ([UInt8]) throws(Failure) -> Void) throws(Failure) {
        var writer = ByteWriter(capacity: Self.pieceSize + 4096)
        func begin(_ item: Item) throws(Failure) {
            if writer.count >= Self.pieceSize {
                try take(writer.bytes)
                writer = ByteWriter(capacity: Self.pieceSize + 4096)
            }
            writer.uint8(item.rawValue)
        }
        func append(_ bytes: some Collection<UInt8>) {
            writer.uint32(UInt32(bytes.count))
            writer.append(bytes)
        }
        writer.uint8(Self.version)
        for number in 0..<Int32(keys.count) {
            try begin(.key)
            append(keys.bytes(number))
        }
        for number in people.numbers {
            try begin(.person)
            writer.uint32(UInt32(number))
            append(people.record(number))
        }
        for (number, group) in groups {
            try begin(.group)
            writer.uint32(UInt32(number))
            append(Array(group.name.utf8))
            writer.uint8(group.isKnown ? 1 : 0)
            let members = Array(group.members)
            for start in stride(from: 0, to: members.count, by: Self.membersAtOnce) {
                let some = members[start..<min(members.count, start + Self.membersAtOnce)]
                try begin(.members)
                writer.uint32(UInt32(number))
                writer.uint32(UInt32(some.count))
                for member in some { writer.uint32(UInt32(member)) }
            }
        }
        for (alias, number) in aliases {
            try begin(.alias)
            writer.uint32(UInt32(alias))
            writer.uint32(UInt32(number))
        }
        try begin(.end)
        for count in [keys.count, people.count, groups.count, aliases.count] { writer.uint32(UInt32(count)) }
        try take(writer.bytes)
    }

    /// Reads what ``bytes`` wrote; nil for anything else, and then everything is read anew from the directory.
    public init?(bytes: [UInt8]) {
        var assembly = Assembly()
        assembly.add(bytes)
        guard let mirror = assembly.mirror else { return nil }
        self = mirror
    }

    /// A mirror that is put together from its pieces.
    public struct Assembly: Sendable {
        private var whole = DirectoryMirror()
        private var hasBegun = false
        private var isDamaged = false
        private var isAtEnd = false

        public init() {}

        /// Takes the next piece.
        public mutating func add(_ piece: [UInt8]) {
            guard !isDamaged else { return }
            do {
                try read(piece)
            } catch {
                isDamaged = true
                whole = DirectoryMirror()
            }
        }

        /// The mirror, once all pieces are there; nil when they are not, or are not what they were.
        public var mirror: DirectoryMirror? { isAtEnd && !isDamaged ? whole : nil }

        private struct Damaged: Error {}

        private mutating func read(_ piece: [UInt8]) throws {
            var reader = ByteReader(piece)
            if !hasBegun {
                guard try reader.uint8() == DirectoryMirror.version else { throw Damaged() }
                hasBegun = true
            }
            while !reader.isAtEnd {
                guard !isAtEnd, let item = Item(rawValue: try reader.uint8()) else { throw Damaged() }
                try read(item, &reader)
            }
        }

        private mutating func read(_ item: Item, _ reader: inout ByteReader) throws {
            func slice() throws -> ArraySlice<UInt8> { try reader.slice(Int(try reader.uint32())) }
            func number() throws -> Int32 {
                let value = try reader.uint32()
                guard value < whole.keys.count else { throw Damaged() }
                return Int32(value)
            }
            switch item {
            case .key:
                let bytes = try slice()
                let next = whole.keys.count
                guard next < Int32.max, String(validating: bytes, as: UTF8.self) != nil,
                    bytes.withUnsafeBufferPointer({ whole.keys.number($0) }) == next
                else { throw Damaged() }
            case .person:
                let number = try number()
                let record = try slice()
                guard PersonTable.isRecord(record), whole.people.put(record: record, number) else { throw Damaged() }
            case .group:
                let number = try number()
                guard let name = String(validating: try slice(), as: UTF8.self), whole.groups[number] == nil else {
                    throw Damaged()
                }
                whole.groups[number] = Group(name: name, isKnown: try reader.uint8() == 1)
            case .members:
                let group = try number()
                guard whole.groups[group] != nil else { throw Damaged() }
                for _ in 0..<(try reader.uint32()) { whole.groups[group]?.members.insert(try number()) }
            case .alias:
                let alias = try number()
                whole.aliases[alias] = try number()
            case .end:
                for count in [whole.keys.count, whole.people.count, whole.groups.count, whole.aliases.count] {
                    guard try reader.uint32() == count else { throw Damaged() }
                }
                isAtEnd = true
            }
        }
    }
}
