internal import XML

extension XMLTree.Limits {
    /// Of messages, which anyone may send us: they must cost little before a signature says whose they are.
    ///
    /// A response has some ten levels and an element for each group of the person, and its names are words of the
    /// standards.
    static func message(size: Int) -> XMLTree.Limits {
        XMLTree.Limits(size: size, depth: 32, attributes: 64, namespaces: 64, elements: 20_000, names: 256)
    }

    /// Of metadata, which administrators give us: that of a federation describes many providers, and Entra's repeats
    /// every claim that it knows.
    static let metadata = XMLTree.Limits(size: 4 << 20, depth: 64, elements: 200_000, names: 1024)
}
