import Access
import Base

/// What the control socket answers about posture checks, behaviours and sign-in policies.
func policyEndpoints(api: any PolicyAPI) -> [Endpoint] {
    [
        Endpoint(.get, "/v1/policies", "posture checks, behaviours and sign-in policies, and their version") { _ in
            try .encoded(try await api.policies())
        },
        Endpoint(
            .post, "/v1/policies", "makes the edits in the body, all or none; sessions follow at once",
            parameters: ["dry-run"]
        ) { call in
            try .encoded(
                try await api.editPolicies(
                    decoded(PolicyOrder.self, from: call.body), isDryRun: call.query.flag("dry-run"),
                    caller: call.caller))
        },
        Endpoint(.post, "/v1/policies/test", "what would become of a sign-in, and why; changes nothing") { call in
            try .encoded(try await api.testPolicies(decoded(PolicyQuestion.self, from: call.body)))
        },
        Endpoint(
            .post, "/v1/policies/simulate", "what the set in the body would have made of the last days' sign-ins"
        ) { call in
            try .encoded(try await api.simulatePolicies(decoded(SimulationOrder.self, from: call.body)))
        },
        Endpoint(.get, "/v1/posture/{address}", "which device is at an address, and what is known of it") { call in
            let text = call.argument("address")
            guard let address = IPAddress(text) else { throw APIError.badRequest("'\(text)' is no IP address") }
            return try .encoded(try await api.explainPosture(address: address))
        },
    ]
}
