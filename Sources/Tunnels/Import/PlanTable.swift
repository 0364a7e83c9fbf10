internal import Base
internal import Cryptography
internal import IKE

extension ImportPlan {
    /// The plan for a person, to be checked against the AWS console: 80 columns, defaults and computed values
    /// marked, keys hidden unless shown, warnings last.
    public func table(showSecrets: Bool = false) -> String {
        var lines = ["AWS Site-to-Site VPN \(connectionID ?? "(no connection ID in the file)")"]
        if let name { lines.append("  " + Self.row("name", name)) }
        lines.append("  " + Self.row("read as", format))
        lines.append("  " + Self.row("customer gateway", customerGatewayID ?? "(not in the file)"))
        lines.append("  " + Self.row("AWS gateway", vpnGatewayID ?? "(not in the file)"))
        lines.append("  " + Self.row("routing", routing.rawValue + Self.mark(routingOrigin)))
        if !staticRoutes.isEmpty {
            lines += Self.wrapped("AWS routes to us", staticRoutes.map(\.description), indent: 2)
        }
        lines += Self.wrapped(
            "local networks", localNetworks.map(\.description), indent: 2, none: "(none: --local-network)")
        lines += Self.wrapped(
            "remote networks", remoteNetworks.map(\.description), indent: 2, none: "(none: --remote-network)")
        for planned in tunnels {
            lines.append("")
            lines += rows(planned, showSecrets)
        }
        let shown = Set(tunnels.flatMap { $0.origins.map(\.origin) } + [routingOrigin])
        var legend: [String] = []
        if shown.contains(.default) { legend.append("* not in the file: a default") }
        if shown.contains(.derived) { legend.append("~ computed from the file") }
        if shown.contains(.option) { legend.append("+ given by you") }
        if !legend.isEmpty { lines += ["", legend.joined(separator: "   ")] }
        if !warnings.isEmpty {
            lines += ["", warnings.count == 1 ? "1 warning" : "\(warnings.count) warnings"]
            for warning in warnings { lines += Self.paragraph("- " + warning, indent: 2) }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func mark(_ origin: Origin?) -> String {
        switch origin {
        case .default: " *"
        case .derived: " ~"
        case .option: " +"
        case .file, nil: ""
        }
    }

    /// The integrity algorithms also make the PRF, and next to AES-GCM that is all that they do.
    private static func integrityLabel(_ encryption: [EncryptionAlgorithm], alone: String) -> String {
        encryption.allSatisfy(\.isAEAD) ? alone : "integrity"
    }

    private static let labelWidth = 20
    private static let width = 80

    private static func row(_ label: String, _ value: String) -> String {
        label + String(repeating: " ", count: max(1, labelWidth - label.count)) + value
    }

    /// A label and a list, broken between items.
    private static func wrapped(
        _ label: String, _ items: [String], indent: Int, none: String = "(none)", mark: String = ""
    ) -> [String] {
        let room = width - indent - labelWidth
        var lines: [String] = []
        var current = ""
        for (index, item) in items.enumerated() {
            let piece = item + (index == items.count - 1 ? mark : ",")
            if current.isEmpty {
                current = piece
            } else if current.count + 1 + piece.count <= room {
                current += " " + piece
            } else {
                lines.append(current)
                current = piece
            }
        }
        lines.append(items.isEmpty ? none + mark : current)
        let margin = String(repeating: " ", count: indent)
        return lines.enumerated().map { margin + row($0.offset == 0 ? label : "", $0.element) }
    }

    /// Text broken between words, further lines indented by two.
    private static func paragraph(_ text: String, indent: Int) -> [String] {
        var lines: [String] = []
        var current = String(repeating: " ", count: indent)
        var isFresh = true
        for word in text.split(separator: " ") {
            if !isFresh, current.count + 1 + word.count > width {
                lines.append(current)
                current = String(repeating: " ", count: indent + 2)
                isFresh = true
            }
            current += (isFresh ? "" : " ") + word
            isFresh = false
        }
        return lines + [current]
    }

    private func rows(_ planned: Planned, _ showSecrets: Bool) -> [String] {
        let tunnel = planned.tunnel
        let (phase1, phase2) = (tunnel.phase1, tunnel.phase2)
        var lines = ["Tunnel \(tunnel.name)"]
        func add(_ label: String, _ name: String, _ value: String, indent: Int = 4) {
            lines.append(
                String(repeating: " ", count: indent) + Self.row(label, value + Self.mark(planned.origin(of: name))))
        }
        func addList(_ label: String, _ name: String, _ items: [String]) {
            lines += Self.wrapped(label, items, indent: 4, mark: Self.mark(planned.origin(of: name)))
        }
        func seconds(_ value: Int) -> String { "\(value) s" }

        lines.append("  Outside")
        add("AWS", "phase1.remoteAddress", phase1.remoteAddress?.description ?? "(any)")
        add("customer gateway", "phase1.localAddress", phase1.localAddress?.description ?? "(by route)")
        if let bind = phase1.bindAddress { lines.append("    " + Self.row("sent from", "\(bind) +")) }
        if let identity = phase1.localID { add("our identity", "phase1.localID", identity.description) }
        if let identity = phase1.remoteID { add("AWS's identity", "phase1.remoteID", identity.description) }
        if let psk = phase1.psk {
            let key =
                showSecrets
                ? String(decoding: psk.exposedBytes, as: UTF8.self) : "(hidden, \(psk.count) characters)"
            add("pre-shared key", "phase1.psk", key)
        }
        if phase1.forceUDPEncapsulation { lines.append("    " + Self.row("encapsulation", "always in UDP 4500")) }

        lines.append("  Inside")
        if let inside = tunnel.inside {
            add("AWS", "inside.remoteAddress", inside.remoteAddress.description)
            add("customer gateway", "inside.localAddress", inside.localAddress.description)
            if let address = inside.remoteAddress6 { add("AWS, IPv6", "inside.remoteAddress6", address.description) }
            if let address = inside.localAddress6 { add("ours, IPv6", "inside.localAddress6", address.description) }
            if let mtu = inside.mtu { add("MTU", "inside.mtu", "\(mtu) at most") }
            if let mss = inside.mss { add("TCP segment", "inside.mss", "\(mss) at most") }
        } else {
            lines.append("    (no addresses in the file)")
        }

        lines.append("  Phase 1 (IKE)")
        add("IKE version", "phase1.ikeVersion", "IKEv\(phase1.ikeVersion)")
        addList("encryption", "phase1.encryption", phase1.encryption.map(\.rawValue))
        addList(
            Self.integrityLabel(phase1.encryption, alone: "PRF"), "phase1.integrity", phase1.integrity.map(\.rawValue))
        addList("DH groups", "phase1.dhGroups", phase1.dhGroups.map { "\($0.rawValue)" })
        add("lifetime", "phase1.lifetimeSeconds", seconds(phase1.lifetimeSeconds))
        add("DPD interval", "phase1.dpd.delaySeconds", seconds(phase1.dpd.delaySeconds))
        add("DPD timeout", "phase1.dpd.timeoutSeconds", seconds(phase1.dpd.timeoutSeconds))
        add("DPD action", "phase1.dpd.action", phase1.dpd.action.rawValue)

        lines.append("  Phase 2 (ESP, tunnel mode)")
        addList("encryption", "phase2.encryption", phase2.encryption.map(\.rawValue))
        // With nothing but AES-GCM, phase 2 needs no separate integrity, whatever AWS lists.
        if !phase2.encryption.allSatisfy(\.isAEAD) {
            addList("integrity", "phase2.integrity", phase2.integrity.map(\.rawValue))
        }
        addList("PFS groups", "phase2.pfsGroups", phase2.pfsGroups.map { "\($0.rawValue)" })
        add("lifetime", "phase2.lifetimeSeconds", seconds(phase2.lifetimeSeconds))
        addList("local selectors", "phase2.localSelectors", phase2.localSelectors.map(\.description))
        addList("remote selectors", "phase2.remoteSelectors", phase2.remoteSelectors.map(\.description))
        add("replay window", "phase2.replayWindow", "\(phase2.replayWindow) packets")

        if let bgp = tunnel.bgp {
            lines.append("  BGP")
            add("our AS", "bgp.localASN", "\(bgp.localASN)")
            add("AWS's AS", "bgp.remoteASN", "\(bgp.remoteASN)")
            add("neighbour", "bgp.neighbor", bgp.neighbor.description)
            add("hold time", "bgp.holdTimeSeconds", seconds(bgp.holdTimeSeconds))
        }
        return lines
    }
}
