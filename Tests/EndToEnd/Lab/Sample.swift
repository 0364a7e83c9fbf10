internal import Foundation
internal import Testing

/// An AWS file and, read from it by hand, the endpoints that it describes.
struct Sample: Sendable, CustomTestStringConvertible {
    struct Endpoint: Sendable {
        var outside: String
        /// AWS's inside address; ours is the next one.
        var inside: String
        var psk: String
    }

    var file: String
    var connection: String
    var endpoints: [Endpoint]
    /// What the endpoint permits, as strongSwan writes it.
    var ikeProposals = "aes128-sha1-modp1024"
    var espProposals = "aes128-sha1-modp1024"

    var testDescription: String { file }
    var path: String { Self.folder + file }
    var topology: Topology { Topology(endpoints: endpoints.map(\.outside)) }
    /// The tunnels' names, in the file's order.
    var tunnels: [String] { [connection + "-1", connection + "-2"] }

    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/../Samples/"

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
                    ikeProposals: ikeProposals, espProposals: espProposals, dpdSeconds: dpdSeconds,
                    network: Topology.localNetwork)
            ], inside: [endpoint.inside + "/30"])
    }

    static let staticJSON = Sample(
        file: "describe-vpn-connections-static.json", connection: "vpn-05044757278685fd3",
        endpoints: [
            Endpoint(outside: "203.0.113.13", inside: "169.254.58.233", psk: "9rhAGNjFm9qyDfP6dClVG35PUxvSJcpX"),
            Endpoint(outside: "203.0.113.118", inside: "169.254.58.221", psk: ".LmtPXCotPdYTPEqEKkrlm05E4JlwX6p"),
        ])
    static let transitJSON = Sample(
        file: "describe-vpn-connections-tgw.json", connection: "vpn-034885b776a3f8a80",
        endpoints: [
            Endpoint(outside: "203.0.113.130", inside: "169.254.195.141", psk: "7RjxLBD7a.fbGdNbIN1A09MVrpNg08xE"),
            Endpoint(outside: "203.0.113.133", inside: "169.254.70.161", psk: "ejHOoSw1.3p5J8WXKa_Rp5nVDaBzqaBa"),
        ],
        ikeProposals: "aes256gcm16-prfsha256-prfsha384-modp2048-ecp384,aes256-sha256-sha384-modp2048-ecp384",
        espProposals: "aes256gcm16-ecp384")
    static let xml = Sample(
        file: "vgw-bgp.xml", connection: "vpn-0ecb2a2698b33f4ee",
        endpoints: [
            Endpoint(outside: "203.0.113.39", inside: "169.254.225.9", psk: "9HiFKtafbbWAFKysLIcMi6evsMHepKfI"),
            Endpoint(outside: "203.0.113.142", inside: "169.254.68.25", psk: "nha_tf9ERZRCMvOFJuWLgVIvjfBStO4o"),
        ])
    static let generic = Sample(
        file: "generic-static.txt", connection: "vpn-006dfdf3f4989c4df",
        endpoints: [
            Endpoint(outside: "203.0.113.31", inside: "169.254.191.153", psk: "amfUihFujZmWA9vfbxJXSUzkShZGhhUs"),
            Endpoint(outside: "203.0.113.64", inside: "169.254.213.201", psk: "9FiR48quCGhpnUhYO0P9uBC_RkslI1.c"),
        ])
    static let genericBGP = Sample(
        file: "generic-bgp.txt", connection: "vpn-44a8938f",
        endpoints: [
            Endpoint(outside: "203.0.113.193", inside: "169.254.255.1", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.225", inside: "169.254.255.5", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let strongSwanText = Sample(
        file: "strongswan.txt", connection: "vpn-083f813b66c465acf",
        endpoints: [
            Endpoint(outside: "203.0.113.41", inside: "169.254.163.249", psk: "XsuwZEs4l4dxU9zQvDzFOj7OMTM7cs8t"),
            Endpoint(outside: "203.0.113.104", inside: "169.254.99.21", psk: "LXBjw.yQl0_NmaY3szM4iLNL1F1Nrwfl"),
        ])
    static let all = [staticJSON, transitJSON, xml, generic, genericBGP, strongSwanText]
}
