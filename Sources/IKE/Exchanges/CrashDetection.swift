import Base
import Cryptography

/// Quick crash detection (RFC 6290): each end gives the other a token that only it can make. An end that has lost its
/// state answers a message for an unknown IKE SA with the token of that SA, which nobody else can, and the other end
/// gives the SA up at once instead of waiting for silence to tell.
extension Engine {
    /// Our token for an IKE SA whose SPIs are both known (RFC 6290 §5.1); nil without a secret.
    func crashToken(_ sa: IKESA) -> [UInt8]? { crashToken(spiI: sa.initiatorSPI, spiR: sa.responderSPI) }

    private func crashToken(spiI: UInt64, spiR: UInt64) -> [UInt8]? {
        guard let secret = configuration.crashDetectionSecret else { return nil }
        // Of this shard: another does not know which of our SAs live.
        let shard = configuration.shard == 0 ? [] : [configuration.shard]
        return IntegrityAlgorithm.sha512.tag(key: secret, [KeySchedule.bytes(spiI), KeySchedule.bytes(spiR), shard])
    }

    /// The token to show to the sender of a message for an IKE SA that we do not have.
    ///
    /// While either SPI is one of a living SA it is never shown: the message may be a stranger's, who would have it to
    /// end that SA (RFC 6290 §9.1).
    func crashToken(ofLost header: Header) -> [UInt8]? {
        guard !table.contains(header.initiatorSPI), !table.contains(header.responderSPI) else { return nil }
        return crashToken(spiI: header.initiatorSPI, spiR: header.responderSPI)
    }

    /// Keeps the peer's token. It comes protected only: in IKE_AUTH, with a rekey, or later by itself (RFC 6290 §4).
    mutating func takeCrashToken(_ sa: inout IKESA, _ payloads: Payloads) {
        guard let token = payloads.notify(.quickCrashDetection)?.data, (16...128).contains(token.count) else { return }
        sa.crashToken = Secret(token)
    }

    mutating func startCrashToken(_ sa: inout IKESA) {
        guard let token = crashToken(sa) else { return }
        sa.exchange = .sendCrashToken
        request(&sa, .informational, timeout: dpdTimeout(sa)) { $0.add(.quickCrashDetection, token) }
    }

    /// Whether an unprotected INVALID_IKE_SPI proves that the peer has lost this SA.
    func hasPeerCrashed(_ sa: IKESA, _ payloads: Payloads) -> Bool {
        guard let token = sa.crashToken else { return false }
        // The sender may have changed its secret lately and show several (RFC 6290 §4.4).
        return payloads.notifies.contains { $0.type == .quickCrashDetection && Secret($0.data) == token }
    }

    mutating func peerCrashed(_ sa: inout IKESA) {
        switch sa.state {
        case .established:
            let words = "\(sa.path.remote.address) has restarted and knows nothing of this IKE SA any more."
            discard(&sa, Failure(.peerRestarted, words))
        case .deleting: finishDeletion(&sa)
        case .rekeyed: discard(&sa, nil)
        case .initSent, .authSent, .halfOpen, .closed: break
        }
    }
}
