import Cryptography
import JSONText
import Portal
import PortalFake
import Testing
import Tunnels

@Suite struct JSONTests {
    @Test func aConnectorReadsAsItWasDeclared() throws {
        let text = try JSON(encoding: Connector.example()).text()
        for part in [
            #"{"id":"vpn-0a1b","name":"Head office","isEnabled":true,"initiation":"initiate","source":{"#,
            #"{"format":"aws-xml","connectionID":"vpn-0a1b","customerGatewayID":null,"vpnGatewayID":null}"#,
            #","localNetworks":["192.168.0.0/24"],"remoteNetworks":["10.0.0.0/16"],"tunnels":[{"name":"vpn-0a1b-1","#,
            #""psk":"(hidden)","ppk":null,"encryption":["aes128"],"integrity":["sha1"],"dhGroups":[2],"lifetimeSeconds":28800,"#,
            #""dpd":{"delaySeconds":10,"timeoutSeconds":30,"action":"restart"}"#,
            #""inside":{"localAddress":"169.254.10.2/30","remoteAddress":"169.254.10.1/30","localAddress6":null,"#,
            #","bgp":null}]}"#,
        ] {
            #expect(text.contains(part), "\(part)")
        }
    }

    @Test func textIsEscapedAndNumbersKeepEveryDigit() throws {
        struct Sample: Encodable {
            var text = "\"\\\n\u{1}/é\u{2028}"
            var big = UInt64.max
            var small = -0.5
            var whole = 3.0
            var none = Double.infinity
            var flags = [true, false]
            var table = [["a": Int8(-1)]]
        }
        #expect(
            try JSON(encoding: Sample()).text()
                == #"{"text":"\"\\\n\u0001/é\u2028","big":18446744073709551615,"small":-0.5,"whole":3,"none":null,"flags":[true,false],"table":[{"a":-1}]}"#
        )
    }

    @Test func forPeopleItIsIndentedAndShortListsStayOnALine() throws {
        let json = JSON.object([
            .init("a", .array([.number("1"), .string("b")])), .init("c", .array([.object([.init("d", .null)])])),
            .init("e", .object([])), .init("f", .array([])),
        ])
        #expect(
            json.text(isPretty: true) == """
                {
                  "a": [1, "b"],
                  "c": [
                    {
                      "d": null
                    }
                  ],
                  "e": {},
                  "f": []
                }
                """)
    }
}
