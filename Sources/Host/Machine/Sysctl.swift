public import Base
import Glibc

/// Kernel settings under `/proc/sys`, in the network namespace of the thread that asks.
public enum Sysctl {
    /// A setting could not be made.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        public var name: String
        public var value: String
        public var errno: Int32

        public var description: String {
            let hint =
                switch errno {
                case EPERM, EACCES: "; CAP_NET_ADMIN is needed"
                case EROFS: "; /proc/sys is read-only here, so set it outside: sysctl -w \(name)=\(value)"
                default: ""
                }
            return "setting \(name) to \(value): \(String(cString: strerror(errno)))\(hint)"
        }
    }

    /// The value of a setting given by its path, such as `net/ipv4/ip_forward`; nil when the kernel has none.
    public static func value(_ path: String) -> String? {
        guard let text = SystemFile.read("/proc/sys/" + path, limit: 4096) else { return nil }
        return text.split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    /// Whether this gateway passes packets of a family on between its interfaces.
    public static func isForwarding(_ family: IPAddress.Family) -> Bool {
        value(family == .ipv4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding") == "1"
    }

    /// Sets what a tunnel's interface needs, on that interface alone; a setting that is right already is not written.
    ///
    /// - The reverse path filter loose (2): after a failover, answers may come in by the other tunnel than their
    ///   route names. The kernel takes the stricter number of this and `all`, of which 2 is the greatest.
    /// - No ICMP redirects: packets that come from one tunnel and leave by the same are on their best way.
    /// - No router advertisements: nobody at the far end of a tunnel configures this host.
    public static func prepareTunnel(_ interface: String) throws(Failure) {
        let wanted = [
            ("ipv4", "rp_filter", "2"), ("ipv4", "send_redirects", "0"), ("ipv4", "accept_redirects", "0"),
            ("ipv6", "accept_ra", "0"), ("ipv6", "accept_redirects", "0"),
        ]
        for (family, name, value) in wanted { try set("net/\(family)/conf", interface, name, value) }
    }

    private static func set(
        _ folder: String, _ interface: String, _ name: String, _ value: String
    ) throws(Failure) {
        let path = "\(folder)/\(interface)/\(name)"
        func failure(_ code: Int32) -> Failure {
            Failure(name: path.map { $0 == "/" ? "." : String($0) }.joined(), value: value, errno: code)
        }
        // The name becomes part of a path, and `all` and `default` are other interfaces' settings too.
        guard !interface.isEmpty, !interface.contains("/"), ![".", "..", "all", "default"].contains(interface) else {
            throw failure(EINVAL)
        }
        guard let present = self.value(path) else {
            // A kernel without IPv6 has no such settings; an interface that is gone has none at all.
            if folder.contains("ipv6"), errno == ENOENT { return }
            throw failure(errno)
        }
        guard present != value else { return }
        let code = SystemFile.write(value, to: "/proc/sys/" + path)
        guard code == 0 else { throw failure(code) }
    }
}
