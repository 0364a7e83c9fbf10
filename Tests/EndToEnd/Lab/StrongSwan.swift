internal import Foundation
internal import Glibc

/// A connection of strongSwan, in its own words where they differ from ours.
struct StrongSwanConnection: Sendable {
    var name: String
    var local: String
    var remote: String
    var localID: String
    var remoteID: String
    var psk: String
    var ikeProposals: String
    var espProposals: String
    var localSelectors = "0.0.0.0/0"
    var remoteSelectors = "0.0.0.0/0"
    /// The `remote_ts` of further children, called `-net2` and so on.
    var furtherRemoteSelectors: [String] = []
    var ikeRekeySeconds = 14_400
    var childRekeySeconds = 3_600
    var dpdSeconds = 10
    /// Bytes of an IP datagram from which on charon cuts its IKE messages into fragments; nil leaves its default.
    var fragmentSize: Int?
    var isMobile = false
    /// `never`, `allow`, `prefer` or `force`.
    var childless = "allow"
    /// Certificates in the place of the pre-shared key.
    var certificate: StrongSwanCertificate?
    var ppk: StrongSwanPPK?
    /// False for a peer that knows nothing of RFC 7427.
    var announcesSignatureHashes = true
    /// Routed into the tunnel while it is up, with a metric that wins over the way to the other endpoint.
    var network: String
}

/// What strongSwan proves itself with. All in PEM; keys in their traditional form.
struct StrongSwanCertificate: Sendable {
    var certificate: String
    var key: String
    /// `rsa` or `ecdsa`.
    var kind: String
    var authorities: [String]
    /// Intermediate certificates that it sends along.
    var intermediates: [String] = []
    var revocationLists: [String] = []
    /// How it signs: `pubkey`, or a scheme such as `rsa/pss-sha256`.
    var scheme = "pubkey"
}

struct StrongSwanPPK: Sendable {
    var identity: String
    var key: String
    var isRequired: Bool
}

/// A strongSwan (charon-systemd with its userspace data path kernel-libipsec) on one host of the lab.
///
/// The selectors are everything to everything, as AWS's are. kernel-libipsec always routes them, which would
/// swallow the host's own traffic; so its routing table is consulted after the main one, and the routes
/// that are wanted come and go with the tunnel by an updown script.
final class StrongSwan: Sendable {
    private let lab: Lab
    private let host: Host
    private let folder: String
    private let connections: [StrongSwanConnection]
    /// Inside addresses with prefix length, put on the tunnel device.
    private let inside: [String]
    private let process = ProcessBox()

    init(_ lab: Lab, on host: Host, _ connections: [StrongSwanConnection], inside: [String] = []) async throws {
        self.lab = lab
        self.host = host
        self.connections = connections
        self.inside = inside
        folder = lab.file("strongswan-\(host)")
        try await start()
    }

    private var vici: String { folder + "/vici" }

    /// Starts it, also again after ``kill()``.
    func start() async throws {
        try writeConfiguration()
        unlink(vici)
        process.current = try lab.start(
            "charon-systemd", [], on: host, environment: ["STRONGSWAN_CONF": folder + "/strongswan.conf"],
            log: "strongswan-\(host).log")
        try await eventually("strongSwan on \(host) takes its configuration", every: .milliseconds(30)) {
            guard access(self.vici, F_OK) == 0 else { return false }
            return try await self.swanctl(["--load-all"]).status == 0
        }
        for address in inside { _ = try await lab.ip(["addr", "add", address, "dev", "ipsec0"], on: host) }
    }

    func kill() async { await process.current?.end(gracefully: false) }
    func stop() async { await process.current?.end() }
    var log: String { process.current?.log ?? "" }

    func swanctl(_ arguments: [String]) async throws -> Output {
        try await run(
            "swanctl", arguments,
            environment: ["STRONGSWAN_CONF": folder + "/strongswan.conf", "SWANCTL_DIR": folder + "/swanctl"])
    }

    private func mustSwanctl(_ arguments: [String]) async throws {
        let output = try await swanctl(arguments)
        guard output.status == 0 else {
            throw LabError("swanctl \(arguments.joined(separator: " ")) on \(host): \(output.text)")
        }
    }

    /// Brings a connection's child up. Its child has the connection's name with `-net`.
    func initiate(_ name: String) async throws {
        try await mustSwanctl(["--initiate", "--child", name + "-net", "--ike", name, "--timeout", "20"])
    }

    /// Tries to, and says what strongSwan said.
    func attempt(_ name: String) async throws -> Output {
        try await swanctl(["--initiate", "--child", name + "-net", "--ike", name, "--timeout", "10"])
    }

    func terminate(_ name: String) async throws { try await mustSwanctl(["--terminate", "--ike", name]) }
    func rekeyIKE(_ name: String) async throws { try await mustSwanctl(["--rekey", "--ike", name]) }
    func rekeyChild(_ name: String) async throws { try await mustSwanctl(["--rekey", "--child", name + "-net"]) }

    /// The SAs as strongSwan lists them, one raw line for each IKE SA.
    func listSAs() async throws -> String { try await swanctl(["--list-sas"]).text }

    /// True when an IKE SA with an installed child is up, and no other.
    func hasOnePair() async throws -> Bool {
        let text = try await listSAs()
        return text.matches(of: /ESTABLISHED/).count == 1 && text.matches(of: /INSTALLED/).count == 1
    }

    private func writeConfiguration() throws {
        let name = "strongswan-\(host)"
        let fragmentSize = connections.compactMap(\.fragmentSize).first.map { "fragment_size = \($0)" } ?? ""
        _ = try lab.write(
            """
            charon-systemd {
                \(fragmentSize)
                signature_authentication = \(connections.allSatisfy(\.announcesSignatureHashes) ? "yes" : "no")
                load = random nonce openssl pem pkcs1 pkcs8 pubkey x509 revocation constraints kdf hmac gcm chapoly kernel-libipsec kernel-netlink socket-default vici updown
                install_virtual_ip = no
                process_route = no
                routing_table_prio = 40000
                retransmit_timeout = 2.0
                retransmit_tries = 3
                journal {
                    default = -1
                }
                filelog {
                    stderr {
                        default = 1
                        ike = 2
                        time_format = %H:%M:%S
                    }
                }
                plugins {
                    vici {
                        socket = unix://\(vici)
                    }
                }
            }
            swanctl {
                load = random openssl pem pkcs1 pkcs8 x509
                socket = unix://\(vici)
            }

            """, to: name + "/strongswan.conf")
        let connections = self.connections
        for connection in connections { try writeCertificates(connection, to: name + "/swanctl") }
        _ = try lab.write(
            "connections {\n" + connections.map(render).joined() + "}\nsecrets {\n"
                + connections.map(secrets).joined() + "}\n", to: name + "/swanctl/swanctl.conf")
        for connection in connections {
            // Which IKE SAs are up is kept in files: when one replaces another, "down" can come after "up".
            let up = folder + "/up-\(connection.name)"
            try? FileManager.default.removeItem(atPath: up)
            let script = try lab.write(
                """
                #!/bin/sh
                mkdir -p \(up)
                case $PLUTO_VERB in
                up-client) touch \(up)/$PLUTO_UNIQUEID ;;
                down-client) rm -f \(up)/$PLUTO_UNIQUEID ;;
                esac
                if [ -n "$(ls \(up))" ]; then
                    ip route replace \(connection.network) dev ipsec0 metric 100
                else
                    ip route delete \(connection.network) dev ipsec0 metric 100
                fi

                """, to: name + "/updown-\(connection.name)")
            chmod(script, 0o755)
        }
    }

    private func secrets(_ connection: StrongSwanConnection) -> String {
        var text = ""
        if connection.certificate == nil {
            text +=
                "ike-\(connection.name) {\n id-1 = \(connection.localID)\n id-2 = \(connection.remoteID)\n "
                + "secret = \"\(connection.psk)\"\n}\n"
        }
        if let ppk = connection.ppk {
            text += "ppk-\(connection.name) {\n id-1 = \(ppk.identity)\n secret = \"\(ppk.key)\"\n}\n"
        }
        return text
    }

    private func writeCertificates(_ connection: StrongSwanConnection, to folder: String) throws {
        guard let certificate = connection.certificate else { return }
        let name = connection.name
        _ = try lab.write(certificate.certificate, to: "\(folder)/x509/\(name).pem")
        _ = try lab.write(certificate.key, to: "\(folder)/\(certificate.kind)/\(name).pem")
        for (index, text) in certificate.authorities.enumerated() {
            _ = try lab.write(text, to: "\(folder)/x509ca/\(name)-\(index).pem")
        }
        for (index, text) in certificate.intermediates.enumerated() {
            _ = try lab.write(text, to: "\(folder)/x509ca/\(name)-intermediate-\(index).pem")
        }
        for (index, text) in certificate.revocationLists.enumerated() {
            _ = try lab.write(text, to: "\(folder)/x509crl/\(name)-\(index).pem")
        }
    }

    private func render(_ connection: StrongSwanConnection) -> String {
        let name = connection.name
        let scheme = connection.certificate?.scheme ?? "psk"
        let own = connection.certificate == nil ? "" : "certs = \(name).pem"
        let authorities = (connection.certificate?.authorities.indices).map { $0.map { "\(name)-\($0).pem" } } ?? []
        let trusted = authorities.isEmpty ? "" : "cacerts = \(authorities.joined(separator: ", "))"
        let ppk = connection.ppk.map { "ppk_id = \($0.identity)\n ppk_required = \($0.isRequired ? "yes" : "no")" } ?? ""
        return """
            \(connection.name) {
                version = 2
                proposals = \(connection.ikeProposals)
                local_addrs = \(connection.local)
                remote_addrs = \(connection.remote)
                rekey_time = \(connection.ikeRekeySeconds)s
                over_time = 600s
                rand_time = 1s
                dpd_delay = \(connection.dpdSeconds)s
                mobike = \(connection.isMobile ? "yes" : "no")
                childless = \(connection.childless)
                encap = yes
                unique = replace
                send_cert = always
                \(ppk)
                local {
                    auth = \(scheme)
                    id = "\(connection.localID)"
                    \(own)
                }
                remote {
                    auth = \(connection.certificate == nil ? "psk" : "pubkey")
                    id = "\(connection.remoteID)"
                    \(trusted)
                }
                children {
        \(children(of: connection))
                }
            }

        """
    }

    private func children(of connection: StrongSwanConnection) -> String {
        ([connection.remoteSelectors] + connection.furtherRemoteSelectors).enumerated().map { index, remote in
            """
                        \(connection.name)-net\(index == 0 ? "" : "\(index + 1)") {
                            local_ts = \(connection.localSelectors)
                            remote_ts = \(remote)
                            esp_proposals = \(connection.espProposals)
                            rekey_time = \(connection.childRekeySeconds)s
                            life_time = \(connection.childRekeySeconds + 600)s
                            rand_time = 1s
                            updown = \(folder)/updown-\(connection.name)
                        }
            """
        }.joined(separator: "\n")
    }
}
