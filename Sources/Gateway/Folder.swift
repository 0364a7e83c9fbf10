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
        guard folder >= 0 else { throw Unusable(description: "\(path) is no folder that can be opened") }
        close(folder)
    }
}
