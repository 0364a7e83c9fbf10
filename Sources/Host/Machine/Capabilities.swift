/// The rights of a process beyond those of its user (capabilities(7)).
public struct Capabilities: OptionSet, Hashable, Sendable {
    public var rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Ports below 1024: IKE's 500.
    public static let netBindService = Capabilities(rawValue: 1 << 10)
    /// Interfaces, routes, rules, IPsec, nftables.
    public static let netAdmin = Capabilities(rawValue: 1 << 12)
    /// Raw sockets: ESP and probes.
    public static let netRaw = Capabilities(rawValue: 1 << 13)
    /// Locking memory without a limit.
    public static let ipcLock = Capabilities(rawValue: 1 << 14)

    /// What the calling thread may do now; nil when /proc is not there.
    public static var effective: Capabilities? {
        SystemFile.read("/proc/thread-self/status").flatMap(Capabilities.init(status:))
    }

    /// Reads `CapEff` of `/proc/PID/status`.
    init?(status: String) {
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
            let word = line.split(whereSeparator: \.isWhitespace).last, let value = UInt64(word, radix: 16)
        else { return nil }
        rawValue = value
    }
}
