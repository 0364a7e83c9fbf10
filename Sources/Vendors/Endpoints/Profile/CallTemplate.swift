import Base
import HTTP
import JSONText

/// One call of a vendor's API, with names in braces for what differs from call to call.
struct CallTemplate: Hashable, Sendable {
    var name: String
    var method = HTTPRequest.Method.get
    /// Behind the connection's URL and path.
    var path: String
    var query: [Pair] = []
    var body: JSON?
    /// Where the rows are in the answer.
    var items: FieldPath
    /// How many rows there are in all.
    var total: FieldPath?
    /// The place in the answer that must repeat the number of our request.
    var echo: FieldPath?
    var paging = Paging.none
    /// Seconds between two calls.
    var every: Int
    /// Seconds between two calls for endpoints that are looked at closely, where each endpoint is a call of its own.
    var watchedEvery: Int?
    /// The field that says which endpoint a row is about; nil for the call that lists the endpoints.
    var key: FieldPath?
    /// One call for each endpoint.
    var isPerEndpoint = false
    /// Where the time of a row's facts stands.
    var seen: [FieldPath] = []
    /// The facts are as of the call itself: it answers for this moment.
    var isAsOfCall = false
    /// Only what has changed, between two full listings.
    var changes: Changes?
    /// Listings of one endpoint, by what is known of it.
    var lookUps: [LookUp] = []
    /// What an administrator calls the right that it needs.
    var permission: String?
    /// Statuses that mean that there are no rows.
    var emptyStatuses: [Int] = []
    /// Bytes of one answer.
    var bodyBytes = 8 << 20

    struct Pair: Hashable, Sendable {
        var name: String
        var value: String
    }

    struct Changes: Hashable, Sendable {
        var query: [Pair]
        var every: Int
        /// Seconds before the last look from which on changes are asked for.
        var overlap: Int
    }

    struct LookUp: Hashable, Sendable {
        enum Key: String, CaseIterable, Sendable { case id, mac, host, address }
        var by: Key
        /// In the place of the listing's, where it is said.
        var path: String?
        var items: FieldPath?
        var query: [Pair] = []
        /// Instead of the listing's body.
        var body: JSON?
        /// Leaves the listing's query out.
        var isAlone = false
    }

    /// How the next page is had.
    enum Paging: Hashable, Sendable {
        case none
        /// A word in the answer that goes into the next query.
        case cursor(at: FieldPath, parameter: String)
        /// `{page}`, from 1, up to the number of pages, or until all rows are in, or a page has none. Where an answer says
        /// neither, a page with fewer rows than `size` is the last, too.
        case pages(count: FieldPath?, size: Int)
        /// `{offset}`, as long as pages are full.
        case offset(size: Int)
        /// The URL of the next page; without one, where a parameter is named, it goes on by offset while pages are full.
        case link(at: FieldPath, parameter: String?, size: Int)
    }

    /// A sign of life of a page that is not the last.
    static let pageLimit = 20_000
}

/// What in an answer is an error, whatever its status.
struct ErrorShape: Hashable, Sendable {
    var at: FieldPath?
    var code: FieldPath?
    var message: FieldPath?
    var detail: FieldPath?
    /// Codes after which another try may help, and those that mean that the endpoint is not there.
    var transient: Set<String> = []
    var gone: Set<String> = []
    /// What to do, by code.
    var advice: [String: String] = [:]
}
