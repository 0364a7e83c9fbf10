import Base

/// The pages that people see. No scripts, one style sheet, words that say what to do.
enum Pages {
    static func signIn(_ choices: [SignInChoice]) -> Page {
        guard !choices.isEmpty else {
            return Page(
                "Sign-in is not set up yet", icon: .door,
                """
                <h1>Sign-in is not set up yet</h1>
                <p>Nobody can sign in here so far: no identity provider is configured on this gateway.</p>
                <p class="hint">If you administer it, <code>gatehouse idp add</code> is where to begin.</p>
                """)
        }
        let buttons = choices.map { choice -> HTML in
            """
            <li><a class="button" href="/user/sign-in/\(choice.id)">\(
                choices.count == 1 ? "Sign in with " : "")\(choice.title)</a></li>
            """
        }
        let lead =
            choices.count == 1
            ? "Sign in with your company account to reach the private network."
            : "Choose where your company account is, to reach the private network."
        let hint: HTML =
            choices.contains(where: \.mustBeginThere)
            ? """
            <p class="hint">First time here? Begin in your company’s app portal: your first sign-in must start there.</p>
            """ : ""
        return Page(
            "Sign in", icon: .door,
            """
            <h1>Sign in</h1>
            <p>\(lead)</p>
            <ul class="choices">\(buttons)</ul>
            \(hint)
            """)
    }

    static func connected(_ standing: Standing, token: String, now: WallTime) -> Page {
        let who = standing.name ?? standing.email
        let greeting: HTML = who.map { "<h1>You are connected, \($0)</h1>" } ?? "<h1>You are connected</h1>"
        let sites = standing.sites.map { site -> HTML in
            let networks: HTML =
                site.networks.isEmpty ? "" : "<span class=\"networks\">\(site.networks.joined(separator: ", "))</span>"
            return "<li><span class=\"site\">\(site.name)</span>\(networks)</li>"
        }
        let reach: HTML =
            sites.isEmpty
            ? "<p>No network is open to you at this moment.</p>"
            : "<h2>You can reach</h2><ul class=\"sites\">\(sites)</ul>"
        let account: HTML = standing.email.map { "<div><dt>Account</dt><dd>\($0)</dd></div>" } ?? ""
        let until = standing.expiresAt.rfc3339
        let end: HTML = "<time datetime=\"\(until)\">\(clockTime(standing.expiresAt, now: now))</time>"
        return Page(
            "You are connected", icon: .check,
            """
            \(greeting)
            \(reach)
            <dl>\(account)<div><dt>Time left</dt><dd>\(timeLeft(standing.expiresAt, now: now))<span class="until">until \(end)\
            </span></dd></div></dl>
            <form method="post" action="/user/sign-out">
            <input type="hidden" name="token" value="\(token)">
            <button class="button quiet" type="submit">Sign out</button>
            </form>
            <p class="hint">You may close this page. The connection stays until the time is over or you sign out.</p>
            """, formOrigins: [standing.logoutOrigin].compactMap { $0 })
    }

    static var signedOut: Page {
        Page(
            "You are signed out", icon: .door,
            """
            <h1>You are signed out</h1>
            <p>This device no longer reaches the private network.</p>
            <p><a class="button" href="/">Sign in again</a></p>
            """)
    }

    /// A form for a provider that wants its request posted. The button is there because there are no scripts here.
    static func handOver(_ title: String, action: String, fields: [String: String], origin: String) -> Page {
        let inputs = fields.sorted { $0.key < $1.key }.map { field -> HTML in
            "<input type=\"hidden\" name=\"\(field.key)\" value=\"\(field.value)\">"
        }
        return Page(
            "Continue to \(title)", icon: .door,
            """
            <h1>Continue to \(title)</h1>
            <p>You sign in there and come back here.</p>
            <form method="post" action="\(action)">\(inputs)
            <button class="button" type="submit">Continue</button></form>
            """, formOrigins: [origin])
    }

    static func problem(_ problem: SignInProblem) -> Page {
        let (title, paragraphs, action) = words(problem.kind)
        return Page(
            title, icon: .stop, status: status(problem.kind),
            """
            <h1>\(title)</h1>
            \(paragraphs.map { paragraph -> HTML in "<p>\(paragraph)</p>" })
            <p><a class="button" href="/">\(action)</a></p>
            <p class="reference">If you ask for help, give this reference: <strong>\(problem.reference)</strong></p>
            """)
    }

    static func plain(_ title: String, _ text: String, status: Int) -> Page {
        Page(
            title, icon: .stop, status: status,
            "<h1>\(title)</h1><p>\(text)</p><p><a class=\"button\" href=\"/\">To the start</a></p>")
    }

    private static func status(_ kind: SignInProblem.Kind) -> Int {
        switch kind {
        case .unavailable: 503
        case .noSuchProvider: 404
        default: 403
        }
    }

    private static func words(_ kind: SignInProblem.Kind) -> (String, [String], String) {
        switch kind {
        case .unknownUser(let provider):
            (
                "Your first visit starts elsewhere",
                [
                    "\(provider) knows you, but this gateway has not seen you before. The first time, begin in "
                        + "\(provider) itself:",
                    "Open your company’s app portal, choose the tile for this gateway there, and you are in. After "
                        + "that you can sign in from here as well.",
                ], "Back"
            )
        case .disabled:
            (
                "Your access is switched off",
                ["An administrator has switched off your access to this gateway. Ask them to switch it on again."], "Back"
            )
        case .noAddress:
            (
                "Your account has no e-mail address",
                [
                    "Your identity provider did not send an e-mail address, and this gateway knows people by theirs. "
                        + "An administrator can change what the provider sends."
                ], "Back"
            )
        case .nothingAllowed:
            (
                "Nothing is open to you",
                ["You are who you say, but no network is open to your account. Ask an administrator for access."], "Back"
            )
        case .againstPolicy(let reasons):
            reasons.isEmpty
                ? (
                    "Not from here, or not now",
                    [
                        "You are who you say, but your company’s rules do not let you in from this place, at this time "
                            + "or with this device. Ask an administrator."
                    ], "Try again"
                )
                : (
                    "This device is not ready",
                    ["You are who you say, but your company’s rules ask for a device that is in order. What is missing:"]
                        + reasons + ["When that is mended, sign in again: nothing else is needed."], "Try again"
                )
        case .stale:
            (
                "Please sign in once more",
                [
                    "This sign-in is over: it took too long, was finished already, or began in another browser window.",
                    "Nothing is wrong with your account. Start again, and it should work.",
                ], "Start again"
            )
        case .refusedByProvider:
            (
                "Your identity provider said no",
                ["It did not sign you in to this gateway. You may not be assigned to it there: ask an administrator."],
                "Try again"
            )
        case .notAcceptable:
            (
                "The sign-in could not be checked",
                [
                    "What your identity provider sent does not fit what this gateway expects, so nobody was let in.",
                    "Trying again will hardly help. An administrator can see the reason.",
                ], "Try again"
            )
        case .signOutNotAcceptable:
            (
                "The sign-out could not be checked",
                [
                    "This gateway was asked to end your session, in a way that it cannot trust. Nothing has changed here.",
                    "If you are still connected, you can sign out on the first page.",
                ], "To the start"
            )
        case .noSuchProvider:
            ("That sign-in is not offered", ["The link is old, or the provider was switched off."], "To the start")
        case .unavailable:
            ("Not possible at the moment", ["The gateway cannot sign anybody in just now. Try again in a minute."], "Try again")
        }
    }

    /// `6 hours 12 minutes`, in two units at most.
    static func timeLeft(_ end: WallTime, now: WallTime) -> String {
        let minutes = max(0, (end.nanoseconds &- now.nanoseconds) / 60_000_000_000)
        func count(_ number: Int64, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }
        if minutes < 1 { return "less than a minute" }
        if minutes < 60 { return count(minutes, "minute") }
        if minutes < 24 * 60 {
            return count(minutes / 60, "hour") + (minutes % 60 == 0 ? "" : " " + count(minutes % 60, "minute"))
        }
        let hours = minutes / 60
        return count(hours / 24, "day") + (hours % 24 == 0 ? "" : " " + count(hours % 24, "hour"))
    }

    /// The time of day in UTC, with the date when it is another day.
    private static func clockTime(_ end: WallTime, now: WallTime) -> String {
        let text = end.rfc3339
        let time = text.dropFirst(11).prefix(5) + " UTC"
        return text.prefix(10) == now.rfc3339.prefix(10) ? String(time) : text.prefix(10) + " " + time
    }
}

/// One page, ready to be sent.
struct Page: Sendable {
    enum Icon: String, Sendable { case door, check, stop }

    var html: String
    var status: Int
    /// Origins, beside ours, that a form of the page may lead to.
    var formOrigins: [String]

    init(_ title: String, icon: Icon, status: Int = 200, _ body: HTML, formOrigins: [String] = []) {
        let document: HTML = """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <meta name="robots" content="noindex">
            <title>\(title) – Gatehouse</title>
            <link rel="icon" href="/icon.svg" type="image/svg+xml">
            <link rel="stylesheet" href="/style.css">
            </head>
            <body>
            <main class="card \(icon.rawValue)">
            \(Self.drawing(icon))
            \(body)
            </main>
            <footer>Gatehouse</footer>
            </body>
            </html>

            """
        html = document.text
        self.status = status
        self.formOrigins = formOrigins
    }

    private static func drawing(_ icon: Icon) -> HTML {
        let path: HTML =
            switch icon {
            case .door: "<path d=\"M5 21V10a7 7 0 0 1 14 0v11M3 21h18M9.5 21v-9.5a2.5 2.5 0 0 1 5 0V21\"/>"
            case .check: "<path d=\"M5 12.5l4.5 4.5L19 7.5\"/>"
            case .stop: "<path d=\"M12 7v6m0 3.6v.1\"/><circle cx=\"12\" cy=\"12\" r=\"9\"/>"
            }
        return """
            <svg class="icon" viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" \
            stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">\(path)</svg>
            """
    }
}

/// Files that the pages refer to.
enum Assets {
    static let icon = """
        <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#0b6e5f"/>\
        <path d="M8 26V14a8 8 0 0 1 16 0v12M6 26h20M13 26V16a3 3 0 0 1 6 0v10" fill="none" stroke="#fff" \
        stroke-width="2.2" stroke-linecap="round" stroke-linejoin="round"/></svg>
        """

    static let style = """
        :root {
          --page: #f3f5f4; --card: #ffffff; --text: #16211e; --soft: #52615c; --line: #d9e0dd;
          --accent: #0b6e5f; --accent-strong: #07574b; --on-accent: #ffffff; --tint: #e3f1ee;
          --warn: #9a3412; --warn-tint: #fdeee4;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --page: #0e1513; --card: #17211e; --text: #e8efec; --soft: #a3b3ad; --line: #2b3935;
            --accent: #4cc3ae; --accent-strong: #74d7c5; --on-accent: #06231e; --tint: #17352f;
            --warn: #f6ad84; --warn-tint: #3a241a;
          }
        }
        * { box-sizing: border-box; }
        html { font-size: 100%; -webkit-text-size-adjust: 100%; }
        body {
          margin: 0; min-height: 100vh; min-height: 100dvh; display: flex; flex-direction: column; align-items: center;
          justify-content: center; padding: 1.5rem 1rem; background: var(--page); color: var(--text);
          font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
        }
        .card {
          width: 100%; max-width: 27rem; background: var(--card); border: 1px solid var(--line); border-radius: 1rem;
          padding: 2.25rem 2rem 1.75rem; box-shadow: 0 1px 2px rgb(0 0 0 / .05), 0 12px 32px -16px rgb(0 0 0 / .25);
        }
        .icon {
          display: block; width: 3rem; height: 3rem; padding: .6rem; border-radius: .8rem; margin-bottom: 1.25rem;
          background: var(--tint); color: var(--accent);
        }
        .stop .icon { background: var(--warn-tint); color: var(--warn); }
        h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .75rem; letter-spacing: -.01em; text-wrap: balance;
          overflow-wrap: anywhere; }
        h2 { font-size: .8125rem; font-weight: 600; color: var(--soft); margin: 1.5rem 0 .5rem; }
        p { margin: 0 0 1rem; text-wrap: pretty; }
        p:has(> .button) { margin-top: 1.5rem; }
        p:last-child { margin-bottom: 0; }
        ul { list-style: none; padding: 0; margin: 1.5rem 0; }
        ul:last-child { margin-bottom: .5rem; }
        .choices li + li { margin-top: .625rem; }
        .button {
          display: block; width: 100%; padding: .75rem 1rem; border: 1px solid transparent; border-radius: .625rem;
          background: var(--accent); color: var(--on-accent); font: inherit; font-weight: 600; text-align: center;
          text-decoration: none; cursor: pointer; overflow-wrap: anywhere;
        }
        .button:hover { background: var(--accent-strong); }
        .button.quiet { background: transparent; color: var(--text); border-color: var(--line); }
        .button.quiet:hover { border-color: var(--soft); }
        a:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
        .sites { margin: 0; border: 1px solid var(--line); border-radius: .625rem; }
        .sites li { padding: .625rem .875rem; }
        .sites li + li { border-top: 1px solid var(--line); }
        .site { display: block; font-weight: 600; overflow-wrap: anywhere; }
        .networks { display: block; color: var(--soft); font-size: .875rem; overflow-wrap: anywhere;
          font-variant-numeric: tabular-nums; }
        dl { margin: 1.5rem 0; }
        dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; padding: .375rem 0; }
        dt { color: var(--soft); flex: none; }
        dd { margin: 0 0 0 auto; text-align: right; overflow-wrap: anywhere; }
        .until { display: block; color: var(--soft); font-size: .875rem; }
        .hint, .reference { color: var(--soft); font-size: .875rem; margin: 1.25rem 0 0; }
        .reference strong { color: var(--text); font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace;
          white-space: nowrap; }
        code { font-family: ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; font-size: .9em; }
        footer { margin-top: 1.25rem; color: var(--soft); font-size: .8125rem; }
        @media (max-width: 26rem) { .card { padding: 1.75rem 1.25rem 1.5rem; } }
        @media (forced-colors: active) { .icon, .button { border: 1px solid; } }

        """
}
