import Glibc
import NIOCore
import NIOPosix

/// `struct ucred` of socket(7), which the C library shows to GNU sources alone.
private struct PeerCredentials {
    var pid: Int32 = 0
    var uid: UInt32 = 0
    var gid: UInt32 = 0
}

extension Caller {
    /// Asks the kernel who is at the other end of a Unix socket, as it was when they connected.
    init(of channel: any Channel) async throws {
        guard let provider = channel as? any SocketOptionProvider else {
            throw APIError.internal("this connection has no peer credentials")
        }
        let credentials: PeerCredentials = try await provider.unsafeGetSocketOption(
            level: .socket, name: NIOBSDSocket.Option(rawValue: SO_PEERCRED)
        ).get()
        // The name may come from a directory server: not on the event loop.
        let name = try? await NIOThreadPool.singleton.runIfActive { Self.name(of: credentials.uid) }
        self.init(uid: credentials.uid, pid: credentials.pid, name: name ?? nil)
    }

    private static func name(of uid: UInt32) -> String? {
        var buffer = [CChar](repeating: 0, count: 16_384)
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        getpwuid_r(uid, &entry, &buffer, buffer.count, &found)
        return found.flatMap { $0.pointee.pw_name }.map { String(cString: $0) }
    }
}
