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
    /// Routed into the tunnel while it is up, with a metric that wins over the way to the other endpoint.
    var network: String
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
                load = random nonce openssl pem pkcs1 pubkey x509 kdf hmac gcm chapoly kernel-libipsec kernel-netlink socket-default vici updown
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
                load = random openssl pem pkcs1
                socket = unix://\(vici)
            }

            """, to: name + "/strongswan.conf")
        let connections = self.connections
        _ = try lab.write(
            "connections {\n" + connections.map(render).joined() + "}\nsecrets {\n"
                + connections.map {
                    "ike-\($0.name) {\n id-1 = \($0.localID)\n id-2 = \($0.remoteID)\n secret = \"\($0.psk)\"\n}\n"
                }.joined() + "}\n", to: name + "/swanctl/swanctl.conf")
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

    private func render(_ connection: StrongSwanConnection) -> String {
        """
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
                local {
                    auth = psk
                    id = \(connection.localID)
                }
                remote {
                    auth = psk
                    id = \(connection.remoteID)
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
