internal import Base
internal import Cryptography

/// The named things of a device's configuration, such as proposals, keys and interfaces, with their values as text.
/// A value is set once: the same again is fine, another one is a contradiction.
struct DeviceObjects {
    enum Kind: String, Sendable {
        case policy, proposal, key, profile, gateway, transform, ipsec, vpn, interface, neighbor, global
    }

    struct Object {
        let kind: Kind
        let name: String
        let place: Place
        /// By our own names: `encryption`, `integrity`, `group`, `lifetime`, `key`, `remote`, `local` …
        var values: [String: Field] = [:]

        subscript(key: String) -> Field? { values[key] }

        /// All that is numbered under one key, such as the encryption of several proposals, as a list.
        func merged(_ key: String) -> Field? {
            guard values[key] == nil else { return values[key] }
            let numbered = values.filter { $0.key.hasPrefix(key + " ") }.sorted {
                ($0.key.utf8.count, $0.key) < ($1.key.utf8.count, $1.key)
            }
            guard var field = numbered.first?.value else { return nil }
            field.text = numbered.map(\.value.text).joined(separator: ",")
            return field
        }

        var suffix: Int? { DeviceObjects.suffix(name) }
    }

    private var objects: [Object] = []
    private var index: [String: Int] = [:]

    private static let limit = 4096

    mutating func open(_ kind: Kind, _ name: String, _ place: Place) throws(ImportError) {
        let key = kind.rawValue + " " + name
        guard index[key] == nil else { return }
        guard objects.count < Self.limit else {
            throw ImportError(
                .unsupported, at: place, "the file holds more than \(Self.limit) named objects",
                remedy: "Import each connection from a file of its own.")
        }
        index[key] = objects.count
        objects.append(Object(kind: kind, name: name, place: place))
    }

    mutating func set(_ kind: Kind, _ name: String, _ key: String, _ field: Field) throws(ImportError) {
        try open(kind, name, field.place)
        guard let at = index[kind.rawValue + " " + name] else { return }
        guard let known = objects[at].values[key] else {
            objects[at].values[key] = field
            return
        }
        guard known.text == field.text else {
            throw ImportError(
                .contradiction, at: field.place, field: field.name,
                "this differs from what \(known.place) says for the same \(name.isEmpty ? "setting" : "name")",
                remedy: "Keep the line that is right, or download the configuration again.")
        }
    }

    /// Replaces what is there; true where it was something else.
    mutating func replace(_ kind: Kind, _ name: String, _ key: String, _ field: Field) throws(ImportError) -> Field? {
        try open(kind, name, field.place)
        guard let at = index[kind.rawValue + " " + name] else { return nil }
        let known = objects[at].values[key]
        objects[at].values[key] = field
        return known?.text == field.text ? nil : known
    }

    func all(_ kind: Kind) -> [Object] { objects.filter { $0.kind == kind } }

    func named(_ kind: Kind, _ name: String?) -> Object? {
        name.flatMap { index[kind.rawValue + " " + $0] }.map { objects[$0] }
    }

    func global(_ key: String) -> Field? { named(.global, "")?[key] }

    /// The object that a reference means. AWS numbers the objects of the two tunnels, and some of its texts refer
    /// to names that do not exist or are the other tunnel's: then the number decides.
    func find(_ kind: Kind, _ reference: String?, suffix: Int?, suffixFirst: Bool = false) -> Object? {
        let candidates = all(kind)
        let bySuffix = suffix.flatMap { suffix in
            let matches = candidates.filter { $0.suffix == suffix }
            return matches.count == 1 ? matches[0] : nil
        }
        let byName = named(kind, reference)
        if let found = suffixFirst ? bySuffix ?? byName : byName ?? bySuffix { return found }
        // One that is shared by both tunnels has no number.
        if candidates.count == 1, suffix == nil || candidates[0].suffix == nil { return candidates[0] }
        return nil
    }

    /// The number at the end of a name, such as 1 of `vpn-44a8938f-1`, `PROPOSAL1` or `st0.1`. An AWS identifier
    /// may end in digits of its own, and those are none.
    static func suffix(_ name: String) -> Int? {
        let bytes = Array(name.utf8)
        let digits = bytes.reversed().prefix { (48...57).contains($0) }.count
        guard (1...2).contains(digits), digits < bytes.count,
            let value = Int(String(decoding: bytes.suffix(digits), as: UTF8.self))
        else { return nil }
        let head = bytes.dropLast(digits)
        let isSeparated = head.last.map { "-_.".utf8.contains($0) } ?? false
        let isPlainWord = head.allSatisfy { !(48...57).contains($0) }
        return isSeparated || isPlainWord ? value : nil
    }
}

// MARK: From text to values

extension Field {
    /// A list such as `aes128, aes256` or `[ aes-128-cbc ]`, each element read by `read`.
    func list<Value: Hashable & Sendable>(
        _ read: (Field) throws(ImportError) -> Sourced<Value>
    ) throws(ImportError) -> Sourced<[Value]> {
        var values: [Value] = []
        guard text.utf8.count <= 4096 else { throw fault("this list is too long to be meant") }
        for part in trimmed(text, also: "[]").split(separator: ",") {
            var one = self
            one.text = trimmed(part)
            let value = try read(one).value
            if !values.contains(value) { values.append(value) }
        }
        guard !values.isEmpty else { throw fault("the value is empty") }
        return sourced(values)
    }

    func encryptions() throws(ImportError) -> Sourced<[EncryptionAlgorithm]> {
        try list { field throws(ImportError) in try field.encryption() }
    }

    func integrities() throws(ImportError) -> Sourced<[IntegrityAlgorithm]> {
        try list { field throws(ImportError) in try field.integrity() }
    }

    func groups() throws(ImportError) -> Sourced<[DHGroup]> {
        if ["no-pfs", "none", "disable", "off", "nopfs"].contains(text.lowercased()) { return sourced([]) }
        return try list { field throws(ImportError) in try field.group() }
    }

    /// An address inside the tunnel with its length: `L/30`, `L MASK` or a bare `L`.
    func inside(_ profile: VendorProfile) throws(ImportError) -> Sourced<IPPrefix> {
        let parts = text.words
        guard parts.count == 2 else { return try prefix(defaultLength: profile.tunnelInterface.insideLength) }
        var one = self
        one.text = parts[0]
        guard let mask = IPAddress(parts[1]), case .v4(let bits) = mask, (~bits &+ 1) & ~bits == 0 else {
            throw fault("\(quoted(parts[1])) is no network mask")
        }
        // FortiOS writes the mask of a host; the tunnel's network is a /30 all the same.
        let length = bits == .max ? profile.tunnelInterface.insideLength : bits.nonzeroBitCount
        let address = try one.address().value
        guard let prefix = IPPrefix(address, length: length) else { throw fault("\(quoted(text)) is no IPv4 address") }
        return sourced(prefix)
    }

    /// A pre-shared key as a device shows it. What the device has encrypted is no key for us.
    func deviceKey(_ context: ImportContext) throws(ImportError) -> Sourced<Secret> {
        let profile = context.profile
        let parts = text.words
        if parts.count == 2,
            ["ENC", "6", "7", "8", "9", "hex", "encrypted"].contains(parts[0]) || text.hasPrefix("$9$")
        {
            throw ImportError(
                .invalidKey, at: place, field: name,
                "the pre-shared key (\(text.count) characters) is in a form that only the device can read",
                remedy: "AWS's download has it in the clear. " + ImportError.downloadAgain)
        }
        // "0" says that what follows is in the clear.
        var one = self
        if parts.count == 2, parts[0] == "0" { one.text = parts[1] }
        return try one.key(profile.permitted.psk, placeholders: profile.placeholders)
    }
}

extension VPNTunnel {
    mutating func takePhase1(_ object: DeviceObjects.Object?) throws(ImportError) {
        guard let object else { return }
        if let field = object.merged("encryption") { encryption1 = try field.encryptions() }
        if let field = object.merged("integrity") { integrity1 = try field.integrities() }
        if let field = object.merged("group") { groups1 = try field.groups() }
        if let field = object["lifetime"] { lifetime1 = try field.seconds() }
    }

    mutating func takePhase2(_ object: DeviceObjects.Object?) throws(ImportError) {
        guard let object else { return }
        if let field = object.merged("encryption") { encryption2 = try field.encryptions() }
        if let field = object.merged("integrity") { integrity2 = try field.integrities() }
        if let field = object.merged("group") { groups2 = try field.groups() }
        if let field = object["lifetime"] { lifetime2 = try field.seconds() }
    }

    mutating func takeDPD(_ object: DeviceObjects.Object?) throws(ImportError) {
        guard let object else { return }
        if let field = object["dpd-interval"] { dpdInterval = try field.seconds(1...3600) }
        if let field = object["dpd-retries"] { dpdRetries = try field.number(1...100) }
        if let field = object["dpd-timeout"] { dpdTimeout = try field.seconds(1...86_400) }
    }

    /// Our side's address, unless it is the name of an interface, AWS's own placeholder or a private address: a
    /// device behind a NAT has that, and AWS knows us by the public one.
    mutating func takeLocal(_ field: Field?, _ connection: inout VPNConnection) {
        guard localOutside == nil, let field, let address = IPAddress(field.text) else { return }
        guard !address.isPrivate || remoteOutside?.value.isPrivate == true else {
            connection.warnings.append(
                "\(field.place), \(field.name): \(address) is private, so it is not the address that AWS knows us by, "
                    + "and it is left out")
            return
        }
        localOutside = field.sourced(address)
    }

    /// AWS's address inside is the other one of the two in our /30, where no line says it.
    mutating func derivePeerInside() {
        guard insideRemote == nil, let own = insideLocal, own.value.family == .ipv4, own.value.length == 30 else {
            return
        }
        let first = own.value.first.advanced(by: 1)
        let second = own.value.first.advanced(by: 2)
        guard own.value.address == first || own.value.address == second,
            let peer = IPPrefix(own.value.address == first ? second : first, length: 30)
        else { return }
        insideRemote = Sourced(peer, .derived, own.place)
    }
}

/// What BGP says to whom: joined to the tunnels by the network inside, since names seldom join them.
struct BGPNeighbors {
    struct Neighbor {
        var address: Field
        var remoteASN: Field?
        var localASN: Field?
        var holdTime: Field?
    }

    var list: [Neighbor] = []

    init(_ objects: DeviceObjects) {
        list = objects.all(.neighbor).map { object in
            Neighbor(
                address: object["address"] ?? Field(name: "neighbor", text: object.name, place: object.place),
                remoteASN: object["asn"], localASN: object["local-asn"], holdTime: object["hold"])
        }
        list.removeAll { $0.remoteASN == nil }
    }

    func apply(to tunnels: inout [VPNTunnel], localASN: Field?, _ profile: VendorProfile) throws(ImportError) {
        var left: [Neighbor] = []
        for neighbor in list.prefix(4 * TextFile.tunnelLimit) {
            let address = try neighbor.address.address()
            guard let index = tunnels.firstIndex(where: { $0.insideLocal?.value.contains(address.value) == true })
            else {
                left.append(neighbor)
                continue
            }
            try apply(neighbor, address, to: &tunnels[index], localASN, profile)
        }
        // What fits no network is in the order of the tunnels, and is reported.
        let open = tunnels.indices.filter { tunnels[$0].neighbor == nil }
        guard left.count == open.count else { return }
        for (neighbor, index) in zip(left, open) {
            try apply(neighbor, try neighbor.address.address(), to: &tunnels[index], localASN, profile)
        }
    }

    private func apply(
        _ neighbor: Neighbor, _ address: Sourced<IPAddress>, to tunnel: inout VPNTunnel, _ localASN: Field?,
        _ profile: VendorProfile
    ) throws(ImportError) {
        if let known = tunnel.neighbor, known.value != address.value {
            throw ImportError(
                .contradiction, at: address.place, field: neighbor.address.name,
                "the BGP neighbours \(address.value) and \(known.value) (\(known.place?.description ?? "elsewhere")) "
                    + "are both in the network of one tunnel", remedy: ImportError.downloadAgain)
        }
        tunnel.neighbor = address
        tunnel.remoteASN = try neighbor.remoteASN?.asn()
        tunnel.localASN = try (neighbor.localASN ?? localASN)?.asn()
        if let hold = neighbor.holdTime { tunnel.holdTime = try hold.seconds(3...65_535) }
        if tunnel.insideRemote == nil, let own = tunnel.insideLocal, own.value.address != address.value,
            let peer = IPPrefix(address.value, length: own.value.length)
        {
            tunnel.insideRemote = Sourced(peer, .file, address.place)
        }
    }
}
