public import Base
public import Tunnels

/// Looks at this host and says what keeps tunnels from working, or from working well, and how to mend it.
///
/// It changes nothing, save that it tries ESP in the kernel for a moment, in a network namespace of its own where it
/// may.
public struct Doctor: Sendable {
    /// What the gateway is going to need here.
    public struct Plan: Hashable, Sendable {
        /// The addresses that IKE listens on; empty means all.
        public var listen: [IPAddress]
        public var ikePort: UInt16
        public var natPort: UInt16
        /// The outside addresses of the far ends.
        public var peers: [IPAddress]
        /// The networks behind the tunnels.
        public var remoteNetworks: [IPPrefix]
        /// The interfaces of the tunnels that are up.
        public var tunnelInterfaces: [String]
        public var stateDirectory: String
        /// What the configuration says: `auto`, `userspace` or `kernel`.
        public var dataPath: String

        public init(
            listen: [IPAddress] = [], ikePort: UInt16 = 500, natPort: UInt16 = 4500, peers: [IPAddress] = [],
            remoteNetworks: [IPPrefix] = [], tunnelInterfaces: [String] = [],
            stateDirectory: String = "/var/lib/gatehouse", dataPath: String = "auto"
        ) {
            self.listen = listen
            self.ikePort = ikePort
            self.natPort = natPort
            self.peers = peers
            self.remoteNetworks = remoteNetworks
            self.tunnelInterfaces = tunnelInterfaces
            self.stateDirectory = stateDirectory
            self.dataPath = dataPath
        }
    }

    let plan: Plan

    /// Every check, in the order in which a person would mend things. Takes some milliseconds.
    ///
    /// - Parameter namespace: the network to look at, if it is not that of this process.
    public static func examine(_ plan: Plan, in namespace: NetworkNamespace? = nil) async -> [Finding] {
        let doctor = Doctor(plan: plan)
        guard let namespace else { return doctor.findings() }
        do {
            return try namespace.run { doctor.findings() }
        } catch {
            return [
                Finding(
                    id: "namespace", title: "Network namespace", state: .failed, detail: "\(error)",
                    remedy: "ip netns list")
            ]
        }
    }

    private func findings() -> [Finding] {
        let esp = KernelESP.probe()
        let tunnelDevice = tunnelDevice()
        return [capabilities(), tunnelDevice, kernelESP(esp), dataPath(esp, tunnelDevice)]
            + [cryptography(), nftables(), policies()]
            + IPAddress.Family.allCases.map(forwarding)
            + [reversePathFilter(), port(plan.ikePort, "IKE"), port(plan.natPort, "IKE and ESP behind NAT")]
            + [otherIKE()] + listeners() + Set(plan.peers).sorted().map(peerRoute)
            + [clock(), clockDiscipline(), stateDirectory()]
    }
}
