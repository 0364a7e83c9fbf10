import Base
import Cryptography

/// NAT detection (RFC 7296 §2.23): each side sends a hash of the addresses that it sees.
extension Engine {
    mutating func addNATDetection(_ message: inout MessageWriter, _ sa: IKESA, spiR: UInt64) {
        for notify in natDetection(sa, spiR: spiR, sa.path) { message.add(notify) }
    }

    /// What we say of a path's two ends.
    mutating func natDetection(_ sa: IKESA, spiR: UInt64, _ path: Path) -> [Notify] {
        let spiI = sa.initiatorSPI
        // A false source makes the peer believe in a NAT, and so encapsulate.
        let source = sa.nat.isForced ? random.bytes(20) : NATDetection.hash(spiI: spiI, spiR: spiR, path.local)
        return [
            Notify(.natDetectionSourceIP, data: source),
            Notify(.natDetectionDestinationIP, data: NATDetection.hash(spiI: spiI, spiR: spiR, path.remote)),
        ]
    }

    /// Compares the peer's hashes with what we see. A peer that sends none does no NAT traversal.
    /// In the first exchange a request carries a zero responder SPI; what we read as initiator is the answer.
    func detectNAT(_ sa: inout IKESA, _ payloads: Payloads, _ path: Path) {
        detectNAT(&sa, payloads, path, spiR: sa.isInitiator ? sa.responderSPI : 0)
    }

    func detectNAT(_ sa: inout IKESA, _ payloads: Payloads, _ path: Path, spiR: UInt64) {
        let spiI = sa.initiatorSPI
        let sources = payloads.notifies.filter { $0.type == .natDetectionSourceIP }
        let destinations = payloads.notifies.filter { $0.type == .natDetectionDestinationIP }
        guard !sources.isEmpty, !destinations.isEmpty else {
            sa.nat = NATState()
            return
        }
        let remote = NATDetection.hash(spiI: spiI, spiR: spiR, path.remote)
        let local = NATDetection.hash(spiI: spiI, spiR: spiR, path.local)
        sa.nat.isPeerBehindNAT = !sources.contains { $0.data == remote }
        sa.nat.isBehindNAT = !destinations.contains { $0.data == local }
    }
}

enum NATDetection {
    /// SHA-1 of SPIs, address and port.
    static func hash(spiI: UInt64, spiR: UInt64, _ endpoint: Endpoint) -> [UInt8] {
        let port = [UInt8(truncatingIfNeeded: endpoint.port >> 8), UInt8(truncatingIfNeeded: endpoint.port)]
        return Hash.digest(
            .sha1, [KeySchedule.bytes(spiI), KeySchedule.bytes(spiR), endpoint.address.bytes, port])
    }
}
