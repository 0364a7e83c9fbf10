import Base
import GRDB
public import Identity

extension Store {
    /// What can be read of the OpenID providers, in the order in which they were added, and one error for each that
    /// cannot.
    public func openIDProviders() throws(StoreError) -> (providers: [OpenIDProvider], broken: [StoreError]) {
        try storedProviders(OpenIDProvider.self, kind: .openID)
    }

    /// Stores a provider: a new one behind the others, or in the place of the one with the same identifier.
    ///
    /// - Throws: ``StoreError/clientTaken(issuer:clientID:by:)`` when another has its client ID at that issuer,
    ///   ``StoreError/providerExists(_:)`` when it is not to replace one, ``StoreError/providerUnknown(_:)`` when it is.
    public func save(_ provider: OpenIDProvider, replacing: Bool, by change: Change) throws(StoreError) {
        let (issuer, clientID) = (provider.issuer, provider.clientID)
        try saveProvider(
            provider, id: provider.id, kind: .openID, issuer: issuer, place: clientID, replacing: replacing, by: change
        ) { .clientTaken(issuer: issuer, clientID: clientID, by: $0) }
    }

    /// Whose an e-mail address is at each issuer where somebody signed in with it, the oldest first.
    public func bindings(of email: String) throws(StoreError) -> [AccountBinding] {
        try reading { database in
            try Row.fetchAll(
                database, sql: "SELECT issuer, subject FROM accountSubject WHERE email = ? ORDER BY firstSeenAt, issuer",
                arguments: [email]
            ).map { AccountBinding(issuer: $0["issuer"], account: $0["subject"]) }
        }
    }

    /// Keeps who it was; the first one stays.
    public func keep(subject: String, of email: String, issuer: String) throws(StoreError) {
        try writingAll { database in
            try database.execute(
                sql: """
                    INSERT INTO accountSubject (email, issuer, subject, firstSeenAt) VALUES (?, ?, ?, ?)
                    ON CONFLICT (email, issuer) DO NOTHING
                    """, arguments: [email, issuer, subject, wall().rfc3339])
        }
    }
}
