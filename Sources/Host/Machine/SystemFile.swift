import CLinux
import Glibc

/// Small text files of the system: `/proc`, `/sys` and their like.
public enum SystemFile {
    /// The whole text, at most `limit` bytes of it; nil with `errno` set when it cannot be read.
    public static func read(_ path: String, limit: Int = 1 << 20) -> String? {
        bytes(path, limit: limit).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The same as it is.
    public static func bytes(_ path: String, limit: Int = 1 << 20) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16_384)
        while bytes.count < limit {
            let count = Glibc.read(file, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += block[0..<count]
        }
        return Array(bytes.prefix(limit))
    }

    /// By what it is seen that a file is another one than before: inode, size and the time of the last change.
    public struct Version: Hashable, Sendable {
        fileprivate var numbers: [UInt64]
    }

    /// Nil when there is no such file.
    public static func version(_ path: String) -> Version? {
        var numbers: [UInt64] = [0, 0, 0]
        return clinux_file_version(path, &numbers) == 0 ? Version(numbers: numbers) : nil
    }

    /// Writes in one call, as `/proc/sys` wants it. Returns 0 or the error number.
    static func write(_ text: String, to path: String) -> Int32 {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return errno }
        defer { close(file) }
        let bytes = Array(text.utf8)
        return Glibc.write(file, bytes, bytes.count) == bytes.count ? 0 : errno
    }

    /// The names in a folder, without `.` and `..`; empty when it cannot be read.
    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// What a symbolic link says; nil when it cannot be read.
    static func link(_ path: String) -> String? {
        var block = [CChar](repeating: 0, count: 4096)
        let count = readlink(path, &block, block.count)
        guard count >= 0 else { return nil }
        return String(decoding: block[0..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
