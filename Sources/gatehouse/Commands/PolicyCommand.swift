import Access
import ArgumentParser
import Base
import JSONText
import Portal

/// `gatehouse policy`.
struct PolicyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "policy", abstract: "Sign-in policies: who may come in, to which sites, when.",
        discussion: "They are asked in their order; the first that matches decides. At the end stands the default.",
        subcommands: [
            List.self, Show.self, Add.self, Edit.self, Move.self, Remove.self, Default.self, Test.self, Simulate.self,
            Export.self, Apply.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Lists the policies in their order.")
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let book = try await shared.policies()
            if shared.json { return Terminal.say(try JSON(encoding: book.set.policies).text(isPretty: true)) }
            Terminal.say(listing(book.set, width: Terminal.size?.columns, style: Terminal.style))
            warn(book)
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Shows one policy.")
        @Argument(help: "The policy's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws {
            let set = try await shared.policies().set
            let policy = try set.policies.named(name, \.name, "policy")
            if shared.json { return Terminal.say(try JSON(encoding: policy).text(isPretty: true)) }
            Terminal.say(text(of: policy, in: set))
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Adds a policy, at the end unless --place says otherwise.",
            discussion: """
                  gatehouse policy add 'Finance from healthy devices' --group Finance --when healthy --allow
                  gatehouse policy add 'Finance, else' --group Finance --deny-and-notify
                """)
        @Argument(help: "A name for it.")
        var name: String
        @Option(help: ArgumentHelp("The place among the policies, from 1.", valueName: "number"))
        var place: Int?
        @OptionGroup var terms: PolicyOptions
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            guard try terms.action() != nil else {
                throw ValidationError("Say what happens: --allow, --allow-only, --deny or --deny-and-notify.")
            }
        }

        func run() async throws {
            guard let action = try terms.action() else { return }
            var policy = SignInPolicy(name: name, action: action)
            terms.change(&policy)
            try await shared.edit(.savePolicy(policy: policy, isReplacing: false, place: place))
        }
    }

    struct Edit: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes a policy; sessions follow at once. What is not named stays.")
        @Argument(help: "The policy's name.")
        var name: String
        @OptionGroup var terms: PolicyOptions
        @Flag(help: "For everyone: takes users, groups and tags away.")
        var everyone = false
        @Flag(help: "Whatever the behaviours: takes them away.")
        var always = false
        @Flag(inversion: .prefixedEnableDisable, help: "Whether the policy is asked.")
        var policy: Bool?
        @OptionGroup var shared: SharedOptions

        func validate() throws { _ = try terms.action() }

        func run() async throws {
            let book = try await shared.policies()
            var value = try book.set.policies.named(name, \.name, "policy")
            if everyone { value.audience = SignInPolicy.Audience(providers: value.audience.providers) }
            if always { value.behaviours = [] }
            terms.change(&value)
            if let action = try terms.action() { value.action = action }
            if let policy { value.isEnabled = policy }
            try await shared.edit(.savePolicy(policy: value, isReplacing: true, place: nil), against: book.version)
        }
    }

    struct Move: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Moves a policy to another place in the order.")
        @Argument(help: "The policy's name.")
        var name: String
        @Option(name: .customLong("to"), help: ArgumentHelp("The place, from 1.", valueName: "number"))
        var place: Int
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await shared.edit(.movePolicy(name: name, place: place)) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Removes a policy.")
        @Argument(help: "The policy's name.")
        var name: String
        @OptionGroup var shared: SharedOptions

        func run() async throws { try await shared.edit(.removePolicy(name: name)) }
    }

    struct Default: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Changes what holds where no policy matches (at first: allow).")
        @OptionGroup var action: ActionOptions
        @OptionGroup var shared: SharedOptions

        func validate() throws {
            guard try action.value() != nil else {
                throw ValidationError("Say what: --allow, --allow-only, --deny or --deny-and-notify.")
            }
        }

        func run() async throws {
            guard let action = try action.value() else { return }
            try await shared.edit(.setDefault(action: action))
        }
    }
}

/// What a policy does.
struct ActionOptions: ParsableArguments {
    @Flag(help: "Lets in, to all of the policy's sites.")
    var allow = false
    @Option(
        help: ArgumentHelp("Lets in to these of the policy's sites only, by ID with commas.", valueName: "sites"),
        transform: OptionValue.sites)
    var allowOnly: SiteChoice?
    @Flag(help: "Keeps out.")
    var deny = false
    @Flag(help: "Keeps out, with an event of its own.")
    var denyAndNotify = false

    func value() throws -> SignInPolicy.Action? {
        let actions: [SignInPolicy.Action?] = [
            allow ? .allow : nil, allowOnly.map { .allowOnly(sites: $0) }, deny ? .deny : nil,
            denyAndNotify ? .denyAndNotify : nil,
        ]
        let named = actions.compactMap(\.self)
        guard named.count <= 1 else {
            throw ValidationError("--allow, --allow-only, --deny and --deny-and-notify exclude each other.")
        }
        return named.first
    }
}

/// What can be said of a policy.
struct PolicyOptions: ParsableArguments {
    @Option(help: ArgumentHelp("A user it is for; may be repeated.", valueName: "e-mail"))
    var user: [String] = []
    @Option(
        help: ArgumentHelp(
            "A team, or a group that the identity provider sends, it is for; groups chosen in a directory are tags; may be "
                + "repeated.", valueName: "group"))
    var group: [String] = []
    @Option(help: ArgumentHelp("A tag it is for; may be repeated.", valueName: "tag"))
    var tag: [String] = []
    @Option(help: ArgumentHelp("An identity provider it is for; may be repeated.", valueName: "ID"))
    var idp: [String] = []
    @Option(
        help: ArgumentHelp("The sites it decides about: all, or IDs with commas.", valueName: "sites"),
        transform: OptionValue.sites)
    var sites: SiteChoice?
    @Option(help: ArgumentHelp("A behaviour that must hold; may be repeated.", valueName: "behaviour"))
    var when: [String] = []
    @OptionGroup var does: ActionOptions

    func action() throws -> SignInPolicy.Action? { try does.value() }

    /// Puts what is named in the place of what stands there.
    func change(_ policy: inout SignInPolicy) {
        if !user.isEmpty { policy.audience.users = user.map(User.key) }
        if !group.isEmpty { policy.audience.groups = group }
        if !tag.isEmpty { policy.audience.tags = tag }
        if !idp.isEmpty { policy.audience.providers = idp }
        if let sites { policy.sites = sites }
        if !when.isEmpty { policy.behaviours = when }
    }
}

extension SharedOptions {
    func policies() async throws -> PolicyBook {
        try await client.value(PolicyBook.self, .control, ["v1", "policies"])
    }

    /// Makes an edit and says what it did.
    func edit(_ edit: PolicyEdit, against version: String? = nil) async throws {
        let book = try await send(PolicyOrder(edits: [edit], against: version))
        if json { return Terminal.say(try JSON(encoding: book).text(isPretty: true)) }
        Terminal.say(book.changes.isEmpty ? "Nothing differs." : book.changes.map(\.printable).joined(separator: "\n"))
        warn(book)
    }

    func send(_ order: PolicyOrder, isDryRun: Bool = false) async throws -> PolicyBook {
        try await client.value(
            PolicyBook.self, .control, ["v1", "policies"], method: .post, query: isDryRun ? [("dry-run", "1")] : [],
            body: Array(try JSON(encoding: order).text().utf8))
    }
}

/// What an administrator should know of the policies as they are.
func warn(_ book: PolicyBook) {
    for warning in book.warnings { Terminal.complain("warning: \(warning.printable)") }
}

extension Array {
    /// The thing of a name.
    func named(_ name: String, _ naming: KeyPath<Element, String>, _ what: String) throws -> Element {
        guard let thing = first(where: { $0[keyPath: naming] == name }) else {
            throw CommandFailure("there is no \(what) '\(name.printable)'")
        }
        return thing
    }
}
