import Access
import Base
import Host
import Tunnels

/// Brings the policies what lies outside: the DHCP server's leases, and a fresh look at a device that signs in.
actor PostureUpkeep {
    private let gatekeeper: Gatekeeper
    private let endpoints: (any EndpointLookUp)?
    private let log: EventLog
    private var file: String?
    private var version: SystemFile.Version?
    private var complaint: String?
    private var watched: Set<EndpointKey>?

    private static let interval = Duration.seconds(2)
    /// Bytes of a lease file; a server for some hundred thousand devices needs less.
    private static let fileLimit = 64 << 20

    init(_ gatekeeper: Gatekeeper, endpoints: (any EndpointLookUp)?, log: EventLog) {
        self.gatekeeper = gatekeeper
        self.endpoints = endpoints
        self.log = log
    }

    /// Looks after the leases until the task is cancelled.
    func run() async {
        repeat {
            await readLeases()
            await tellWatched()
        } while (try? await Task.sleep(for: Self.interval)) != nil
    }

    /// Before somebody signs in: what the sources say of the device by now, if any policy asks for that.
    func prepare(_ address: IPAddress) async {
        await readLeases()
        guard let endpoints else { return }
        let query = await gatekeeper.ask { $0.endpointQuery(address) } ?? nil
        if let query { await endpoints.refresh(query) }
    }

    private func readLeases() async {
        guard let path = await gatekeeper.ask({ $0.settings.leaseFile }) ?? nil else {
            guard file != nil else { return }
            (file, version, complaint) = (nil, nil, nil)
            gatekeeper.inbox.put(.policy(.leases(DHCPLeases())))
            return
        }
        let now = SystemFile.version(path)
        if path == file, now == version { return }
        (file, version) = (path, now)
        guard let bytes = SystemFile.bytes(path, limit: Self.fileLimit) else {
            return complain("The lease file \(path) cannot be read. What it said before is used on.")
        }
        do throws(DHCPLeases.Fault) {
            let leases = try DHCPLeases(bytes)
            complaint = nil
            gatekeeper.inbox.put(.policy(.leases(leases)))
        } catch {
            complain("The lease file \(path) cannot be used: \(error). What it said before is used on.")
        }
    }

    private func complain(_ text: String) {
        guard text != complaint else { return }
        complaint = text
        log.add(.warning, kind: "leases-unreadable", message: text)
    }

    private func tellWatched() async {
        guard let endpoints, let now = await gatekeeper.ask({ $0.policy.watchedEndpoints }), now != watched else { return }
        watched = now
        await endpoints.watch(now)
    }
}
