/// What stands in a file in the place of a pre-shared key: what a published example has there, or what somebody wrote
/// over the key before the text was passed on. Much of it would pass for a key by AWS's rules.
enum KeyStandIn {
    /// In words for a message, which never quote more than a word of our own list; nil for what may be a key.
    static func name(_ text: String) -> String? {
        // Longer than any key, and not worth a look.
        guard text.utf8.count <= 256 else { return nil }
        if isMask(text) { return "a mask of \(text.count) characters" }
        if isBracketed(text) { return "a text in brackets" }
        let letters = String(
            decoding: text.lowercased().utf8.filter { (97...122).contains($0) }, as: UTF8.self)
        if letters.contains("redacted") { return "the word 'redacted'" }
        let digits = text.utf8.count { (48...57).contains($0) }
        if digits <= 1, let word = words.first(where: { $0 == letters }) { return "the word '\(word)'" }
        let asks = ["your", "insert", "enter", "replace"].contains { letters.hasPrefix($0) }
        if asks, ["key", "psk", "secret", "password"].contains(where: { letters.contains($0) }) {
            return "a text that asks for a key"
        }
        return nil
    }

    /// Letters only, in lower case: punctuation, and one digit that tells two tunnels apart, do not count.
    private static let words = [
        "presharedkeyinplaintext", "plaintextpassword", "presharedkeyhere", "presharedkey", "presharedsecret",
        "sharedsecret", "secretkey", "password", "passphrase", "removed", "hidden", "masked", "omitted", "deleted",
        "sanitized", "obfuscated", "changeme",
    ]

    /// `XXXXXXXX`, `********`, `....`, or a key of which a part is crossed out.
    private static func isMask(_ text: String) -> Bool {
        var run = 0
        var isOnlyMarks = !text.isEmpty
        for scalar in text.unicodeScalars {
            switch scalar {
            case "x", "X":
                run += 1
                if run >= 6 { return true }
            case "*", "#", "?", ".", "_", "-", "\u{2022}", "\u{25CF}", "\u{2026}", " ": run = 0
            default:
                run = 0
                isOnlyMarks = false
            }
        }
        return isOnlyMarks
    }

    private static func isBracketed(_ text: String) -> Bool {
        if text.hasPrefix("${") || text.hasPrefix("{{") { return true }
        return [("<", ">"), ("[", "]"), ("{", "}"), ("(", ")")].contains { open, close in
            text.hasPrefix(open) && text.hasSuffix(close)
        }
    }
}
