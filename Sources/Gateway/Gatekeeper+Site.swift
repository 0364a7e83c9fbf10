import Access
import Base
import Host
import Store
import Tunnels

/// What the gate stands between, as it is stored, and what the kernel and the next boot have of it.
extension Gatekeeper {
    func storedSite() throws(StoreError) -> (AccessSettings, [GatePlan.Site]) {
        let (settings, faults) = AccessSettings.read(try store.settings())
        for fault in faults { log.add(.error, kind: "setting-broken", message: fault) }
        let connectors = try store.contents().connectors.filter(\.isEnabled)
        siteNames = Dictionary(connectors.map { ($0.id, $0.name) }, uniquingKeysWith: { first, _ in first })
        return (settings, connectors.map { GatePlan.Site(id: $0.id, networks: $0.remoteNetworks) })
    }

    /// The same; what is in force where it cannot be read.
    func readSite() -> (AccessSettings, [GatePlan.Site]) {
        do {
            return try storedSite()
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

    func install(_ now: Tick) throws(NetlinkError) {
        // What is told of so many elements would only fill memory.
        watcher?.stop()
        watcher = nil
        try machine.table.install(gate.ruleset, Array(gate.entries.values), lease: Self.lease, now: now)
        guard let part = try machine.table.difference(from: gate.ruleset) else { return }
        throw NetlinkError(
            operation: "putting up the gate", errno: 0, kernelText: "\(part) is not what it was told to be",
            kind: .unreadable)
    }

    /// Listens from now on, and looks once more: between the last look and this one something may have happened.
    func watch() throws(NetlinkError) {
        let watcher = try NftablesWatcher(ignoring: machine.table.port)
        self.watcher = watcher
        let inbox = inbox
        Task { for await _ in watcher.changes { inbox.put(.tableChanged) } }
        inbox.put(.tableChanged)
    }

    func tellOfMending(_ what: String) {
        log.add(.warning, kind: "gate-mended", message: "The gate: \(what).")
    }

    /// Cuts the connections of these addresses with what is behind the tunnels.
    func cut(_ addresses: Set<IPAddress>) {
        guard !addresses.isEmpty else { return }
        let remote = IPAddress.Family.allCases.flatMap { gate.plan.ranges(of: Set(gate.plan.sites.map(\.id)), $0) }
        do throws(NetlinkError) {
            for family in IPAddress.Family.allCases {
                let some = addresses.filter { $0.family == family }
                guard !some.isEmpty else { continue }
                try machine.conntrack.forgetConnections(of: some, family) { far in
                    remote.contains { $0.contains(far) }
                }
            }
        } catch {
            log.add(.warning, kind: "cut-failed", message: "Connections of ended sessions could not be forgotten: \(error)")
        }
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
