import Access
import Base

/// What follows the mirror of endpoints: it is told of each change after that is stored, one batch after the other, and of
/// all that is stored when the daemon starts.
typealias InventoryFollower = @Sendable ([InventoryChange]) async -> Void

/// Asks the sources for one device at this moment: for a sign-in, where the mirror is older than that deserves.
protocol EndpointLookUp: Sendable {
    /// Asks every source whose record of the device is too old, or that has none, and returns when all have answered or
    /// five seconds are over. What came of it, the ``InventoryFollower`` has been told by then.
    func refresh(_ query: EndpointQuery) async

    /// Endpoints of sessions that are open: sources that must be asked for each endpoint by itself ask for these more
    /// often.
    func watch(_ endpoints: Set<EndpointKey>) async
}

/// What is known of a device that signs in.
struct EndpointQuery: Hashable, Sendable {
    /// Records that fit it already.
    var keys: Set<EndpointKey> = []
    var mac: MACAddress?
    var hostName: String?
    var address: IPAddress?
}
