import Base
import Cryptography

/// Failures in words: what happened, the likely cause, what to do. Never a key.
extension Engine {
    // MARK: - Silence

    func silence(_ sa: IKESA, _ request: Request?) -> Failure {
        let remote = sa.path.remote
        let seconds = request.map { Self.seconds(now - $0.firstSent) } ?? "the time given"
        switch sa.state {
        case .initSent(let sent):
            let waited = Self.seconds(now - sent.startedAt)
            return Failure(
                .silence,
                "No answer from \(remote.address) port \(remote.port) in \(waited): a firewall, a wrong "
                    + "address, or the peer is down. "
                    + "UDP 500 and 4500 must pass in both directions.")
        case .authSent:
            let port = remote.port
            let hint =
                sa.path.isNATPort
                ? "UDP \(port) may be blocked on the way although UDP 500 passes"
                : "the peer may drop what it cannot authenticate"
            return Failure(
                .silence,
                "\(remote.address) answered IKE_SA_INIT, but not IKE_AUTH on port \(port) in \(seconds): "
                    + "\(hint), "
                    + "or it does not believe us and stays silent. Look into the peer's log.")
        default:
            return Failure(
                .silence,
                "\(remote.address) has not answered \(request?.exchange.name ?? "us") for \(seconds) "
                    + "(\(request?.retransmissions ?? 0) repetitions): the peer or the way to it is down.")
        }
    }

    private static func seconds(_ span: Tick.Span) -> String {
        let tenths = (span.nanoseconds + 50_000_000) / 100_000_000
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(tenths / 10).\(tenths % 10) s"
    }

    func halfOpenSilence(_ sa: IKESA, _ halfOpen: HalfOpen) -> String {
        let heard =
            halfOpen.hasHeardAuth
            ? "what came as IKE_AUTH did not decrypt: the peer computed other keys"
            : "IKE_AUTH never came: it gave up, cannot reach us on UDP 4500, or its address was forged"
        return "\(halfOpen.remote) began an IKE SA and did not finish it; \(heard)"
    }

    // MARK: - Phase 1 refused

    func initRefused(_ sa: IKESA, _ sent: InitSent, _ notify: Notify) -> Failure {
        let remote = sa.path.remote.address
        switch notify.type {
        case .noProposalChosen:
            return Failure(
                .noProposalChosen,
                "\(remote) accepts none of our phase-1 proposals (NO_PROPOSAL_CHOSEN). We offered "
                    + "\(sent.offered.summary). "
                    + "Make encryption, integrity, PRF and Diffie-Hellman group agree with the peer's; some "
                    + "peers also say this when they know no connection for our address.")
        case .invalidKEPayload:
            let wanted = notify.group?.name ?? "a group that we do not know"
            return Failure(
                .invalidKeyExchange,
                "\(remote) wants Diffie-Hellman group \(wanted), which our proposals do not have: "
                    + "\(sent.offered.summary).")
        case .invalidMajorVersion:
            return Failure(
                .protocolError,
                "\(remote) does not speak IKEv2 (INVALID_MAJOR_VERSION). Turn "
                    + "IKEv2 on there.")
        default:
            return Failure(.protocolError, "\(remote) refused IKE_SA_INIT with \(notify.type.name).")
        }
    }

    /// As responder: tells of an offer that has nothing for us, with the nearest miss.
    mutating func initOfferRefused(_ theirs: [Proposal], _ path: Path) {
        let offers = directory.offers(to: path.remote.address)
        guard let first = offers.first else {
            return notice("\(path.remote) wants an IKE SA, but no connection is configured for this address")
        }
        // Anyone can send such an offer: it is put into words as seldom as any notice, and not at any length.
        guard notices.admit("", limit: configuration.noticesPerSecond, now: now) != nil else { return }
        let ours = offers.prefix(16).flatMap { Negotiation.wire($0.offers) }
        let shown = theirs.worthTelling
        let failure = Failure(
            .noProposalChosen,
            "\(path.remote.address) offered no phase-1 proposal that we accept. It offered \(shown.summary); "
                + "we accept \(ours.summary). Nearest miss: "
                + "\(Negotiation.difference(ours: ours, theirs: shown)).")
        connections[first.connection]?.lastFailure = failure
        add(.event(Event(.failed(failure), connection: first.connection)))
    }

    func rekeyOfferRefused(_ configuration: ConnectionConfiguration, _ theirs: [Proposal]) -> Failure {
        let ours = Negotiation.wire(configuration.ikeProposals)
        let shown = theirs.worthTelling
        return Failure(
            .noProposalChosen,
            "The peer's offer to rekey the IKE SA has nothing that we accept. It offered \(shown.summary); "
                + "we accept \(ours.summary). "
                + "Nearest miss: \(Negotiation.difference(ours: ours, theirs: shown)).")
    }

    func rekeyRefused(_ sa: IKESA, _ configuration: ConnectionConfiguration, _ notify: Notify) -> Failure {
        let reason: Failure.Reason =
            notify.type == .noProposalChosen
            ? .noProposalChosen
            : notify.type == .invalidKEPayload ? .invalidKeyExchange : .protocolError
        return Failure(
            reason,
            "\(sa.path.remote.address) refused to rekey the IKE SA (\(notify.type.name)). We offered "
                + "\(Negotiation.wire(configuration.ikeProposals).summary). The IKE SA stays until its "
                + "lifetime ends.")
    }

    // MARK: - Authentication

    func authRefusedInClear(_ sa: IKESA, _ notify: Notify) -> Failure {
        Failure(
            notify.type == .authenticationFailed ? .authenticationFailed : .protocolError,
            "\(sa.path.remote.address) answered IKE_AUTH with an unprotected \(notify.type.name): it could "
                + "not decrypt or "
                + "accept our message, or someone forges answers.")
    }

    func authRefused(_ sa: IKESA, _ configuration: ConnectionConfiguration, _ notify: Notify) -> Failure {
        let remote = sa.path.remote.address
        let ours = sa.localID ?? IKEIdentity(sa.path.local.address)
        guard notify.type == .authenticationFailed else {
            return childRefused(sa, configuration.child, notify, isRekey: false)
        }
        let asked = configuration.remoteID.map { ", asked for '\($0)'" } ?? ""
        return Failure(
            .authenticationFailed,
            "\(remote) refused our authentication (AUTHENTICATION_FAILED). We called ourselves "
                + "'\(ours)'\(asked): either \(Self.likelyDifference(configuration)), or the peer has no connection for "
                + "this identity and our address. Compare both.")
    }

    /// What a peer that refuses us may not like, beside the identity.
    private static func likelyDifference(_ configuration: ConnectionConfiguration?) -> String {
        let ppk = configuration?.ppk == nil ? "" : " or the PPK"
        guard let credential = configuration?.authentication.credential else {
            return "the pre-shared key\(ppk) differs"
        }
        let sha1 =
            credential.allowsSHA1
            ? "" : ", or it is an old one that wants SHA-1 signatures (allowSHA1)"
        return "it does not trust our certificate\(sha1)\(ppk.isEmpty ? "" : ", or the PPK differs")"
    }

    func otherIdentity(_ sa: IKESA, _ identity: IKEIdentity, _ wanted: IKEIdentity) -> Failure {
        Failure(
            .authenticationFailed,
            "\(sa.path.remote.address) calls itself '\(identity)', but we expect '\(wanted)'. Set the remote identity "
                + "to '\(identity)' "
                + "if that is the right peer.")
    }

    /// The peer proves itself in another way than we want; without `isSharedKey` by a certificate or EAP.
    func authMethodMismatch(
        _ remote: IPAddress, _ configuration: ConnectionConfiguration?, isSharedKey: Bool
    ) -> Failure {
        guard configuration?.authentication.credential != nil else {
            return Failure(
                .authenticationFailed,
                "\(remote) does not authenticate with a pre-shared key (it wants certificates or EAP). "
                    + "Set it to a pre-shared key.")
        }
        let what = isSharedKey ? "with a pre-shared key" : "with EAP"
        return Failure(
            .authenticationFailed,
            "\(remote) authenticates \(what), and we expect a certificate. Set it to certificates (public keys).")
    }

    func wrongKey(_ remote: IPAddress, _ identity: IKEIdentity, hasPPK: Bool) -> Failure {
        Failure(
            .authenticationFailed,
            "\(remote) calls itself '\(identity)', as expected, but its pre-shared key\(hasPPK ? ", or its PPK," : "") "
                + "is not ours. Compare the key on both sides.")
    }

    // MARK: - Post-quantum pre-shared keys

    func ppkNotSupported(_ sa: IKESA, _ ppk: PostquantumKey) -> Failure {
        Failure(
            .authenticationFailed,
            "\(sa.path.remote.address) does not use the post-quantum pre-shared key '\(ppk.identity)', and it is required. "
                + "Give it the same PPK, or make it optional here.")
    }

    func ppkMissing(_ sa: IKESA, _ ppk: PostquantumKey, _ named: [UInt8]?) -> Failure {
        guard let named else { return ppkNotSupported(sa, ppk) }
        return Failure(
            .authenticationFailed,
            "\(sa.path.remote.address) uses the post-quantum pre-shared key '\(PostquantumKey.text(named))', and "
                + "'\(ppk.identity)' is required. Make the PPK identities agree.")
    }

    func ppkUnknown(_ sa: IKESA, _ ppk: PostquantumKey?, _ named: [UInt8]) -> Failure {
        Failure(
            .authenticationFailed,
            "\(sa.path.remote.address) requires the post-quantum pre-shared key '\(PostquantumKey.text(named))', and we "
                + "have \(ppk.map { "'\($0.identity)'" } ?? "none"). Make the PPK identities agree.")
    }

    /// As responder: nobody is configured with that name; and the connection that was most likely meant. One whose peer
    /// has an address is not blamed for what comes from another.
    func unknownPeer(
        _ sa: IKESA, _ identity: IKEIdentity, _ ours: IKEIdentity?, _ path: Path
    ) -> (ConnectionID?, Failure) {
        let remote = path.remote.address
        let blamed = directory.connection(at: remote) ?? directory.candidates(identity: identity).first
        guard let blamed, let configuration = connections[blamed]?.configuration else {
            return (
                nil,
                Failure(
                    .authenticationFailed,
                    "\(remote) calls itself '\(identity)', and no connection expects that identity or address.")
            )
        }
        let words: String
        let mine = configuration.ownIdentity(path)
        if let wanted = Directory.expectedIdentity(configuration), !identity.matches(wanted) {
            words =
                "\(remote) calls itself '\(identity)', but '\(configuration.name)' expects '\(wanted)'. Set "
                + "the remote identity to "
                + "'\(identity)' if that is the right peer."
        } else if let ours, !ours.matches(mine) {
            words =
                "\(remote) asks for '\(ours)', but on '\(configuration.name)' we are '\(mine)'. Set our "
                + "identity or the "
                + "peer's remote identity so that they agree."
        } else if let expected = configuration.remoteAddress, expected != remote {
            words =
                "'\(identity)' comes from \(remote), but '\(configuration.name)' expects it at \(expected)."
        } else if let suite = sa.suite, !configuration.permits(suite) {
            words =
                "\(remote) negotiated \(suite), which '\(configuration.name)' does not permit."
        } else {
            words =
                "'\(configuration.name)' is not configured for our address \(path.local.address), where "
                + "\(remote) calls."
        }
        let isElsewhere = configuration.remoteAddress.map { $0 != remote } ?? false
        return (isElsewhere ? nil : blamed, Failure(.authenticationFailed, words))
    }

    func authDisbelieved(_ sa: IKESA, _ notify: Notify) -> Failure {
        guard notify.type == .authenticationFailed else {
            return Failure(
                .protocolError,
                "\(sa.path.remote.address) gave up the IKE SA with "
                    + "\(notify.type.name).")
        }
        let ours = sa.localID.map { "'\($0)'" } ?? "our identity"
        return Failure(
            .authenticationFailed,
            "\(sa.path.remote.address) did not accept our authentication as \(ours): it expects another "
                + "identity, or \(Self.likelyDifference(configuration(of: sa))).")
    }

    func noLongerConfigured(_ sa: IKESA) -> Failure {
        Failure(.noSuchConnection, "The connection was removed while \(sa.path.remote.address) was being called.")
    }

    // MARK: - Phase 2

    /// As initiator: the peer makes no child.
    func childRefused(
        _ sa: IKESA, _ terms: ChildConfiguration, _ notify: Notify, isRekey: Bool
    ) -> Failure {
        let remote = sa.path.remote.address
        let offered = Negotiation.wire(terms.espProposals, spi: 0, withGroups: isRekey).summary
        switch notify.type {
        case .noProposalChosen:
            let hint =
                isRekey
                ? "Since the first child SA was accepted, the PFS group is the likely difference"
                : "Make phase-2 encryption, integrity and ESN agree with the peer's"
            return Failure(
                .noProposalChosen,
                "\(remote) accepts none of our phase-2 proposals (NO_PROPOSAL_CHOSEN). We offered "
                    + "\(offered). \(hint).")
        case .selectorsUnacceptable, .invalidSelectors, .singlePairRequired:
            return Failure(
                .selectorsUnacceptable,
                "\(remote) does not accept our networks (\(notify.type.name)). We asked for local "
                    + "\(terms.localSelectors.summary) "
                    + "and remote \(terms.remoteSelectors.summary). They must match the peer's "
                    + "remote and local networks.")
        case .invalidKEPayload:
            return Failure(
                .invalidKeyExchange,
                "\(remote) wants PFS group \(notify.group?.name ?? "unknown"), which our phase-2 proposals "
                    + "do not have: \(offered).")
        case .temporaryFailure:
            return Failure(.temporaryFailure, "\(remote) is busy (TEMPORARY_FAILURE); we shall try again.")
        case .noAdditionalSAs:
            return Failure(
                .protocolError,
                "\(remote) makes no further child SA on this IKE SA "
                    + "(NO_ADDITIONAL_SAS).")
        default:
            return Failure(.protocolError, "\(remote) refused the child SA with \(notify.type.name).")
        }
    }

    /// As responder: the peer's offer has nothing for us.
    func childOfferRefused(
        _ terms: ChildConfiguration, _ theirs: [Proposal], usesGroups: Bool
    ) -> Failure {
        let ours = Negotiation.wire(terms.espProposals, spi: 0, withGroups: usesGroups)
        var shown = theirs.worthTelling
        if !usesGroups {
            for index in shown.indices { shown[index].transforms.removeAll { $0.type == Transform.Kind.group } }
        }
        return Failure(
            .noProposalChosen,
            "The peer offered no phase-2 proposal that we accept. It offered \(shown.summary); we accept "
                + "\(ours.summary). "
                + "Nearest miss: \(Negotiation.difference(ours: ours, theirs: shown)).")
    }

    /// As responder: the peer's networks and ours have nothing in common.
    func selectorsRefused(
        _ terms: ChildConfiguration, theirLocal: [TrafficSelector], theirRemote: [TrafficSelector]
    ) -> Failure {
        Failure(
            .selectorsUnacceptable,
            "The peer's networks do not meet ours. It asked for \(theirRemote.summary) on its side and "
                + "\(theirLocal.summary) on ours; "
                + "we have remote \(terms.remoteSelectors.summary) and local "
                + "\(terms.localSelectors.summary).")
    }
}
