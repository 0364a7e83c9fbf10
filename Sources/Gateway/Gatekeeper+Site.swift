import Access
import Host
import Store
import Tunnels

/// What the gate stands between, as it is stored, and as the next boot finds it.
extension Gatekeeper {
    func readSite() -> (AccessSettings, [GatePlan.Site]) {
        do {
            let (settings, faults) = AccessSettings.read(try store.settings())
            for fault in faults { log.add(.error, kind: "setting-broken", message: fault) }
            let connectors = try store.contents().connectors.filter(\.isEnabled)
            siteNames = Dictionary(connectors.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
            return (settings, connectors.map { GatePlan.Site(id: $0.id, networks: $0.remoteNetworks) })
        } catch {
            log.add(.error, kind: "store-failed", message: "The settings of the gate cannot be read: \(error)")
            return (engine.settings, gate.plan.sites)
        }
    }

    func plan(_ settings: AccessSettings, _ sites: [GatePlan.Site]) -> GatePlan {
        GatePlan(
            sites: sites, exempt: settings.exempt, interfaces: settings.interfaces, inbound: settings.inbound,
            redirectPort: settings.redirectPort ?? machine.redirectPort)
    }

    /// The closed gate for the next boot, before we start.
    func writeBootFile() {
        do {
            guard settings.isGateEnabled else { return try StateFile.remove(machine.bootPath) }
            let text = Ruleset(gate: gate.plan).text
            try StateFile.replace(
                machine.bootPath, with: "# The closed gate, until gatehoused has started. It writes this file itself.\n" + text)
        } catch {
            log.add(.warning, kind: "boot-file-failed", message: "\(machine.bootPath) could not be written: \(error)")
        }
    }
}
