internal import Base

/// The people of a directory by their numbers, each in as few bytes as it takes.
struct PersonTable: Sendable {
    typealias Person = DirectoryMirror.Person

    private var pool = BytePool()
    /// By number; most numbers are people's.
    private var places: [BytePool.Place] = []
    private(set) var count = 0
    /// Bytes of the pool that are in use, and that were.
    private var live = 0
    private var waste = 0
    /// Less than this is not worth being swept up.
    private static let leastWaste = 1 << 20

    func contains(_ number: Int32) -> Bool {
        places.indices.contains(Int(number)) && !places[Int(number)].isNone
    }

    subscript(number: Int32) -> Person? { contains(number) ? Self.person(record(number)) : nil }

    /// As it is kept; empty when there is nobody.
    func record(_ number: Int32) -> ArraySlice<UInt8> { contains(number) ? pool[places[Int(number)]] : [] }

    var numbers: some Sequence<Int32> {
        places.indices.lazy.filter { !places[$0].isNone }.map { Int32($0) }
    }

    /// - Returns: whether something is other than it was.
    mutating func put(_ person: Person, _ number: Int32) -> Bool { put(record: Self.record(of: person), number) }

    /// - Parameter record: one that ``isRecord(_:)``.
    mutating func put(record: some Collection<UInt8>, _ number: Int32) -> Bool {
        let index = Int(number)
        while places.count <= index { places.append(.none) }
        let place = places[index]
        if pool[place].elementsEqual(record) { return false }
        if place.isNone { count += 1 }
        if Int(place.count) == record.count {
            pool.overwrite(place, with: record)
        } else {
            places[index] = pool.append(record)
            live += record.count
            drop(place)
        }
        return true
    }

    /// - Returns: whether there was somebody.
    mutating func remove(_ number: Int32) -> Bool {
        guard contains(number) else { return false }
        let place = places[Int(number)]
        places[Int(number)] = .none
        count -= 1
        drop(place)
        return true
    }

    private mutating func drop(_ place: BytePool.Place) {
        live -= Int(place.count)
        waste += Int(place.count)
        guard waste > max(Self.leastWaste, live / 2) else { return }
        var swept = BytePool()
        for index in places.indices where !places[index].isNone { places[index] = swept.append(pool[places[index]]) }
        pool = swept
        waste = 0
    }

    // MARK: - Records

    // A byte of flags: the account is active, and which of the five texts there are, in the order below. Then each text
    // that is there: its length in one byte, or 255 and four bytes, and the text.

    private static func texts(_ person: Person) -> [String?] {
        [person.mail, person.login, person.firstName, person.lastName, person.displayName]
    }

    private static func record(of person: Person) -> [UInt8] {
        var writer = ByteWriter(capacity: 96)
        let texts = texts(person)
        writer.uint8(texts.indices.reduce(person.isActive ? 1 : 0) { $0 | (texts[$1] == nil ? 0 : 2 << UInt8($1)) })
        for text in texts {
            guard let text else { continue }
            let count = text.utf8.count
            writer.uint8(UInt8(min(count, 255)))
            if count >= 255 { writer.uint32(UInt32(count)) }
            writer.append(text.utf8)
        }
        return writer.bytes
    }

    private static func person(_ record: ArraySlice<UInt8>) -> Person? {
        var reader = ByteReader(record)
        guard let flags = try? reader.uint8(), flags < 1 << 6 else { return nil }
        var texts: [String?] = [nil, nil, nil, nil, nil]
        for index in texts.indices where flags & 2 << UInt8(index) != 0 {
            guard let short = try? reader.uint8(), let count = short < 255 ? Int(short) : (try? reader.uint32()).map(Int.init),
                let bytes = try? reader.slice(count), let text = String(validating: bytes, as: UTF8.self)
            else { return nil }
            texts[index] = text
        }
        guard reader.isAtEnd else { return nil }
        return Person(
            mail: texts[0], login: texts[1], firstName: texts[2], lastName: texts[3], displayName: texts[4],
            isActive: flags & 1 != 0)
    }

    /// Whether stored bytes are a person.
    static func isRecord(_ bytes: ArraySlice<UInt8>) -> Bool { person(bytes) != nil }
}
