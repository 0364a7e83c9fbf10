public import Base

/// What a DHCP server says of who has which address.
public struct DHCPLeases: Hashable, Sendable {
    public struct Lease: Hashable, Sendable {
        public var mac: MACAddress?
        public var hostName: String?
        /// Nil for one that does not end.
        public var until: WallTime?

        public init(mac: MACAddress? = nil, hostName: String? = nil, until: WallTime? = nil) {
            self.mac = mac
            self.hostName = hostName
            self.until = until
        }
    }

    public private(set) var byAddress: [IPAddress: Lease] = [:]

    public init() {}

    /// How the file of a DHCP server is written.
    public enum Format: String, Hashable, Sendable {
        case dnsmasq, isc = "isc-dhcpd", kea
    }

    /// A file that is no list of leases.
    public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        /// From 1; 0 for the file as a whole.
        public var line: Int
        public var reason: String
        public var description: String { line == 0 ? reason : "line \(line): \(reason)" }
    }

    /// Reads dnsmasq's `dnsmasq.leases`, ISC's `dhcpd.leases` (dhcpd.leases(5)) or Kea's memfile in CSV, whichever it
    /// is. Of several entries for one address the last one holds. A line that says nothing usable is passed over and
    /// counted in ``passedOver``: servers write while we read.
    public init(_ bytes: [UInt8]) throws(Fault) {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map {
            String(decoding: $0.last == UInt8(ascii: "\r") ? $0.dropLast() : $0, as: UTF8.self)
        }
        switch Self.format(lines) {
        case .dnsmasq: readDnsmasq(lines)
        case .isc: readISC(lines)
        case .kea: try readKea(lines)
        case nil:
            guard lines.allSatisfy({ $0.allSatisfy(\.isWhitespace) }) else {
                throw Fault(
                    line: 0, reason: "it is no lease file of dnsmasq, ISC dhcpd or Kea, as far as can be told")
            }
        }
    }

    /// Lines or entries that could not be used.
    public private(set) var passedOver = 0

    /// The lease of an address that has not ended.
    public func lease(of address: IPAddress, now: WallTime) -> Lease? {
        byAddress[address].flatMap { lease in lease.until.map { $0 > now } ?? true ? lease : nil }
    }

    static func format(_ lines: [String]) -> Format? {
        for line in lines {
            let words = line.split(separator: " ")
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            if line.hasPrefix("address,") { return .kea }
            if first == "duid" || (words.count >= 4 && Int64(first) != nil) { return .dnsmasq }
            if ["lease", "authoring-byte-order", "server-duid", "failover"].contains(String(first)) { return .isc }
            return nil
        }
        return nil
    }

    /// `expiry mac address name client-ID`, with `*` for what is not known; expiry 0 does not end.
    private mutating func readDnsmasq(_ lines: [String]) {
        for line in lines {
            let words = line.split(separator: " ")
            guard !words.isEmpty, words[0] != "duid" else { continue }
            guard words.count >= 4, let expiry = Int64(words[0]), let address = IPAddress(String(words[2])) else {
                passedOver += 1
                continue
            }
            // IPv6 leases have an IAID in the place of the hardware address. Other links than Ethernet have a prefix.
            byAddress[address] = Lease(
                mac: MACAddress(String(words[1])), hostName: Self.name(words[3]), until: Self.time(expiry))
        }
    }

    private mutating func readISC(_ lines: [String]) {
        var address: IPAddress?
        var lease = Lease()
        var isActive = true
        for line in lines {
            let text = line.split(separator: " ").flatMap { $0.split(separator: "\t") }.map(String.init)
            guard let first = text.first, !first.hasPrefix("#") else { continue }
            if first == "lease", text.count >= 2 {
                address = IPAddress(text[1])
                if address == nil { passedOver += 1 }
                lease = Lease()
                isActive = true
                continue
            }
            guard let place = address else { continue }
            let words = text.map { $0.hasSuffix(";") ? String($0.dropLast()) : $0 }
            switch first {
            case "}":
                byAddress[place] = isActive ? lease : nil
                address = nil
            case "hardware" where words.count >= 3 && words[1] == "ethernet": lease.mac = MACAddress(words[2])
            case "client-hostname" where words.count >= 2:
                lease.hostName = Self.name(words[1].filter { $0 != "\"" }[...])
            case "binding" where words.count >= 3: isActive = words[2] == "active"
            case "ends" where words.count >= 4 && words[1] != "epoch":
                // `ends 4 2026/11/26 10:00:00;` in UTC.
                let day = words[2].split(separator: "/").joined(separator: "-")
                lease.until = WallTime(rfc3339: "\(day)T\(words[3])Z")
            case "ends" where words.count >= 3 && words[1] == "epoch":
                lease.until = Int64(words[2]).flatMap(Self.time)
            default: break
            }
        }
    }

    /// A header that names the columns, then one line a lease; `state` 0 is one in use.
    private mutating func readKea(_ lines: [String]) throws(Fault) {
        let header = (lines.first ?? "").split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        guard let place = header.firstIndex(of: "address"), let card = header.firstIndex(of: "hwaddr"),
            let expire = header.firstIndex(of: "expire"), let name = header.firstIndex(of: "hostname")
        else { throw Fault(line: 1, reason: "a column is missing: address, hwaddr, expire or hostname") }
        let state = header.firstIndex(of: "state")
        for line in lines.dropFirst() where !line.isEmpty && line != lines.first {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false)
            guard fields.count > max(place, card, expire, name), let address = IPAddress(String(fields[place])),
                let expiry = Int64(fields[expire])
            else {
                passedOver += 1
                continue
            }
            guard state.map({ $0 >= fields.count || fields[$0] == "0" }) ?? true else {
                byAddress[address] = nil
                continue
            }
            byAddress[address] = Lease(
                mac: MACAddress(String(fields[card])), hostName: Self.name(fields[name]), until: Self.time(expiry))
        }
    }

    private static func name(_ text: Substring) -> String? {
        let name = EndpointDirectory.hostKey(String(text))
        return name.isEmpty || name == "*" ? nil : name
    }

    /// Nil for 0, which does not end, and for what no clock shows.
    private static func time(_ seconds: Int64) -> WallTime? {
        guard seconds > 0, seconds < 9_000_000_000 else { return nil }
        return WallTime(nanoseconds: seconds * 1_000_000_000)
    }
}
