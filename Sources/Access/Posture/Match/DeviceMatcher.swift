public import Base

/// What is known of who is at an address, beside the endpoints' records.
public struct Whereabouts: Hashable, Sendable {
    public var address: IPAddress
    /// The card, by the neighbour table or the DHCP server's lease; nil behind a router where no lease says it.
    public var mac: MACAddress?
    /// As the device gave it to the DHCP server.
    public var hostName: String?
    /// The e-mail address of the user, where one is known.
    public var user: String?
    /// The devices of the sign-in, for a session that goes on.
    public var pinned: [EndpointKey]

    public init(
        address: IPAddress, mac: MACAddress? = nil, hostName: String? = nil, user: String? = nil,
        pinned: [EndpointKey] = []
    ) {
        self.address = address
        self.mac = mac
        self.hostName = hostName
        self.user = user
        self.pinned = pinned
    }
}

extension EndpointDirectory {
    /// How long a source's word for where a device is counts.
    static let addressSeconds = 3600

    /// What each source knows of the device at an address. Two devices that fit equally well are no match, and nothing
    /// less sure takes their place.
    ///
    /// - Parameters:
    ///   - least: a match that is less sure than this counts for nothing.
    ///   - note: called with each step, for explanations.
    public func facts(
        of place: Whereabouts, least: MatchLevel = .hostName, now: WallTime,
        note: ((_ source: String, _ step: String) -> Void)? = nil
    ) -> DeviceFacts {
        DeviceFacts(
            sources: sources.values.sorted { $0.name < $1.name }.map { source in
                let match = match(place, source.name, least, now) { step in note?(source.name, step()) }
                return DeviceFacts.SourceFacts(source: source, match: match)
            })
    }

    private func match(
        _ place: Whereabouts, _ source: String, _ least: MatchLevel, _ now: WallTime, _ note: (() -> String) -> Void
    ) -> DeviceFacts.Match {
        for level in MatchLevel.allCases {
            let candidates = candidates(place, level, source, now, note)
            guard let first = candidates.first else { continue }
            if candidates.count > 1 {
                note { "\(level.words): \(candidates.count) devices fit, so none does" }
                return .ambiguous(candidates.sorted { $0.id < $1.id }, by: level)
            }
            guard let record = records[first] else { continue }
            note { "\(level.words): \(record.hostName ?? record.id) (\(level.confidence))" }
            if level < least {
                note { "\(level.words) is less than what counts (\(least.rawValue))" }
                return .tooWeak(first, by: level)
            }
            return .found(record, by: level)
        }
        return .none(isCertain: place.mac?.isUsable == true)
    }

    private func candidates(
        _ place: Whereabouts, _ level: MatchLevel, _ source: String, _ now: WallTime, _ note: (() -> String) -> Void
    ) -> [EndpointKey] {
        switch level {
        case .mac:
            guard let mac = place.mac, mac.isUsable else {
                note { "the MAC address of \(place.address) is not known" }
                return []
            }
            let found = keys(mac: mac).filter { $0.source == source }
            if found.isEmpty { note { "no device has the MAC address \(mac)" } }
            return found
        case .session: return place.pinned.filter { $0.source == source && isPossible($0, place) }
        case .address:
            guard place.address.isPrivate else {
                note { "\(place.address) is no private address, so it says nothing" }
                return []
            }
            return sifted(keys(address: place.address), place, source, level, note).filter { key in
                guard let seen = records[key]?.seenAt, seen + .seconds(Self.addressSeconds) > now else {
                    note { "\(name(key)) had the address more than an hour ago" }
                    return false
                }
                return true
            }
        case .hostName:
            guard let name = place.hostName else { return [] }
            return sifted(keys(hostName: name), place, source, level, note)
        case .user:
            guard let user = place.user else { return [] }
            return sifted(keys(user: user), place, source, level, note)
        }
    }

    /// Those of the source against which the hardware address does not speak.
    private func sifted(
        _ keys: [EndpointKey], _ place: Whereabouts, _ source: String, _ level: MatchLevel, _ note: (() -> String) -> Void
    ) -> [EndpointKey] {
        var seen: Set<EndpointKey> = []
        return keys.filter { key in
            guard key.source == source, seen.insert(key).inserted else { return false }
            if isPossible(key, place) { return true }
            note { "\(level.words): \(name(key)) would fit, but it has other MAC addresses" }
            return false
        }
    }

    private func isPossible(_ key: EndpointKey, _ place: Whereabouts) -> Bool {
        guard let record = records[key] else { return false }
        guard let mac = place.mac, mac.isUsable else { return true }
        return !record.macs.contains(where: \.isUsable) || record.macs.contains(mac)
    }

    private func name(_ key: EndpointKey) -> String { records[key]?.hostName ?? key.id }
}
