import Access
import Base
import JSONText

/// What both sockets answer about sign-in and the gate.
func accessReadingEndpoints(api: any GatewayAPI) -> [Endpoint] {
    [
        Endpoint(.get, "/v1/sessions", "who is signed in, an array, oldest first") { _ in
            try .encoded(await api.sessions())
        },
        Endpoint(.get, "/v1/sessions/{id}", "one session") { call in
            let id = call.argument("id")
            guard let session = await api.sessions().first(where: { String($0.id) == id }) else {
                throw APIError.notFound("There is no session \(id) now. 'gatehouse session list' lists those there are.")
            }
            return try .encoded(session)
        },
        Endpoint(.get, "/v1/gate", "how the gate is, and its settings") { _ in try .encoded(await api.gate()) },
    ]
}

/// What the control socket answers beyond that.
func accessControlEndpoints(api: any GatewayAPI) -> [Endpoint] {
    [
        Endpoint(.patch, "/v1/gate", "changes the gate's settings; what is not named stays") { call in
            try .encoded(
                try await api.changeGate(decoded(GateChange.self, from: call.body), caller: call.caller))
        },
        Endpoint(.post, "/v1/sessions", "admits an address by hand") { call in
            let admission = try decoded(ManualAdmission.self, from: call.body)
            return try .encoded(try await api.admit(admission, caller: call.caller), status: 201)
        },
        Endpoint(.post, "/v1/sessions/revoke", "ends sessions: of an id, a user, an address, or all") { call in
            try .encoded(
                try await api.revoke(decoded(RevocationOrder.self, from: call.body), caller: call.caller))
        },
        Endpoint(.get, "/v1/users", "the users, an array") { _ in try .encoded(try await api.users()) },
        Endpoint(.get, "/v1/users/{email}", "one user") { call in
            let email = User.key(call.argument("email"))
            guard let user = try await api.users().first(where: { $0.email == email }) else {
                throw APIError.notFound("There is no user '\(email)'. 'gatehouse user list' lists those there are.")
            }
            return try .encoded(user)
        },
        Endpoint(.post, "/v1/users", "adds a user") { call in
            let order = try decoded(UserOrder.self, from: call.body)
            return try .encoded(try await api.addUser(order, caller: call.caller), status: 201)
        },
        Endpoint(.patch, "/v1/users/{email}", "changes a user; what is not named stays") { call in
            try .encoded(
                try await api.changeUser(
                    email: call.argument("email"), decoded(UserChange.self, from: call.body), caller: call.caller))
        },
        Endpoint(.delete, "/v1/users/{email}", "removes a user and ends the sessions") { call in
            try await api.removeUser(email: call.argument("email"), caller: call.caller)
            return .done
        },
    ]
}
