internal import Base

/// The Generic ("vendor agnostic") text download: lines `- Label : value` under headings.
struct GenericTextFormat: ImportFormat {
    let title = "a Generic configuration"

    func recognises(_ document: ImportDocument) -> Bool {
        document.lines.contains { line in
            line.text.containsBytes("Pre-Shared Key") && Field(labelled: line.text, line: 0)?.name == "Pre-Shared Key"
        }
    }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-generic")
        connection.warnings = document.warnings
        try TextFile.readHeader(document, into: &connection)
        var reader = Reader(context: context)
        for line in document.lines { try reader.take(line) }
        try reader.finish(into: &connection)
        return connection
    }

    private struct Reader {
        /// The numbered sections of a tunnel, and the two blocks of addresses, in which labels mean different things.
        enum Section { case ike, ipsec, outside, inside, routing, none }

        let context: ImportContext
        var section = Section.none
        var tunnels: [VPNTunnel] = []
        var numbers: Set<Int> = []
        var isStatic: Place?

        init(context: ImportContext) { self.context = context }

        mutating func take(_ line: ImportDocument.Line) throws(ImportError) {
            // Headings and labels are short; prose and rulers may be long.
            let lower = line.text.utf8.count <= 200 ? line.text.lowercased() : ""
            if lower.containsBytes("ipsec tunnel"), let number = TextFile.tunnelNumber(line.text) {
                try TextFile.checkCount(tunnels.count, line)
                guard numbers.insert(number).inserted else {
                    throw ImportError(
                        .contradiction, at: Place(line: line.number), "tunnel \(number) begins a second time",
                        remedy: "Import each connection from a file of its own.")
                }
                tunnels.append(VPNTunnel(place: Place(line: line.number)))
                section = .none
                return
            }
            if let heading = Self.heading(lower) {
                section = heading
                if heading == .routing, lower.containsBytes("static") {
                    isStatic = isStatic ?? Place(line: line.number)
                }
                return
            }
            guard let field = Field(labelled: line.text, line: line.number) else { return }
            try take(field)
        }

        private static func heading(_ line: String) -> Section? {
            guard !line.isEmpty, !line.hasPrefix("- ") else { return nil }
            let line = trimmed(line, also: "#*-_ ")
            if line.hasPrefix("1: internet key exchange") || line.hasPrefix("configure the ike sa") { return .ike }
            if line.hasPrefix("2: ipsec config") || line.hasPrefix("configure the ipsec sa") { return .ipsec }
            if line.hasPrefix("3: tunnel interface") { return Section.none }
            if line.hasPrefix("outside ip addresses") { return .outside }
            if line.hasPrefix("inside ip addresses") { return .inside }
            if line.hasPrefix("4: static routing") || line.hasPrefix("4: border gateway") { return .routing }
            if line.hasPrefix("bgp configuration options") || line.hasPrefix("static route configuration") {
                return .routing
            }
            return nil
        }

        private mutating func take(_ field: Field) throws(ImportError) {
            let label = field.name.lowercased()
            guard Self.labels.contains(label) else { return }
            // A file whose divider was lost still has its first tunnel.
            if tunnels.isEmpty { tunnels.append(VPNTunnel(place: field.place)) }
            var tunnel = tunnels.removeLast()
            defer { tunnels.append(tunnel) }
            let profile = context.profile
            switch label {
            case "ike version":
                section = .ike
                try Self.set(&tunnel.ikeVersions, try field.ikeVersion(), field)
            case "authentication method":
                section = .ike
                guard field.text.lowercased().hasPrefix("pre-shared key") else {
                    throw ImportError(
                        .unsupported, at: field.place, field: field.name,
                        "the tunnel authenticates by something other than a pre-shared key",
                        remedy: "Gatehouse imports connections with pre-shared keys.")
                }
            case "pre-shared key":
                section = .ike
                try Self.set(
                    &tunnel.psk, try field.key(profile.permitted.psk, placeholders: profile.placeholders), field)
            case "authentication algorithm":
                let value = try field.integrity().map { [$0] }
                if isPhase2(tunnel.integrity1 != nil) {
                    try Self.set(&tunnel.integrity2, value, field)
                } else {
                    try Self.set(&tunnel.integrity1, value, field)
                }
            case "encryption algorithm":
                let value = try field.encryption().map { [$0] }
                if isPhase2(tunnel.encryption1 != nil) {
                    try Self.set(&tunnel.encryption2, value, field)
                } else {
                    try Self.set(&tunnel.encryption1, value, field)
                }
            case "lifetime":
                if isPhase2(tunnel.lifetime1 != nil) {
                    try Self.set(&tunnel.lifetime2, try field.seconds(), field)
                } else {
                    try Self.set(&tunnel.lifetime1, try field.seconds(), field)
                }
            case "diffie-hellman": try Self.set(&tunnel.groups1, try field.group().map { [$0] }, field)
            case "perfect forward secrecy":
                // Old files write the phase 1 group under this label too.
                let value = try field.group().map { [$0] }
                if section == .ike, tunnel.groups1 == nil {
                    tunnel.groups1 = value
                } else {
                    try Self.set(&tunnel.groups2, value, field)
                }
            case "protocol":
                section = .ipsec
                guard field.text.lowercased() == "esp" else { throw field.fault("\(quoted(field.text)) is not ESP") }
            case "mode":
                guard field.text.lowercased() == "tunnel" else {
                    throw field.fault("\(quoted(field.text)) is not tunnel mode")
                }
            case "dpd interval": try Self.set(&tunnel.dpdInterval, try field.seconds(1...3600), field)
            case "dpd retries": try Self.set(&tunnel.dpdRetries, try field.number(1...100), field)
            case "tcp mss adjustment": try Self.set(&tunnel.mss, try field.bytes(500...1460), field)
            case "tunnel interface mtu": try Self.set(&tunnel.mtu, try field.bytes(576...1500), field)
            case "customer gateway": try takeAddress(field, isOurs: true, &tunnel)
            case "virtual private gateway", "vpn gateway", "transit gateway":
                try takeAddress(field, isOurs: false, &tunnel)
            case "customer gateway asn": try Self.set(&tunnel.localASN, try field.asn(), field)
            case "virtual private gateway asn", "vpn gateway asn", "transit gateway asn":
                try Self.set(&tunnel.remoteASN, try field.asn(), field)
            case "neighbor ip address": try Self.set(&tunnel.neighbor, try field.address(), field)
            case "neighbor hold time": try Self.set(&tunnel.holdTime, try field.seconds(3...65_535), field)
            default: break
            }
        }

        private static let labels: Set<String> = [
            "ike version", "authentication method", "pre-shared key", "authentication algorithm",
            "encryption algorithm",
            "lifetime", "diffie-hellman", "perfect forward secrecy", "protocol", "mode", "dpd interval", "dpd retries",
            "tcp mss adjustment", "tunnel interface mtu", "customer gateway", "virtual private gateway", "vpn gateway",
            "transit gateway", "customer gateway asn", "virtual private gateway asn", "vpn gateway asn",
            "transit gateway asn", "neighbor ip address", "neighbor hold time",
        ]

        /// Without a heading, the first value is phase 1's and the next phase 2's: the order of every file.
        private func isPhase2(_ hasPhase1: Bool) -> Bool {
            switch section {
            case .ike: false
            case .ipsec: true
            default: hasPhase1
            }
        }

        private mutating func takeAddress(_ field: Field, isOurs: Bool, _ tunnel: inout VPNTunnel) throws(ImportError) {
            switch section {
            case .outside:
                if isOurs {
                    try Self.set(&tunnel.localOutside, try field.address(), field)
                } else {
                    try Self.set(&tunnel.remoteOutside, try field.address(), field)
                }
            case .inside:
                let prefix = try field.prefix(defaultLength: context.profile.tunnelInterface.insideLength)
                if isOurs {
                    try Self.set(&tunnel.insideLocal, prefix, field)
                } else {
                    try Self.set(&tunnel.insideRemote, prefix, field)
                }
            default:
                throw field.fault(
                    "this line stands neither under 'Outside IP Addresses' nor under 'Inside IP Addresses'")
            }
        }

        /// Sets a value once; the same value again is fine, another one is a contradiction.
        private static func set<Value: Hashable & Sendable>(
            _ slot: inout Sourced<Value>?, _ value: Sourced<Value>, _ field: Field
        ) throws(ImportError) {
            guard let known = slot else {
                slot = value
                return
            }
            guard known.value == value.value else {
                throw ImportError(
                    .contradiction, at: field.place, field: field.name,
                    "this differs from what \(known.place?.description ?? "another line") says for the same tunnel",
                    remedy: "If the line 'IPSec Tunnel #2' was lost in copying, put it back; else "
                        + "download the configuration again.")
            }
        }

        mutating func finish(into connection: inout VPNConnection) throws(ImportError) {
            let hasBGP = tunnels.contains { $0.localASN != nil || $0.remoteASN != nil }
            if hasBGP {
                connection.routing = Sourced(
                    .bgp, .file, tunnels.lazy.compactMap { $0.localASN ?? $0.remoteASN }.first?.place)
            } else if let isStatic {
                connection.routing = Sourced(.static, .file, isStatic)
            }
            connection.tunnels = tunnels
        }
    }
}
