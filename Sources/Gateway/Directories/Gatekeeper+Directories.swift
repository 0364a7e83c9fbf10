import Access
import Identity
import Store

/// What directories do to users.
extension Gatekeeper {
    func synchronise(
        _ steps: [DirectoryStep], _ directory: Directory, _ predecessors: [String: String], _ actor: String,
        into batch: inout Batch
    ) -> Outcome {
        var outcome = Outcome()
        for step in steps {
            let user = engine.users[step.email]
            let predecessor = predecessors[step.email].flatMap { engine.users[$0] }
            guard let (after, words) = step.result(for: user, of: directory, predecessor: predecessor, now: now.wall) else {
                continue
            }
            if user == nil { batch.addedUsers.append(after.email) }
            let input: SessionInput =
                user?.isEnabled == true && !after.isEnabled ? .userDisabled(after, by: actor) : .user(after)
            outcome.closed += receive(input, actor: actor, into: &batch).closed
            policy.touch(user: after.email)
            batch.records.append(
                (
                    .user(after, action: user == nil ? "user-added" : "user-changed", detail: words.joined(separator: "; ")),
                    actor
                ))
        }
        return outcome
    }
}
