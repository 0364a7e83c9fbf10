import Base
import Testing

@testable import IKE

/// Messages that move by hand, and looks into both ends.
extension Pair {
    // MARK: Moving

    /// Delivers the message that the other side sent as its `number`th.
    mutating func deliver(to side: Side, _ number: Int) {
        guard let index = network.firstIndex(where: { $0.to == side && $0.number == number }) else { return }
        deliver(index)
    }

    mutating func drop(to side: Side, _ number: Int) {
        guard let index = network.firstIndex(where: { $0.to == side && $0.number == number }) else { return }
        network.remove(at: index)
    }

    /// Takes the oldest message to `side` off the network, to be delivered later or never.
    mutating func take(to side: Side, _ sourceLocation: SourceLocation = #_sourceLocation) throws -> Datagram {
        let index = try #require(network.firstIndex { $0.to == side }, sourceLocation: sourceLocation)
        return network.remove(at: index)
    }

    mutating func hand(_ datagram: Datagram) { give(datagram.to, .datagram(datagram.bytes, datagram.path)) }

    /// Delivers the oldest message to `side`.
    mutating func hand(to side: Side, _ sourceLocation: SourceLocation = #_sourceLocation) throws {
        hand(try take(to: side, sourceLocation))
    }

    /// Goes on to the next deadline of either end; what is on its way stays there.
    mutating func passTime() {
        guard let next = [a.engine.deadline?.tick, b.engine.deadline?.tick].compactMap({ $0 }).min() else { return }
        now = max(now, next)
        for side in [Side.a, .b] {
            if let due = self[side].engine.deadline, due.tick <= now { wake(side) }
        }
    }

    mutating func obey(_ side: Side, _ command: Explorer.Story.Command) {
        switch command {
        case .rekeyChild: give(side, .rekeyChild(Pair.id))
        case .rekeyIKE: give(side, .rekeyIKE(Pair.id))
        case .terminate: give(side, .terminate(Pair.id))
        case .checkLiveness: give(side, .checkLiveness(Pair.id))
        case .initiate: give(side, .initiate(Pair.id))
        case .deleteChild: deleteChild(side)
        }
    }

    /// What a child's hard lifetime does.
    mutating func deleteChild(_ side: Side) {
        guard let sending = self[side].sending?.child, let owner = self[side].engine.childOwners[sending.spiIn] else {
            return
        }
        self[side].engine.with(owner) { engine, sa in
            guard let index = sa.childIndex(sending.spiIn) else { return }
            sa.children[index].expiresAt = engine.now
        }
        wake(side)
    }

    // MARK: Looking

    func ikeSAs(_ side: Side) -> [IKESA] {
        let table = self[side].engine.table
        return table.spis.sorted().compactMap { table[$0] }
    }

    /// The IKE SAs of a side with their children, for a person.
    func picture(_ side: Side) -> String {
        ikeSAs(side).map { sa in
            let children = sa.children.map {
                String($0.spiIn, radix: 16) + " \($0.state)\($0.usesOutbound ? " out" : "")"
                    + ($0.redundantUntil == nil ? "" : " redundant")
            }
            let mark = sa.isProvisional ? " provisional" : ""
            return "\(sa.state.name)\(mark)\(children.isEmpty ? "" : " [\(children.joined(separator: ", "))]")"
        }.sorted().joined(separator: "; ") + " installed: \(self[side].children.count)"
    }

    func answers(_ side: Side) -> Int {
        count(side) { if case .answered = $0 { true } else { false } }
    }

    /// Nil when each end sends on a child that the other receives on, with the same keys.
    var faultOfTraffic: String? {
        for side in [Side.a, .b] {
            let other = side == .a ? Side.b : .a
            guard let sending = self[side].sending?.child else { return "\(side) has nothing to send on" }
            guard let receiving = self[other].children[sending.spiOut]?.child else {
                return "\(other) does not receive what \(side) sends on"
            }
            guard sending.encryptionKeyOut == receiving.encryptionKeyIn else { return "the keys differ" }
        }
        return nil
    }

    /// Nil when there is one IKE SA on each side, the same one, and both hold the same children, all of them in use.
    var faultOfChildren: String? {
        for side in [Side.a, .b] {
            let sas = ikeSAs(side)
            guard sas.count == 1, let sa = sas.first, sa.isEstablished, !sa.isProvisional, sa.tasks.isEmpty,
                sa.children.allSatisfy({ $0.state == .installed && $0.usesOutbound })
            else { return "\(side) is left with \(picture(side))" }
            let known = self[side].engine.childOwners.count
            guard known == sa.children.count, self[side].children.count == sa.children.count else {
                return "\(side) leaks SPIs or SAs: \(picture(side)), SPIs \(known)"
            }
        }
        guard let mine = ikeSAs(.a).first, let theirs = ikeSAs(.b).first, mine.peerSPI == theirs.spi,
            theirs.peerSPI == mine.spi
        else { return "the two hold different IKE SAs" }
        guard Set(mine.children.map(\.spiOut)) == Set(theirs.children.map(\.spiIn)) else {
            return "the two hold different children: \(picture(.a)); \(picture(.b))"
        }
        return nil
    }

    /// As ``faultOfChildren``, and there is one child.
    var faultOfAgreement: String? {
        if let fault = faultOfChildren { return fault }
        guard a.children.count == 1 else { return "a is left with \(picture(.a))" }
        return faultOfTraffic
    }
}

extension State {
    var name: String {
        switch self {
        case .initSent: "initSent"
        case .authSent: "authSent"
        case .halfOpen: "halfOpen"
        case .established: "established"
        case .rekeyed: "rekeyed"
        case .deleting: "deleting"
        case .closed: "closed"
        }
    }
}
