import Access
import Portal
import Store
import Tunnels

extension GatewayControl {
    func site(isRevealing: Bool, caller: Caller) async throws -> SiteSnapshot {
        let (site, version) = try refusing { () throws(StoreError) in try store.site() }
        if isRevealing {
            try refusing { () throws(StoreError) in
                try store.record("secrets-shown", subject: "site", by: Change(actor: caller.description))
            }
        }
        return SiteSnapshot(version: version, site: site)
    }

    func applySite(
        _ order: SiteOrder, keepsOthers: Bool, against version: String?, isDryRun: Bool, caller: Caller
    ) async throws -> SiteResult {
        try Self.refuseUnreadable(order.settings ?? [:])
        let plan = try refusing { () throws(StoreError) in try store.plan(order, keepsOthers: keepsOthers) }
        if let version, version != plan.version { throw APIError(StoreError.siteChanged) }
        let isStored = !isDryRun && !plan.difference.isEmpty
        if isStored {
            try refusing { () throws(StoreError) in
                try store.carryOut(plan, by: Change(actor: caller.description))
            }
            let difference = plan.difference
            log.add(
                .info, kind: "site-applied",
                message: "\(caller) applied a site: \(difference.added.count) connectors added, "
                    + "\(difference.changed.count) changed, \(difference.removed.count) removed.")
            putInForce()
        }
        return SiteResult(version: plan.version, isStored: isStored, difference: plan.difference)
    }

    /// What is stored must be readable: a setting that is not closes the gate.
    static func refuseUnreadable(_ settings: [String: String]) throws(APIError) {
        let faults = AccessSettings.read(settings).faults
        guard faults.isEmpty else { throw APIError.invalid(faults.joined(separator: " ")) }
    }
}
