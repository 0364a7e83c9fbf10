import Glibc

/// The administrator's own editor on a text.
enum Editor {
    /// Opens a text in `$VISUAL`, `$EDITOR` or vi, and gives back what was saved. Only we can read the file meanwhile,
    /// which is gone afterwards.
    ///
    /// - Throws: ``CommandFailure`` when the editor cannot run or says that it failed.
    static func edit(_ text: String, name: String) throws -> String {
        let folder = try privateFolder()
        let path = folder + "/" + name
        defer {
            // Editors leave backups and swap files beside the file.
            for entry in entries(of: folder) { unlink(folder + "/" + entry) }
            rmdir(folder)
        }
        try write(text, to: path)
        let editor = (["VISUAL", "EDITOR"] as [String]).compactMap { name in getenv(name).map { String(cString: $0) } }
            .first { !$0.isEmpty }
        try run(editor ?? "vi", on: path)
        let bytes = try InputFile.read(path)
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw CommandFailure("what the editor saved is not UTF-8 text; nothing was changed")
        }
        return text
    }

    private static func privateFolder() throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array((parent + "/gatehouse-XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else {
            throw CommandFailure("cannot make a folder in \(parent) for the editor: \(reason())")
        }
        return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    private static func entries(of folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    private static func write(_ text: String, to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw CommandFailure("cannot write \(path): \(reason())") }
        defer { close(descriptor) }
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw CommandFailure("cannot write \(path): \(reason())") }
            rest = rest.dropFirst(count)
        }
    }

    /// By way of the shell, since the variable may hold options: `code --wait`.
    private static func run(_ editor: String, on path: String) throws {
        let words = ["/bin/sh", "-c", editor + " \"$1\"", "sh", path]
        var arguments = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process = pid_t()
        let failure = posix_spawn(&process, words[0], nil, nil, &arguments, environ)
        guard failure == 0 else {
            throw CommandFailure("cannot run the editor: \(String(cString: strerror(failure)))")
        }
        // An interrupt is the editor's while it runs.
        let before = signal(SIGINT, SIG_IGN)
        defer { signal(SIGINT, before) }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else {
            throw CommandFailure("the editor '\(editor)' did not end well, and nothing was changed")
        }
    }

    private static func reason() -> String { String(cString: strerror(errno)) }
}
