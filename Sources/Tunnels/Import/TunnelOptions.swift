internal import Base
internal import Cryptography
import JSONText

/// `Options.TunnelOptions` of the API: what each endpoint accepts. They win over the XML, which shows a minimum.
/// A tunnel is found by its outside address, never by its position: AWS lists them in any order.
struct TunnelOptions {
    let context: ImportContext
    private var profile: VendorProfile { context.profile }

    init(context: ImportContext) { self.context = context }

    func apply(_ options: JSONTree?, to connection: inout VPNConnection) throws(ImportError) {
        // Absent, {} and [] all mean that the options are not shown.
        guard let list = options?["TunnelOptions"]?.array, !list.isEmpty else { return }
        let entries = list.filter { entry in
            guard case .object(let fields) = entry.value else { return false }
            return !fields.isEmpty
        }
        guard !entries.isEmpty else { return }
        guard entries.count <= TextFile.tunnelLimit else {
            throw ImportError(
                .unsupported, at: Place(line: entries[0].line), field: "TunnelOptions",
                "there are options for \(entries.count) tunnels", remedy: ImportError.downloadAgain)
        }
        connection.showsTunnelOptions = true
        var seen: [IPAddress: Int] = [:]
        let hasXML = !connection.tunnels.isEmpty
        for entry in entries {
            let outside = try AWSJSONFormat.field(entry, "OutsideIpAddress")?.address()
            if let outside {
                if let line = seen[outside.value] {
                    throw ImportError(
                        .contradiction, at: outside.place, field: "OutsideIpAddress",
                        "both tunnels have the AWS outside address \(outside.value), first on line \(line)",
                        remedy: "AWS gives each tunnel an address of its own. " + ImportError.downloadAgain)
                }
                seen[outside.value] = outside.place?.line ?? entry.line
            }
            let inside = try insidePair(entry)
            if hasXML {
                guard let index = try index(of: entry, outside: outside, inside: inside, in: connection) else {
                    continue
                }
                try apply(entry, outside, inside, to: &connection.tunnels[index], &connection.warnings)
            } else {
                var tunnel = VPNTunnel(place: Place(line: entry.line))
                try apply(entry, outside, inside, to: &tunnel, &connection.warnings)
                connection.tunnels.append(tunnel)
            }
        }
    }

    private func index(
        of entry: JSONTree, outside: Sourced<IPAddress>?, inside: (local: IPPrefix, remote: IPPrefix, place: Place)?,
        in connection: VPNConnection
    ) throws(ImportError) -> Int? {
        if let outside {
            if let index = connection.tunnels.firstIndex(where: { $0.remoteOutside?.value == outside.value }) {
                return index
            }
            throw ImportError(
                .contradiction, at: outside.place, field: "OutsideIpAddress",
                "the tunnel options speak of \(outside.value), which is no tunnel of the CustomerGatewayConfiguration ("
                    + connection.tunnels.compactMap { $0.remoteOutside?.value.description }.joined(separator: ", ")
                    + ")",
                remedy: ImportError.downloadAgain)
        }
        if let inside,
            let index = connection.tunnels.firstIndex(where: { $0.insideLocal?.value.network == inside.local.network })
        {
            return index
        }
        throw ImportError(
            .missingValue, at: Place(line: entry.line), field: "OutsideIpAddress",
            "these tunnel options do not say which tunnel they belong to",
            remedy: "Wait until the connection is available. " + ImportError.downloadAgain)
    }

    /// The two addresses of `TunnelInsideCidr`: AWS has the first, we have the second.
    private func insidePair(
        _ entry: JSONTree
    ) throws(ImportError) -> (local: IPPrefix, remote: IPPrefix, place: Place)? {
        guard let field = AWSJSONFormat.field(entry, "TunnelInsideCidr") else { return nil }
        let prefix = try field.prefix(defaultLength: profile.tunnelInterface.insideLength).value
        guard prefix.family == .ipv4, prefix.length <= 30,
            let local = IPPrefix(prefix.first.advanced(by: 2), length: prefix.length),
            let remote = IPPrefix(prefix.first.advanced(by: 1), length: prefix.length)
        else { throw field.fault("\(quoted(field.text)) is not a /30 network") }
        return (local, remote, field.place)
    }

    private func apply(
        _ entry: JSONTree, _ outside: Sourced<IPAddress>?, _ inside: (local: IPPrefix, remote: IPPrefix, place: Place)?,
        to tunnel: inout VPNTunnel, _ warnings: inout [String]
    ) throws(ImportError) {
        if let outside { tunnel.remoteOutside = outside }
        if let inside {
            if let known = tunnel.insideLocal, known.value.network != inside.local.network {
                warnings.append(
                    "\(inside.place), TunnelInsideCidr: the options say \(inside.local.network) and the "
                        + "CustomerGatewayConfiguration says \(known.value); the options are used")
                tunnel.insideLocal = nil
                tunnel.insideRemote = nil
            }
            tunnel.insideLocal = tunnel.insideLocal ?? Sourced(inside.local, .derived, inside.place)
            tunnel.insideRemote = tunnel.insideRemote ?? Sourced(inside.remote, .derived, inside.place)
        }
        if let field = AWSJSONFormat.field(entry, "TunnelInsideIpv6Cidr"), tunnel.insideLocal6 == nil {
            let prefix = try field.prefix(defaultLength: profile.tunnelInterface.insideLength6).value
            guard prefix.family == .ipv6, prefix.length <= 126 else {
                throw field.fault("\(quoted(field.text)) is not a /126 network")
            }
            tunnel.insideLocal6 = IPPrefix(prefix.first.advanced(by: 2), length: prefix.length).map {
                Sourced($0, .derived, field.place)
            }
            tunnel.insideRemote6 = IPPrefix(prefix.first.advanced(by: 1), length: prefix.length).map {
                Sourced($0, .derived, field.place)
            }
        }
        if let field = AWSJSONFormat.field(entry, "PreSharedKey") {
            let key = try field.key(profile.permitted.psk, placeholders: profile.placeholders)
            if let known = tunnel.psk, known.value != key.value {
                throw ImportError(
                    .contradiction, at: field.place, field: "PreSharedKey",
                    "this key differs from the one in the CustomerGatewayConfiguration for the same tunnel, on "
                        + (known.place?.description ?? "another line"),
                    remedy: "One of the two is old: a key was changed while the file was made, or the file was edited. "
                        + ImportError.downloadAgain)
            }
            tunnel.psk = key
        }

        // From here on: what the options do not list, AWS permits in full, whatever the XML shows.
        tunnel.encryption1 = try list(
            entry, ["Phase1EncryptionAlgorithms"], profile.permitted.encryption.map(\.name), &warnings
        ) {
            profile.encryption($0)
        }
        tunnel.encryption2 = try list(
            entry, ["Phase2EncryptionAlgorithms"], profile.permitted.encryption.map(\.name), &warnings
        ) {
            profile.encryption($0)
        }
        tunnel.integrity1 = try list(
            entry, ["Phase1IntegrityAlgorithms"], profile.permitted.integrity.map(\.name), &warnings
        ) {
            profile.integrity($0)
        }
        tunnel.integrity2 = try list(
            entry, ["Phase2IntegrityAlgorithms"], profile.permitted.integrity.map(\.name), &warnings
        ) {
            profile.integrity($0)
        }
        tunnel.groups1 = try list(entry, ["Phase1DHGroupNumbers"], profile.permitted.phase1Groups, &warnings) {
            Vocabulary.group($0)
        }
        tunnel.groups2 = try list(entry, ["Phase2DHGroupNumbers"], profile.permitted.phase2Groups, &warnings) {
            Vocabulary.group($0)
        }
        let versions = try list(entry, ["IkeVersions", "IKEVersions"], profile.permitted.ikeVersions, &warnings) {
            word in
            ["ikev1": 1, "ikev2": 2][word.lowercased()]
        }
        tunnel.ikeVersions = versions ?? Sourced(profile.permitted.ikeVersions, .default)

        // A time that is not listed is AWS's default, or the same that the XML shows.
        tunnel.lifetime1 = try AWSJSONFormat.field(entry, "Phase1LifetimeSeconds")?.seconds() ?? tunnel.lifetime1
        tunnel.lifetime2 = try AWSJSONFormat.field(entry, "Phase2LifetimeSeconds")?.seconds() ?? tunnel.lifetime2
        tunnel.rekeyMargin = try AWSJSONFormat.field(entry, "RekeyMarginTimeSeconds")?.number(1...31_536_000)
        tunnel.rekeyFuzz = try AWSJSONFormat.field(entry, "RekeyFuzzPercentage")?.number(0...100)
        tunnel.replayWindow = try AWSJSONFormat.field(entry, "ReplayWindowSize")?.number(1...1_000_000)
        tunnel.dpdTimeout = try AWSJSONFormat.field(entry, "DpdTimeoutSeconds", "DPDTimeoutSeconds")?.seconds(
            1...86_400)
        if let action = entry["StartupAction"] {
            tunnel.isStartedByAWS = Sourced(action.string == "start", .file, Place(line: action.line))
        }
    }

    /// A list such as `[{"Value": "AES256"}]`, in our order of preference. An absent or empty one is nil: all.
    private func list<Value: Hashable & Sendable>(
        _ entry: JSONTree, _ keys: [String], _ preference: [Value], _ warnings: inout [String],
        _ word: (String) -> Value?
    ) throws(ImportError) -> Sourced<[Value]>? {
        guard let key = keys.first(where: { entry[$0] != nil }), let field = entry[key], let items = field.array,
            !items.isEmpty
        else { return nil }
        var found: [Value] = []
        for item in items {
            guard let text = item["Value"]?.scalar ?? item.scalar else { continue }
            guard let value = word(text) else {
                warnings.append(
                    "line \(item.line), \(key): \(quoted(text)) is unknown to Gatehouse and left out")
                continue
            }
            if !found.contains(value) { found.append(value) }
        }
        guard !found.isEmpty else {
            throw ImportError(
                .unsupported, at: Place(line: field.line), field: key,
                "Gatehouse knows none of the values in this list",
                remedy: "Permit a common value in the tunnel options at AWS.")
        }
        let sorted = preference.filter(found.contains) + found.filter { !preference.contains($0) }
        return Sourced(sorted, .file, Place(line: field.line))
    }
}
