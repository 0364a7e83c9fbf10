import Base
import PortalFake
import Testing
import Tunnels

@testable import gatehouse

@Suite struct StatusTextTests {
    private func status(_ tunnels: [TunnelStatus]) -> GatewayStatus {
        GatewayStatus(version: "1.0", startedAt: .example(0), dataPath: "userspace", tunnels: tunnels)
    }

    private func text(_ tunnels: [TunnelStatus], width: Int? = nil, at seconds: Int = 192) -> String {
        StatusText(status: status(tunnels), now: .example(seconds), width: width).text
    }

    @Test func twoTunnelsReadAtAGlance() {
        #expect(
            text([.example(1, weaknesses: ["modp1024", "sha1"]), .example(2)]) == """
                2 of 2 tunnels online
                gatehoused 1.0, up 3m12s, userspace data path

                  TUNNEL      STATE   SINCE  REMOTE           IN     OUT  DPD RTT
                * vpn-0a1b-1  online  3m12s  203.0.113.1  1.2 MB  7.7 kB  1.25 ms
                    ike aes128gcm16-prfsha256-ecp256, esp aes128gcm16
                    weak: modp1024, sha1
                  vpn-0a1b-2  online  3m12s  203.0.113.2  1.2 MB  7.7 kB  1.25 ms
                    ike aes128gcm16-prfsha256-ecp256, esp aes128gcm16

                """)
    }

    @Test func aTunnelThatIsDownSaysWhyBelowItsRow() {
        let probed = {
            var tunnel = TunnelStatus.example(1, state: .degraded)
            tunnel.probe?.lost = 3
            return tunnel
        }()
        #expect(
            text([probed, .example(2, state: .offline, since: .example(180), lastError: "the peer does not answer")])
                == """
                0 of 2 tunnels online, 1 degraded, 1 offline
                gatehoused 1.0, up 3m12s, userspace data path

                  TUNNEL      STATE     SINCE  REMOTE           IN     OUT  DPD RTT
                * vpn-0a1b-1  degraded  3m12s  203.0.113.1  1.2 MB  7.7 kB  1.25 ms
                    ike aes128gcm16-prfsha256-ecp256, esp aes128gcm16
                    169.254.10.1 inside has not answered 3 probes
                  vpn-0a1b-2  offline   12s    203.0.113.2       -       -        -
                    error: the peer does not answer

                """)
    }

    @Test func severalConnectorsAreGrouped() {
        var other = TunnelStatus.example(1, state: .disabled)
        other.connector = "branch"
        other.tunnel = "branch-1"
        other.remoteAddress = nil
        #expect(
            text([.example(1, state: .connecting), other]) == """
                0 of 1 tunnel online, 1 connecting, 1 disabled
                gatehoused 1.0, up 3m12s, userspace data path

                  TUNNEL      STATE       SINCE  REMOTE       IN  OUT  DPD RTT
                vpn-0a1b
                  vpn-0a1b-1  connecting  3m12s  203.0.113.1   -    -        -
                branch
                  branch-1    disabled    3m12s  -             -    -        -

                """)
    }

    @Test func withoutTunnelsTheNextStepIsNamed() {
        #expect(
            text([]) == """
                no tunnels yet: 'gatehouse import aws-vpn FILE' makes some
                gatehoused 1.0, up 3m12s, userspace data path

                """)
    }

    @Test func aNarrowTerminalLosesColumnsAndWrapsWhatStandsBelow() {
        let tunnels = [
            TunnelStatus.example(2, state: .offline, lastError: "the peer at 203.0.113.2 does not answer at all")
        ]
        #expect(
            text(tunnels, width: 41) == """
                0 of 1 tunnel online, 1 offline
                gatehoused 1.0, up 3m12s, userspace data…

                  TUNNEL      STATE    SINCE  REMOTE
                  vpn-0a1b-2  offline  3m12s  203.0.113.2
                    error: the peer at 203.0.113.2 does
                      not answer at all

                """)
        #expect(
            text(tunnels, width: 24) == """
                0 of 1 tunnel online, 1 offline
                gatehoused 1.0, up 3m12…

                  TUNNEL      STATE
                  vpn-0a1b-2  offline
                    error: the peer at
                      203.0.113.2 does
                      not answer at all

                """)
    }

    @Test(arguments: [20, 40, 60, 80, 100])
    func noTableLineIsWiderThanTheTerminal(width: Int) {
        var long = TunnelStatus.example(1, lastError: "an error of many words, so that it has to be broken somewhere")
        long.connector = "vpn-0123456789abcdef0"
        long.tunnel = "vpn-0123456789abcdef0-1"
        long.remoteAddress = "2001:db8:1234:5678:9abc:def0:1234:5678"
        for line in text([long, .example(2)], width: width).split(separator: "\n").dropFirst() {
            // A word that is wider than the terminal cannot be broken.
            let isOneWord = line.drop { $0 == " " }.split(separator: " ").count == 1
            #expect(line.count <= width || isOneWord, "\(line)")
        }
    }

    @Test func theTableOfAnAWSConnectionFitsAHundredColumns() {
        var tunnel = TunnelStatus.example(1, since: .example(-86_400 * 12))
        tunnel.connector = "vpn-0123456789abcdef0"
        tunnel.tunnel = "vpn-0123456789abcdef0-1"
        tunnel.remoteAddress = "203.0.113.255"
        let text = text([tunnel], width: 100)
        #expect(text.contains("DPD RTT"))
        #expect(text.contains("12d00h"))
    }

    @Test func statesAreColouredOnATerminal() {
        let coloured = StatusText(
            status: status([.example(1), .example(2, state: .offline)]), now: .example(192), width: 100,
            style: Style(isColoured: true)
        ).text
        #expect(coloured.contains("\u{1b}[32monline\u{1b}[0m"))
        #expect(coloured.contains("\u{1b}[31moffline\u{1b}[0m"))
        #expect(coloured.contains("\u{1b}[33m1 of 2 tunnels online\u{1b}[0m"))
    }

    @Test func aPeersWordsCannotMoveTheCursor() {
        let tunnel = TunnelStatus.example(1, state: .offline, lastError: "refused: \u{1b}[2J\u{7}\r\nAll is well")
        #expect(!text([tunnel]).contains("\u{1b}"))
        #expect(text([tunnel]).contains("    error: refused: ?[2J?"))
    }

    @Test func onlyChangesAreReported() {
        var changes = Changes()
        #expect(changes.take(status([.example(1), .example(2)])).map(\.tunnel) == ["vpn-0a1b-1", "vpn-0a1b-2"])
        #expect(changes.take(status([.example(1, since: .example(9)), .example(2)])) == [])
        #expect(changes.take(status([.example(1), .example(2, state: .offline)])).map(\.tunnel) == ["vpn-0a1b-2"])
        #expect(changes.take(status([.example(1, isActive: false), .example(2, state: .offline)])).count == 1)
        let first = changes.lose()
        let second = changes.lose()
        #expect(first)
        #expect(!second)
    }
}

@Suite struct WordsTests {
    @Test(arguments: [
        (0, "0s"), (59, "59s"), (60, "1m00s"), (192, "3m12s"), (3599, "59m59s"), (3600, "1h00m"), (7500, "2h05m"),
        (86_399, "23h59m"), (86_400, "1d00h"), (356_400, "4d03h"), (-5, "0s"),
    ])
    func durations(seconds: Int, text: String) { #expect(Words.duration(.seconds(seconds)) == text) }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1249, "1.2 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"),
            (1_500_000_000, "1.5 GB"), (UInt64.max, "18.4 EB"),
        ] as [(UInt64, String)])
    func byteCounts(count: UInt64, text: String) { #expect(Words.bytes(count) == text) }

    @Test(arguments: [
        (0.4249, "0.42 ms"), (9.999, "10.00 ms"), (12.34, "12.3 ms"), (1234.5, "1235 ms"), (-1, "-"),
        (Double.infinity, "-"),
    ])
    func roundTrips(value: Double, text: String) { #expect(Words.milliseconds(value) == text) }
}
