import Identity

/// What the control socket answers about directories.
func directoryEndpoints(api: any DirectoryAPI) -> [Endpoint] {
    [
        Endpoint(.get, "/v1/directories", "the directories and how they stand, an array; secrets are hidden") { _ in
            try .encoded(try await api.directories())
        },
        Endpoint(
            .post, "/v1/directories",
            "stores the directory in the body, its secret in hexadecimal; without one the stored secret stays",
            parameters: ["replace"]
        ) { call in
            let status = try await api.saveDirectory(
                try decoded(Directory.self, from: call.body), replacing: try call.query.flag("replace"), caller: call.caller)
            return try .encoded(status, status: 201)
        },
        Endpoint(.get, "/v1/directories/{id}", "one directory") { call in
            let id = call.argument("id")
            guard let status = try await api.directories().first(where: { $0.directory.id == id }) else {
                throw APIError.notFound("There is no directory '\(id)'. `gatehouse directory list` shows those that exist.")
            }
            return try .encoded(status)
        },
        Endpoint(
            .delete, "/v1/directories/{id}",
            "removes it; users whom no other directory has are disabled, unless ?keep-users=1", parameters: ["keep-users"]
        ) { call in
            try await api.removeDirectory(
                id: call.argument("id"), keepsUsers: try call.query.flag("keep-users"), caller: call.caller)
            return .done
        },
        Endpoint(.get, "/v1/directories/{id}/groups", "its groups, asked for at this moment, an array") { call in
            try .encoded(try await api.groups(ofDirectory: call.argument("id")))
        },
        Endpoint(.post, "/v1/directories/{id}/preview", "begins to see who would come and go; stores nothing") { call in
            try .encoded(try await api.beginPreview(ofDirectory: call.argument("id"), caller: call.caller), status: 202)
        },
        Endpoint(.get, "/v1/directories/{id}/preview", "what the last preview showed") { call in
            try .encoded(try await api.preview(ofDirectory: call.argument("id")))
        },
        Endpoint(
            .post, "/v1/directories/{id}/sync", "begins a synchronisation: full reads everything, confirm agrees",
            parameters: ["full", "confirm"]
        ) { call in
            let status = try await api.beginSync(
                ofDirectory: call.argument("id"), isFull: try call.query.flag("full"),
                isConfirmed: try call.query.flag("confirm"), caller: call.caller)
            return try .encoded(status, status: 202)
        },
        Endpoint(.get, "/v1/api-accesses", "what programs on the customer's side sign in with, an array") { _ in
            try .encoded(try await api.apiAccesses())
        },
        Endpoint(.post, "/v1/api-accesses", "makes one: id, title, type; its secret is in the answer, once") { call in
            let grant = try await api.addAPIAccess(try decoded(APIAccessOrder.self, from: call.body), caller: call.caller)
            return try .encoded(grant, status: 201)
        },
        Endpoint(.delete, "/v1/api-accesses/{id}", "removes it: its agent is signed out") { call in
            try await api.removeAPIAccess(id: call.argument("id"), caller: call.caller)
            return .done
        },
        Endpoint(.get, "/v1/api-accesses/{id}/log", "what it was used for, newest first", parameters: ["limit"]) { call in
            try .encoded(
                try await api.log(
                    ofAPIAccess: call.argument("id"), limit: call.query.number("limit", in: 1...1000) ?? 100))
        },
    ]
}
