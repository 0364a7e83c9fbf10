internal import Base
internal import Cryptography
internal import IKE

/// JSON whose fields keep their order, so that two plans can be compared line by line.
indirect enum OrderedJSON: Sendable {
    case null
    case bool(Bool)
    case int(Int)
    case string(String)
    case array([OrderedJSON])
    case object([(String, OrderedJSON)])

    static func strings(_ values: [String]) -> OrderedJSON { .array(values.map(OrderedJSON.string)) }
    static func optional(_ value: String?) -> OrderedJSON { value.map(OrderedJSON.string) ?? .null }
    static func optional(_ value: Int?) -> OrderedJSON { value.map(OrderedJSON.int) ?? .null }

    /// Indented by two blanks; an array without objects stays on its line.
    func text(indent: Int = 0) -> String {
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .null: return "null"
        case .bool(let value): return value ? "true" : "false"
        case .int(let value): return String(value)
        case .string(let value): return Self.quote(value)
        case .array(let items):
            let isFlat = items.allSatisfy { if case .object = $0 { false } else { true } }
            let isLong = items.contains { if case .string(let text) = $0 { text.utf8.count > 40 } else { false } }
            if isFlat, !isLong { return "[" + items.map { $0.text() }.joined(separator: ", ") + "]" }
            return "[\n" + items.map { inner + $0.text(indent: indent + 2) }.joined(separator: ",\n") + "\n\(outer)]"
        case .object(let fields):
            guard !fields.isEmpty else { return "{}" }
            return "{\n"
                + fields.map { inner + Self.quote($0.0) + ": " + $0.1.text(indent: indent + 2) }.joined(
                    separator: ",\n")
                + "\n\(outer)}"
        }
    }

    static func quote(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where scalar.value < 32 || scalar.value == 127:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension ImportPlan {
    /// The plan as JSON. Names, order and nulls are fixed: tools depend on them. Keys read `(hidden)` unless shown.
    public func json(showSecrets: Bool = false) -> String {
        OrderedJSON.object([
            ("format", .string(format)),
            ("connectionID", .optional(connectionID)),
            ("customerGatewayID", .optional(customerGatewayID)),
            ("vpnGatewayID", .optional(vpnGatewayID)),
            ("routing", .string(routing.rawValue)),
            ("staticRoutes", Self.prefixes(staticRoutes)),
            ("localNetworks", Self.prefixes(localNetworks)),
            ("remoteNetworks", Self.prefixes(remoteNetworks)),
            ("warnings", .strings(warnings)),
            ("tunnels", .array(tunnels.map { json(of: $0, showSecrets: showSecrets) })),
        ]).text()
    }

    private static func prefixes(_ prefixes: [IPPrefix]) -> OrderedJSON { .strings(prefixes.map(\.description)) }

    private func json(of planned: Planned, showSecrets: Bool) -> OrderedJSON {
        let tunnel = planned.tunnel
        return .object([
            ("name", .string(tunnel.name)),
            ("phase1", phase1(tunnel.phase1, planned.prf, showSecrets)),
            ("phase2", phase2(tunnel.phase2)),
            ("inside", tunnel.inside.map(inside) ?? .null),
            ("bgp", tunnel.bgp.map(bgp) ?? .null),
            ("origins", .object(planned.origins.map { ($0.name, .string($0.origin.rawValue)) })),
        ])
    }

    private func phase1(_ phase1: Phase1, _ prf: [PRFAlgorithm], _ showSecrets: Bool) -> OrderedJSON {
        .object([
            ("ikeVersion", .int(phase1.ikeVersion)),
            ("localAddress", .optional(phase1.localAddress?.description)),
            ("remoteAddress", .optional(phase1.remoteAddress?.description)),
            ("localID", .optional(phase1.localID?.description)),
            ("remoteID", .optional(phase1.remoteID?.description)),
            ("authentication", .string(phase1.authentication.method.rawValue)),
            (
                "psk",
                .optional(
                    phase1.psk.map { showSecrets ? String(decoding: $0.exposedBytes, as: UTF8.self) : "(hidden)" })
            ),
            ("encryption", .strings(phase1.encryption.map(\.rawValue))),
            ("integrity", .strings(phase1.integrity.map(\.rawValue))),
            ("dhGroups", .array(phase1.dhGroups.map { .int(Int($0.rawValue)) })),
            ("lifetimeSeconds", .int(phase1.lifetimeSeconds)),
            (
                "dpd",
                .object([
                    ("delaySeconds", .int(phase1.dpd.delaySeconds)),
                    ("timeoutSeconds", .int(phase1.dpd.timeoutSeconds)),
                    ("action", .string(phase1.dpd.action.rawValue)),
                ])
            ),
            ("prf", .strings(prf.map(\.rawValue))),
            ("bindAddress", .optional(phase1.bindAddress?.description)),
            ("forceUDPEncapsulation", .bool(phase1.forceUDPEncapsulation)),
            ("rekeyMarginSeconds", .optional(phase1.rekeyMarginSeconds)),
        ])
    }

    private func phase2(_ phase2: Phase2) -> OrderedJSON {
        .object([
            ("protocol", .string("esp")),
            ("mode", .string("tunnel")),
            ("encryption", .strings(phase2.encryption.map(\.rawValue))),
            ("integrity", .strings(phase2.integrity.map(\.rawValue))),
            ("pfsGroups", .array(phase2.pfsGroups.map { .int(Int($0.rawValue)) })),
            ("lifetimeSeconds", .int(phase2.lifetimeSeconds)),
            ("localNetworks", Self.prefixes(localNetworks)),
            ("remoteNetworks", Self.prefixes(remoteNetworks)),
            ("localSelectors", Self.prefixes(phase2.localSelectors)),
            ("remoteSelectors", Self.prefixes(phase2.remoteSelectors)),
            ("esn", .bool(phase2.esn)),
            ("replayWindow", .int(phase2.replayWindow)),
            ("rekeyMarginSeconds", .optional(phase2.rekeyMarginSeconds)),
        ])
    }

    private func inside(_ inside: Tunnel.Inside) -> OrderedJSON {
        var fields: [(String, OrderedJSON)] = [
            ("localAddress", .string(inside.localAddress.description)),
            ("remoteAddress", .string(inside.remoteAddress.description)),
            ("mtu", .optional(inside.mtu)),
            ("mss", .optional(inside.mss)),
        ]
        if inside.localAddress6 != nil || inside.remoteAddress6 != nil {
            fields.append(("localAddress6", .optional(inside.localAddress6?.description)))
            fields.append(("remoteAddress6", .optional(inside.remoteAddress6?.description)))
        }
        return .object(fields)
    }

    private func bgp(_ bgp: Tunnel.BGP) -> OrderedJSON {
        .object([
            ("localASN", .int(Int(bgp.localASN))),
            ("remoteASN", .int(Int(bgp.remoteASN))),
            ("neighbor", .string(bgp.neighbor.description)),
            ("holdTimeSeconds", .int(bgp.holdTimeSeconds)),
        ])
    }
}
