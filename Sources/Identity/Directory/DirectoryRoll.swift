/// Who of a directory may be here: the people of the chosen groups, each once, and what an administrator should know.
public struct DirectoryRoll: Sendable {
    /// Someone who may come.
    public struct Entry: Hashable, Sendable {
        /// The directory's own key for the person.
        public var key: String
        /// In lower case.
        public var email: String
        public var firstName: String?
        public var lastName: String?
        /// For the chosen groups that the person is in.
        public var tags: [String]

        public init(
            key: String, email: String, firstName: String? = nil, lastName: String? = nil, tags: [String] = []
        ) {
            self.key = key
            self.email = email
            self.firstName = firstName
            self.lastName = lastName
            self.tags = tags
        }
    }

    /// Active people with an address.
    public var entries = Entries()
    /// Keys of people of any group whose account may not be used.
    public var suspended: Set<String> = []
    /// Keys of all whom the directory knows.
    public var isKnown: @Sendable (String) -> Bool = { _ in false }
    /// Sentences.
    public var warnings: [String] = []

    public init() {}

    /// Lists of tags that are kept to be shared.
    private static let sharedLists = 5000
    /// People named in one warning; there may be thousands.
    private static let examples = 3

    /// - Parameter isAddress: whether a text can be somebody's address here.
    public init(_ directory: Directory, _ mirror: DirectoryMirror, isAddress: (String) -> Bool) {
        isKnown = { mirror.hasPerson($0) }
        // Who is in which chosen group: the person's number above, the group's place below. Half a million of them are
        // nothing special.
        var chosen: [UInt64] = []
        var tags: [String?] = []
        // What an agent brings was chosen by its name before anyone knew its key, or by a key that is not to be found by
        // a name: names are anyone's.
        let isByName = { (group: Directory.ChosenGroup) in
            directory.kind == .agent && group.id == group.name && !mirror.hasGroup(group.id)
        }
        let named: [String: [Directory.ChosenGroup]] =
            directory.groups.contains(where: isByName) ? Dictionary(grouping: mirror.groupList, by: \.name) : [:]
        for (index, group) in directory.groups.enumerated() {
            let bearers = isByName(group) ? named[group.name] ?? [] : []
            guard bearers.count < 2 else {
                // Whoever may make a group could make one of this name.
                warnings.append(
                    "\(bearers.count) groups are called '\(group.name)' in the directory, so nobody comes by that name: "
                        + "choose the right one by its key, "
                        + bearers.prefix(Self.examples).map(\.id).joined(separator: " or ")
                        + "\(bearers.count > Self.examples ? " or another" : ""), or give the others another name there.")
                tags.append(nil)
                continue
            }
            let id = bearers.first?.id ?? group.id
            guard let name = mirror.groupName(id) else {
                warnings.append("The group '\(group.name)' is not in the directory any more.")
                tags.append(nil)
                continue
            }
            let tag = directory.tag(name)
            if tag == nil {
                warnings.append(
                    "The group '\(name)' gives no tag: its name has \(name.count) characters, and a tag has "
                        + "\(Directory.tagLimit) at most. Its members come all the same.")
            }
            tags.append(tag)
            for person in mirror.people(inGroup: id) {
                chosen.append(UInt64(UInt32(bitPattern: person)) << 32 | UInt64(index))
            }
        }
        chosen.sort()
        // Mostly few different sets of groups for many people: they share their lists.
        var shared: [[Int]: [String]] = [:]
        var nameless: [String] = []
        var people: [Entry] = []
        people.reserveCapacity(mirror.peopleCount)
        var rest = chosen[...]
        while let first = rest.first {
            let number = Int32(bitPattern: UInt32(first >> 32))
            let own = rest.prefix { $0 >> 32 == first >> 32 }
            rest = rest.dropFirst(own.count)
            guard let person = mirror.people[number] else { continue }
            let key = mirror.key(number)
            guard person.isActive else {
                suspended.insert(key)
                continue
            }
            guard let email = [person.mail, person.login].compactMap({ $0?.lowercased() }).first(where: isAddress) else {
                nameless.append(person.displayName ?? person.login ?? key)
                continue
            }
            let indices = own.map { Int($0 & 0xFFFF_FFFF) }
            let list = shared[indices] ?? Set(indices.compactMap { tags[$0] }).sorted()
            if shared.count < Self.sharedLists { shared[indices] = list }
            let (firstName, lastName) = Self.name(person, email)
            people.append(Entry(key: key, email: email, firstName: firstName, lastName: lastName, tags: list))
        }
        let double = entries.take(people)
        note(nameless, "no e-mail address and cannot come") { "\($0 == 1 ? "One person has" : "\($0) people have")" }
        note(double, "is another one's too: they are one user here") { "\($0 == 1 ? "An address" : "Each of \($0) addresses")" }
    }

    private mutating func note(_ names: [String], _ what: String, _ who: (Int) -> String) {
        guard !names.isEmpty else { return }
        let shown = names.sorted().prefix(Self.examples).joined(separator: ", ")
        warnings.append(
            "\(who(names.count)) \(what) (\(shown)\(names.count > Self.examples ? " and others" : "")).")
    }

    /// What a person is called; where the directory does not say, by the part of the address before the @.
    private static func name(_ person: DirectoryMirror.Person, _ email: String) -> (String?, String?) {
        func filled(_ text: String?) -> String? { text.flatMap { $0.allSatisfy(\.isWhitespace) ? nil : $0 } }
        let (first, last) = (filled(person.firstName), filled(person.lastName))
        if first != nil || last != nil { return (first, last) }
        return (filled(person.displayName) ?? String(email.prefix { $0 != "@" }), nil)
    }
}

extension DirectoryRoll {
    /// People in the order of their addresses: a third of the memory of a dictionary of them.
    public struct Entries: Hashable, Sendable {
        public private(set) var values: [Entry] = []

        public init() {}

        public var count: Int { values.count }

        public subscript(email: String) -> Entry? {
            get {
                let place = place(of: email)
                return place < values.count && values[place].email == email ? values[place] : nil
            }
            set {
                let place = place(of: email)
                let isKnown = place < values.count && values[place].email == email
                values.replaceSubrange(place..<place + (isKnown ? 1 : 0), with: newValue.map { [$0] } ?? [])
            }
        }

        /// The first place whose address is not below this one.
        private func place(of email: String) -> Int {
            var (low, high) = (0, values.count)
            while low < high {
                let middle = (low + high) / 2
                if values[middle].email < email { low = middle + 1 } else { high = middle }
            }
            return low
        }

        /// Takes people in the order in which they count: of several with one address the first one is the user, with the
        /// tags of all.
        ///
        /// - Returns: the addresses that come more than once.
        fileprivate mutating func take(_ people: [Entry]) -> [String] {
            let order = people.indices.sorted { (people[$0].email, $0) < (people[$1].email, $1) }
            values.reserveCapacity(people.count)
            var double: [String] = []
            for index in order {
                let person = people[index]
                guard let last = values.last, last.email == person.email else {
                    values.append(person)
                    continue
                }
                values[values.count - 1].tags = Set(last.tags + person.tags).sorted()
                double.append(person.email)
            }
            return double
        }
    }
}
