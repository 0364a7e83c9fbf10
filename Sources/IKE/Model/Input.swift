public import Base

/// All that can happen to the engine, apart from time passing.
public enum Input: Sendable {
    /// A UDP payload as it came off the wire; on a NAT path with its four marker bytes.
    case datagram([UInt8], Path)
    /// Adds a connection or replaces its definition. Existing SAs live on; the new terms hold from the next exchange.
    case configure(ConnectionID, ConnectionConfiguration)
    /// Forgets a connection: its SAs are deleted at the peer and here.
    case remove(ConnectionID)
    /// Brings up an IKE SA with its child, unless one is up or under way.
    case initiate(ConnectionID)
    /// Deletes the connection's SAs in an orderly way.
    case terminate(ConnectionID)
    /// Starts a rekey now.
    case rekeyIKE(ConnectionID)
    case rekeyChild(ConnectionID)
    /// Our address towards the connection's peer is another one. SAs that can follow do (RFC 4555); of the others, those
    /// whose address the host has lost are closed, so that they can come up anew.
    case relocate(ConnectionID, to: IPAddress, hasLostOld: Bool)
    /// Sends a liveness check now, unless a request is under way.
    case checkLiveness(ConnectionID)
    /// The answer to `.installChild`: both SAs are in place (or only the inbound one, as asked).
    case childInstalled(spiIn: UInt32)
    case childFailed(spiIn: UInt32, reason: String)
    /// The data path saw authenticated packets of this SA at the time given: proof of life for DPD.
    case inboundTraffic(spiIn: UInt32, at: Tick)
    /// The data path saw an authenticated packet from another address or port: the NAT moved (RFC 7296 §2.23).
    case peerMoved(spiIn: UInt32, Path)
    /// The time of day, by which certificates are judged. Give it at the start, and when the clock was set.
    case wallClock(WallTime)
    /// A soft limit (bytes, packets, sequence numbers) was reached: rekey now.
    case childExhausted(spiIn: UInt32)
    /// A hard limit (bytes, packets) was reached: the data path lets nothing through any more.
    case childSpent(spiIn: UInt32)
}
