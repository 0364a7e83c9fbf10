import Base
import Cryptography
import FoundationEssentials
import IKE
import JSONText
import Portal
import Tunnels

extension GatewayClient {
    /// Connectors as the daemon answers them; a hidden secret is read as an empty one.
    func connectors<Value: Decodable>(_: Value.Type, _ path: [String], query: [(String, String)] = []) async throws
        -> Value
    {
        let bytes = try await ask(.control, path, query: query)
        let decoder = JSONDecoder()
        decoder.userInfo[Secret.vault] = Secret.Vault(standIn: Secret([]))
        do {
            return try decoder.decode(Value.self, from: Data(bytes))
        } catch {
            throw CommandFailure(
                "gatehoused answered in a form that this command cannot read: are both of the same version?")
        }
    }
}

extension ConnectorFile {
    /// A connector in the form that ``read(_:file:)`` reads, with the pre-shared keys as text or hidden.
    static func json(_ connector: Connector, showSecrets: Bool) -> JSON {
        func texts(_ values: [some Any]) -> JSON { .array(values.map { .string("\($0)") }) }
        func text(_ value: (some Any)?) -> JSON { value.map { .string("\($0)") } ?? .null }
        func number(_ value: (some BinaryInteger)?) -> JSON { value.map { .number("\($0)") } ?? .null }
        func member(_ key: String, _ value: JSON) -> JSON.Member { JSON.Member(key, value) }
        func object(_ members: KeyValuePairs<String, JSON>) -> JSON {
            .object(members.map { member($0.key, $0.value) })
        }

        func phase1(_ phase1: Phase1) -> JSON {
            object([
                "ikeVersion": number(phase1.ikeVersion),
                "localAddress": text(phase1.localAddress),
                "bindAddress": text(phase1.bindAddress),
                "remoteAddress": text(phase1.remoteAddress),
                "localID": text(phase1.localID),
                "remoteID": text(phase1.remoteID),
                "authentication": .string(phase1.authentication.method.rawValue),
                key(phase1.psk, "psk", showSecrets).key: key(phase1.psk, "psk", showSecrets).value,
                "certificate": phase1.authentication.credential.map { certificate($0, showSecrets) } ?? .null,
                "ppk": phase1.ppk.map { ppk($0, showSecrets) } ?? .null,
                "encryption": texts(phase1.encryption.map(\.rawValue)),
                "integrity": texts(phase1.integrity.map(\.rawValue)),
                "dhGroups": .array(phase1.dhGroups.map { number($0.rawValue) }),
                "lifetimeSeconds": number(phase1.lifetimeSeconds),
                "rekeyMarginSeconds": number(phase1.rekeyMarginSeconds),
                "dpd": object([
                    "delaySeconds": number(phase1.dpd.delaySeconds),
                    "timeoutSeconds": number(phase1.dpd.timeoutSeconds),
                    "action": .string(phase1.dpd.action.rawValue),
                ]),
                "forceUDPEncapsulation": .bool(phase1.forceUDPEncapsulation),
                "mobike": .bool(phase1.isMobile),
                "childless": phase1.prefersChildless ? .bool(true) : .null,
            ])
        }
        func phase2(_ phase2: Phase2) -> JSON {
            object([
                "name": text(phase2.name),
                "protocol": .string("esp"),
                "mode": .string("tunnel"),
                "encryption": texts(phase2.encryption.map(\.rawValue)),
                "integrity": texts(phase2.integrity.map(\.rawValue)),
                "pfsGroups": .array(phase2.pfsGroups.map { number($0.rawValue) }),
                "lifetimeSeconds": number(phase2.lifetimeSeconds),
                "rekeyMarginSeconds": number(phase2.rekeyMarginSeconds),
                "lifetimeBytes": number(phase2.lifetimeBytes),
                "lifetimePackets": number(phase2.lifetimePackets),
                "localSelectors": texts(phase2.localSelectors),
                "remoteSelectors": texts(phase2.remoteSelectors),
                "esn": .bool(phase2.esn),
                "replayWindow": number(phase2.replayWindow),
            ])
        }
        func inside(_ inside: Tunnel.Inside) -> JSON {
            object([
                "localAddress": text(inside.localAddress), "remoteAddress": text(inside.remoteAddress),
                "localAddress6": text(inside.localAddress6), "remoteAddress6": text(inside.remoteAddress6),
                "mtu": number(inside.mtu), "mss": number(inside.mss),
            ])
        }
        func bgp(_ bgp: Tunnel.BGP) -> JSON {
            object([
                "localASN": number(bgp.localASN), "remoteASN": number(bgp.remoteASN),
                "neighbor": text(bgp.neighbor), "holdTimeSeconds": number(bgp.holdTimeSeconds),
            ])
        }
        return object([
            "id": .string(connector.id),
            "name": .string(connector.name),
            "isEnabled": .bool(connector.isEnabled),
            "initiation": .string(connector.initiation.rawValue),
            "source": object([
                "format": .string(connector.source.format), "connectionID": text(connector.source.connectionID),
                "customerGatewayID": text(connector.source.customerGatewayID),
                "vpnGatewayID": text(connector.source.vpnGatewayID),
            ]),
            "routing": .string(connector.routing.rawValue),
            "localNetworks": texts(connector.localNetworks),
            "remoteNetworks": texts(connector.remoteNetworks),
            "tunnels": .array(
                connector.tunnels.map { tunnel in
                    object([
                        "name": .string(tunnel.name), "phase1": phase1(tunnel.phase1),
                        "phase2": tunnel.furtherPhase2.isEmpty
                            ? phase2(tunnel.phase2) : .array(tunnel.allPhase2.map(phase2)),
                        "inside": tunnel.inside.map(inside) ?? .null, "bgp": tunnel.bgp.map(bgp) ?? .null,
                    ])
                }),
        ])
    }

    /// A key as text; bytes that are no printable text go under a name of their own.
    private static func key(_ key: Secret?, _ name: String, _ showSecrets: Bool) -> JSON.Member {
        guard let key else { return JSON.Member(name, .null) }
        guard showSecrets else { return JSON.Member(name, .string("(hidden)")) }
        let bytes = key.exposedBytes
        guard let text = String(validating: bytes, as: UTF8.self), text.printable == text, text != "(hidden)" else {
            return JSON.Member(name + "Hexadecimal", .string(bytes.hexadecimal))
        }
        return JSON.Member(name, .string(text))
    }

    private static func certificate(_ credential: CertificateCredential, _ showSecrets: Bool) -> JSON {
        func pem(_ texts: [String]) -> JSON { texts.isEmpty ? .null : .string(texts.joined()) }
        let key = showSecrets ? PEM.text("PRIVATE KEY", credential.privateKey) : "(hidden)"
        return .object([
            JSON.Member("certificates", pem(credential.certificates.map(\.pem))),
            JSON.Member("privateKey", .string(key)),
            JSON.Member("authorities", pem(credential.authorities.map(\.pem))),
            JSON.Member("revocationLists", pem(credential.revocationLists.map(\.pem))),
            JSON.Member("revocation", .string(credential.revocation.rawValue)),
            JSON.Member("rsaPadding", .string(credential.rsaPadding.rawValue)),
            JSON.Member("allowSHA1", .bool(credential.allowsSHA1)),
        ])
    }

    private static func ppk(_ ppk: PostquantumKey, _ showSecrets: Bool) -> JSON {
        .object([
            JSON.Member("identity", .string(ppk.identity)), key(ppk.key, "key", showSecrets),
            JSON.Member("isRequired", .bool(ppk.isRequired)),
        ])
    }
}

/// JSON as YAML for people: blocks, short lists on a line, nulls left out.
enum YAMLText {
    static func text(of json: JSON) -> String {
        var lines: [String] = []
        write(json, indent: 0, to: &lines)
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ json: JSON, indent: Int, to lines: inout [String]) {
        let margin = String(repeating: " ", count: indent)
        switch json {
        case .object(let members):
            for member in members where member.value != .null {
                if let block = block(member.value) {
                    lines.append("\(margin)\(member.key): |")
                    lines += block.map { margin + "  " + $0 }
                    continue
                }
                if isInline(member.value) {
                    lines.append("\(margin)\(member.key): \(inline(member.value))")
                } else {
                    lines.append("\(margin)\(member.key):")
                    write(member.value, indent: indent + 2, to: &lines)
                }
            }
        case .array(let items):
            for item in items {
                var block: [String] = []
                write(item, indent: 0, to: &block)
                for (index, line) in block.enumerated() { lines.append(margin + (index == 0 ? "- " : "  ") + line) }
            }
        default:
            lines.append(margin + inline(json))
        }
    }

    /// The lines of a text that is best written as a block: PEM and the like.
    private static func block(_ json: JSON) -> [String]? {
        guard case .string(let text) = json, text.hasSuffix("\n"), !text.hasSuffix("\n\n") else { return nil }
        let lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        let isPlain = lines.allSatisfy { line in
            line.utf8.allSatisfy { (0x20...0x7E).contains($0) } && line.first != " " && !line.isEmpty
        }
        return lines.count > 1 && isPlain ? lines : nil
    }

    private static func isInline(_ json: JSON) -> Bool {
        switch json {
        case .object: false
        case .array(let items): items.allSatisfy { if case .object = $0 { false } else { isInline($0) } }
        default: true
        }
    }

    private static func inline(_ json: JSON) -> String {
        switch json {
        case .array(let items): "[" + items.map(inline).joined(separator: ", ") + "]"
        case .string(let text): isPlain(text) ? text : JSON.string(text).text()
        default: json.text()
        }
    }

    /// Whether a text needs no quotes: a word that YAML takes for nothing else. JSON's quotes are YAML's too.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first,
            text.utf8.allSatisfy({ byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                    UInt8(ascii: "/"), UInt8(ascii: "@"):
                    true
                default: false
                }
            })
        else { return false }
        let isWord = !["true", "false", "yes", "no", "on", "off", "null", "y", "n", "nan", "inf"].contains(
            text.lowercased())
        let isLetter = (first | 0x20) >= UInt8(ascii: "a") && (first | 0x20) <= UInt8(ascii: "z")
        // Addresses and networks begin with a digit and are no numbers.
        return isWord && (isLetter || text.contains("/") || text.count { $0 == "." } == 3)
    }
}
