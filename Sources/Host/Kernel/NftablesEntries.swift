import Access
import Base
import CMnl
import Glibc

/// The elements of the sets of who is in, of which there may be a hundred thousand: written without a detour.
enum NftablesEntries {
    /// Elements in one message: their attribute holds 64 KiB.
    private static let perMessage = 400

    /// The messages that put entries into the sets that they belong to.
    static func adding(_ entries: [Gate.Entry], now: Tick) -> [NetlinkRequest] {
        sets(of: entries).flatMap { set, some in
            messages(NFT_MSG_NEWSETELEM, NLM_F_CREATE, set, some) { entry, bytes in
                key(entry.address, into: &bytes)
                // The kernel takes milliseconds, and none at all as "for ever".
                let left = UInt64(max(1, (entry.until - now).nanoseconds / 1_000_000))
                header(NFTA_SET_ELEM_TIMEOUT.rawValue, 8, into: &bytes)
                withUnsafeBytes(of: left.bigEndian) { bytes.append(contentsOf: $0) }
            }
        }
    }

    static func removing(_ entries: [Gate.Entry]) -> [NetlinkRequest] {
        sets(of: entries).flatMap { set, some in
            messages(NFT_MSG_DELSETELEM, 0, set, some) { entry, bytes in key(entry.address, into: &bytes) }
        }
    }

    /// The sets that hold entries, each with those that belong into it.
    private static func sets(of entries: [Gate.Entry]) -> [(set: String, entries: [Gate.Entry])] {
        IPAddress.Family.allCases.flatMap { family in
            let some = entries.filter { $0.address.family == family }
            guard !some.isEmpty else { return [(set: String, entries: [Gate.Entry])]() }
            var atPlaces: [Gate.Place: [Gate.Entry]] = [:]
            for entry in some { for place in entry.places { atPlaces[place, default: []].append(entry) } }
            return [(Ruleset.outboundSet(family), some), (Ruleset.inboundSet(family), some)]
                + atPlaces.map { (Ruleset.set(of: $0, family), $1) }
        }
    }

    private static func messages<Item>(
        _ message: nf_tables_msg_types, _ flags: Int32, _ set: String, _ items: [Item],
        _ write: (Item, inout [UInt8]) -> Void
    ) -> [NetlinkRequest] {
        stride(from: 0, to: items.count, by: perMessage).map { start in
            var list: [UInt8] = []
            list.reserveCapacity(perMessage * 96)
            for item in items[start..<min(items.count, start + perMessage)] {
                let place = list.count
                header(NFTA_LIST_ELEM.rawValue | nestedFlag, 0, into: &list)
                write(item, &list)
                let length = UInt16(truncatingIfNeeded: list.count - place)
                withUnsafeBytes(of: length) { list[place] = $0[0]; list[place + 1] = $0[1] }
            }
            return Nftables.request(message, flags: flags) { writer in
                writer.attribute(NFTA_SET_ELEM_LIST_TABLE.rawValue, text: Ruleset.table)
                writer.attribute(NFTA_SET_ELEM_LIST_SET.rawValue, text: set)
                writer.attribute(NFTA_SET_ELEM_LIST_ELEMENTS.rawValue | nestedFlag, list)
            }
        }
    }

    private static let nestedFlag: UInt32 = 0x8000

    private static func header(_ type: UInt32, _ length: Int, into bytes: inout [UInt8]) {
        withUnsafeBytes(of: UInt16(truncatingIfNeeded: length + 4)) { bytes.append(contentsOf: $0) }
        withUnsafeBytes(of: UInt16(truncatingIfNeeded: type)) { bytes.append(contentsOf: $0) }
    }

    private static func key(_ address: IPAddress, into bytes: inout [UInt8]) {
        let length = address.family.bitWidth / 8
        header(NFTA_SET_ELEM_KEY.rawValue | nestedFlag, length + 4, into: &bytes)
        header(UInt32(NFTA_DATA_VALUE.rawValue), length, into: &bytes)
        switch address {
        case .v4(let value): withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        case .v6(let value): withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
        }
    }
}
