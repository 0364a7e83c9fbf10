import Base
import CMnl
import Glibc

/// What this kernel can do for IPsec, found out by trying.
public enum KernelESP: Hashable, Sendable {
    /// The suites that it takes, by the kernel's names.
    case available([String])
    /// ESP, and no XFRM interfaces to route packets into, in the kernel's words.
    case withoutInterfaces(String)
    /// No ESP at all, in the kernel's words.
    case missing(String)
    /// It did not let us try.
    case unknown(String)

    /// Tunnels can run in the kernel.
    public var isAvailable: Bool { if case .available = self { true } else { false } }

    /// Why they cannot, as a clause; empty when they can.
    public var whyNot: String {
        switch self {
        case .available: ""
        case .withoutInterfaces(let reason): "this kernel makes no XFRM interfaces (\(reason))"
        case .missing(let reason): "this kernel has no ESP (\(reason))"
        case .unknown(let reason): "ESP in the kernel could not be tried (\(reason))"
        }
    }

    /// Installs a security association between two addresses that nobody has (TEST-NET-1, RFC 5737) and takes it away
    /// at once: in an empty network namespace where we may make one, else in this one, where no policy points at it.
    ///
    /// A kernel without ESP says ENOSYS (no such cipher) or EPROTONOSUPPORT (no such protocol). Trying may load the
    /// modules that are needed.
    public static func probe() -> KernelESP {
        do {
            return try NetworkNamespace.runInNew { probeHere() }
        } catch {
            return probeHere()
        }
    }

    private static let suites: [(name: String, attributes: @Sendable (inout NetlinkWriter) -> Void)] = [
        (
            "cbc(aes) + hmac(sha1)",
            { writer in
                writer.attribute(XFRMA_ALG_CRYPT.rawValue, algorithm("cbc(aes)", [128], keyLength: 16))
                writer.attribute(XFRMA_ALG_AUTH_TRUNC.rawValue, algorithm("hmac(sha1)", [160, 96], keyLength: 20))
            }
        ),
        (
            "rfc4106(gcm(aes))",
            { writer in
                writer.attribute(XFRMA_ALG_AEAD.rawValue, algorithm("rfc4106(gcm(aes))", [160, 128], keyLength: 20))
            }
        ),
    ]

    /// `xfrm_algo` and its kin: a name of 64 bytes, lengths in bits, the key.
    private static func algorithm(_ name: String, _ bits: [UInt32], keyLength: Int) -> [UInt8] {
        var writer = NetlinkWriter()
        writer.append(name.utf8)
        writer.append(repeatElement(0, count: 64 - name.utf8.count))
        for number in bits { writer.append(number) }
        writer.append(SystemRandom.bytes(keyLength))
        return writer.bytes
    }

    private static func probeHere() -> KernelESP {
        var taken: [String] = []
        var refusal = ""
        do throws(NetlinkError) {
            let netlink = try Netlink(.xfrm)
            for suite in suites {
                let spi = 0x1000_0000 | UInt32.random(in: 0...0x0FFF_FFFF)
                do throws(NetlinkError) {
                    try netlink.request(
                        NetlinkRequest(
                            XFRM_MSG_NEWSA, flags: NLM_F_CREATE | NLM_F_EXCL, association(spi, suite.attributes)),
                        "trying ESP with \(suite.name)")
                    taken.append(suite.name)
                } catch {
                    // These say that something is not there; another error says nothing about that.
                    guard [ENOSYS, EPROTONOSUPPORT, EOPNOTSUPP, EAFNOSUPPORT, ENOENT].contains(error.errno) else {
                        return .unknown(error.description)
                    }
                    if refusal.isEmpty { refusal = error.kernelText ?? String(cString: strerror(error.errno)) }
                    continue
                }
                try netlink.request(NetlinkRequest(XFRM_MSG_DELSA, identity(spi)), "taking the trial ESP away")
            }
        } catch {
            guard error.kind == .socket, [EPROTONOSUPPORT, EAFNOSUPPORT].contains(error.errno) else {
                return .unknown(error.description)
            }
            return .missing("the kernel is built without XFRM")
        }
        guard !taken.isEmpty else { return .missing(refusal) }
        if let reason = whyNoInterface() { return .withoutInterfaces(reason) }
        return .available(taken)
    }

    /// Makes an XFRM interface and takes it away; nil when that works.
    private static func whyNoInterface() -> String? {
        let name = "ghtry\(UInt32.random(in: 0...999_999_999))"
        do throws(NetlinkError) {
            let netlink = try Netlink()
            try netlink.addXFRMInterface(name, interfaceID: UInt32.random(in: 0x5000_0000...0x5FFF_FFFF))
            try netlink.deleteLink(name)
            return nil
        } catch {
            return error.kernelText ?? String(cString: strerror(error.errno))
        }
    }

    private static let source = UInt32(0xC000_0201).bigEndian  // 192.0.2.1
    private static let destination = UInt32(0xC000_0202).bigEndian

    private static func association(_ spi: UInt32, _ attributes: (inout NetlinkWriter) -> Void) -> NetlinkWriter {
        var info = xfrm_usersa_info()
        info.id.daddr.a4 = destination
        info.id.spi = spi.bigEndian
        info.id.proto = UInt8(IPPROTO_ESP)
        info.saddr.a4 = source
        info.lft.soft_byte_limit = .max
        info.lft.hard_byte_limit = .max
        info.lft.soft_packet_limit = .max
        info.lft.hard_packet_limit = .max
        // Should the deletion fail, it goes by itself.
        info.lft.hard_add_expires_seconds = 5
        info.family = UInt16(AF_INET)
        info.mode = UInt8(XFRM_MODE_TUNNEL)
        var writer = NetlinkWriter()
        withUnsafeBytes(of: info) { writer.append($0) }
        attributes(&writer)
        return writer
    }

    private static func identity(_ spi: UInt32) -> NetlinkWriter {
        var identity = xfrm_usersa_id()
        identity.daddr.a4 = destination
        identity.spi = spi.bigEndian
        identity.family = UInt16(AF_INET)
        identity.proto = UInt8(IPPROTO_ESP)
        var writer = NetlinkWriter()
        withUnsafeBytes(of: identity) { writer.append($0) }
        return writer
    }
}
