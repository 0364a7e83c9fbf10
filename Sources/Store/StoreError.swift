/// Why the store refused or could not do something, in words for a person.
public enum StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The database or the key file cannot be opened, or is none of ours.
    case unusable(path: String, reason: String)
    /// The database was written by a newer Gatehouse.
    case newer(path: String)
    case exists(String)
    case unknown(String)
    case tunnelNameTaken(String, connector: String)
    /// A secret does not open: another machine key, or someone changed the file.
    case sealBroken(connector: String)
    case definitionBroken(connector: String, reason: String)
    /// Another change came between a plan and its carrying out.
    case siteChanged
    /// A site that cannot be, one sentence for each fault.
    case siteRefused([String])
    case providerExists(String)
    case providerUnknown(String)
    /// The pair of Identifier and Service URL is another provider's.
    case providerTaken(issuer: String, serviceURL: String, by: String)
    /// The client ID at that issuer is another provider's.
    case clientTaken(issuer: String, clientID: String, by: String)
    case providerBroken(String, reason: String)
    /// Another change of the policies came between.
    case policiesChanged
    case policiesBroken(String, reason: String)
    case directoryExists(String)
    case directoryUnknown(String)
    case directoryBroken(String, reason: String)
    case accessExists(String)
    case accessUnknown(String)
    case endpointSourceExists(String)
    case endpointSourceUnknown(String)
    case endpointSourceBroken(String, reason: String)
    case failed(reason: String)

    public var description: String {
        switch self {
        case .unusable(let path, let reason):
            "The file \(path) cannot be used: \(reason)."
        case .newer(let path):
            "The database \(path) was written by a newer Gatehouse. Install that version again; nothing was changed."
        case .exists(let id):
            "There is a connector '\(id)' already. Remove it first, or replace it."
        case .unknown(let id):
            "There is no connector '\(id)'. `gatehouse connector list` shows those that exist."
        case .tunnelNameTaken(let tunnel, let connector):
            "A tunnel named '\(tunnel)' exists already, in connector '\(connector)'. Choose another name."
        case .sealBroken(let connector):
            "The secrets of connector '\(connector)' do not open: the machine key is not the one they were sealed "
                + "with, or the database was changed by hand. Put the right machine.key back, or remove the "
                + "connector and import it anew."
        case .definitionBroken(let connector, let reason):
            "The stored definition of connector '\(connector)' cannot be read: \(reason). Remove it and import it anew."
        case .siteChanged:
            "The site was changed meanwhile, and nothing of this was applied. Look at the difference again."
        case .siteRefused(let faults):
            faults.joined(separator: "\n")
        case .providerExists(let id):
            "There is an identity provider '\(id)' already. `gatehouse idp edit` changes it."
        case .providerUnknown(let id):
            "There is no identity provider '\(id)'. `gatehouse idp list` shows those that exist."
        case .providerTaken(let issuer, let serviceURL, let owner):
            "The Identifier '\(issuer)' with the Service URL '\(serviceURL)' serves '\(owner)' already, and one such "
                + "pair may serve one network only. Make another application at the provider, or change '\(owner)'."
        case .clientTaken(let issuer, let clientID, let owner):
            "The client ID '\(clientID)' at \(issuer) is that of the identity provider '\(owner)', and such an "
                + "application may serve one network only. Make another one at the provider, or change '\(owner)'."
        case .providerBroken(let id, let reason):
            "The stored definition of the identity provider '\(id)' cannot be read: \(reason). Remove it and add it anew."
        case .policiesChanged:
            "The policies were changed meanwhile, and nothing of this was stored. Look at them again."
        case .policiesBroken(let thing, let reason):
            "The stored \(thing) of the sign-in policies cannot be read: \(reason). `gatehouse policy apply` puts a whole "
                + "set in its place."
        case .directoryExists(let id):
            "There is a directory '\(id)' already. `gatehouse directory edit` changes it."
        case .directoryUnknown(let id):
            "There is no directory '\(id)'. `gatehouse directory list` shows those that exist."
        case .directoryBroken(let id, let reason):
            "The stored definition of the directory '\(id)' cannot be read: \(reason). Remove it and add it anew."
        case .accessExists(let id):
            "There is an API access '\(id)' already. Remove it first, or choose another name."
        case .accessUnknown(let id):
            "There is no API access '\(id)'. `gatehouse api-access list` shows those that exist."
        case .endpointSourceExists(let id):
            "There is a connection '\(id)' to an endpoint protection platform already. `gatehouse epp edit` changes it."
        case .endpointSourceUnknown(let id):
            "There is no connection '\(id)' to an endpoint protection platform. `gatehouse epp list` shows those that exist."
        case .endpointSourceBroken(let id, let reason):
            "The stored connection '\(id)' to an endpoint protection platform cannot be read: \(reason). Remove it and add "
                + "it anew."
        case .failed(let reason):
            "The database refused: \(reason)."
        }
    }
}
