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
    /// The hashes that the peer takes in signatures.
    var hashes: [HashAlgorithm] = []
    /// Both sides can use a post-quantum pre-shared key.
    var usesPPK = false
    /// How we proved ourselves.
    var ownProofName = "psk"
    var likelyFailure: Failure?
}

extension Engine {
    mutating func startAuth(_ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ sent: AuthSent) {
        guard let suite = sa.suite, let keys = sa.keys, let id = sa.connection else { return }
        var sent = sent
        let identity = configuration.ownIdentity(sa.path)
        sa.localID = identity
        let ppk = sent.usesPPK ? configuration.ppk : nil
        let proof: OwnProof
        var proofWithoutPPK: OwnProof?
        do throws(Failure) {
            func prove(_ keys: IKEKeys) throws(Failure) -> OwnProof {
                let context = AuthenticationContext(
                    prf: suite.prf, message: sent.initMessage, nonce: sent.nonceR,
                    identityKey: keys.authenticationLocal ?? Secret([]), identity: identity.payloadBody)
                return try ownProof(id, context, hashes: sent.hashes)
            }
            if let ppk {
                proof = try prove(KeySchedule.mixing(ppk.key, into: keys, suite.prf))
                if !ppk.isRequired { proofWithoutPPK = try prove(keys) }
            } else {
                proof = try prove(keys)
            }
        } catch {
            return failAttempt(&sa, error)
        }
        sent.ownProofName = proof.name
        if !sent.isChildless { sent.spiIn = newESPSPI(sa.spi) }
        sent.offered = Negotiation.wire(configuration.espProposals, spi: sent.spiIn, withGroups: false)
        let isFirstContact = isOnlyContact(sa, configuration)
        if let remoteID = Directory.expectedIdentity(configuration) {
            directory.noteContact(sa.spi, sa.localID, remoteID)
        }
        let extensions = offeredExtensions(sa, configuration)
        sa.state = .authSent(sent)
        sa.nextRequestID = 1
        let timeout = configuration.connectTimeout - (now - sent.startedAt)
        // However late IKE_SA_INIT was answered, IKE_AUTH gets time for a few tries.
        request(&sa, .ikeAuth, timeout: max(timeout, .seconds(5)), capacity: 512) { message in
            message.add(.identityInitiator) { $0.append(identity.payloadBody) }
            for certificate in proof.certificates { message.add(certificate: certificate) }
            if isFirstContact { message.add(.initialContact) }
            if let credential = configuration.authentication.credential {
                message.add(requesting: credential.authorities.map(\.keyHash))
            }
            if let remoteID = configuration.remoteID {
                message.add(.identityResponder) { $0.append(remoteID.payloadBody) }
            }
            message.add(authentication: proof.method, proof.data)
            if !sent.isChildless {
                message.add(proposals: sent.offered)
                message.add(initiator: configuration.localSelectors, responder: configuration.remoteSelectors)
            }
            if let ppk { message.add(ppk.notify) }
            if let proofWithoutPPK { message.add(.noPPKAuthentication, proofWithoutPPK.data) }
            for notify in extensions { message.add(notify) }
        }
    }

    /// Whether we know of no other SA between the two identities, of whatever connection, which INITIAL_CONTACT says
    /// (RFC 7296 §2.4).
    private func isOnlyContact(_ sa: IKESA, _ configuration: ConnectionConfiguration) -> Bool {
        guard let remoteID = Directory.expectedIdentity(configuration) else { return false }
        return !directory.contacts(sa.localID, remoteID).contains { spi in
            guard spi != sa.spi, let rival = table[spi], rival.localID == sa.localID else { return false }
            guard case .authSent = rival.state else { return rival.remoteID?.canonical == remoteID }
            // One that is being set up may be there before this one.
            return self.configuration(of: rival).flatMap(Directory.expectedIdentity) == remoteID
        }
    }

    mutating func receiveAuthAnswer(_ sa: inout IKESA, _ sent: AuthSent, _ payloads: Payloads) {
        guard let configuration = configuration(of: sa) else { return failAttempt(&sa, noLongerConfigured(sa)) }
        guard let authentication = payloads.authentication, let identity = payloads.identityResponder else {
            releaseESPSPI(sent.spiIn)
            if let error = payloads.firstError { return failAttempt(&sa, authRefused(sa, configuration, error)) }
            let failure =
                payloads.certificates.isEmpty
                ? Failure(.protocolError, "\(sa.path.remote.address) answered IKE_AUTH without AUTH.")
                : authMethodMismatch(sa.path.remote.address, configuration, isSharedKey: false)
            sendLastWord(&sa) { $0.add(.authenticationFailed) }
            return failAttempt(&sa, failure)
        }
        let proof: PeerProof
        do throws(Failure) {
            try takePPKAnswer(&sa, configuration, sent, payloads)
            proof = try verify(sa, configuration, sent, authentication, identity, payloads)
        } catch {
            releaseESPSPI(sent.spiIn)
            sendLastWord(&sa) { $0.add(.authenticationFailed) }
            return failAttempt(&sa, error)
        }
        takeExtensions(&sa, configuration, payloads)
        sa.authenticated = Self.authenticated(
            proof, ownProofName: sent.ownProofName, usesPPK: sent.usesPPK && payloads.has(.ppkIdentity))
        establish(&sa, proof, configuration)
        // A call of the peer's has crossed ours and stays: no child may draw traffic to an SA that ends.
        guard sa.isEstablished else { return releaseESPSPI(sent.spiIn) }
        guard !sent.isChildless else { return planMissingChildren(&sa) }
        for place in 0..<configuration.furtherChildren.count { plan(.createChild(place + 1), &sa) }
        receiveFirstChild(&sa, configuration, sent, payloads)
    }

    /// What the SA keeps of how both sides proved themselves.
    static func authenticated(_ proof: PeerProof, ownProofName: String, usesPPK: Bool) -> Authenticated? {
        guard proof.scheme != nil || usesPPK else { return nil }
        let summary = AuthenticationSummary(
            local: ownProofName, remote: proof.scheme?.description ?? "psk",
            peerCertificate: proof.certificates.first.map { CertificateSummary($0) }, usesPPK: usesPPK)
        return Authenticated(summary, proof.certificates)
    }

    /// The responder says whether the PPK is in its keys (RFC 8784 §3).
    private func takePPKAnswer(
        _ sa: inout IKESA, _ configuration: ConnectionConfiguration, _ sent: AuthSent, _ payloads: Payloads
    ) throws(Failure) {
        guard sent.usesPPK, let ppk = configuration.ppk, let keys = sa.keys, let suite = sa.suite else { return }
        if payloads.has(.ppkIdentity) {
            sa.keys = KeySchedule.mixing(ppk.key, into: keys, suite.prf)
        } else if ppk.isRequired {
            throw ppkNotSupported(sa, ppk)
        }
    }

    private func verify(
        _ sa: IKESA, _ configuration: ConnectionConfiguration, _ sent: AuthSent,
        _ authentication: Payloads.Authentication, _ identity: IKEIdentity, _ payloads: Payloads
    ) throws(Failure) -> PeerProof {
        guard let suite = sa.suite, let identityKey = sa.keys?.authenticationRemote, let id = sa.connection else {
            throw noLongerConfigured(sa)
        }
        if let wanted = Directory.expectedIdentity(configuration), !identity.matches(wanted) {
            throw otherIdentity(sa, identity, wanted)
        }
        let context = AuthenticationContext(
            prf: suite.prf, message: sent.answerMessage, nonce: sent.nonceI, identityKey: identityKey,
            identity: payloads.identityResponderBody)
        return try peerProof(id, authentication, identity, payloads, context, from: sa.path.remote.address)
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
