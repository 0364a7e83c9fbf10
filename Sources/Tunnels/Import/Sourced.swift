/// Where a value of an import comes from.
public enum Origin: String, Hashable, Sendable, Codable, CaseIterable {
    /// The file says so.
    case file
    /// Whoever imports said so.
    case option
    /// Nobody said so: what AWS documents, or what we choose.
    case `default`
    /// Computed from values of the file.
    case derived
}

/// A place in an imported file. A configuration inside a JSON string has lines of its own.
public struct Place: Hashable, Sendable, CustomStringConvertible {
    /// The line of the file, from 1.
    public var line: Int
    /// The line within the text that a JSON string on ``line`` holds.
    public var innerLine: Int?

    public init(line: Int, innerLine: Int? = nil) {
        self.line = line
        self.innerLine = innerLine
    }

    public var description: String {
        innerLine.map { "line \(line) (line \($0) of the text inside)" } ?? "line \(line)"
    }
}

/// A value that knows where it comes from.
public struct Sourced<Value: Sendable>: Sendable {
    public var value: Value
    public var origin: Origin
    /// Nil where no line says it.
    public var place: Place?

    public init(_ value: Value, _ origin: Origin, _ place: Place? = nil) {
        self.value = value
        self.origin = origin
        self.place = place
    }

    func map<Other: Sendable>(_ transform: (Value) -> Other) -> Sourced<Other> {
        Sourced<Other>(transform(value), origin, place)
    }
}

extension Sourced: Equatable where Value: Equatable {}
extension Sourced: Hashable where Value: Hashable {}
