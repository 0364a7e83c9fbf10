import Glibc

/// Folders of our own.
enum Folder {
    struct Unusable: Error, CustomStringConvertible {
        let description: String
    }

    /// Makes a folder and the missing ones above it; one that exists keeps its mode.
    static func make(_ path: String, mode: mode_t) throws(Unusable) {
        var prefix = path.hasPrefix("/") ? "/" : ""
        let parts = path.split(separator: "/")
        for (index, part) in parts.enumerated() {
            prefix += (index == 0 ? "" : "/") + part
            let isLast = index == parts.count - 1
            if mkdir(prefix, isLast ? mode : 0o755) == 0 || errno == EEXIST { continue }
            throw Unusable(description: "cannot make the folder \(path): \(String(cString: strerror(errno)))")
        }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else {
            throw Unusable(description: "\(path) cannot be used as a folder: \(String(cString: strerror(errno)))")
        }
        close(folder)
    }
}

/// Keeps a second daemon out of a folder for as long as this value lives, and no longer than the process.
final class FolderLock: Sendable {
    private let descriptor: Int32

    /// - Throws: ``Folder/Unusable`` when another process has the folder.
    init(_ folder: String) throws(Folder.Unusable) {
        let path = folder + "/gatehoused.lock"
        descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw Folder.Unusable(description: "cannot make \(path): \(String(cString: strerror(errno)))")
        }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            close(descriptor)
            throw Folder.Unusable(
                description: "another gatehoused uses the state folder \(folder): stop it, or give this one a "
                    + "--state-directory of its own")
        }
    }

    deinit { close(descriptor) }
}
