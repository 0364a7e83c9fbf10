public import Access
import Glibc

/// The time zone database of this machine.
public enum TimeZoneFile {
    static let folder = "/usr/share/zoneinfo"

    /// Why there is no such time zone.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String
    }

    /// The rules of a zone such as `Europe/Berlin`.
    public static func rules(_ name: String) throws(Failure) -> TimeZoneRules {
        if name == "UTC" { return .utc }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        let isName = parts.allSatisfy { part in
            !part.isEmpty && part.first != "."
                && part.utf8.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || [0x2B, 0x2D, 0x5F].contains(byte)
                }
        }
        guard isName else {
            throw Failure(description: "'\(name)' is no name of a time zone, such as Europe/Berlin or UTC.")
        }
        guard let bytes = SystemFile.bytes("\(folder)/\(name)") else {
            throw Failure(
                description: "\(folder)/\(name) cannot be read (\(String(cString: strerror(errno)))): there is no such "
                    + "time zone, or the package tzdata is missing.")
        }
        do throws(TimeZoneRules.Fault) {
            return try TimeZoneRules(bytes)
        } catch {
            throw Failure(description: "\(folder)/\(name) is no time zone: \(error).")
        }
    }
}
