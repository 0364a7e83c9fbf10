internal import Foundation
internal import Testing

/// An AWS file and, read from it by hand, the endpoints that it describes.
struct Sample: Sendable, CustomTestStringConvertible {
    struct Endpoint: Sendable {
        var outside: String
        /// AWS's inside address; ours is the next one. Nil where the file has none.
        var inside: String?
        var psk: String
    }

    /// Its path under `TunnelsTests/Samples`.
    var file: String
    /// The connector's ID: the connection's, or one made of the first endpoint's address.
    var connection: String
    var endpoints: [Endpoint]
    /// What the endpoint permits, as strongSwan writes it.
    var ikeProposals = "aes128-sha1-modp1024"
    var espProposals = "aes128-sha1-modp1024"
    var selectors = "0.0.0.0/0"

    var testDescription: String { file }
    var path: String { Self.path(file) }
    var topology: Topology { Topology(endpoints: endpoints.map(\.outside)) }
    /// The tunnels' names, in the file's order.
    var tunnels: [String] { [connection + "-1", connection + "-2"] }

    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/../../TunnelsTests/Samples/"

    /// A file beside the samples that is none.
    static func path(_ file: String) -> String { folder + file }

    /// strongSwan as one of the two endpoints.
    func strongSwan(_ lab: Lab, _ number: Int, dpdSeconds: Int = 10) async throws -> StrongSwan {
        let endpoint = endpoints[number]
        return try await StrongSwan(
            lab, on: number == 0 ? .aws1 : .aws2,
            [
                StrongSwanConnection(
                    name: "customer", local: endpoint.outside, remote: lab.topology.customer,
                    localID: endpoint.outside, remoteID: lab.topology.customer, psk: endpoint.psk,
                    ikeProposals: ikeProposals, espProposals: espProposals, localSelectors: selectors,
                    remoteSelectors: selectors, dpdSeconds: dpdSeconds, network: Topology.localNetwork)
            ], inside: endpoint.inside.map { [$0 + "/30"] } ?? [])
    }

    static let staticJSON = Sample(
        file: "json/describe-vpn-connections-static.json", connection: "vpn-05044757278685fd3",
        endpoints: [
            Endpoint(outside: "203.0.113.13", inside: "169.254.58.233", psk: "9rhAGNjFm9qyDfP6dClVG35PUxvSJcpX"),
            Endpoint(outside: "203.0.113.118", inside: "169.254.58.221", psk: ".LmtPXCotPdYTPEqEKkrlm05E4JlwX6p"),
        ])
    static let transitJSON = Sample(
        file: "json/describe-vpn-connections-tgw-tunneloptions-DERIVED.json", connection: "vpn-034885b776a3f8a80",
        endpoints: [
            Endpoint(outside: "203.0.113.130", inside: "169.254.195.141", psk: "7RjxLBD7a.fbGdNbIN1A09MVrpNg08xE"),
            Endpoint(outside: "203.0.113.133", inside: "169.254.70.161", psk: "ejHOoSw1.3p5J8WXKa_Rp5nVDaBzqaBa"),
        ],
        ikeProposals: "aes256gcm16-prfsha256-prfsha384-modp2048-ecp384,aes256-sha256-sha384-modp2048-ecp384",
        espProposals: "aes256gcm16-ecp384")
    static let xml = Sample(
        file: "xml/vgw-bgp.xml", connection: "vpn-0ecb2a2698b33f4ee",
        endpoints: [
            Endpoint(outside: "203.0.113.39", inside: "169.254.225.9", psk: "9HiFKtafbbWAFKysLIcMi6evsMHepKfI"),
            Endpoint(outside: "203.0.113.142", inside: "169.254.68.25", psk: "nha_tf9ERZRCMvOFJuWLgVIvjfBStO4o"),
        ])
    static let generic = Sample(
        file: "generic/ikev1-static.txt", connection: "vpn-006dfdf3f4989c4df",
        endpoints: [
            Endpoint(outside: "203.0.113.31", inside: "169.254.191.153", psk: "amfUihFujZmWA9vfbxJXSUzkShZGhhUs"),
            Endpoint(outside: "203.0.113.64", inside: "169.254.213.201", psk: "9FiR48quCGhpnUhYO0P9uBC_RkslI1.c"),
        ])
    static let genericBGP = Sample(
        file: "generic/ikev1-bgp.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let strongSwanText = Sample(
        file: "strongswan/ikev1.txt", connection: "vpn-083f813b66c465acf",
        endpoints: [
            Endpoint(outside: "203.0.113.41", inside: "169.254.163.249", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.104", inside: "169.254.99.21", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let ipv6Inside = Sample(
        file: "xml/tgw-ipv6-inside-DERIVED.xml", connection: "vpn-0f6e5d4c3b2a19087",
        endpoints: [
            Endpoint(outside: "203.0.113.34", inside: "169.254.45.97", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.52", inside: "169.254.88.13", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ], selectors: "0.0.0.0/0,::/0")
    static let openswan = Sample(
        file: "openswan/ikev1-static.txt", connection: "vpn-0999ab4ae3e1a2b3c",
        endpoints: [
            Endpoint(outside: "203.0.113.12", inside: nil, psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.142", inside: nil, psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let vyatta = Sample(
        file: "vyatta-vyos/ikev1-bgp.txt", connection: "vpn-0056e880bc3e56d15",
        endpoints: [
            Endpoint(outside: "203.0.113.80", inside: "169.254.70.181", psk: "Njw7xl7draTUI89BiF6iFA3FEx5ujW1u"),
            Endpoint(outside: "203.0.113.188", inside: "169.254.50.253", psk: "1itg27qOsS6039u0crZlpaIWqbm8eTYG"),
        ])
    static let ciscoIOS = Sample(
        file: "cisco-ios/ikev1-bgp.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let ciscoASA = Sample(
        file: "cisco-asa/ikev1-vti-bgp.txt", connection: "vpn-12345678",
        endpoints: [
            Endpoint(outside: "203.0.113.43", inside: "169.254.33.197", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.137", inside: "169.254.33.193", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let junOS = Sample(
        file: "juniper-junos-srx/ikev1-bgp.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let screenOS = Sample(
        file: "juniper-screenos/ikev1-bgp.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let fortiOS = Sample(
        file: "fortinet/ikev1-bgp-cli.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let sonicOS = Sample(
        file: "sonicwall/ikev1-static.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.5", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.1", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let yamaha = Sample(
        file: "yamaha/ikev1-bgp.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let windows = Sample(
        file: "windows-server/ikev1-static.txt", connection: "aws-203-0-113-236",
        endpoints: [
            Endpoint(outside: "203.0.113.236", inside: nil, psk: "xCjNLsLoCmKsakwcdoR9yX6GsEXAMPLE"),
            Endpoint(outside: "203.0.113.237", inside: nil, psk: "yDkOMtMpDnLtblxdepS0zY7HtEXAMPLE"),
        ])
    /// Every sample that can be imported.
    static let all = [
        staticJSON, transitJSON, xml, ipv6Inside, generic, genericBGP, strongSwanText, openswan, vyatta, ciscoIOS,
        ciscoASA, junOS, screenOS, fortiOS, sonicOS, yamaha, windows,
    ]
}
