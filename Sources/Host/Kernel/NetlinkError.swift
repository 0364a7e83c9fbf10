public import Base
import Glibc

/// What went wrong between us and the kernel over netlink, in words for the log.
public struct NetlinkError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Kind: Hashable, Sendable {
        /// The kernel answered with ``NetlinkError/errno``.
        case refused
        /// No answer within the time given. Whether the kernel did it is not known.
        case noAnswer(within: Tick.Span)
        /// The answer broke the format.
        case unreadable
        /// A socket call failed with ``NetlinkError/errno``.
        case socket
    }

    /// What was being done, as a phrase: `adding route 10.0.0.0/16 via gh0`.
    public var operation: String
    public var kind: Kind
    /// The error number, positive; 0 where there is none.
    public var errno: Int32
    /// The kernel's own words (extended ACK), or what was wrong with its answer.
    public var kernelText: String?

    public init(operation: String, errno: Int32, kernelText: String? = nil, kind: Kind = .refused) {
        self.operation = operation
        self.kind = kind
        self.errno = errno
        self.kernelText = kernelText
    }

    public var description: String {
        let system = errno == 0 ? nil : String(cString: strerror(errno))
        switch kind {
        case .refused:
            let words = [kernelText, system].compactMap(\.self)
            guard let first = words.first else { return "\(operation): the kernel refused without a reason" }
            let hint = errno == EPERM ? "; CAP_NET_ADMIN is needed" : ""
            return "\(operation): the kernel refused: \(first)" + words.dropFirst().map { " (\($0))" }.joined() + hint
        case .noAnswer(let span):
            return "\(operation): the kernel did not answer within \(span.seconds) s"
        case .unreadable:
            return "\(operation): the kernel's answer could not be read: \(kernelText ?? "it is malformed")"
        case .socket:
            return "\(operation): \(kernelText ?? "the netlink socket failed"): \(system ?? "no reason given")"
        }
    }

    /// There is no such thing: link, address or route.
    var isNotFound: Bool { kind == .refused && [ENODEV, ENOENT, ESRCH, EADDRNOTAVAIL].contains(errno) }
}
