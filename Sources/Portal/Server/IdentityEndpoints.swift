import Identity

/// What the control socket answers about identity providers.
func identityEndpoints(api: any IdentityAPI) -> [Endpoint] {
    [
        Endpoint(
            .get, "/v1/identity-providers", "the identity providers and our addresses for them; keys are hidden"
        ) { _ in try .encoded(try await api.identityProviders()) },
        Endpoint(
            .post, "/v1/identity-providers", "stores the provider in the body, its key in hexadecimal; without one the stored key stays",
            parameters: ["replace"]
        ) { call in
            let result = try await api.saveIdentityProvider(
                try decoded(IdentityProvider.self, from: call.body), replacing: try call.query.flag("replace"), caller: call.caller)
            return try .encoded(result, status: 201)
        },
        Endpoint(
            .post, "/v1/openid-providers",
            "stores the OpenID provider in the body, its secret in hexadecimal; without one the stored secret stays",
            parameters: ["replace"]
        ) { call in
            let result = try await api.saveOpenIDProvider(
                try decoded(OpenIDProvider.self, from: call.body), replacing: try call.query.flag("replace"),
                caller: call.caller)
            return try .encoded(result, status: 201)
        },
        Endpoint(
            .post, "/v1/openid-providers/examine",
            "asks the OpenID provider in the body what it publishes and whether it knows us; stores nothing"
        ) { call in
            try .encoded(try await api.examineOpenIDProvider(try decoded(OpenIDProvider.self, from: call.body)))
        },
        Endpoint(.delete, "/v1/identity-providers/{id}", "removes it, and ends its sessions") { call in
            try await api.removeIdentityProvider(id: call.argument("id"), caller: call.caller)
            return .done
        },
    ]
}
