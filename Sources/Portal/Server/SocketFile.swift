// An optimised build of this room finds `stat` in this module first.
import CoreFoundation
import Glibc

/// Keeps a second daemon out of the same runtime directory, for as long as this process lives.
final class RuntimeLock: Sendable {
    private let descriptor: Int32

    init(directory: String) throws(PortalError) {
        if mkdir(directory, 0o755) != 0, errno != EEXIST {
            throw .unusable(
                "cannot make \(directory): \(systemError()). Make it, or set runtimeDirectory in the boot file")
        }
        let path = directory + "/gatehoused.lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw .unusable("cannot make \(path): \(systemError()). gatehoused must own its runtime directory")
        }
        // The kernel drops the lock with the process, however it ends: no stale lock can be left.
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let isHeld = errno == EWOULDBLOCK
            let reason = systemError()
            close(descriptor)
            guard isHeld else { throw .unusable("cannot lock \(path): \(reason)") }
            throw .alreadyRunning(directory)
        }
    }

    func release() {
        // By name: a child process that is just being started may hold the file open, and so the lock, for a moment.
        flock(descriptor, LOCK_UN)
        close(descriptor)
    }
}

/// A Unix stream socket, bound to its file and not yet listening: nobody can connect before its mode and group are set.
struct SocketFile: Sendable {
    let descriptor: Int32
    let path: String
    /// Which file is ours, so that we never remove the one of a successor.
    private let device: dev_t
    private let inode: ino_t

    /// Makes the file with `mode` and `group`. A stale socket is replaced; one that answers is refused.
    static func bind(path: String, mode: mode_t, group: String?) throws(PortalError) -> SocketFile {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let capacity = MemoryLayout.size(ofValue: address.sun_path)
        guard path.utf8.count < capacity else {
            throw .unusable("\(path) is \(path.utf8.count) bytes long, and a socket's path may have \(capacity - 1)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let gid: gid_t?
        if let group { gid = try find(group: group) } else { gid = nil }
        try removeStale(path, &address)

        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .unusable("cannot make a socket: \(systemError())") }
        func failed(_ what: String) -> PortalError {
            let error = PortalError.unusable("cannot \(what) \(path): \(systemError())")
            Glibc.close(descriptor)
            return error
        }
        // The kernel gives the file the socket's own mode less the umask: from its first moment no one else can use it.
        guard fchmod(descriptor, 0o600) == 0 else { throw failed("set the mode of") }
        guard isSuccess(&address, { Glibc.bind(descriptor, $0, $1) }) else { throw failed("make the socket") }
        if let gid, chown(path, uid_t.max, gid) != 0 {
            let error = failed("give group \(group ?? "") to")
            unlink(path)
            throw error
        }
        var file = stat()
        guard chmod(path, mode) == 0, lstat(path, &file) == 0 else {
            let error = failed("set the mode of")
            unlink(path)
            throw error
        }
        return SocketFile(descriptor: descriptor, path: path, device: file.st_dev, inode: file.st_ino)
    }

    /// Closes a socket that was never handed on, and removes its file.
    func close() {
        Glibc.close(descriptor)
        remove()
    }

    /// Removes the file, if it is still ours.
    func remove() {
        var file = stat()
        if lstat(path, &file) == 0, file.st_dev == device, file.st_ino == inode { unlink(path) }
    }

    private static func removeStale(_ path: String, _ address: inout sockaddr_un) throws(PortalError) {
        var file = stat()
        guard lstat(path, &file) == 0 else {
            if errno == ENOENT { return }
            throw .unusable("cannot look at \(path): \(systemError())")
        }
        guard file.st_mode & S_IFMT == S_IFSOCK else {
            throw .unusable("\(path) is in the way and is no socket: move it away")
        }
        let probe = socket(
            AF_UNIX,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
                | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard probe >= 0 else { throw .unusable("cannot make a socket: \(systemError())") }
        defer { Glibc.close(probe) }
        let isAnswered = isSuccess(&address) { connect(probe, $0, $1) }
        // A full backlog (EAGAIN) is a sign of life too.
        if isAnswered || errno == EAGAIN { throw .alreadyRunning(path) }
        guard errno == ECONNREFUSED || errno == ENOENT else {
            throw .unusable("cannot tell whether \(path) is in use: \(systemError())")
        }
        guard unlink(path) == 0 || errno == ENOENT else {
            throw .unusable("cannot remove the stale \(path): \(systemError())")
        }
    }

    private static func isSuccess(
        _ address: inout sockaddr_un, _ call: (UnsafePointer<sockaddr>, socklen_t) -> Int32
    ) -> Bool {
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                call($0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
    }

    private static func find(group: String) throws(PortalError) -> gid_t {
        if let number = gid_t(group) { return number }
        var buffer = [CChar](repeating: 0, count: 65_536)
        var entry = Glibc.group()
        var found: UnsafeMutablePointer<Glibc.group>?
        getgrnam_r(group, &entry, &buffer, buffer.count, &found)
        guard let found else {
            throw .unusable(
                "there is no group '\(group)' for the status socket: make it with 'groupadd --system \(group)'")
        }
        return found.pointee.gr_gid
    }
}

extension PortalError {
    static func unusable(_ description: String) -> PortalError {
        PortalError(kind: .unusable, description: description)
    }

    static func alreadyRunning(_ place: String) -> PortalError {
        PortalError(
            kind: .alreadyRunning,
            description: "another gatehoused runs with \(place): stop it, or give this one another runtime directory")
    }
}

/// What `errno` says.
func systemError() -> String {
    let number = errno
    return String(cString: strerror(number))
}
