import ArgumentParser

/// `gatehouse idp`.
struct IdPCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "idp", abstract: "The identity providers that people sign in with.",
        subcommands: [
            IdPListCommand.self, IdPShowCommand.self, IdPAddCommand.self, IdPEditCommand.self, IdPRemoveCommand.self,
            IdPTestCommand.self, IdPMetadataCommand.self, IdPCheckResponseCommand.self, IdPCheckTokenCommand.self,
        ])
}
