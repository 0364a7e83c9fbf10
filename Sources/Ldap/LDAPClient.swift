import Base
import CLDAP
public import Cryptography
import Foundation
public import Identity
import Synchronization
public import Vendors

/// One connection to an LDAP directory over TLS, for one reading of it: proves itself at the first search and asks one thing
/// at a time.
///
/// libldap waits in the thread that calls it; that is a thread of our own.
public final class LDAPClient: Sendable {
    /// Where to, and how to prove ourselves there.
    public struct Settings: Sendable {
        public var host: String
        public var port: UInt16
        public var bindName: String
        public var password: Secret
        /// A file with the certificates of CAs in PEM; nil takes the system's.
        public var authorityFile: String?

        public init(host: String, port: UInt16 = 636, bindName: String, password: Secret, authorityFile: String? = nil) {
            self.host = host
            self.port = port
            self.bindName = bindName
            self.password = password
            self.authorityFile = authorityFile
        }
    }

    /// Seconds for a connection to stand, and for a result: a reply may never come.
    private static let connectSeconds = 10
    private static let resultSeconds = 60

    private typealias Job = @Sendable (Session) -> Void

    /// What the thread has yet to do.
    private final class Jobs: Sendable {
        private struct State {
            var jobs: [Job] = []
            var isEnded = false
        }
        private let state = Mutex(State())
        private let condition = NSCondition()

        /// False when it has ended.
        func add(_ job: @escaping Job) -> Bool {
            condition.lock()
            defer { condition.unlock() }
            let isTaken = state.withLock { state in
                if !state.isEnded { state.jobs.append(job) }
                return !state.isEnded
            }
            condition.signal()
            return isTaken
        }

        func end() {
            condition.lock()
            state.withLock { $0.isEnded = true }
            condition.signal()
            condition.unlock()
        }

        /// Waits for the next one; nil when there is none and none comes.
        func next() -> Job? {
            condition.lock()
            defer { condition.unlock() }
            while true {
                let (job, isEnded): (Job?, Bool) = state.withLock { ($0.jobs.isEmpty ? nil : $0.jobs.removeFirst(), $0.isEnded) }
                if job != nil || isEnded { return job }
                condition.wait()
            }
        }
    }

    /// Whoever is first answers: the server, or the task that waits no longer.
    private final class Answer: Sendable {
        private let continuation = Mutex<CheckedContinuation<Result<LDAPResult, DirectoryFault>, Never>?>(nil)
        private let isGivenUp = Mutex(false)

        func wait(_ continuation: CheckedContinuation<Result<LDAPResult, DirectoryFault>, Never>) {
            self.continuation.withLock { $0 = continuation }
            if isGivenUp.withLock({ $0 }) { giveUp() }
        }

        func give(_ result: Result<LDAPResult, DirectoryFault>) {
            self.continuation.withLock { continuation in
                defer { continuation = nil }
                return continuation
            }?.resume(returning: result)
        }

        func giveUp() {
            isGivenUp.withLock { $0 = true }
            give(.failure(DirectoryFault(.transient, "The search was given up.")))
        }
    }

    private let jobs = Jobs()

    public init(_ settings: Settings) {
        let jobs = jobs
        let thread = Thread {
            let session = Session(settings)
            while let job = jobs.next() { job(session) }
            session.close()
        }
        thread.name = "directory"
        thread.start()
    }

    deinit { close() }

    /// Ends the connection once what is asked has been answered.
    public func close() { jobs.end() }

    /// Asks one search.
    ///
    /// - Throws: ``DirectoryFault`` in words for an administrator.
    public func search(_ search: LDAPSearch) async throws(DirectoryFault) -> LDAPResult {
        let answer = Answer()
        let jobs = jobs
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.wait(continuation)
                if !jobs.add({ session in answer.give(session.search(search)) }) { answer.giveUp() }
            }
        } onCancel: {
            answer.giveUp()
        }
        return try result.get()
    }

    /// What only the thread touches.
    private final class Session {
        private let settings: Settings
        private var pointer: OpaquePointer?

        init(_ settings: Settings) { self.settings = settings }

        func close() {
            if let pointer { ldap_unbind_ext_s(pointer, nil, nil) }
            pointer = nil
        }

        func search(_ search: LDAPSearch) -> Result<LDAPResult, DirectoryFault> {
            do throws(DirectoryFault) {
                return .success(try ask(search, try ready()))
            } catch {
                // A connection after an error is in an unknown state.
                close()
                return .failure(error)
            }
        }

        private func ready() throws(DirectoryFault) -> OpaquePointer {
            if let pointer { return pointer }
            // RFC 4513 §5.1.2: a bind without a password proves nothing and may be called a success.
            guard settings.password.count > 0 else {
                throw DirectoryFault(.refused, "There is no password for \(settings.bindName).")
            }
            let host = settings.host.contains(":") ? "[\(settings.host)]" : settings.host
            var opened: OpaquePointer?
            guard ldap_initialize(&opened, "ldaps://\(host):\(settings.port)") == LDAP_SUCCESS, let opened else {
                throw DirectoryFault(.refused, "'\(settings.host)' is no name of a domain controller.")
            }
            pointer = opened
            gh_ldap_set_number(opened, LDAP_OPT_PROTOCOL_VERSION, LDAP_VERSION3)
            // Chasing referrals hangs on names that do not resolve, and would show them our password.
            gh_ldap_set_off(opened, LDAP_OPT_REFERRALS)
            gh_ldap_set_seconds(opened, LDAP_OPT_NETWORK_TIMEOUT, LDAPClient.connectSeconds)
            gh_ldap_set_seconds(opened, LDAP_OPT_TIMEOUT, LDAPClient.resultSeconds)
            gh_ldap_set_number(opened, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_DEMAND)
            gh_ldap_set_number(opened, LDAP_OPT_X_TLS_PROTOCOL_MIN, 0x303)
            if let file = settings.authorityFile {
                gh_ldap_set_text(opened, LDAP_OPT_X_TLS_CACERTFILE, file)
            } else {
                gh_ldap_set_text(opened, LDAP_OPT_X_TLS_CACERTFILE, "/etc/ssl/certs/ca-certificates.crt")
            }
            // Makes the settings above count; the last argument is "a client".
            gh_ldap_set_number(opened, LDAP_OPT_X_TLS_NEWCTX, 0)
            var code: Int32 = 0
            var diagnostic: UnsafeMutablePointer<CChar>?
            let status = settings.password.withUnsafeBytes { bytes in
                gh_ldap_bind(
                    opened, settings.bindName, bytes.bindMemory(to: CChar.self).baseAddress, bytes.count,
                    LDAPClient.resultSeconds, &code, &diagnostic)
            }
            let text = diagnostic.map { String(cString: $0) } ?? ""
            if let diagnostic { ldap_memfree(diagnostic) }
            guard status == LDAP_SUCCESS else { throw fault(status, "cannot be reached") }
            guard code == LDAP_SUCCESS else {
                throw DirectoryFault(
                    .refused, "\(settings.host) does not accept \(settings.bindName): \(LDAPClient.meaning(code, text)).")
            }
            return opened
        }

        private func ask(_ search: LDAPSearch, _ session: OpaquePointer) throws(DirectoryFault) -> LDAPResult {
            var control: UnsafeMutablePointer<LDAPControl>?
            if let pageSize = search.pageSize {
                var cookie = search.cookie
                let status = cookie.withUnsafeMutableBytes { bytes in
                    var value = berval(bv_len: ber_len_t(bytes.count), bv_val: bytes.bindMemory(to: CChar.self).baseAddress)
                    return ldap_create_page_control(session, ber_int_t(pageSize), &value, 1, &control)
                }
                guard status == LDAP_SUCCESS else { throw fault(status, "cannot be asked for pages") }
            }
            defer { if let control { ldap_control_free(control) } }
            var names = search.attributes.map { strdup($0) } + [nil]
            defer { for name in names { free(name) } }
            var controls: [UnsafeMutablePointer<LDAPControl>?] = [control, nil]
            var message: OpaquePointer?
            defer { if let message { ldap_msgfree(message) } }
            var limit = timeval(tv_sec: LDAPClient.resultSeconds, tv_usec: 0)
            let scope = search.scope == .base ? LDAP_SCOPE_BASE : LDAP_SCOPE_SUBTREE
            let status = ldap_search_ext_s(
                session, search.base, Int32(scope), search.filter, &names, 0, &controls, nil, &limit, 0, &message)
            guard status == LDAP_SUCCESS, let message else {
                // An object that is gone since it was listed has nothing.
                if status == LDAP_NO_SUCH_OBJECT, search.scope == .base { return LDAPResult(entries: []) }
                throw fault(status, "did not answer a search")
            }
            var result = LDAPResult(entries: [])
            var entry = ldap_first_entry(session, message)
            while let found = entry {
                result.entries.append(read(found, session))
                entry = ldap_next_entry(session, found)
            }
            if search.pageSize != nil { result.cookie = try cookie(message, session) }
            return result
        }

        private func read(_ entry: OpaquePointer, _ session: OpaquePointer) -> LDAPEntry {
            let dn = ldap_get_dn(session, entry)
            defer { if let dn { ldap_memfree(dn) } }
            var attributes: [String: [[UInt8]]] = [:]
            var place: OpaquePointer?
            var name = ldap_first_attribute(session, entry, &place)
            while let found = name {
                if let values = ldap_get_values_len(session, entry, found) {
                    var list: [[UInt8]] = []
                    for index in 0..<Int(ldap_count_values_len(values)) {
                        guard let value = values[index] else { break }
                        list.append([UInt8](UnsafeRawBufferPointer(start: value.pointee.bv_val, count: Int(value.pointee.bv_len))))
                    }
                    attributes[String(cString: found).lowercased()] = list
                    ldap_value_free_len(values)
                }
                ldap_memfree(found)
                name = ldap_next_attribute(session, entry, place)
            }
            if let place { ber_free(place, 0) }
            return LDAPEntry(dn: dn.map { String(cString: $0) } ?? "", attributes: attributes)
        }

        private func cookie(_ message: OpaquePointer, _ session: OpaquePointer) throws(DirectoryFault) -> [UInt8] {
            var code: Int32 = 0
            var controls: UnsafeMutablePointer<UnsafeMutablePointer<LDAPControl>?>?
            guard ldap_parse_result(session, message, &code, nil, nil, nil, &controls, 0) == LDAP_SUCCESS else {
                throw DirectoryFault(.malformed, "\(settings.host) ended a search in a way that cannot be read.")
            }
            defer { if let controls { ldap_controls_free(controls) } }
            guard let control = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, nil) else {
                // Without it nobody knows whether this was all.
                throw DirectoryFault(.malformed, "\(settings.host) does not say where the next page of a search begins.")
            }
            var value = berval()
            var estimate: ber_int_t = 0
            guard ldap_parse_pageresponse_control(session, control, &estimate, &value) == LDAP_SUCCESS else {
                throw DirectoryFault(.malformed, "\(settings.host) sent a mark of a next page that cannot be read.")
            }
            defer { if let bytes = value.bv_val { ber_memfree(bytes) } }
            return [UInt8](UnsafeRawBufferPointer(start: value.bv_val, count: Int(value.bv_len)))
        }

        private func fault(_ status: Int32, _ what: String) -> DirectoryFault {
            let diagnostic = pointer.flatMap(gh_ldap_diagnostic)
            let text = diagnostic.map { String(cString: $0) } ?? ""
            if let diagnostic { ldap_memfree(diagnostic) }
            let words = "\(settings.host) \(what): \(LDAPClient.meaning(status, text))."
            switch status {
            case LDAP_SERVER_DOWN where !text.isEmpty, LDAP_CONNECT_ERROR where !text.isEmpty:
                // Only the TLS library says more than that nobody answers.
                return DirectoryFault(
                    .refused, words + " The TLS handshake failed: give the CA that signed the domain controller's "
                        + "certificate, and the name that stands in it.")
            case LDAP_SERVER_DOWN, LDAP_TIMEOUT, LDAP_CONNECT_ERROR, LDAP_BUSY, LDAP_UNAVAILABLE, LDAP_OTHER,
                LDAP_TIMELIMIT_EXCEEDED, LDAP_ADMINLIMIT_EXCEEDED:
                return DirectoryFault(.transient, words)
            default: return DirectoryFault(.refused, words)
            }
        }
    }

    /// A result code in words; for a bind that failed, what Active Directory's own code means (MS-ERREF).
    static func meaning(_ code: Int32, _ diagnostic: String) -> String {
        let text = ldap_err2string(code).map { String(cString: $0) } ?? "code \(code)"
        let line = String(
            String.UnicodeScalarView(diagnostic.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(200)))
        if code == LDAP_INVALID_CREDENTIALS, let match = diagnostic.firstRange(of: "data ") {
            let data = diagnostic[match.upperBound...].prefix { $0.isHexDigit }
            let known = [
                "525": "name or password are wrong", "52e": "name or password are wrong",
                "530": "the account may not sign in at this hour", "531": "the account may not sign in from here",
                "532": "the password has expired", "533": "the account is disabled", "701": "the account has expired",
                "773": "the password must be changed first", "775": "the account is locked",
            ][String(data)]
            if let known { return known }
        }
        return line.isEmpty ? text : "\(text) (\(line))"
    }
}
