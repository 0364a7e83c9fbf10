internal import Base
internal import Cryptography

/// Windows Server: a `netsh` rule for each tunnel, over several lines, with the values once more in words above it.
/// Policy-based, so there are no addresses inside; the networks at both ends are left for the reader to fill in.
struct WindowsServerFormat: ImportFormat {
    let title = "a Windows Server configuration (netsh)"

    func recognises(_ document: ImportDocument) -> Bool { document.has(part: "netsh advfirewall consec add rule") }

    func read(_ document: ImportDocument, _ context: ImportContext) throws(ImportError) -> VPNConnection {
        try TextFile.checkWhole(document, context)
        var connection = VPNConnection(format: "aws-windows")
        connection.warnings = document.warnings
        connection.lacks = [.insideAddresses, .customerAddress]
        try TextFile.readHeader(document, into: &connection)
        var reader = Reader()
        for line in document.lines { try reader.take(line, &connection) }
        var tunnels: [VPNTunnel] = []
        for object in reader.objects.all(.gateway) {
            try TextFile.checkCount(tunnels.count, ImportDocument.Line(number: object.place.line, text: ""))
            tunnels.append(try tunnel(object, reader.objects, context, &connection))
        }
        TextFile.finish(tunnels, document, into: &connection)
        return connection
    }

    private struct Reader {
        var objects = DeviceObjects()
        /// What is said before the remote endpoint of its tunnel is: with that, it has a name.
        private var waiting: [(key: String, field: Field)] = []
        private var remote: String?

        private static let labels = [
            "local tunnel endpoint": "local", "preshared key": "key", "endpoint 1": "endpoint1",
            "endpoint 2": "endpoint2",
        ]
        private static let parameters = [
            "localtunnelendpoint": "local-netsh", "auth1psk": "key", "qmsecmethods": "methods", "qmpfs": "group",
            "endpoint1": "endpoint1", "endpoint2": "endpoint2",
        ]

        mutating func take(_ line: ImportDocument.Line, _ connection: inout VPNConnection) throws(ImportError) {
            if line.text.hasPrefix("vgw-"), connection.vpnGatewayID == nil, let word = line.text.words.first {
                let field = Field(name: "virtual private gateway", text: word, place: Place(line: line.number))
                connection.vpnGatewayID = try field.identifier(prefix: "vgw-", warnings: &connection.warnings)
            }
            let isCommand = line.text.hasPrefix("netsh ")
            if !isCommand, let field = Field(labelled: line.text, line: line.number), !field.name.contains("=") {
                let label = field.name.lowercased()
                if label == "remote tunnel endpoint" {
                    try begin(field)
                } else if let key = Self.labels[label] {
                    if key == "local" { remote = nil }
                    try put(key, field)
                }
                return
            }
            if isCommand {
                remote = nil
                try takeMainMode(line)
            }
            guard let command = DeviceCommand(line) else { return }
            for word in command.words {
                guard let equals = word.utf8.firstIndex(of: UInt8(ascii: "=")) else { continue }
                let name = String(word[..<equals])
                let field = command.field(name, trimmed(word[word.utf8.index(after: equals)...], also: "^\""))
                if name.lowercased() == "remotetunnelendpoint" {
                    try begin(field)
                } else if let key = Self.parameters[name.lowercased()] {
                    try put(key, field)
                }
            }
        }

        private mutating func begin(_ field: Field) throws(ImportError) {
            try objects.set(.gateway, field.text, "remote", field)
            remote = field.text
            for (key, field) in waiting { try put(key, field) }
            waiting = []
        }

        private mutating func put(_ key: String, _ field: Field) throws(ImportError) {
            // AWS's stand-ins for the networks of both ends.
            if key.hasPrefix("endpoint"), IPPrefix(field.text) == nil { return }
            guard let remote else {
                if waiting.count < 16 { waiting.append((key, field)) }
                return
            }
            try objects.set(.gateway, remote, key, field)
        }

        /// `netsh advfirewall set global mainmode mmsecmethods dhgroup2:aes128-sha1`, `… mmkeylifetime 480min`.
        private mutating func takeMainMode(_ line: ImportDocument.Line) throws(ImportError) {
            guard let command = DeviceCommand(line), command.words.contains("mainmode") else { return }
            for (word, key) in [("mmsecmethods", "mainmode"), ("mmkeylifetime", "lifetime")] {
                if let value = command.word(after: word) {
                    try objects.set(.global, "", key, command.field(word, value))
                }
            }
        }
    }

    private func tunnel(
        _ object: DeviceObjects.Object, _ objects: DeviceObjects, _ context: ImportContext,
        _ connection: inout VPNConnection
    ) throws(ImportError) -> VPNTunnel {
        var tunnel = VPNTunnel(place: object.place)
        tunnel.remoteOutside = try object["remote"]?.address()
        tunnel.takeLocal(object["local"], &connection)
        tunnel.psk = try object["key"]?.deviceKey(context)
        tunnel.groups2 = try object["group"]?.groups()
        if let field = object["methods"] { try takeMethods(field, &tunnel) }
        if let field = objects.global("mainmode") { try takeMainMode(field, &tunnel) }
        tunnel.lifetime1 = try objects.global("lifetime")?.seconds()
        tunnel.localSelectors = try object["endpoint1"]?.prefix().map { [$0.network] }
        tunnel.remoteSelectors = try object["endpoint2"]?.prefix().map { [$0.network] }
        return tunnel
    }

    /// `ESP:SHA1-AES128+60min+100000kb`, and several of these with commas between.
    private func takeMethods(_ field: Field, _ tunnel: inout VPNTunnel) throws(ImportError) {
        var encryption: [EncryptionAlgorithm] = []
        var integrity: [IntegrityAlgorithm] = []
        guard field.text.utf8.count <= 1024 else { throw field.fault("this list is too long to be meant") }
        for method in field.text.split(separator: ",") {
            let parts = method.split(separator: "+").map(String.init)
            guard let suite = parts.first, suite.lowercased().hasPrefix("esp:") else {
                throw field.fault("\(quoted(String(method))) is not ESP")
            }
            for word in suite.dropFirst(4).split(separator: "-").map(String.init) {
                if let algorithm = Vocabulary.encryption(word) {
                    if !encryption.contains(algorithm) { encryption.append(algorithm) }
                } else if let algorithm = Vocabulary.integrity(word) {
                    if !integrity.contains(algorithm) { integrity.append(algorithm) }
                } else {
                    throw field.fault("\(quoted(word)) is no algorithm that we know")
                }
            }
            for part in parts.dropFirst() where part.lowercased().hasSuffix("min") {
                var one = field
                one.text = part
                if tunnel.lifetime2 == nil { tunnel.lifetime2 = try one.seconds() }
            }
        }
        if !encryption.isEmpty { tunnel.encryption2 = field.sourced(encryption) }
        if !integrity.isEmpty { tunnel.integrity2 = field.sourced(integrity) }
    }

    /// `dhgroup2:aes128-sha1,dhgroup14:aes256-sha256`.
    private func takeMainMode(_ field: Field, _ tunnel: inout VPNTunnel) throws(ImportError) {
        var lists: [[String]] = [[], [], []]
        guard field.text.utf8.count <= 1024 else { throw field.fault("this list is too long to be meant") }
        for method in field.text.split(separator: ",") {
            for word in method.split(whereSeparator: { $0 == ":" || $0 == "-" }).map(String.init) {
                let at = Vocabulary.encryption(word) != nil ? 0 : Vocabulary.integrity(word) != nil ? 1 : 2
                if !lists[at].contains(word) { lists[at].append(word) }
            }
        }
        func listed(_ index: Int) -> Field? {
            lists[index].isEmpty
                ? nil : Field(name: field.name, text: lists[index].joined(separator: ","), place: field.place)
        }
        tunnel.encryption1 = try listed(0)?.encryptions()
        tunnel.integrity1 = try listed(1)?.integrities()
        tunnel.groups1 = try listed(2)?.groups()
    }
}
