import Base
import Cryptography
import IKE

/// What a new definition of a connector changes in the one that stands, in words.
///
/// Tunnels are matched by the peer's outside address, never by their place in the list. Whether a connector is
/// enabled is no part of its definition.
public struct ConnectorDifference: Hashable, Sendable {
    /// One line a change, such as `vpn-1-2: lifetime 28800 → 3600`. A changed key is named, never shown.
    public let changes: [String]

    /// Tunnels that are in both and whose SAs cannot live on under the new terms: they go down and come up anew.
    public let restarts: [String]

    public var isEmpty: Bool { changes.isEmpty }

    public init(from old: Connector, to new: Connector) {
        var lines = Self.lines(Self.terms(old), Self.terms(new))
        for tunnel in old.tunnels where Self.match(of: tunnel, in: new) == nil {
            lines.append("\(tunnel.name): goes, with peer \(Self.text(tunnel.phase1.remoteAddress))")
        }
        for tunnel in new.tunnels {
            guard let before = Self.match(of: tunnel, in: old) else {
                lines.append("\(tunnel.name): is new, with peer \(Self.text(tunnel.phase1.remoteAddress))")
                continue
            }
            lines += Self.lines(Self.terms(before), Self.terms(tunnel)).map { "\(before.name): \($0)" }
            lines += Self.phase2Changes(before, tunnel).map { "\(before.name): \($0)" }
            for place in SecretPlace.allCases {
                guard let old = before.phase1[place], let new = tunnel.phase1[place], old != new else { continue }
                lines.append("\(before.name): another \(place.words)")
            }
        }
        if lines.isEmpty, old.tunnels.map(\.phase1.remoteAddress) != new.tunnels.map(\.phase1.remoteAddress) {
            lines.append("the tunnels' order of preference")
        }
        changes = lines
        // By name, as the supervisor does.
        restarts = new.tunnels.filter { tunnel in
            old.tunnels.first { $0.name == tunnel.name }.map { !tunnel.keepsSAs(of: $0) } ?? false
        }.map(\.name)
    }

    private static func match(of tunnel: Tunnel, in connector: Connector) -> Tunnel? {
        guard let remote = tunnel.phase1.remoteAddress else {
            return connector.tunnels.first { $0.name == tunnel.name }
        }
        return connector.tunnels.first { $0.phase1.remoteAddress == remote }
    }

    private static func lines(_ old: [(String, String)], _ new: [(String, String)]) -> [String] {
        zip(old, new).compactMap { before, after in
            before.1 == after.1 ? nil : "\(before.0) \(before.1) → \(after.1)"
        }
    }

    private static func terms(_ connector: Connector) -> [(String, String)] {
        [
            ("name", connector.name), ("initiation", connector.initiation.rawValue),
            ("routing", connector.routing.rawValue), ("local networks", text(connector.localNetworks)),
            ("remote networks", text(connector.remoteNetworks)),
        ]
    }

    private static func terms(_ tunnel: Tunnel) -> [(String, String)] {
        let phase1 = tunnel.phase1
        return [
            ("name", tunnel.name), ("local address", text(phase1.localAddress)),
            ("address to send from", text(phase1.bindAddress)), ("local identity", text(phase1.localID)),
            ("remote identity", text(phase1.remoteID)),
            ("phase 1 encryption", text(phase1.encryption.map(\.rawValue))),
            ("phase 1 integrity", text(phase1.integrity.map(\.rawValue))),
            ("phase 1 DH groups", text(phase1.dhGroups.map(\.rawValue))),
            ("phase 1 lifetime", "\(phase1.lifetimeSeconds)"),
            ("phase 1 rekey margin", text(phase1.rekeyMarginSeconds)),
            (
                "DPD",
                "\(phase1.dpd.delaySeconds) s, \(phase1.dpd.timeoutSeconds) s, \(phase1.dpd.action.rawValue)"
            ),
            ("authentication", phase1.authentication.method.rawValue),
            ("PPK", phase1.ppk.map { "'\($0.identity)', \($0.isRequired ? "required" : "optional")" } ?? "none"),
        ] + terms(phase1.authentication.credential) + [
            ("forced UDP encapsulation", phase1.forceUDPEncapsulation ? "yes" : "no"),
            ("MOBIKE", phase1.isMobile ? "yes" : "no"),
            ("childless initiation", phase1.prefersChildless ? "yes" : "no"),
            ("inside", text(tunnel.inside)), ("BGP", text(tunnel.bgp)),
        ]
    }

    /// As many lines with certificates as without.
    private static func terms(_ credential: CertificateCredential?) -> [(String, String)] {
        func text(_ certificate: Certificate) -> String { "'\(certificate.subject)' (\(certificate.serialNumber))" }
        let values: [(String, String?)] = [
            ("certificate", credential.map { Self.text($0.certificates.map(text)) }),
            ("CAs", credential.map { Self.text($0.authorities.map(text)) }),
            (
                "CRLs",
                credential.map {
                    Self.text(
                        $0.revocationLists.map { list in
                            // Two lists may be of one moment.
                            let digest = Hash.digest(.sha256, [list.der]).prefix(4).hexadecimal
                            return "'\(list.issuer)' of \(list.thisUpdate.rfc3339) (\(digest))"
                        })
                }
            ),
            ("revocation", credential?.revocation.rawValue), ("RSA padding", credential?.rsaPadding.rawValue),
            ("SHA-1 signatures", credential.map { $0.allowsSHA1 ? "allowed" : "refused" }),
        ]
        return values.map { ($0.0, $0.1 ?? "none") }
    }

    /// Phase 2 are matched by name; a single one is what it is, whatever its name.
    private static func phase2Changes(_ old: Tunnel, _ new: Tunnel) -> [String] {
        if old.furtherPhase2.isEmpty, new.furtherPhase2.isEmpty {
            return lines([("phase 2 name", text(old.phase2.name))], [("phase 2 name", text(new.phase2.name))])
                + lines(terms(old.phase2), terms(new.phase2))
        }
        var changes: [String] = []
        for phase2 in old.allPhase2 where !new.allPhase2.contains(where: { $0.name == phase2.name }) {
            changes.append("phase 2 \(text(phase2.name)) goes")
        }
        for phase2 in new.allPhase2 {
            guard let before = old.allPhase2.first(where: { $0.name == phase2.name }) else {
                changes.append("phase 2 \(text(phase2.name)) is new")
                continue
            }
            changes += lines(terms(before), terms(phase2)).map { "phase 2 \(text(phase2.name)): \($0)" }
        }
        if changes.isEmpty, old.allPhase2 != new.allPhase2 { changes.append("the order of the phase 2") }
        return changes
    }

    private static func terms(_ phase2: Phase2) -> [(String, String)] {
        [
            ("phase 2 encryption", text(phase2.encryption.map(\.rawValue))),
            ("phase 2 integrity", text(phase2.integrity.map(\.rawValue))),
            ("PFS groups", text(phase2.pfsGroups.map(\.rawValue))),
            ("phase 2 lifetime", "\(phase2.lifetimeSeconds)"),
            ("phase 2 rekey margin", text(phase2.rekeyMarginSeconds)),
            ("phase 2 lifetime in bytes", text(phase2.lifetimeBytes)),
            ("phase 2 lifetime in packets", text(phase2.lifetimePackets)),
            ("local selectors", text(phase2.localSelectors)), ("remote selectors", text(phase2.remoteSelectors)),
            ("extended sequence numbers", phase2.esn ? "yes" : "no"),
            ("replay window", "\(phase2.replayWindow)"),
        ]
    }

    private static func text(_ inside: Tunnel.Inside?) -> String {
        guard let inside else { return "none" }
        let addresses = [inside.localAddress, inside.remoteAddress, inside.localAddress6, inside.remoteAddress6]
        return text(addresses.compactMap { $0 }) + ", MTU \(text(inside.mtu)), MSS \(text(inside.mss))"
    }

    private static func text(_ bgp: Tunnel.BGP?) -> String {
        guard let bgp else { return "none" }
        return "\(bgp.localASN) to \(bgp.remoteASN) at \(bgp.neighbor), hold \(bgp.holdTimeSeconds) s"
    }

    private static func text(_ value: (some CustomStringConvertible)?) -> String { value?.description ?? "none" }

    private static func text(_ values: [some CustomStringConvertible]) -> String {
        values.isEmpty ? "none" : values.map(\.description).joined(separator: ", ")
    }
}
