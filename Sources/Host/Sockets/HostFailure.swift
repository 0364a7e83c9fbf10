import Glibc

/// What the operating system refused, in words for a person.
public struct HostFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was tried, such as `binding UDP 0.0.0.0:500`.
    public var action: String
    /// The `errno` of the refusal; 0 when it is our own.
    public var code: Int32
    /// What to do about it, if we know.
    public var advice: String?

    public init(_ action: String, code: Int32, advice: String? = nil) {
        self.action = action
        self.code = code
        self.advice = advice
    }

    public var description: String {
        let reason = code == 0 ? "failed" : "failed: " + String(cString: strerror(code))
        return "\(action) \(reason)" + (advice.map { " (\($0))" } ?? "")
    }

    /// The result of a system call that gives a negative errno on failure.
    static func check(_ result: Int32, _ action: @autoclosure () -> String) throws(HostFailure) -> Int32 {
        guard result < 0 else { return result }
        let advice: String? =
            switch -result {
            case EPERM, EACCES: "gatehoused needs CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE"
            case EADDRINUSE: "another IKE daemon, such as charon or libreswan, may be running"
            case EADDRNOTAVAIL: "the address is not on any interface of this host"
            default: nil
            }
        throw HostFailure(action(), code: -result, advice: advice)
    }
}

/// A file descriptor that closes itself when nobody uses it any more, so that no number is used after it was given
/// to someone else.
final class Descriptor: Sendable {
    let number: Int32

    /// Takes over an open descriptor.
    init(_ number: Int32) { self.number = number }

    deinit { close(number) }
}
