public import HTTP

extension OpenIDProvider {
    /// Asks for the discovery document. Nil when the issuer is no URL.
    public var discoveryRequest: HTTPRequest? {
        discoveryURL.map { document($0, "the discovery document of '\(id)'") }
    }

    /// Asks for the key set that the discovery document names.
    public func keySetRequest(_ configuration: OpenIDConfiguration) -> HTTPRequest {
        document(configuration.keySetURL, "the key set of '\(id)'")
    }

    private func document(_ url: WebURL, _ purpose: String) -> HTTPRequest {
        // Somebody waits in front of a browser.
        var request = HTTPRequest(.get, url, purpose: purpose, retries: .signIn)
        request.limits = .signIn
        request.headers = [("Accept", "application/json")]
        request.addresses = addresses(for: url)
        return request
    }
}
