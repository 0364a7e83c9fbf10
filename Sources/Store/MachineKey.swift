public import Cryptography
import Glibc

/// The key that seals this machine's secrets: 32 random bytes in a file that only the daemon can read.
public enum MachineKey {
    /// Bytes of a machine key.
    public static let length = 32

    /// Reads the key at `path`, or makes one there with `random`.
    ///
    /// The file appears whole or not at all: it is written under another name, flushed, and linked into place.
    /// - Throws: ``StoreError/unusable(path:reason:)`` when the file has the wrong size, others may read it or write to
    ///   its folder, or it cannot be made.
    public static func load(path: String, random: (Int) -> [UInt8]) throws(StoreError) -> SealingKey {
        try checkFolder(of: path)
        if access(path, F_OK) != 0 {
            let fresh = random(length)
            guard fresh.count == length else {
                throw .unusable(
                    path: path, reason: "a new machine key needs \(length) random bytes, got \(fresh.count)")
            }
            try create(path, fresh)
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw failure(path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw failure(path) }
        guard status.st_mode & 0o077 == 0 else {
            throw .unusable(
                path: path,
                reason: "others may read the machine key (mode \(String(status.st_mode & 0o777, radix: 8))); "
                    + "run `chmod 600 \(path)`, and change the pre-shared keys if someone may have read it")
        }
        var bytes = [UInt8](repeating: 0, count: length + 1)
        let count = read(descriptor, &bytes, bytes.count)
        defer { bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { explicit_bzero(start, $0.count) } } }
        guard count == length else {
            let found = count > length ? "more" : "\(count)"
            throw .unusable(path: path, reason: "a machine key has \(length) bytes, this file has \(found)")
        }
        do {
            return try SealingKey(Secret(bytes[0..<length]))
        } catch {
            throw .unusable(path: path, reason: "\(error)")
        }
    }

    private static func create(_ path: String, _ bytes: [UInt8]) throws(StoreError) {
        let fresh = "\(path).\(getpid()).new"
        unlink(fresh)
        let descriptor = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { throw failure(path) }
        let isWritten = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == bytes.count
            && fsync(descriptor) == 0
        let writeError = errno
        close(descriptor)
        defer { unlink(fresh) }
        guard isWritten else {
            errno = writeError
            throw failure(path)
        }
        // A link, unlike a rename, never replaces a key that someone else has just made.
        guard link(fresh, path) == 0 || errno == EEXIST else { throw failure(path) }
        let folder = open(folder(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./"
    }

    /// Whoever may write to the folder may put a key of their own there.
    private static func checkFolder(of path: String) throws(StoreError) {
        let folder = folder(of: path)
        var status = stat()
        guard stat(folder, &status) == 0 else { throw failure(path) }
        guard status.st_mode & 0o022 == 0 else {
            throw .unusable(
                path: path,
                reason: "others may write to its folder (mode \(String(status.st_mode & 0o777, radix: 8))); "
                    + "run `chmod 700 \(folder)`")
        }
    }

    private static func failure(_ path: String) -> StoreError {
        .unusable(path: path, reason: String(cString: strerror(errno)))
    }
}
