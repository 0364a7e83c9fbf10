internal import Base

/// The endpoints of all sources, found by what they are known by.
public struct EndpointDirectory: Sendable {
    public private(set) var sources: [String: PostureSource] = [:]
    public private(set) var records: [EndpointKey: EndpointRecord] = [:]
    private var byMAC: [MACAddress: [EndpointKey]] = [:]
    private var byAddress: [IPAddress: [EndpointKey]] = [:]
    private var byHostName: [String: [EndpointKey]] = [:]
    private var byUser: [String: [EndpointKey]] = [:]

    public init() {}

    /// Takes a change in, and says which records were other ones before and are others now.
    mutating func receive(_ change: InventoryChange) -> [EndpointRecord] {
        switch change {
        case .source(let source):
            sources[source.name] = source
            return []
        case .sourceRemoved(let name):
            sources[name] = nil
            return records.keys.filter { $0.source == name }.compactMap { remove($0) }
        case .changed(let changed):
            var touched: [EndpointRecord] = []
            touched.reserveCapacity(2 * changed.count)
            for record in changed {
                // What was fetched anew and is as it was touches nobody.
                if var known = records[record.key] {
                    known.fetchedAt = record.fetchedAt
                    if known == record {
                        records[record.key] = record
                        continue
                    }
                }
                let old = remove(record.key)
                insert(record)
                if let old { touched.append(old) }
                touched.append(record)
            }
            return touched
        case .removed(let keys): return keys.compactMap { remove($0) }
        }
    }

    func keys(mac: MACAddress) -> [EndpointKey] { byMAC[mac] ?? [] }
    func keys(address: IPAddress) -> [EndpointKey] { byAddress[address] ?? [] }
    func keys(hostName: String) -> [EndpointKey] { byHostName[Self.hostKey(hostName)] ?? [] }
    /// By the whole e-mail address, or by what stands before the `@` where the source knows no more.
    func keys(user: String) -> [EndpointKey] { Self.userKeys(ofEmail: user).flatMap { byUser[$0] ?? [] } }

    /// A host name without its domain, in lower case.
    static func hostKey(_ name: String) -> String {
        name.prefix { $0 != "." }.lowercased()
    }

    /// How a source may name the user with an e-mail address.
    static func userKeys(ofEmail email: String) -> [String] {
        let whole = email.lowercased()
        let local = String(whole.prefix { $0 != "@" })
        return whole == local ? [whole] : [whole, local]
    }

    /// `DOMAIN\name` is known by its name.
    static func userKey(ofAccount text: String) -> String {
        String(text.lowercased().split(separator: "\\").last ?? "")
    }

    private mutating func insert(_ record: EndpointRecord) {
        records[record.key] = record
        for mac in record.macs where mac.isUsable { byMAC[mac, default: []].append(record.key) }
        for address in record.addresses { byAddress[address, default: []].append(record.key) }
        if let name = record.hostName { byHostName[Self.hostKey(name), default: []].append(record.key) }
        if let user = record.lastUser { byUser[Self.userKey(ofAccount: user), default: []].append(record.key) }
    }

    private mutating func remove(_ key: EndpointKey) -> EndpointRecord? {
        guard let record = records.removeValue(forKey: key) else { return nil }
        func take<Word: Hashable>(_ word: Word, from index: inout [Word: [EndpointKey]]) {
            index[word]?.removeAll { $0 == key }
            if index[word]?.isEmpty == true { index[word] = nil }
        }
        for mac in record.macs where mac.isUsable { take(mac, from: &byMAC) }
        for address in record.addresses { take(address, from: &byAddress) }
        if let name = record.hostName { take(Self.hostKey(name), from: &byHostName) }
        if let user = record.lastUser { take(Self.userKey(ofAccount: user), from: &byUser) }
        return record
    }
}

extension MACAddress {
    /// Names one card: neither zero nor for several (the lowest bit of the first byte, IEEE 802).
    var isUsable: Bool { value != 0 && value >> 40 & 1 == 0 }
}
