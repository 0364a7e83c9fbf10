internal import Foundation
internal import Glibc

/// A headless Chromium on a host of the lab, driven as W3C WebDriver says, by chromedriver. A new one knows nothing: no
/// cookies, no history. It ends with the lab.
final class Browser: Sendable {
    let lab: Lab
    private let host: Host
    private let session: String

    /// How a page is looked at.
    struct Look: Sendable {
        var name: String
        var width: Int
        var height: Int
        var isDark: Bool
        /// Device pixels for a pixel of style sheets; a zoom of 200 % is this and half the width.
        var scale = 1.0
        var isMobile = false

        static let desktop = Look(name: "desktop", width: 1280, height: 900, isDark: false)
        static let desktopDark = Look(name: "desktop-dark", width: 1280, height: 900, isDark: true)
        static let phone = Look(name: "phone", width: 390, height: 844, isDark: false, scale: 2, isMobile: true)
        static let phoneDark = Look(name: "phone-dark", width: 390, height: 844, isDark: true, scale: 2, isMobile: true)
        static let zoomed = Look(name: "zoomed", width: 640, height: 450, isDark: false, scale: 2)
        static let all = [desktop, desktopDark, phone, phoneDark, zoomed]
    }

    /// Starts it.
    ///
    /// - Parameter certificates: files with the certificates, signed by themselves, of the sites that it shall trust. All
    ///   other sites must have one from an authority that it knows.
    init(_ lab: Lab, on host: Host = .client, trusting certificates: [String]) async throws {
        self.lab = lab
        self.host = host
        let name = "chromium-" + UUID().uuidString.prefix(8)
        var pins: [String] = []
        for file in certificates {
            // One that a daemon makes comes a moment after its start.
            try await eventually("\(file) holds a certificate") {
                try await run("openssl", ["x509", "-in", file, "-noout"]).status == 0
            }
            let digest = try await must(
                "sh",
                [
                    "-c",
                    "openssl x509 -in \"$0\" -noout -pubkey | openssl pkey -pubin -outform der "
                        + "| openssl dgst -sha256 -binary | openssl base64", file,
                ])
            pins.append(digest.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        let driver = try lab.start("chromedriver", ["--port=0"], on: host, log: "\(name).log")
        let port = try await eventually("chromedriver listens") {
            driver.log.firstMatch(of: /successfully on port (\d+)/).map { String($0.output.1) }
        }
        let arguments: [JSON] =
            [
                // Without a sandbox, since Chromium has none for root; the lab is all that it can reach.
                "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run",
                "--disable-background-networking", "--disable-component-update",
            ] + [
                .text("--user-data-dir=" + lab.file(name)),
                .text("--ignore-certificate-errors-spki-list=" + pins.joined(separator: ",")),
            ]
        // Debian's start page is on the internet, which is not there.
        let preferences: JSON = ["session.restore_on_startup": 4, "session.startup_urls": ["about:blank"]]
        struct Session: Decodable { var sessionId: String }
        let base = "http://127.0.0.1:\(port)/session"
        let opened: Session = try await Self.call(
            lab, host, "POST", base,
            [
                "capabilities": [
                    "alwaysMatch": ["goog:chromeOptions": ["args": .list(arguments), "prefs": preferences]]
                ]
            ])
        session = base + "/" + opened.sessionId
        try await look(.desktop)
    }

    // MARK: What people do

    func open(_ address: String) async throws { try await tell("POST", "/url", ["url": .text(address)]) }

    /// Clicks the link or button with these words on it.
    func click(_ words: String) async throws {
        let quoted = Self.quoted(words)
        try await act(
            "there is something to click on that says '\(words)'",
            "//a[normalize-space()=\(quoted)]|//button[normalize-space()=\(quoted)]"
                + "|//input[@type='submit' and @value=\(quoted)]", [("click", [:])])
    }

    /// Types into the field with this label, in the place of what is there.
    func fill(_ label: String, with text: String) async throws {
        try await act(
            "there is a field '\(label)'", "//input[@id=//label[normalize-space()=\(Self.quoted(label))]/@for]",
            [("clear", [:]), ("value", ["text": .text(text)])])
    }

    enum Key: String, Sendable {
        case tab = "\u{E004}"
        case enter = "\u{E007}"
    }

    func press(_ key: Key) async throws {
        let value = JSON.text(key.rawValue)
        try await tell(
            "POST", "/actions",
            [
                "actions": [
                    [
                        "type": "key", "id": "keyboard",
                        "actions": [["type": "keyDown", "value": value], ["type": "keyUp", "value": value]],
                    ]
                ]
            ])
    }

    /// Goes on with the Tab key to what has these words, and presses Enter.
    func pressEnter(on words: String) async throws {
        for _ in 0..<30 {
            try await press(.tab)
            if try await focused() == words { return try await press(.enter) }
        }
        throw LabError("The Tab key does not lead to '\(words)': \(try await text())")
    }

    // MARK: What people see

    func address() async throws -> String { try await ask("/url") }
    func title() async throws -> String { try await ask("/title") }
    /// The visible words of the page.
    func text() async throws -> String { try await evaluate("return document.body.innerText") }

    /// The words on what has the keyboard's focus; empty when nothing has.
    func focused() async throws -> String {
        try await evaluate(
            """
            const element = document.activeElement
            if (!element || element === document.body) return ""
            const label = element.labels && element.labels[0]
            return (label || element).innerText.trim() || element.value || ""
            """)
    }

    /// Waits until the page says these words.
    @discardableResult
    func waitFor(_ words: String, within seconds: Double = 20) async throws -> String {
        do {
            return try await eventually("the page says '\(words)'", within: seconds) {
                let text = try await self.text()
                return text.contains(words) ? text : nil
            }
        } catch let error as LabError {
            throw LabError("\(error); at \(try await address()) it says: \(try await text())")
        }
    }

    // MARK: The browser itself

    /// Runs a piece of a script as the body of a function, whether the page may run scripts or not.
    func evaluate<Value: Decodable & Sendable>(_ script: String) async throws -> Value {
        try await ask("/execute/sync", ["script": .text(script), "args": []])
    }

    func look(_ look: Look) async throws {
        try await command(
            "Emulation.setDeviceMetricsOverride",
            [
                "width": .number(Double(look.width)), "height": .number(Double(look.height)),
                "deviceScaleFactor": .number(look.scale), "mobile": .truth(look.isMobile),
            ])
        try await command(
            "Emulation.setEmulatedMedia",
            ["features": [["name": "prefers-color-scheme", "value": look.isDark ? "dark" : "light"]]])
    }

    /// Whether pages may run scripts, from the next page on.
    func allowScripts(_ areAllowed: Bool) async throws {
        try await command("Emulation.setScriptExecutionDisabled", ["value": .truth(!areAllowed)])
    }

    /// A picture of the whole page, as PNG.
    func picture() async throws -> Data {
        struct Metrics: Decodable { var cssContentSize: Size }
        struct Size: Decodable { var width: Double, height: Double }
        struct Picture: Decodable { var data: Data }
        let size = try await answer(of: "Page.getLayoutMetrics", [:], as: Metrics.self).cssContentSize
        return try await answer(
            of: "Page.captureScreenshot",
            [
                "captureBeyondViewport": true,
                "clip": [
                    "x": 0, "y": 0, "width": .number(size.width), "height": .number(size.height), "scale": 1,
                ],
            ], as: Picture.self
        ).data
    }

    private func command(_ name: String, _ parameters: JSON) async throws {
        try await tell("POST", "/goog/cdp/execute", ["cmd": .text(name), "params": parameters])
    }

    private func answer<Value: Decodable>(of name: String, _ parameters: JSON, as: Value.Type) async throws -> Value {
        try await ask("/goog/cdp/execute", ["cmd": .text(name), "params": parameters])
    }

    // MARK: WebDriver

    /// Does something to the first visible element that an XPath names, as soon as there is one.
    private func act(_ expectation: String, _ path: String, _ deeds: [(name: String, body: JSON)]) async throws {
        do {
            try await eventually(expectation) { try await self.attempt(path, deeds) }
        } catch let error as LabError {
            throw LabError("\(error); at \(try await address()) it says: \(try await text())")
        }
    }

    private func attempt(_ path: String, _ deeds: [(name: String, body: JSON)]) async throws -> Bool {
        let elements: [[String: String]] = try await ask("/elements", ["using": "xpath", "value": .text(path)])
        for id in elements.compactMap(\.first?.value) where try await ask("/element/\(id)/displayed") == true {
            for deed in deeds { try await tell("POST", "/element/\(id)/\(deed.name)", deed.body) }
            return true
        }
        return false
    }

    private func ask<Value: Decodable>(_ path: String, _ body: JSON? = nil) async throws -> Value {
        try await Self.call(lab, host, body == nil ? "GET" : "POST", session + path, body)
    }

    private func tell(_ method: String, _ path: String, _ body: JSON) async throws {
        struct Ignored: Decodable { init(from: any Decoder) {} }
        let _: Ignored = try await Self.call(lab, host, method, session + path, body)
    }

    /// The driver listens in the namespace of its host, where curl can reach it.
    private static func call<Value: Decodable>(
        _ lab: Lab, _ host: Host, _ method: String, _ address: String, _ body: JSON?
    ) async throws -> Value {
        var arguments = ["-sS", "--max-time", "30", "-X", method, address]
        if let body {
            let text = String(decoding: try JSONEncoder().encode(body), as: UTF8.self)
            arguments += ["-H", "Content-Type: application/json", "-d", text]
        }
        let text = try await lab.must("curl", arguments, on: host, seconds: 40)
        if let reason = try? JSONDecoder().decode(Answer<Failure>.self, from: Data(text.utf8)).value {
            throw LabError("The browser: \(reason.error) (\(reason.message))")
        }
        do {
            return try JSONDecoder().decode(Answer<Value>.self, from: Data(text.utf8)).value
        } catch {
            throw LabError("chromedriver answered \(method) \(address) with something else (\(error)): \(text.prefix(300))")
        }
    }

    private struct Answer<Value: Decodable>: Decodable { var value: Value }
    private struct Failure: Decodable {
        var error: String
        var message: String
    }

    /// A text in an XPath, which knows no escapes.
    private static func quoted(_ words: String) -> String {
        words.contains("'") ? "\"\(words)\"" : "'\(words)'"
    }
}

/// A value to send as JSON.
enum JSON: Encodable, Sendable {
    case text(String)
    case number(Double)
    case truth(Bool)
    case list([JSON])
    case object([String: JSON])

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .number(let number): try container.encode(number)
        case .truth(let truth): try container.encode(truth)
        case .list(let list): try container.encode(list)
        case .object(let object): try container.encode(object)
        }
    }
}

extension JSON: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    init(stringLiteral value: String) { self = .text(value) }
    init(integerLiteral value: Int) { self = .number(Double(value)) }
    init(booleanLiteral value: Bool) { self = .truth(value) }
    init(arrayLiteral elements: JSON...) { self = .list(elements) }
    init(dictionaryLiteral elements: (String, JSON)...) { self = .object(Dictionary(elements) { $1 }) }
}
