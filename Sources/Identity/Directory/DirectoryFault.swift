public import Base

/// Why a directory could not be read, for an administrator. Nothing of what was read counts then.
public struct DirectoryFault: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The directory does not want us, until somebody changes something.
        case refused
        /// It asks for patience; what was read so far still holds.
        case throttled(Tick.Span)
        /// It has a bad moment, or the way to it; what was read so far still holds.
        case transient
        /// What changed since the last time cannot be told any more: everything must be read anew.
        case outdated
        /// What it answered is not what it should.
        case malformed
        /// The token is not accepted any more.
        case unauthorised
    }

    public var kind: Kind
    public var description: String

    public init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }
}
