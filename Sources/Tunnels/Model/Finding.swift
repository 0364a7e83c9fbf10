/// One check of this host, as `gatehouse doctor` shows it.
public struct Finding: Hashable, Codable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        case ok
        /// Works, but less well than it could.
        case warning
        /// Tunnels cannot work, or not safely.
        case failed
    }

    /// A stable word for programs, such as `tun-device`.
    public var id: String
    /// What was checked.
    public var title: String
    public var state: State
    /// What was found and, if it is not well, what that means for tunnels.
    public var detail: String
    /// How to mend it: a command where there is one. Nil when nothing needs doing.
    public var remedy: String?

    public init(id: String, title: String, state: State, detail: String, remedy: String? = nil) {
        self.id = id
        self.title = title
        self.state = state
        self.detail = detail
        self.remedy = remedy
    }
}
