import Base
import Host
import HTTP
import Identity
import Portal
import Tunnels

/// Asks an OpenID provider what it publishes and whether it knows us, and says in words what is right and wrong.
struct OpenIDExaminer {
    let web: HTTPClient
    let clock: SystemClock
    /// Ours, as it must be registered there; nil without sign-in pages.
    let redirectURI: String?
    let random: @Sendable (Int) -> [UInt8]

    func examine(_ provider: OpenIDProvider) async -> OpenIDExamination {
        var result = OpenIDExamination()
        guard let configuration = await discover(provider, &result) else { return result }
        result.findings.append(authentication(provider, configuration))
        if let missing = scopes(provider, configuration) { result.findings.append(missing) }
        result.findings.append(await keys(provider, configuration))
        result.findings.append(await client(provider, configuration))
        return result
    }

    private func discover(_ provider: OpenIDProvider, _ result: inout OpenIDExamination) async -> OpenIDConfiguration? {
        func fail(_ detail: String, _ remedy: String? = nil) {
            result.findings.append(
                Finding(id: "discovery", title: "discovery document", state: .failed, detail: detail, remedy: remedy))
        }
        guard let request = provider.discoveryRequest else {
            fail("the issuer '\(provider.issuer)' is no https:// URL")
            return nil
        }
        do {
            let response = try await web.send(request)
            guard response.status == 200 else {
                fail(
                    "\(request.url) answers with status \(response.status)",
                    response.status == 404 ? "compare the issuer with what the provider's console shows" : nil)
                return nil
            }
            result.issuer = try OpenIDConfiguration.issuer(of: response.body)
            let configuration = try OpenIDConfiguration(response.body, issuer: provider.issuer)
            result.findings.append(
                Finding(
                    id: "discovery", title: "discovery document", state: .ok,
                    detail: "it is at \(request.url), and its issuer is the one that is configured"))
            return configuration
        } catch let refusal as OpenIDRefusal {
            let isOther = refusal.code == .discoveryIssuer
            fail(refusal.detail, isOther ? "gatehouse idp edit \(provider.id) --issuer \(result.issuer ?? "URL")" : nil)
        } catch {
            fail("\(error)")
        }
        return nil
    }

    private func authentication(_ provider: OpenIDProvider, _ configuration: OpenIDConfiguration) -> Finding {
        let method = provider.authentication.rawValue
        let isOffered = configuration.clientAuthentications.contains(method)
        let known = OpenIDProvider.ClientAuthentication.allCases.map(\.rawValue)
            .filter(configuration.clientAuthentications.contains)
        return Finding(
            id: "authentication", title: "client authentication", state: isOffered ? .ok : .failed,
            detail: isOffered
                ? "the provider takes \(method)"
                : "the provider does not take \(method), but \(configuration.clientAuthentications.joined(separator: ", "))",
            remedy: isOffered ? nil : known.first.map { "gatehouse idp edit \(provider.id) --authentication \($0)" })
    }

    private func scopes(_ provider: OpenIDProvider, _ configuration: OpenIDConfiguration) -> Finding? {
        guard let offered = configuration.scopes else { return nil }
        let missing = provider.scopes.filter { !offered.contains($0) }
        guard !missing.isEmpty else { return nil }
        return Finding(
            id: "scopes", title: "scopes", state: .warning,
            detail: "the provider does not list \(missing.joined(separator: ", ")); without an e-mail address nobody gets in",
            remedy: "allow them for this application in the provider's console")
    }

    private func keys(_ provider: OpenIDProvider, _ configuration: OpenIDConfiguration) async -> Finding {
        func finding(_ state: Finding.State, _ detail: String) -> Finding {
            Finding(id: "keys", title: "key set", state: state, detail: detail)
        }
        do {
            let response = try await web.send(provider.keySetRequest(configuration))
            guard response.status == 200 else {
                return finding(.failed, "\(configuration.keySetURL) answers with status \(response.status)")
            }
            let keys = try await JSONWebKeySet(String(decoding: response.body, as: UTF8.self))
            let usable = keys.summary
            guard !usable.isEmpty else { return finding(.failed, "no key of it can verify signatures") }
            return finding(
                .ok, "\(usable.count) of its keys can verify signatures: \(usable.joined(separator: ", "))")
        } catch {
            return finding(.failed, "\(error)")
        }
    }

    /// Presents a code that nobody gave out: a provider that knows us refuses the code, another one refuses us.
    private func client(_ provider: OpenIDProvider, _ configuration: OpenIDConfiguration) async -> Finding {
        func finding(_ state: Finding.State, _ detail: String, _ remedy: String? = nil) -> Finding {
            Finding(id: "client", title: "client ID and secret", state: state, detail: detail, remedy: remedy)
        }
        do {
            let probe = AuthorizationAnswer.probe(
                provider, configuration, redirectURI: redirectURI ?? "https://localhost/user/external",
                entropy: random(AuthorizationRequest.entropyLength))
            let request = try TokenRequest.make(
                for: probe, provider, entropy: random(TokenRequest.entropyLength), now: clock.wall)
            let response = try await web.send(request)
            switch TokenResponse.error(in: response) {
            case "invalid_client"?, "unauthorized_client"?:
                return finding(
                    .failed, "the provider refuses them, or this way of showing them",
                    "gatehouse idp edit \(provider.id) --client-id … --secret-file …")
            case "invalid_grant"?, "invalid_code"?:
                // Entra looks at the code first.
                return provider.kind == .entra
                    ? finding(.warning, "the token endpoint answers; only a sign-in shows whether the secret is right")
                    : finding(.ok, "the provider knows them")
            case let error?: return finding(.warning, "the token endpoint answers '\(error)'; a sign-in will show more")
            case nil: return finding(.warning, "the token endpoint answers with status \(response.status) and no reason")
            }
        } catch {
            return finding(.failed, "\(error)")
        }
    }
}
