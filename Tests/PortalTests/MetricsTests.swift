import Base
import Portal
import PortalFake
import Testing
import Tunnels

@Suite struct MetricsTests {
    private func scrape(_ change: (inout FakeGateway.State) -> Void) async throws -> Reply {
        let site = try await Site()
        site.gateway.with { change(&$0) }
        let reply = try await RawClient.exchange(site.status, "GET", "/metrics")
        await site.portal.stop()
        return reply
    }

    @Test func tunnelsCountersAndTheDaemonAreThere() async throws {
        let reply = try await scrape { state in
            state.status.tunnels = [.example(1), .example(2, state: .offline)]
            state.counters.tunnels = [
                TunnelCounters(
                    connector: "vpn-0a1b", tunnel: "vpn-0a1b-1", bytesIn: .max, bytesOut: 2, packetsIn: 3,
                    packetsOut: 4,
                    ikeRekeys: 5, childRekeys: 6, establishments: 7, deaths: 8)
            ]
            state.counters.events = GatewayCounters.EventCounts(info: 1, warning: 2, error: 3)
        }
        #expect(reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        let one = #"{connector="vpn-0a1b",tunnel="vpn-0a1b-1"}"#
        let two = #"{connector="vpn-0a1b",tunnel="vpn-0a1b-2"}"#
        for line in [
            #"gatehouse_build_info{version="1.0",data_path="userspace"} 1"#,
            "gatehouse_start_time_seconds 1795521600",
            "gatehouse_uptime_seconds 60",
            "gatehouse_healthy 1",
            "# TYPE gatehouse_tunnel_up gauge",
            "gatehouse_tunnel_up\(one) 1",
            "gatehouse_tunnel_up\(two) 0",
            #"gatehouse_tunnel_state{connector="vpn-0a1b",tunnel="vpn-0a1b-2",state="offline"} 1"#,
            #"gatehouse_tunnel_state{connector="vpn-0a1b",tunnel="vpn-0a1b-2",state="online"} 0"#,
            "# TYPE gatehouse_tunnel_in_bytes_total counter",
            "gatehouse_tunnel_in_bytes_total\(one) 18446744073709551615",
            "gatehouse_tunnel_out_bytes_total\(one) 2",
            "gatehouse_tunnel_in_packets_total\(one) 3",
            "gatehouse_tunnel_out_packets_total\(one) 4",
            "gatehouse_tunnel_ike_rekeys_total\(one) 5",
            "gatehouse_tunnel_child_rekeys_total\(one) 6",
            "gatehouse_tunnel_establishments_total\(one) 7",
            "gatehouse_tunnel_dead_peers_total\(one) 8",
            "gatehouse_tunnel_dpd_round_trip_seconds\(one) 0.00125",
            "gatehouse_tunnel_dpd_last_seen_timestamp_seconds\(one) 1795521700",
            #"gatehouse_tunnel_child_info{connector="vpn-0a1b",tunnel="vpn-0a1b-1",proposal="aes128gcm16"} 1"#,
            #"gatehouse_events_total{level="warning"} 2"#,
        ] {
            #expect(reply.body.contains(line + "\n"), "\(line)")
        }
        #expect(!reply.body.contains("gatehouse_tunnel_dpd_round_trip_seconds\(two)"))
    }

    @Test func everySampleHasItsFamilyAndNoSeriesComesTwice() async throws {
        let reply = try await scrape { state in
            var rekeying = TunnelStatus.example(1)
            rekeying.children += rekeying.children
            state.status.tunnels = [rekeying, .example(2)]
            state.counters.tunnels = [TunnelCounters(connector: "vpn-0a1b", tunnel: "vpn-0a1b-1")]
        }
        var families: Set<String> = []
        var series: Set<Substring> = []
        var samples = 0
        for line in reply.body.split(separator: "\n") {
            if line.hasPrefix("# TYPE ") {
                #expect(families.insert(String(line.split(separator: " ")[2])).inserted, "\(line)")
            } else if !line.hasPrefix("#") {
                let end = try #require(line.lastIndex(of: " "))
                #expect(series.insert(line[..<end]).inserted, "\(line)")
                #expect(families.contains(String(line.prefix { $0 != "{" && $0 != " " })), "\(line)")
                samples += 1
            }
        }
        #expect(samples > 40)
    }

    @Test func hostsThatAreCalledAreCounted() async throws {
        let reply = try await scrape { state in
            state.counters.outgoing = [
                OutgoingHostCounters(
                    host: "acme.okta.com", calls: 7, retries: 1, answers: [2: 5, 4: 1], failures: 1, withheld: 2, bytes: 900,
                    seconds: 1.5, isOpen: false)
            ]
        }
        for line in [
            #"gatehouse_outgoing_calls_total{host="acme.okta.com"} 7"#,
            #"gatehouse_outgoing_retries_total{host="acme.okta.com"} 1"#,
            #"gatehouse_outgoing_failures_total{host="acme.okta.com"} 1"#,
            #"gatehouse_outgoing_withheld_total{host="acme.okta.com"} 2"#,
            #"gatehouse_outgoing_seconds_total{host="acme.okta.com"} 1.5"#,
            #"gatehouse_outgoing_reachable{host="acme.okta.com"} 0"#,
            #"gatehouse_outgoing_answers_total{host="acme.okta.com",status="4xx"} 1"#,
        ] {
            #expect(reply.body.contains(line + "\n"), "\(line)")
        }
        #expect(reply.body.contains("# TYPE gatehouse_outgoing_reachable gauge\n"))
    }

    @Test func labelsAreEscaped() async throws {
        let reply = try await scrape { state in
            var tunnel = TunnelStatus.example(1)
            tunnel.tunnel = "a\"b\\c\nd"
            state.status.tunnels = [tunnel]
        }
        #expect(reply.body.contains(#"gatehouse_tunnel_up{connector="vpn-0a1b",tunnel="a\"b\\c\nd"} 1"# + "\n"))
    }
}
