internal import Base
internal import Cryptography
internal import IKE

extension Connector {
    /// This definition with the pre-shared keys that it leaves empty taken from the one that is stored.
    ///
    /// Whoever edits a connector need not see its keys: an empty key stands for the stored one of the tunnel with the
    /// same name, or else with the same peer.
    ///
    /// - Throws: ``KeyMissing`` when a tunnel has no key and none is stored.
    public func keepingKeys(of stored: Connector?) throws(KeyMissing) -> Connector {
        var complete = self
        for (index, tunnel) in tunnels.enumerated() where tunnel.phase1.lacksKey {
            let twin =
                stored?.tunnels.first { $0.name == tunnel.name }
                ?? stored?.tunnels.first {
                    $0.phase1.remoteAddress != nil && $0.phase1.remoteAddress == tunnel.phase1.remoteAddress
                }
            guard let twin, !twin.phase1.lacksKey else { throw KeyMissing(tunnel: tunnel.name) }
            complete.tunnels[index].phase1.authentication = twin.phase1.authentication
        }
        return complete
    }

    /// A tunnel without a pre-shared key.
    public struct KeyMissing: Error, Hashable, Sendable, CustomStringConvertible {
        public var tunnel: String
        public var description: String {
            "Tunnel \(tunnel) has no pre-shared key, and none is stored that it could keep."
        }
    }
}

extension Phase1 {
    fileprivate var lacksKey: Bool { psk?.count == 0 }
}
