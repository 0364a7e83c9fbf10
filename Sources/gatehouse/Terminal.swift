import Base
import Glibc

/// The terminal, or the pipe, that the command speaks to.
enum Terminal {
    static var isOutputTerminal: Bool { isatty(1) == 1 }
    /// Whether a person can be asked: questions go to standard error, answers come from standard input.
    static var canAsk: Bool { isatty(0) == 1 && isatty(2) == 1 }

    /// Colour, where a person looks and has not said no (no-color.org).
    static var style: Style {
        let hasNoColor = getenv("NO_COLOR").map { $0.pointee != 0 } ?? false
        let isDumb = getenv("TERM").map { String(cString: $0) == "dumb" } ?? true
        return Style(isColoured: isOutputTerminal && !hasNoColor && !isDumb)
    }

    /// Columns and rows of the terminal; nil in a pipe.
    static var size: (columns: Int, rows: Int)? {
        guard isOutputTerminal else { return nil }
        var size = winsize()
        guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return (80, 24) }
        return (Int(size.ws_col), max(2, Int(size.ws_row)))
    }

    static var now: WallTime {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return WallTime(nanoseconds: Int64(now.tv_sec) &* 1_000_000_000 &+ Int64(now.tv_nsec))
    }

    /// A line on standard output, at once: whoever follows sees it as it comes.
    static func say(_ text: String) { write(text.hasSuffix("\n") ? text : text + "\n", to: 1) }
    static func complain(_ text: String) { write(text.hasSuffix("\n") ? text : text + "\n", to: 2) }
    /// Without a line break.
    static func draw(_ text: String) { write(text, to: 1) }

    private static func write(_ text: String, to descriptor: Int32) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                // A reader that has seen enough, such as `head`, ends a command that would go on for ever.
                if descriptor == 1 { exit(errno == EPIPE ? 0 : 1) }
                return
            }
            rest = rest.dropFirst(count)
        }
    }

    /// Asks a question; nil at the end of the input.
    static func ask(_ question: String) -> String? {
        write(question, to: 2)
        guard let answer = readLine() else {
            write("\n", to: 2)
            return nil
        }
        return answer
    }
}

extension Terminal {
    /// Asks for a secret on the controlling terminal, where nothing of the answer is shown. Input and output may be
    /// elsewhere.
    ///
    /// - Parameter ways: options that give the secret where nobody can be asked.
    static func askSecret(
        _ question: String, noun: String = "pre-shared key", ways: String = "--psk-file, --psk-env or --generate-psk"
    ) throws -> [UInt8] {
        let terminal = open("/dev/tty", O_RDWR | O_CLOEXEC)
        guard terminal >= 0 else {
            throw CommandFailure(
                "there is no terminal to ask for the \(noun): give it with \(ways)", isUsage: true)
        }
        defer { close(terminal) }
        var before = termios()
        tcgetattr(terminal, &before)
        var silent = before
        // Keys come one by one and unread by the line editor, so that an interrupt puts the terminal back as well.
        silent.c_lflag &= ~tcflag_t(ECHO | ICANON | ISIG)
        tcsetattr(terminal, TCSAFLUSH, &silent)
        defer { tcsetattr(terminal, TCSAFLUSH, &before) }
        write(question, to: terminal)
        defer { write("\n", to: terminal) }
        var answer: [UInt8] = []
        while true {
            var byte: UInt8 = 0
            let count = Glibc.read(terminal, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1, byte != 3, byte != 4 || !answer.isEmpty else {
                throw CommandFailure("no \(noun) was given, and nothing was changed")
            }
            switch byte {
            case 10, 13: return answer
            // Backspace and Delete take a whole character away, Control-U the line.
            case 8, 127:
                while let last = answer.popLast(), last & 0xC0 == 0x80 {}
            case 21: answer.removeAll()
            case 4: break
            default: answer.append(byte)
            }
        }
    }

    /// A question with yes or no; no unless told otherwise.
    static func confirms(_ question: String) -> Bool {
        ["y", "yes"].contains(ask(question + " [y/N] ")?.lowercased() ?? "")
    }
}

/// Files that a person names; `-` is standard input.
enum InputFile {
    /// Bytes beyond which no file is read.
    static let limit = 4 << 20

    static func read(_ path: String) throws -> [UInt8] {
        let descriptor = path == "-" ? 0 : open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw CommandFailure("cannot read \(path): \(String(cString: strerror(errno)))") }
        defer { if descriptor > 0 { close(descriptor) } }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw CommandFailure("cannot read \(path): \(String(cString: strerror(errno)))") }
            guard count > 0 else { return bytes }
            bytes += block[0..<count]
            guard bytes.count <= limit else {
                throw CommandFailure("\(path) is over \(limit >> 20) MiB: that is no file that Gatehouse reads")
            }
        }
    }
}
