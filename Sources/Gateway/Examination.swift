import Base
import Host
import Tunnels

/// Asks the doctor about this host, as this gateway means to use it.
enum Examination {
    static func findings(
        _ boot: BootConfiguration, connectors: [Connector], interfaces: [String], signIn: SignInExamination, now: WallTime
    ) async -> [Finding] {
        let enabled = connectors.filter(\.isEnabled)
        let plan = Doctor.Plan(
            listen: boot.listen, ikePort: boot.ikePort, natPort: boot.natPort,
            peers: enabled.flatMap { $0.tunnels.compactMap(\.phase1.remoteAddress) },
            remoteNetworks: enabled.flatMap(\.remoteNetworks), tunnelInterfaces: interfaces,
            stateDirectory: boot.stateDirectory, dataPath: boot.dataPath.rawValue)
        return await Doctor.examine(plan) + signIn.findings(now: now)
    }
}
