import Base
import Cryptography

/// Initiator: IKE_AUTH is out (RFC 7296 §1.2).
struct AuthSent: Sendable, Codable {
    var startedAt: Tick
    /// Our IKE_SA_INIT as it was answered, and the answer: AUTH covers them.
    var initMessage: [UInt8]
    var answerMessage: [UInt8]
    var nonceI: [UInt8]
    var nonceR: [UInt8]
    /// The first child, and what we offered for it.
    var spiIn: UInt32
    var offered: [Proposal]
    /// No child is asked for in IKE_AUTH (RFC 6023).
    var isChildless = false
    var likelyFailure: Failure?
}

/// Proof that the peer holds the key: only ``PeerProof/check(_:_:)`` makes one, and an SA is established with one only.
struct PeerProof: Sendable, Codable {
    let identity: IKEIdentity

    private init(_ identity: IKEIdentity) { self.identity = identity }

    /// Compares AUTH with what the shared key gives, in constant time.
    static func check(
        _ authentication: Payloads.Authentication, _ identity: IKEIdentity, expected: Secret
    ) -> PeerProof? {
        guard authentication.method == sharedKeyMethod, Secret(authentication.data) == expected else { return nil }
        return PeerProof(identity)
    }

    /// Shared Key Message Integrity Code (RFC 7296 §3.8).
    static let sharedKeyMethod: UInt8 = 2
}

extension Engine {
    mutating func startAuth(_ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ sent: AuthSent) {
        guard let suite = sa.suite, let identityKey = sa.keys?.authenticationLocal,
            let psk = configuration.authentication.psk
        else { return }
        var sent = sent
        let identity = configuration.localID ?? IKEIdentity(sa.path.local.address)
        sa.localID = identity
        if !sent.isChildless { sent.spiIn = newESPSPI(sa.spi) }
        sent.offered = Negotiation.wire(configuration.espProposals, spi: sent.spiIn, withGroups: false)
        let authentication = KeySchedule.sharedKeyAuthentication(
            suite.prf, psk: psk, message: sent.initMessage, nonce: sent.nonceR,
            identityKey: identityKey, identity: identity.payloadBody)
        let isFirstContact = isOnlyContact(sa, configuration)
        let extensions = offeredExtensions(sa, configuration)
        sa.state = .authSent(sent)
        sa.nextRequestID = 1
        let timeout = configuration.connectTimeout - (now - sent.startedAt)
        // However late IKE_SA_INIT was answered, IKE_AUTH gets time for a few tries.
        request(&sa, .ikeAuth, timeout: max(timeout, .seconds(5)), capacity: 512) { message in
            message.add(.identityInitiator) { $0.append(identity.payloadBody) }
            if isFirstContact { message.add(.initialContact) }
            if let remoteID = configuration.remoteID {
                message.add(.identityResponder) { $0.append(remoteID.payloadBody) }
            }
            message.add(.authentication) {
                $0.uint8(PeerProof.sharedKeyMethod)
                $0.zeros(3)
                $0.append(authentication.exposedBytes)
            }
            if !sent.isChildless {
                message.add(proposals: sent.offered)
                message.add(initiator: configuration.localSelectors, responder: configuration.remoteSelectors)
            }
            for notify in extensions { message.add(notify) }
        }
    }

    /// Whether we know of no other SA with this peer, which INITIAL_CONTACT says (RFC 7296 §2.4).
    private func isOnlyContact(_ sa: IKESA, _ configuration: ConnectionConfiguration) -> Bool {
        guard let id = sa.connection, let remoteID = Directory.expectedIdentity(configuration) else { return false }
        return directory.sas(of: PeerKey(id, remoteID)).isEmpty
    }

    mutating func receiveAuthAnswer(_ sa: inout IKESA, _ sent: AuthSent, _ payloads: Payloads) {
        guard let configuration = configuration(of: sa) else { return failAttempt(&sa, noLongerConfigured(sa)) }
        guard let authentication = payloads.authentication, let identity = payloads.identityResponder else {
            releaseESPSPI(sent.spiIn)
            if let error = payloads.firstError { return failAttempt(&sa, authRefused(sa, configuration, error)) }
            let failure =
                payloads.hasCertificate
                ? authMethodMismatch(sa)
                : Failure(.protocolError, "\(sa.path.remote.address) answered IKE_AUTH without AUTH.")
            sendLastWord(&sa) { $0.add(.authenticationFailed) }
            return failAttempt(&sa, failure)
        }
        guard let proof = verify(sa, configuration, sent, authentication, identity, payloads) else {
            releaseESPSPI(sent.spiIn)
            let failure = peerNotProven(sa, configuration, authentication, identity)
            sendLastWord(&sa) { $0.add(.authenticationFailed) }
            return failAttempt(&sa, failure)
        }
        takeExtensions(&sa, configuration, payloads)
        establish(&sa, proof, configuration)
        // A call of the peer's has crossed ours and stays: no child may draw traffic to an SA that ends.
        guard sa.isEstablished else { return releaseESPSPI(sent.spiIn) }
        guard !sent.isChildless else { return planMissingChildren(&sa) }
        for place in 0..<configuration.furtherChildren.count { plan(.createChild(place + 1), &sa) }
        receiveFirstChild(&sa, configuration, sent, payloads)
    }

    private func verify(
        _ sa: IKESA, _ configuration: ConnectionConfiguration, _ sent: AuthSent,
        _ authentication: Payloads.Authentication, _ identity: IKEIdentity, _ payloads: Payloads
    ) -> PeerProof? {
        guard let suite = sa.suite, let identityKey = sa.keys?.authenticationRemote,
            let psk = configuration.authentication.psk
        else { return nil }
        if let wanted = Directory.expectedIdentity(configuration), !identity.matches(wanted) { return nil }
        let expected = KeySchedule.sharedKeyAuthentication(
            suite.prf, psk: psk, message: sent.answerMessage, nonce: sent.nonceI,
            identityKey: identityKey, identity: payloads.identityResponderBody)
        return PeerProof.check(authentication, identity, expected: expected)
    }

    private mutating func receiveFirstChild(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ sent: AuthSent, _ payloads: Payloads
    ) {
        do throws(MessageError) {
            if let error = payloads.firstError, payloads.proposals == nil {
                releaseESPSPI(sent.spiIn)
                return childMissing(&sa, childRefused(sa, configuration.child, error, isRekey: false))
            }
            let answer = try payloads.require(payloads.proposals, "SA")
            let local = try payloads.require(payloads.selectorsInitiator, "TSi")
            let remote = try payloads.require(payloads.selectorsResponder, "TSr")
            let (choice, spiOut) = try chosenChild(
                configuration.espProposals, answer, offered: sent.offered, usesGroups: false)
            let selectors = try narrowed(configuration.child, local: local, remote: remote)
            guard let prf = sa.suite?.prf, let derivation = sa.keys?.derivation else { return }
            let keys = KeySchedule.childKeys(
                choice, prf: prf, derivation: derivation, shared: nil, nonceI: sent.nonceI, nonceR: sent.nonceR)
            install(
                &sa, configuration,
                NewChild(
                    place: 0, spiIn: sent.spiIn, spiOut: spiOut, suite: choice, keys: keys, weAreInitiator: true,
                    local: selectors.local, remote: selectors.remote, replaces: nil),
                outbound: true)
        } catch {
            releaseESPSPI(sent.spiIn)
            childMissing(&sa, Failure(.protocolError, "The peer's answer to IKE_AUTH makes no child SA: \(error)."))
        }
    }

    /// A child that we asked for does not come. The others go on; an IKE SA without any is no use: it goes, and the
    /// attempt counts as failed.
    mutating func childMissing(_ sa: inout IKESA, _ failure: Failure) {
        emit(.failed(failure), sa)
        if !sa.hasLiveChild, !sa.isAskingForChild { beginDeletion(&sa, failure) }
    }
}
