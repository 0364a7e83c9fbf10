import ArgumentParser
import Cryptography
import Glibc
import Host

/// Where a pre-shared key comes from. Never from the words of the command, which every user of the host can read.
struct KeyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("Read the pre-shared key from a file; - is standard input.", valueName: "file"),
        completion: .file())
    var pskFile: String?
    @Option(help: ArgumentHelp("Read the pre-shared key from an environment variable.", valueName: "variable"))
    var pskEnv: String?
    @Flag(help: "Ask for the pre-shared key on the terminal, without echo.")
    var askPsk = false
    @Flag(help: "Make a strong pre-shared key and show it once.")
    var generatePsk = false

    var isEmpty: Bool { ways.isEmpty }

    private var ways: [String] {
        [
            pskFile == nil ? nil : "--psk-file", pskEnv == nil ? nil : "--psk-env", askPsk ? "--ask-psk" : nil,
            generatePsk ? "--generate-psk" : nil,
        ].compactMap { $0 }
    }

    func validate() throws {
        if ways.count > 1 { throw ValidationError("\(ways.joined(separator: " and ")): one way is enough.") }
    }

    /// A key with the text to show where it was made here.
    struct Key {
        var secret: Secret
        var generated: String?
    }

    /// The key, as the options say; nil when they say nothing.
    func read() throws -> Key? {
        if let pskFile {
            return Key(secret: try Self.secret(InputFile.read(pskFile), from: "--psk-file \(pskFile)"))
        }
        if let pskEnv {
            guard let value = getenv(pskEnv) else {
                throw CommandFailure("--psk-env: there is no environment variable \(pskEnv)", isUsage: true)
            }
            return Key(secret: try Self.secret(Array(String(cString: value).utf8), from: "--psk-env \(pskEnv)"))
        }
        if askPsk { return Key(secret: try Self.ask()) }
        guard generatePsk else { return nil }
        let text = Self.make()
        return Key(secret: Secret(Array(text.utf8)), generated: text)
    }

    /// Asks for the key twice, and says nothing of it on the screen.
    static func ask() throws -> Secret {
        while true {
            let first = try Terminal.askSecret("Pre-shared key: ")
            let secret = try secret(first, from: "the terminal")
            if try Terminal.askSecret("The same again: ") == first { return secret }
            Terminal.complain("The two differ; once more.")
        }
    }

    /// One line of text, whose end is not part of the key.
    static func secret(_ bytes: [UInt8], from place: String, _ noun: String = "pre-shared key") throws -> Secret {
        var key = bytes[...]
        if key.last == UInt8(ascii: "\n") { key.removeLast() }
        if key.last == UInt8(ascii: "\r") { key.removeLast() }
        guard !key.isEmpty else { throw CommandFailure("\(place): the \(noun) is empty") }
        guard !key.contains(UInt8(ascii: "\n")) else {
            throw CommandFailure("\(place): the \(noun) must be one line, and there are more")
        }
        return Secret(key)
    }

    /// 48 letters and digits, some 285 bits: what every vendor's form takes, and no shell or quoting harms.
    static func make() -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
        var text = ""
        while text.count < 48 {
            // Bytes beyond a multiple of 62 would make the first letters likelier. A zero in front is refused by AWS.
            for byte in SystemRandom.bytes(64) where byte < 248 && text.count < 48 {
                let letter = letters[Int(byte) % 62]
                if !text.isEmpty || letter != "0" { text.append(letter) }
            }
        }
        return text
    }
}
