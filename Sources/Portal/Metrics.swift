import Base
import Tunnels

/// `GET /metrics`: the gateway in Prometheus's text format 0.0.4.
struct Metrics {
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    var status: GatewayStatus
    var counters: GatewayCounters
    var health: Health
    var now: WallTime

    private struct Sample {
        var labels: [(String, String)]
        var value: String
    }

    /// The whole exposition: families in a fixed order, a family without samples left out.
    var text: String {
        var text = ""
        func family(_ name: String, _ type: String, _ help: String, _ samples: [Sample]) {
            guard !samples.isEmpty else { return }
            text += "# HELP gatehouse_\(name) \(help)\n# TYPE gatehouse_\(name) \(type)\n"
            for sample in samples {
                let labels = sample.labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",")
                text += "gatehouse_\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(sample.value)\n"
            }
        }
        func single(_ name: String, _ type: String, _ help: String, _ value: String) {
            family(name, type, help, [Sample(labels: [], value: value)])
        }
        /// One sample for each tunnel that has a value.
        func tunnels(_ name: String, _ help: String, _ value: (TunnelStatus) -> String?) {
            family(
                name, "gauge", help,
                status.tunnels.compactMap { tunnel in
                    value(tunnel).map { Sample(labels: Self.labels(tunnel), value: $0) }
                })
        }
        func totals(_ name: String, _ help: String, _ value: (TunnelCounters) -> UInt64) {
            family(
                name, "counter", help,
                counters.tunnels.map { tunnel in
                    Sample(
                        labels: [("connector", tunnel.connector), ("tunnel", tunnel.tunnel)],
                        value: String(value(tunnel)))
                })
        }

        family(
            "build_info", "gauge", "What runs; always 1.",
            [
                Sample(labels: [("version", status.version), ("data_path", status.dataPath)], value: "1")
            ])
        single("start_time_seconds", "gauge", "When the daemon started, in Unix time.", Self.seconds(status.startedAt))
        single(
            "uptime_seconds", "gauge", "Seconds since the daemon started.",
            Self.number(max(0, Double(now.nanoseconds &- status.startedAt.nanoseconds) / 1e9)))
        single(
            "healthy", "gauge", "1 when every enabled connector has a tunnel online and the gateway has no problem.",
            health.isHealthy ? "1" : "0")

        tunnels("tunnel_up", "1 while the tunnel carries traffic (online or degraded).") {
            $0.state.carriesTraffic ? "1" : "0"
        }
        family(
            "tunnel_state", "gauge", "1 for the state that the tunnel is in, 0 for the others.",
            status.tunnels.flatMap { tunnel in
                TunnelStatus.State.allCases.map { state in
                    Sample(
                        labels: Self.labels(tunnel) + [("state", state.rawValue)],
                        value: tunnel.state == state ? "1" : "0")
                }
            })
        tunnels("tunnel_active", "1 on the tunnel that its connector's traffic takes now.") { $0.isActive ? "1" : "0" }
        tunnels("tunnel_state_change_timestamp_seconds", "When the state last changed, in Unix time.") {
            Self.seconds($0.since)
        }
        totals("tunnel_in_bytes_total", "Bytes of inner packets received through the tunnel.") { $0.bytesIn }
        totals("tunnel_out_bytes_total", "Bytes of inner packets sent through the tunnel.") { $0.bytesOut }
        totals("tunnel_in_packets_total", "Inner packets received through the tunnel.") { $0.packetsIn }
        totals("tunnel_out_packets_total", "Inner packets sent through the tunnel.") { $0.packetsOut }
        tunnels("tunnel_dpd_round_trip_seconds", "Round trip of the last answered liveness check.") {
            $0.dpd.roundTripMilliseconds.map { Self.number($0 / 1000) }
        }
        tunnels("tunnel_dpd_last_seen_timestamp_seconds", "When the peer last proved that it lives, in Unix time.") {
            $0.dpd.lastSeen.map(Self.seconds)
        }
        tunnels("tunnel_dpd_retransmits", "Times the request under way, or the last one, was sent again.") {
            String($0.dpd.retransmits)
        }
        tunnels("tunnel_probe_round_trip_seconds", "Round trip of the last answered probe of the inside address.") {
            $0.probe?.roundTripMilliseconds.map { Self.number($0 / 1000) }
        }
        tunnels("tunnel_probe_lost", "Probes of the inside address in a row without an answer.") {
            $0.probe.map { String($0.lost) }
        }
        totals("tunnel_ike_rekeys_total", "Phase-1 rekeys that succeeded.") { $0.ikeRekeys }
        totals("tunnel_child_rekeys_total", "Phase-2 rekeys that succeeded.") { $0.childRekeys }
        totals("tunnel_establishments_total", "Times the tunnel came online.") { $0.establishments }
        totals("tunnel_dead_peers_total", "Times the peer was found dead by DPD.") { $0.deaths }
        family(
            "tunnel_ike_info", "gauge", "The IKE SA in use; always 1.",
            status.tunnels.compactMap { tunnel in
                tunnel.ike.map { ike in
                    Sample(
                        labels: Self.labels(tunnel) + [
                            ("proposal", ike.proposal), ("local_id", ike.localID), ("remote_id", ike.remoteID),
                            ("remote_address", tunnel.remoteAddress ?? ""),
                        ], value: "1")
                }
            })
        tunnels("tunnel_ike_established_timestamp_seconds", "When the IKE SA was established, in Unix time.") {
            ($0.ike?.establishedAt).map(Self.seconds)
        }
        tunnels("tunnel_ike_rekey_timestamp_seconds", "When the IKE SA is due to be rekeyed, in Unix time.") {
            ($0.ike?.rekeyAt).map(Self.seconds)
        }
        tunnels("tunnel_children", "Child SA pairs that the tunnel has.") { String($0.children.count) }
        family(
            "tunnel_child_info", "gauge", "A suite that child SAs of the tunnel use; always 1.",
            status.tunnels.flatMap { tunnel in
                // During a rekey two children share a suite: a series may appear once only.
                Set(tunnel.children.map(\.proposal)).sorted().map { proposal in
                    Sample(labels: Self.labels(tunnel) + [("proposal", proposal)], value: "1")
                }
            })
        tunnels("tunnel_weak_algorithms", "Weak algorithms that the tunnel uses.") { String($0.weaknesses.count) }

        family(
            "events_total", "counter", "Events logged, by level.",
            [
                Sample(labels: [("level", "info")], value: String(counters.events.info)),
                Sample(labels: [("level", "warning")], value: String(counters.events.warning)),
                Sample(labels: [("level", "error")], value: String(counters.events.error)),
            ])
        single(
            "datagrams_dropped_total", "counter", "Datagrams dropped because the gateway could not keep up.",
            String(counters.datagramsDropped))
        single(
            "ike_messages_rejected_total", "counter", "IKE messages that could not be read or were not ours.",
            String(counters.messagesRejected))
        outgoing(family)
        return text
    }

    private func outgoing(_ family: (String, String, String, [Sample]) -> Void) {
        func totals(_ name: String, _ help: String, _ value: (OutgoingHostCounters) -> String) {
            family(
                "outgoing_" + name, name == "reachable" ? "gauge" : "counter", help,
                counters.outgoing.map { Sample(labels: [("host", $0.host)], value: value($0)) })
        }
        totals("calls_total", "HTTPS calls to the host.") { String($0.calls) }
        totals("retries_total", "Calls that repeated an earlier one.") { String($0.retries) }
        totals("failures_total", "Calls that got no answer.") { String($0.failures) }
        totals("withheld_total", "Calls that were not made, since the host failed too often or asked for a pause.") {
            String($0.withheld)
        }
        totals("received_bytes_total", "Bytes of the answers' bodies.") { String($0.bytes) }
        totals("seconds_total", "Time in calls.") { Self.number($0.seconds) }
        totals("reachable", "0 while the host is left alone because it failed too often.") { $0.isOpen ? "1" : "0" }
        family(
            "outgoing_answers_total", "counter", "Answers by the first digit of their status.",
            counters.outgoing.flatMap { host in
                host.answers.sorted { $0.key < $1.key }.map {
                    Sample(labels: [("host", host.host), ("status", "\($0.key)xx")], value: String($0.value))
                }
            })
    }

    private static func labels(_ tunnel: TunnelStatus) -> [(String, String)] {
        [("connector", tunnel.connector), ("tunnel", tunnel.tunnel)]
    }

    private static func seconds(_ time: WallTime) -> String { number(Double(time.nanoseconds / 1_000_000) / 1000) }

    private static func number(_ value: Double) -> String {
        guard value.isFinite else { return "NaN" }
        let text = value.description
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }

    /// Backslash, quote and line feed are escaped, as the format demands.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": result += "\\\\"
            case "\"": result += "\\\""
            case "\n": result += "\\n"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}
