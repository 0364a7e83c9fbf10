import Vendors

/// What the control socket answers about endpoint protection platforms and their endpoints.
func endpointProtectionEndpoints(api: any EndpointAPI) -> [Endpoint] {
    [
        Endpoint(
            .get, "/v1/endpoint-sources", "the connections to endpoint protection platforms, an array; keys are hidden"
        ) { _ in try .encoded(try await api.endpointSources()) },
        Endpoint(
            .post, "/v1/endpoint-sources",
            "stores the connection in the body, its key in hexadecimal; without one the stored key stays",
            parameters: ["replace"]
        ) { call in
            let result = try await api.saveEndpointSource(
                try decoded(EndpointConnection.self, from: call.body), replacing: try call.query.flag("replace"),
                caller: call.caller)
            return try .encoded(result, status: 201)
        },
        Endpoint(.delete, "/v1/endpoint-sources/{id}", "removes it and what was had from it") { call in
            try await api.removeEndpointSource(id: call.argument("id"), caller: call.caller)
            return .done
        },
        Endpoint(
            .post, "/v1/endpoint-sources/{id}/test",
            "asks the platform, call by call; with ?records=1 one record of each as it came", parameters: ["records"]
        ) { call in
            try .encoded(
                try await api.testEndpointSource(
                    id: call.argument("id"), showsRecords: try call.query.flag("records")))
        },
        Endpoint(
            .post, "/v1/endpoint-sources/{id}/sync",
            "asks for everything anew; with ?accept-loss=1 believes that many endpoints are gone",
            parameters: ["accept-loss"]
        ) { call in
            try .encoded(
                try await api.syncEndpointSource(
                    id: call.argument("id"), acceptsLoss: try call.query.flag("accept-loss"), caller: call.caller))
        },
        Endpoint(
            .get, "/v1/endpoints", "endpoints as they were last had", parameters: ["source", "search", "limit"]
        ) { call in
            try .encoded(
                try await api.endpoints(
                    source: try call.query.one("source"), search: try call.query.one("search"),
                    limit: try call.query.number("limit", in: 1...1_000_000) ?? 1000))
        },
    ]
}
