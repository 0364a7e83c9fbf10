import Access
import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse user`.
struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "user", abstract: "The people who may sign in.",
        discussion: "A first sign-in that begins at the identity provider adds its user by itself.",
        subcommands: [List.self, Show.self, Add.self, Edit.self, Disable.self, Enable.self, Remove.self, Invite.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the users.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let users = try await shared.client.value([UserStatus].self, .control, ["v1", "users"])
            if shared.json { return Terminal.say(try JSON(encoding: users).text(isPretty: true)) }
            Terminal.say(listing(users, width: Terminal.size?.columns, style: Terminal.style))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows one user.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            show(try await shared.client.value(UserStatus.self, .control, ["v1", "users", email]), shared)
        }
    }

    struct Invite: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Shows what to tell a user: where to sign in. Nothing is sent.",
            discussion: "Users whom a directory brings get no e-mail from the gateway.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let user = try await shared.client.value(UserStatus.self, .control, ["v1", "users", email])
            let gate = try await shared.client.value(GateStatus.self, .status, ["v1", "gate"])
            guard let portal = gate.portal else {
                throw CommandFailure("there are no sign-in pages: put portal.address into the boot file and restart gatehoused")
            }
            if shared.json {
                let members = [JSON.Member("email", .string(user.email)), JSON.Member("portal", .string(portal))]
                return Terminal.say(JSON.object(members).text(isPretty: true))
            }
            let name = user.firstName.map { " \($0.printable)" } ?? ""
            let reach =
                user.reaches.isEmpty
                ? "No site is open to you yet."
                : "After that you reach: \(user.reaches.joined(separator: ", ").printable)."
            Terminal.say("Hello\(name), sign in at \(portal)/ as \(user.email). \(reach)")
            if !user.isEnabled { Terminal.complain("gatehouse: \(user.email) is disabled and cannot sign in.") }
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Adds a user, who may then begin a sign-in anywhere.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var details: UserOptions
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let order = UserOrder(
                email: email, firstName: details.firstName, lastName: details.lastName,
                groups: details.group.isEmpty ? nil : details.group, tags: details.tag.isEmpty ? nil : details.tag,
                sites: details.sites)
            show(
                try await shared.client.value(
                    UserStatus.self, .control, ["v1", "users"], method: .post,
                    body: Array(try JSON(encoding: order).text().utf8)), shared)
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes a user; sessions follow at once where sites are taken away.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var details: UserOptions
        @Flag(help: "Go back to the sites that the setting for everyone says.")
        var defaultSites = false
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            if defaultSites, details.sites != nil {
                throw ValidationError("--sites and --default-sites exclude each other.")
            }
        }

        func run() async throws {
            try await change(email, shared) { change in
                change.firstName = details.firstName
                change.lastName = details.lastName
                change.groups = details.group.isEmpty ? nil : details.group
                change.tags = details.tag.isEmpty ? nil : details.tag
                change.sites = details.sites
                change.usesDefaultSites = defaultSites ? true : nil
            }
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Ends the user's sessions and admits no new one.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await change(email, shared) { $0.isEnabled = false } }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lets the user sign in again.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await change(email, shared) { $0.isEnabled = true } }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Ends the user's sessions and forgets the user.")
        @Argument(help: "The e-mail address.")
        var email: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let body = try await shared.client.ask(.control, ["v1", "users", email], method: .delete)
            Terminal.say(shared.json ? String(decoding: body, as: UTF8.self) : "Removed user \(User.key(email)).")
        }
    }
}

/// What can be said of a user.
struct UserOptions: ParsableArguments {
    @Option(help: "The first name.")
    var firstName: String?
    @Option(help: "The last name.")
    var lastName: String?
    @Option(
        help: "A team of the user's, for --group of policies; groups chosen in a directory are tags; may be repeated.")
    var group: [String] = []
    @Option(help: "A word of your own; may be repeated.")
    var tag: [String] = []
    @Option(
        help: ArgumentHelp("What the user reaches: all, none, or IDs of connectors with commas.", valueName: "sites"),
        transform: OptionValue.sites)
    var sites: SiteChoice?
}

private func change(_ email: String, _ shared: SharedOptions, _ body: (inout UserChange) -> Void) async throws {
    var change = UserChange()
    body(&change)
    show(
        try await shared.client.value(
            UserStatus.self, .control, ["v1", "users", email], method: .patch,
            body: Array(try JSON(encoding: change).text().utf8)), shared)
}

private func show(_ user: UserStatus, _ shared: SharedOptions) {
    if shared.json, let json = try? JSON(encoding: user) { return Terminal.say(json.text(isPretty: true)) }
    Terminal.say(text(of: user))
}
