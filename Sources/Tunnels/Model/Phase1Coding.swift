internal import Base
public import Cryptography
internal import IKE

extension Phase1 {
    /// The pre-shared key; nil with certificates.
    public var psk: Secret? { authentication.psk }
}

extension Phase1: Codable {
    private enum CodingKeys: String, CodingKey {
        case ikeVersion, localAddress, bindAddress, remoteAddress, localID, remoteID, authentication, psk, certificate
        case ppk, encryption, integrity, dhGroups, lifetimeSeconds, dpd, forceUDPEncapsulation, rekeyMarginSeconds
        case isMobile = "mobike"
        case prefersChildless = "childless"
    }

    /// A definition that does not name its authentication has a pre-shared key; what may be absent beside is off.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        let method = try container.decodeIfPresent(Authentication.Method.self, forKey: .authentication) ?? .psk
        let authentication: Authentication =
            switch method {
            case .psk: .psk(try container.decode(Secret.self, forKey: .psk))
            case .certificate: .certificate(try container.decode(CertificateCredential.self, forKey: .certificate))
            }
        self.init(
            ikeVersion: try container.decode(Int.self, forKey: .ikeVersion),
            localAddress: try container.decodeIfPresent(IPAddress.self, forKey: .localAddress),
            bindAddress: try container.decodeIfPresent(IPAddress.self, forKey: .bindAddress),
            remoteAddress: try container.decodeIfPresent(IPAddress.self, forKey: .remoteAddress),
            localID: try container.decodeIfPresent(IKEIdentity.self, forKey: .localID),
            remoteID: try container.decodeIfPresent(IKEIdentity.self, forKey: .remoteID),
            authentication: authentication,
            encryption: try container.decode([EncryptionAlgorithm].self, forKey: .encryption),
            integrity: try container.decode([IntegrityAlgorithm].self, forKey: .integrity),
            dhGroups: try container.decode([DHGroup].self, forKey: .dhGroups),
            lifetimeSeconds: try container.decode(Int.self, forKey: .lifetimeSeconds),
            dpd: try container.decode(DPD.self, forKey: .dpd),
            forceUDPEncapsulation: try container.decode(Bool.self, forKey: .forceUDPEncapsulation),
            rekeyMarginSeconds: try container.decodeIfPresent(Int.self, forKey: .rekeyMarginSeconds),
            isMobile: try container.decodeIfPresent(Bool.self, forKey: .isMobile) ?? false,
            prefersChildless: try container.decodeIfPresent(Bool.self, forKey: .prefersChildless) ?? false,
            ppk: try container.decodeIfPresent(PostquantumKey.self, forKey: .ppk))
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(ikeVersion, forKey: .ikeVersion)
        try container.encodeIfPresent(localAddress, forKey: .localAddress)
        try container.encodeIfPresent(bindAddress, forKey: .bindAddress)
        try container.encodeIfPresent(remoteAddress, forKey: .remoteAddress)
        try container.encodeIfPresent(localID, forKey: .localID)
        try container.encodeIfPresent(remoteID, forKey: .remoteID)
        try container.encode(authentication.method, forKey: .authentication)
        switch authentication {
        case .psk(let key): try container.encode(key, forKey: .psk)
        case .certificate(let credential): try container.encode(credential, forKey: .certificate)
        }
        try container.encodeIfPresent(ppk, forKey: .ppk)
        try container.encode(encryption, forKey: .encryption)
        try container.encode(integrity, forKey: .integrity)
        try container.encode(dhGroups, forKey: .dhGroups)
        try container.encode(lifetimeSeconds, forKey: .lifetimeSeconds)
        try container.encode(dpd, forKey: .dpd)
        try container.encode(forceUDPEncapsulation, forKey: .forceUDPEncapsulation)
        try container.encodeIfPresent(rekeyMarginSeconds, forKey: .rekeyMarginSeconds)
        if isMobile { try container.encode(true, forKey: .isMobile) }
        if prefersChildless { try container.encode(true, forKey: .prefersChildless) }
    }
}
