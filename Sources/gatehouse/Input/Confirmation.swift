import ArgumentParser

/// The question before something that cannot be undone, or that many feel.
struct Confirmation: ParsableArguments {
    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    /// Goes on when a person agrees, or has agreed with `--yes`.
    ///
    /// - Parameters:
    ///   - reason: why that is asked, for where nobody can answer.
    ///   - canAsk: false where the command has no answer to wait for, whatever the terminal says.
    /// - Throws: ``CommandFailure`` as wrong usage where nobody can be asked; failure when the answer is no.
    func ask(_ question: String, reason: String, canAsk: Bool = true) throws {
        if yes { return }
        guard canAsk, Terminal.canAsk else {
            throw CommandFailure("\(reason): add --yes to go on without being asked", isUsage: true)
        }
        try Self.agree(question)
    }

    /// The question alone: a no is a failure too, so that what stands behind it in a script does not run.
    static func agree(_ question: String) throws {
        guard Terminal.confirms(question) else {
            Terminal.complain("Nothing was changed.")
            throw ExitCode.failure
        }
    }
}
