internal import Testing

extension Tag {
    /// Needs root and a real peer in network namespaces.
    @Tag static var endToEnd: Self
}

/// The combinations of algorithms that are tried with real peers: old AWS, new AWS and modern ones.
struct CipherSuite: Sendable, CustomTestStringConvertible {
    var encryption: String
    var integrity: String
    /// Integrity of phase 1, which also names the PRF.
    var phase1Integrity: String
    var group: Int
    /// As strongSwan writes phase 1 and phase 2.
    var ikeProposal: String
    var espProposal: String

    var testDescription: String { ikeProposal }

    static let old = CipherSuite(
        encryption: "aes128", integrity: "sha1", phase1Integrity: "sha1", group: 2,
        ikeProposal: "aes128-sha1-modp1024", espProposal: "aes128-sha1-modp1024")
    static let common = CipherSuite(
        encryption: "aes256", integrity: "sha256", phase1Integrity: "sha256", group: 14,
        ikeProposal: "aes256-sha256-modp2048", espProposal: "aes256-sha256-modp2048")
    static let gcm = CipherSuite(
        encryption: "aes128gcm16", integrity: "", phase1Integrity: "sha256", group: 19,
        ikeProposal: "aes128gcm16-prfsha256-ecp256", espProposal: "aes128gcm16-ecp256")
    static let modern = CipherSuite(
        encryption: "chacha20poly1305", integrity: "", phase1Integrity: "sha256", group: 31,
        ikeProposal: "chacha20poly1305-prfsha256-curve25519", espProposal: "chacha20poly1305-curve25519")
    static let strong = CipherSuite(
        encryption: "aes256gcm16", integrity: "", phase1Integrity: "sha384", group: 20,
        ikeProposal: "aes256gcm16-prfsha384-ecp384", espProposal: "aes256gcm16-ecp384")
    static let all = [old, common, gcm, modern, strong]

    /// Every Diffie-Hellman group that strongSwan has too, by its name there.
    static let groups: KeyValuePairs<Int, String> = [
        2: "modp1024", 5: "modp1536", 14: "modp2048", 15: "modp3072", 16: "modp4096", 17: "modp6144", 18: "modp8192",
        19: "ecp256", 20: "ecp384", 21: "ecp521", 22: "modp1024s160", 23: "modp2048s224", 24: "modp2048s256",
        31: "curve25519",
    ]
}

/// Both ends of one tunnel between the gateway and the first endpoint, for the tests with connectors by hand.
enum Pair {
    static let psk = "labSecret_0123456789.abcdef"
    static let insideGateway = "169.254.77.2"
    static let insideEndpoint = "169.254.77.1"

    /// The endpoint's strongSwan, as AWS configures itself.
    static func endpoint(_ topology: Topology, _ suite: CipherSuite) -> StrongSwanConnection {
        StrongSwanConnection(
            name: "customer", local: topology.endpoints[0], remote: topology.customer, localID: topology.endpoints[0],
            remoteID: topology.customer, psk: psk, ikeProposals: suite.ikeProposal, espProposals: suite.espProposal,
            network: Topology.localNetwork)
    }

    /// Our connector for that endpoint.
    static func connector(_ topology: Topology, _ suite: CipherSuite) -> ConnectorFile {
        ConnectorFile(
            localAddress: topology.customer, remoteAddress: topology.endpoints[0],
            bindAddress: topology.isBehindNAT ? topology.gateway : nil, psk: psk, encryption: suite.encryption,
            integrity: suite.integrity, phase1Integrity: suite.phase1Integrity, group: suite.group,
            inside: (insideGateway + "/30", insideEndpoint + "/30"))
    }
}
