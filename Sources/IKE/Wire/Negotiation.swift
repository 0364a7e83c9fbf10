import Base
import Cryptography

/// What we offer and accept, on the wire and back (RFC 7296 §3.3).
enum Negotiation {
    /// A choice that both sides can live with.
    struct Choice<Suite> {
        var suite: Suite
        /// The peer's proposal that it was taken from; its number and SPI go into the answer.
        var proposal: Proposal
    }

    // MARK: Offers

    /// Our phase-1 offers as wire proposals: AEAD ciphers apart from the others.
    static func wire(_ offers: [IKEProposal], spi: [UInt8] = []) -> [Proposal] {
        var proposals: [Proposal] = []
        for offer in offers {
            for isAEAD in preferredKinds(offer.encryption) {
                let integrity = isAEAD ? [] : offer.integrity
                var transforms = offer.encryption.filter { $0.isAEAD == isAEAD }.map { Transform($0) }
                guard !transforms.isEmpty, isAEAD || !integrity.isEmpty else { continue }
                transforms += offer.prf.map { Transform($0) }
                transforms += integrity.map { Transform($0) }
                transforms += offer.groups.map { Transform($0) }
                proposals.append(
                    Proposal(number: 0, protocolID: SecurityProtocol.ike, spi: spi, transforms: transforms))
            }
        }
        return numbered(proposals)
    }

    /// Our phase-2 offers. `withGroups` is false in IKE_AUTH, whose child has no key exchange of its own.
    static func wire(_ offers: [ESPProposal], spi: UInt32, withGroups: Bool) -> [Proposal] {
        let spi = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: spi >> UInt32($0)) }
        var proposals: [Proposal] = []
        for offer in offers {
            for isAEAD in preferredKinds(offer.encryption) {
                let integrity = isAEAD ? [] : offer.integrity
                var transforms = offer.encryption.filter { $0.isAEAD == isAEAD }.map { Transform($0) }
                guard !transforms.isEmpty, isAEAD || !integrity.isEmpty else { continue }
                transforms += integrity.map { Transform($0) }
                if withGroups { transforms += offer.groups.map { Transform($0) } }
                transforms += (offer.esn.isEmpty ? [false] : offer.esn).map { Transform(extendedSequenceNumbers: $0) }
                let proposal = Proposal(
                    number: 0, protocolID: SecurityProtocol.esp, spi: spi, transforms: transforms)
                if !proposals.contains(proposal) { proposals.append(proposal) }
            }
        }
        return numbered(proposals)
    }

    private static func preferredKinds(_ ciphers: [EncryptionAlgorithm]) -> [Bool] {
        ciphers.first?.isAEAD == true ? [true, false] : [false, true]
    }

    private static func numbered(_ proposals: [Proposal]) -> [Proposal] {
        var proposals = Array(proposals.prefix(255))
        for index in proposals.indices { proposals[index].number = UInt8(index + 1) }
        return proposals
    }

    // MARK: Choices

    /// What both sides can do, ours by preference; the group of the peer's key exchange wins where it may.
    static func choose(
        _ offers: [IKEProposal], from proposals: [Proposal], keyExchangeGroup: UInt16?
    ) -> Choice<IKESuite>? {
        for offer in offers {
            for proposal in proposals {
                guard proposal.protocolID == SecurityProtocol.ike, let menu = Menu(proposal),
                    let (encryption, integrity) = menu.cipher(offer.encryption, offer.integrity),
                    let prf = offer.prf.first(where: { menu.offers(Transform($0)) }),
                    let group = menu.group(offer.groups, preferred: keyExchangeGroup)
                else { continue }
                return Choice(
                    suite: IKESuite(encryption: encryption, integrity: integrity, prf: prf, group: group),
                    proposal: proposal)
            }
        }
        return nil
    }

    /// `usesGroups` is false in IKE_AUTH: groups named there by mistake are passed over.
    static func choose(
        _ offers: [ESPProposal], from proposals: [Proposal], usesGroups: Bool, keyExchangeGroup: UInt16?
    ) -> Choice<ESPSuite>? {
        for offer in offers {
            for proposal in proposals {
                guard proposal.protocolID == SecurityProtocol.esp, proposal.spi.count == 4, let menu = Menu(proposal),
                    let (encryption, integrity) = menu.cipher(offer.encryption, offer.integrity),
                    let esn = (offer.esn.isEmpty ? [false] : offer.esn).first(where: { menu.offersSequenceNumbers($0) })
                else { continue }
                var group: DHGroup?
                if usesGroups, !(offer.groups.isEmpty && menu.permitsNoGroup) {
                    group = menu.group(offer.groups, preferred: keyExchangeGroup)
                    guard group != nil else { continue }
                }
                return Choice(
                    suite: ESPSuite(encryption: encryption, integrity: integrity, group: group, esn: esn),
                    proposal: proposal)
            }
        }
        return nil
    }

    /// The answer to a proposal: exactly what was chosen, under the peer's number.
    static func answer(_ choice: Choice<IKESuite>, spi: [UInt8] = []) -> [Proposal] {
        let suite = choice.suite
        var transforms = [Transform(suite.encryption), Transform(suite.prf)]
        if let integrity = suite.integrity { transforms.append(Transform(integrity)) }
        transforms.append(Transform(suite.group))
        return [
            Proposal(
                number: choice.proposal.number, protocolID: SecurityProtocol.ike, spi: spi, transforms: transforms)
        ]
    }

    static func answer(_ choice: Choice<ESPSuite>, spi: UInt32) -> [Proposal] {
        let suite = choice.suite
        var transforms = [Transform(suite.encryption)]
        if let integrity = suite.integrity { transforms.append(Transform(integrity)) }
        if let group = suite.group { transforms.append(Transform(group)) }
        transforms.append(Transform(extendedSequenceNumbers: suite.esn))
        return [
            Proposal(
                number: choice.proposal.number, protocolID: SecurityProtocol.esp,
                spi: [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: spi >> UInt32($0)) }, transforms: transforms)
        ]
    }

    /// Checks that an answer holds one proposal with one choice a type, and nothing that was not offered.
    static func checkAnswer(
        _ answer: [Proposal], against offered: [Proposal]
    ) throws(MessageError) -> Proposal {
        guard answer.count == 1, let chosen = answer.first else {
            throw MessageError(.misbehaved, "SA", at: 0, "the answer has \(answer.count) proposals instead of one")
        }
        guard let offer = offered.first(where: { $0.number == chosen.number && $0.protocolID == chosen.protocolID })
        else {
            throw MessageError(.misbehaved, "SA", at: 0, "the answer is proposal \(chosen.number), which we never made")
        }
        var types: Set<UInt8> = []
        for transform in chosen.transforms {
            guard types.insert(transform.type).inserted else {
                throw MessageError(
                    .misbehaved, "SA", at: 0,
                    "the answer has several choices of \(Transform.typeName(transform.type))")
            }
            let isNothing =
                transform.id == 0
                && (transform.type == Transform.Kind.integrity || transform.type == Transform.Kind.group)
            guard offer.transforms.contains(transform) || isNothing else {
                throw MessageError(
                    .misbehaved, "SA", at: 0, "the answer chose \(transform.name), which we never offered")
            }
        }
        return chosen
    }

    // MARK: Words

    /// The nearest miss in words: which kind of algorithm has nothing in common, in the pair of proposals that
    /// otherwise agrees best.
    static func difference(ours: [Proposal], theirs: [Proposal]) -> String {
        var best: (missing: [String], count: Int)?
        for mine in ours {
            for other in theirs where other.protocolID == mine.protocolID {
                var missing: [String] = []
                for type in [1, 2, 3, 4, 5] as [UInt8] {
                    let a = Set(mine.transforms.filter { $0.type == type }.map(\.name)).subtracting(["none"])
                    let b = Set(other.transforms.filter { $0.type == type }.map(\.name)).subtracting(["none"])
                    let agrees = a.isEmpty && b.isEmpty || !a.isDisjoint(with: b)
                    if !agrees {
                        let (we, they) = (list(mine, type), list(other, type))
                        missing.append("\(Transform.typeName(type)): ours \(we), theirs \(they)")
                    }
                }
                if missing.count < best?.count ?? .max { best = (missing, missing.count) }
            }
        }
        guard let best else { return "there is no proposal of the same protocol" }
        return best.missing.isEmpty
            ? "no single pair of proposals agrees in everything" : best.missing.joined(separator: "; ")
    }

    private static func list(_ proposal: Proposal, _ type: UInt8) -> String {
        let names = proposal.transforms.filter { $0.type == type }.map(\.name)
        return names.isEmpty ? "none" : names.joined(separator: "/")
    }
}

/// A peer's proposal, asked what it offers.
private struct Menu {
    private let transforms: [Transform]

    /// Nil when the proposal has a kind of transform that we do not know: it must be refused whole (RFC 7296 §3.3.6).
    init?(_ proposal: Proposal) {
        guard proposal.transforms.allSatisfy({ (1...5).contains($0.type) }) else { return nil }
        transforms = proposal.transforms.filter { !$0.hasUnknownAttribute }
    }

    func offers(_ transform: Transform) -> Bool { transforms.contains(transform) }

    private func has(_ type: UInt8) -> Bool { transforms.contains { $0.type == type } }
    private func ids(_ type: UInt8) -> [UInt16] { transforms.filter { $0.type == type }.map(\.id) }

    /// The first cipher of ours on offer, with integrity where it needs one.
    func cipher(
        _ ciphers: [EncryptionAlgorithm], _ integrity: [IntegrityAlgorithm]
    ) -> (EncryptionAlgorithm, IntegrityAlgorithm?)? {
        for cipher in ciphers where offersCipher(cipher) {
            if cipher.isAEAD {
                // Integrity must be absent or may be NONE (RFC 7296 §3.3.3).
                let offered = ids(Transform.Kind.integrity)
                if offered.isEmpty || offered.contains(0) { return (cipher, nil) }
            } else if let chosen = integrity.first(where: { offers(Transform($0)) }) {
                return (cipher, chosen)
            }
        }
        return nil
    }

    /// ChaCha20-Poly1305 has one key length; some peers name it all the same (RFC 7634 §4 forbids it).
    private func offersCipher(_ cipher: EncryptionAlgorithm) -> Bool { offers(Transform(cipher)) }

    func group(_ groups: [DHGroup], preferred: UInt16?) -> DHGroup? {
        if let preferred, let group = DHGroup(rawValue: preferred), groups.contains(group), offers(Transform(group)) {
            return group
        }
        return groups.first { offers(Transform($0)) }
    }

    /// No group named, or NONE among them.
    var permitsNoGroup: Bool {
        let offered = ids(Transform.Kind.group)
        return offered.isEmpty || offered.contains(0)
    }

    /// A proposal without the transform means plain 32-bit numbers.
    func offersSequenceNumbers(_ extended: Bool) -> Bool {
        has(Transform.Kind.sequenceNumbers) ? offers(Transform(extendedSequenceNumbers: extended)) : !extended
    }
}
