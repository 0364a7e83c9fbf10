internal import Base
public import Cryptography
internal import IKE

/// Where a phase 1 keeps a secret.
public enum SecretPlace: String, CaseIterable, Sendable {
    case psk, privateKey, ppk

    /// The keys that lead to it in a definition, below `phase1`.
    public var path: [String] {
        switch self {
        case .psk: ["psk"]
        case .privateKey: ["certificate", "privateKey"]
        case .ppk: ["ppk", "key"]
        }
    }

    /// What it is, in words.
    public var words: String {
        switch self {
        case .psk: "pre-shared key"
        case .privateKey: "private key"
        case .ppk: "post-quantum pre-shared key (PPK)"
        }
    }
}

extension Phase1 {
    /// A secret of this phase 1; nil where it has none of that kind. Setting one that is not there changes nothing.
    public subscript(place: SecretPlace) -> Secret? {
        get {
            switch place {
            case .psk: authentication.psk
            case .privateKey: authentication.credential?.privateKey
            case .ppk: ppk?.key
            }
        }
        set {
            guard let newValue, self[place] != nil else { return }
            switch place {
            case .psk, .privateKey: authentication.secret = newValue
            case .ppk: ppk?.key = newValue
            }
        }
    }
}

extension Connector {
    /// This definition with the secrets that it leaves empty taken from the one that is stored.
    ///
    /// Whoever edits a connector need not see its keys: an empty key stands for the stored one of the tunnel with the
    /// same name, or else with the same peer.
    ///
    /// - Throws: ``KeyMissing`` when a tunnel lacks a key and none is stored.
    public func keepingKeys(of stored: Connector?) throws(KeyMissing) -> Connector {
        var complete = self
        for (index, tunnel) in tunnels.enumerated() {
            let twin =
                stored?.tunnels.first { $0.name == tunnel.name }
                ?? stored?.tunnels.first {
                    $0.phase1.remoteAddress != nil && $0.phase1.remoteAddress == tunnel.phase1.remoteAddress
                }
            for place in SecretPlace.allCases where tunnel.phase1[place]?.count == 0 {
                guard let kept = twin?.phase1[place], kept.count > 0 else {
                    throw KeyMissing(tunnel: tunnel.name, place: place)
                }
                complete.tunnels[index].phase1[place] = kept
            }
        }
        return complete
    }

    /// A tunnel without one of its keys.
    public struct KeyMissing: Error, Hashable, Sendable, CustomStringConvertible {
        public var tunnel: String
        public var place: SecretPlace
        public var description: String {
            "Tunnel \(tunnel) has no \(place.words), and none is stored that it could keep."
        }
    }
}
