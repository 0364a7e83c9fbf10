internal import Base
internal import Cryptography

/// Instructions for a person who clicks: lettered steps such as `g. Pre-Shared Key: …`, of FortiOS and of pfSense.
struct StepsReader {
    private enum Section { case phase1, phase2, interface, bgp }

    let context: ImportContext
    private(set) var tunnels: [VPNTunnel] = []
    private var numbers: Set<Int> = []
    private var section = Section.phase1
    /// BGP's own AS is said once for both tunnels or once for each.
    private var needsTunnel = true

    init(context: ImportContext) { self.context = context }

    mutating func take(_ line: ImportDocument.Line, _ connection: inout VPNConnection) throws(ImportError) {
        guard line.text.utf8.count <= 400 else { return }
        if let number = TextFile.tunnelNumber(line.text) {
            guard numbers.insert(number).inserted else {
                throw ImportError(
                    .contradiction, at: Place(line: line.number), "tunnel \(number) begins a second time",
                    remedy: "Import each connection from a file of its own.")
            }
            needsTunnel = true
            section = .phase1
            return
        }
        if let heading = Self.heading(line.text) {
            // Two phases 1 without a divider between them are two tunnels.
            if heading == .phase1, section != .phase1 { needsTunnel = true }
            section = heading
        }
        guard line.text.utf8.first != UInt8(ascii: "!"), let field = Self.step(line) else { return }
        try take(field, &connection)
    }

    private static func heading(_ text: String) -> Section? {
        let line = TextFile.withoutLeader(text).lowercased()
        if line.hasPrefix("1: internet key") || line.containsBytes("phase1 entry")
            || line.containsBytes("create phase 1") || line.hasPrefix("phase 1 proposal") || line == "phase 1"
            || line == "general information"
        {
            return .phase1
        }
        if line.hasPrefix("2: ipsec") || line.containsBytes("phase2 entry") || line.containsBytes("create phase 2")
            || line.hasPrefix("phase 2 proposal") || line == "phase 2"
        {
            return .phase2
        }
        if line.hasPrefix("3: tunnel interface") { return .interface }
        if line.hasPrefix("4: border gateway") || line.hasPrefix("4: static") || line.hasPrefix("4 static") {
            return .bgp
        }
        return nil
    }

    /// `g. Pre-Shared Key: VALUE     ! remark`: the label in lower case without its letter. AWS has `#h. Keylife: …`
    /// too, which is no comment.
    private static func step(_ line: ImportDocument.Line) -> Field? {
        let isMarked = line.text.utf8.first == UInt8(ascii: "#")
        let text = isMarked ? String(line.text.dropFirst()) : line.text
        guard var field = Field(labelled: text, line: line.number) else { return nil }
        var words = field.name.words
        if let first = words.first, first.utf8.count == 2, first.hasSuffix("."), words.count > 1 { words.removeFirst() }
        field.name = words.joined(separator: " ")
        if field.text.hasPrefix("!") { field.text = "" }
        if let remark = field.text.firstRange(of: " !") ?? field.text.firstRange(of: "\t!") {
            field.text = trimmed(field.text[..<remark.lowerBound])
        }
        return field
    }

    private mutating func take(_ field: Field, _ connection: inout VPNConnection) throws(ImportError) {
        let label = field.name.lowercased()
        guard Self.labels.contains(label), !field.text.isEmpty || label == "pre-shared key" else { return }
        if needsTunnel {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: field.place.line, text: ""))
            tunnels.append(VPNTunnel(place: field.place))
            needsTunnel = false
        }
        var tunnel = tunnels.removeLast()
        defer { tunnels.append(tunnel) }
        let isPhase2 = section == .phase2
        switch label {
        case "ip address" where section == .phase1,
            "remote gateway" where IPAddress(field.text) != nil || !Self.isKind(field):
            try Self.set(&tunnel.remoteOutside, try field.address(), field)
        case "local-gateway", "local gateway", "local gateway ip":
            guard let word = field.text.words.last, IPAddress(word) != nil else { return }
            let before = tunnel.localOutside
            tunnel.localOutside = nil
            var one = field
            one.text = word
            tunnel.takeLocal(one, &connection)
            if let before, let after = tunnel.localOutside, before.value != after.value {
                throw Self.contradiction(field, before.place)
            }
            tunnel.localOutside = tunnel.localOutside ?? before
        case "pre-shared key": try Self.set(&tunnel.psk, try field.deviceKey(context), field)
        case "authentication method":
            let text = field.text.lowercased()
            guard text.hasSuffix("psk") || text.hasPrefix("pre-shared") else {
                throw ImportError(
                    .unsupported, at: field.place, field: field.name,
                    "the tunnel authenticates by something other than a pre-shared key",
                    remedy: "Gatehouse imports connections with pre-shared keys.")
            }
        case "ike version", "key exchange version": try Self.set(&tunnel.ikeVersions, try field.ikeVersion(), field)
        case "encryption", "encryption algorithm", "encryption algorithms", "encryption algorigthms":
            if isPhase2 {
                try Self.set(&tunnel.encryption2, try field.encryptions(), field)
            } else {
                try Self.set(&tunnel.encryption1, try field.encryptions(), field)
            }
        case "authentication", "hash algorithm", "hash algorithms":
            if isPhase2 {
                try Self.set(&tunnel.integrity2, try field.integrities(), field)
            } else {
                try Self.set(&tunnel.integrity1, try field.integrities(), field)
            }
        case "dh group", "dh key group", "pfs key group":
            if isPhase2 || label == "pfs key group" {
                try Self.set(&tunnel.groups2, try field.groups(), field)
            } else {
                try Self.set(&tunnel.groups1, try field.groups(), field)
            }
        case "keylife", "lifetime":
            if isPhase2 {
                try Self.set(&tunnel.lifetime2, try field.seconds(), field)
            } else {
                try Self.set(&tunnel.lifetime1, try field.seconds(), field)
            }
        case "protocol" where isPhase2:
            guard field.text.lowercased() == "esp" else { throw field.fault("\(quoted(field.text)) is not ESP") }
        case "delay between requesting peer acknowledgement", "delay between requesting peer acknowledgment":
            try Self.set(&tunnel.dpdInterval, try field.seconds(1...3600), field)
        case "number of consecutive failures allowed before disconnect":
            try Self.set(&tunnel.dpdRetries, try field.number(1...100, units: ["retries": 1, "retry": 1]), field)
        case "ip" where section == .interface:
            try Self.set(&tunnel.insideLocal, try field.inside(context.profile), field)
        case "remote ip" where section == .interface:
            try Self.set(&tunnel.insideRemote, try field.inside(context.profile), field)
        case "local as" where section == .bgp: try Self.set(&tunnel.localASN, try field.asn(), field)
        case "remote as" where section == .bgp: try Self.set(&tunnel.remoteASN, try field.asn(), field)
        case "ip" where section == .bgp, "neighbor", "neighbor ip", "neighbors ip":
            try Self.set(&tunnel.neighbor, try field.address(), field)
        default: break
        }
    }

    private static let labels: Set<String> = [
        "ip address", "remote gateway", "local-gateway", "local gateway", "local gateway ip", "pre-shared key",
        "authentication method", "ike version", "key exchange version", "encryption", "encryption algorithm",
        "encryption algorithms", "encryption algorigthms", "authentication", "hash algorithm", "hash algorithms",
        "dh group", "dh key group", "pfs key group", "keylife", "lifetime", "protocol",
        "delay between requesting peer acknowledgement", "delay between requesting peer acknowledgment",
        "number of consecutive failures allowed before disconnect", "ip", "remote ip", "local as", "remote as",
        "neighbor", "neighbor ip", "neighbors ip",
    ]

    /// FortiOS says with "Remote Gateway" what kind it is, pfSense where it is.
    private static func isKind(_ field: Field) -> Bool { field.text.lowercased().hasPrefix("static") }

    private static func set<Value: Hashable & Sendable>(
        _ slot: inout Sourced<Value>?, _ value: Sourced<Value>, _ field: Field
    ) throws(ImportError) {
        guard let known = slot else {
            slot = value
            return
        }
        guard known.value == value.value else { throw contradiction(field, known.place) }
    }

    private static func contradiction(_ field: Field, _ known: Place?) -> ImportError {
        ImportError(
            .contradiction, at: field.place, field: field.name,
            "this differs from what \(known?.description ?? "another line") says for the same tunnel",
            remedy: "If the line 'IPSec Tunnel #2' was lost in copying, put it back; else download the configuration "
                + "again.")
    }
}
