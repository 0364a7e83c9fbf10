import Cryptography

extension JSON {
    /// The value as its `Codable` conformance describes it: members in declared order, an absent optional as `null`.
    ///
    /// - Parameter revealsSecrets: true writes a ``Secret`` in hexadecimal, else it hides itself.
    public init(encoding value: some Encodable, revealsSecrets: Bool = false) throws {
        let slot = Slot()
        let writer = Writer(slot: slot, codingPath: [], userInfo: [Secret.revealSecrets: revealsSecrets])
        try writer.encode(value)
        self = slot.json
    }

    /// Shorthand for one line of JSON text.
    public static func line(_ value: some Encodable, revealsSecrets: Bool = false) throws -> String {
        try JSON(encoding: value, revealsSecrets: revealsSecrets).text()
    }
}

/// Where one value is put while it is encoded; containers fill theirs later, hence a reference.
private final class Slot {
    private enum Content {
        case empty
        case value(JSON)
        case array([Slot])
        case object([(key: String, slot: Slot)])
    }

    private var content = Content.empty

    func set(_ json: JSON) { content = .value(json) }

    func becomeArray() {
        if case .array = content { return }
        content = .array([])
    }

    func becomeObject() {
        if case .object = content { return }
        content = .object([])
    }

    var count: Int {
        switch content {
        case .array(let slots): slots.count
        case .object(let members): members.count
        default: 0
        }
    }

    func append() -> Slot {
        let slot = Slot()
        if case .array(var slots) = content {
            content = .empty
            slots.append(slot)
            content = .array(slots)
        }
        return slot
    }

    func member(_ key: String) -> Slot {
        let slot = Slot()
        if case .object(var members) = content {
            content = .empty
            members.removeAll { $0.key == key }
            members.append((key, slot))
            content = .object(members)
        }
        return slot
    }

    var json: JSON {
        switch content {
        case .empty: .object([])
        case .value(let json): json
        case .array(let slots): .array(slots.map(\.json))
        case .object(let members): .object(members.map { JSON.Member($0.key, $0.slot.json) })
        }
    }
}

private struct Writer: Encoder {
    let slot: Slot
    let codingPath: [any CodingKey]
    let userInfo: [CodingUserInfoKey: Any]

    func container<Key: CodingKey>(keyedBy _: Key.Type) -> KeyedEncodingContainer<Key> {
        slot.becomeObject()
        return KeyedEncodingContainer(Keyed<Key>(writer: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        slot.becomeArray()
        return Unkeyed(writer: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    func at(_ slot: Slot, _ key: (any CodingKey)?) -> Writer {
        Writer(slot: slot, codingPath: codingPath + (key.map { [$0] } ?? []), userInfo: userInfo)
    }

    private static func number(_ value: some BinaryFloatingPoint & LosslessStringConvertible) -> JSON {
        // JSON has no infinity; whole numbers read better without ".0".
        guard value.isFinite else { return .null }
        let text = value.description
        return .number(text.hasSuffix(".0") ? String(text.dropLast(2)) : text)
    }
}

extension Writer: SingleValueEncodingContainer {
    func encodeNil() { slot.set(.null) }
    func encode(_ value: Bool) { slot.set(.bool(value)) }
    func encode(_ value: String) { slot.set(.string(value)) }
    func encode(_ value: Double) { slot.set(Self.number(value)) }
    func encode(_ value: Float) { slot.set(Self.number(value)) }
    func encode(_ value: Int) { slot.set(.number(String(value))) }
    func encode(_ value: Int8) { slot.set(.number(String(value))) }
    func encode(_ value: Int16) { slot.set(.number(String(value))) }
    func encode(_ value: Int32) { slot.set(.number(String(value))) }
    func encode(_ value: Int64) { slot.set(.number(String(value))) }
    func encode(_ value: UInt) { slot.set(.number(String(value))) }
    func encode(_ value: UInt8) { slot.set(.number(String(value))) }
    func encode(_ value: UInt16) { slot.set(.number(String(value))) }
    func encode(_ value: UInt32) { slot.set(.number(String(value))) }
    func encode(_ value: UInt64) { slot.set(.number(String(value))) }

    func encode(_ value: some Encodable) throws {
        // A JSON value inside another one is put in as it is.
        if let json = value as? JSON { slot.set(json) } else { try value.encode(to: self) }
    }
}

private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let writer: Writer
    var codingPath: [any CodingKey] { writer.codingPath }

    private func member(_ key: any CodingKey) -> Writer { writer.at(writer.slot.member(key.stringValue), key) }
    private func encode(optional value: (some Encodable)?, _ key: Key) throws {
        if let value { try member(key).encode(value) } else { member(key).encodeNil() }
    }

    func encodeNil(forKey key: Key) { member(key).encodeNil() }
    func encode(_ value: some Encodable, forKey key: Key) throws { try member(key).encode(value) }

    // An absent value is written as null, so that every answer has all its members.
    func encodeIfPresent(_ value: Bool?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: String?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Double?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Float?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Int?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Int8?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Int16?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Int32?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: Int64?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: UInt?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: UInt8?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: UInt16?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: UInt32?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: UInt64?, forKey key: Key) throws { try encode(optional: value, key) }
    func encodeIfPresent(_ value: (some Encodable)?, forKey key: Key) throws { try encode(optional: value, key) }

    func nestedContainer<Nested: CodingKey>(
        keyedBy type: Nested.Type, forKey key: Key
    ) -> KeyedEncodingContainer<Nested> {
        member(key).container(keyedBy: type)
    }
    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { member(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { writer.at(writer.slot.member("super"), nil) }
    func superEncoder(forKey key: Key) -> any Encoder { member(key) }
}

private struct Unkeyed: UnkeyedEncodingContainer {
    let writer: Writer
    var codingPath: [any CodingKey] { writer.codingPath }
    var count: Int { writer.slot.count }

    private func next() -> Writer { writer.at(writer.slot.append(), MemberKey(index: count)) }

    func encodeNil() { next().encodeNil() }
    func encode(_ value: some Encodable) throws { try next().encode(value) }
    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        next().container(keyedBy: type)
    }
    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { next().unkeyedContainer() }
    func superEncoder() -> any Encoder { next() }
}

extension JSON: Encodable {
    /// For other encoders; ours takes the value as it is.
    public func encode(to encoder: any Encoder) throws {
        switch self {
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        case .bool(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .number(let digits):
            var container = encoder.singleValueContainer()
            if let value = Int64(digits) {
                try container.encode(value)
            } else if let value = UInt64(digits) {
                try container.encode(value)
            } else {
                try container.encode(Double(digits) ?? .nan)
            }
        case .string(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .array(let items):
            var container = encoder.unkeyedContainer()
            for item in items { try container.encode(item) }
        case .object(let members):
            var container = encoder.container(keyedBy: MemberKey.self)
            for member in members { try container.encode(member.value, forKey: MemberKey(stringValue: member.key)) }
        }
    }
}

/// The name of a member, or the place of an item.
private struct MemberKey: CodingKey {
    var stringValue: String
    var intValue: Int?

    init(index: Int) {
        stringValue = "Index \(index)"
        intValue = index
    }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { self.init(index: intValue) }
}
