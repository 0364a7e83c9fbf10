import Base
import Cryptography
import Foundation
import Glibc
import Host
import IKE
import Tunnels

/// What a process that is about to be restarted leaves for its successor: the engine's state and which tunnel each
/// connection was for, sealed by the machine's key, in the runtime folder, which a reboot empties.
///
/// It may be used once: IKEv2 lets nobody go back to an earlier message ID. Reading it therefore removes it first.
struct Handover: Codable {
    /// A tunnel and the connection of the engine that it had.
    struct Tunnel: Codable {
        var name: String
        var interface: String
        var connection: ConnectionID
    }

    /// Ticks count from this boot.
    var boot: String
    var tunnels: [Tunnel]
    var engine: EngineSnapshot

    private static let context = "handover"

    static func path(_ folder: String) -> String { folder + "/handover.sealed" }

    /// Which boot of the machine this is.
    static var thisBoot: String {
        (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8)) ?? ""
    }

    /// It could not be written or read; the tunnels are then brought up anew.
    struct Failed: Error, CustomStringConvertible {
        var description: String
    }

    /// Writes it whole or not at all.
    func write(to folder: String, key: SealingKey) throws {
        let encoder = JSONEncoder()
        encoder.userInfo[Secret.revealSecrets] = true
        var plain = try encoder.encode(self)
        defer { plain.withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } } }
        let nonce = SystemRandom.bytes(SealingKey.nonceLength)
        let sealed = try key.seal(Secret(plain), context: Self.context, nonce: nonce)
        let path = Self.path(folder)
        let fresh = path + ".new"
        unlink(fresh)
        let file = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw Self.failure("making \(fresh)") }
        defer { close(file) }
        var at = 0
        while at < sealed.count {
            let count = sealed.withUnsafeBytes { Glibc.write(file, $0.baseAddress.map { $0 + at }, sealed.count - at) }
            guard count > 0 else { throw Self.failure("writing \(fresh)") }
            at += count
        }
        guard rename(fresh, path) == 0 else { throw Self.failure("making \(path)") }
    }

    /// Takes the one that is there; nil when there is none.
    static func take(from folder: String, key: SealingKey) throws -> Handover? {
        let path = path(folder)
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else {
            if errno == ENOENT { return nil }
            throw failure("reading \(path)")
        }
        defer { close(file) }
        guard unlink(path) == 0 else { throw failure("taking \(path)") }
        var sealed: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(file, &block, block.count), count > 0 { sealed += block[0..<count] }
        let plain = try key.open(sealed, context: context)
        let handover = try plain.withUnsafeBytes { bytes in
            try JSONDecoder().decode(Handover.self, from: Data(bytes))
        }
        guard handover.boot == thisBoot else { throw Failed(description: "it is from before the last boot") }
        return handover
    }

    private static func failure(_ action: String) -> Failed {
        Failed(description: "\(action): \(String(cString: strerror(errno)))")
    }

    // MARK: - Taking over

    /// What the data path may still hold of it.
    var keptChildren: [KeptChild] {
        let interfaces = Dictionary(
            tunnels.map { ($0.connection, $0.interface) }, uniquingKeysWith: { first, _ in first })
        return engine.children.compactMap { saved in
            interfaces[saved.child.connection].map {
                KeptChild(saved.child, interface: $0, usesOutbound: saved.usesOutbound)
            }
        }
    }

    /// The tunnels as the supervisor takes them over.
    ///
    /// - Parameter kept: the children that the data path still has, by inbound SPI.
    func resumedTunnels(kept: Set<UInt32>) -> [ResumedTunnel] {
        let children = Dictionary(grouping: engine.children.filter { kept.contains($0.child.spiIn) }) {
            $0.child.connection
        }
        let phase1 = Dictionary(grouping: engine.establishedSAs) { $0.connection }
        let terms = engine.configurations
        return tunnels.compactMap { tunnel in
            terms[tunnel.connection].map {
                ResumedTunnel(
                    tunnel: tunnel.name, interface: tunnel.interface, connection: tunnel.connection, terms: $0,
                    phase1: phase1[tunnel.connection, default: []].map { ($0.id, $0.summary) },
                    children: children[tunnel.connection, default: []].filter(\.isTold).map {
                        ($0.child, $0.isSuperseded)
                    })
            }
        }
    }
}
