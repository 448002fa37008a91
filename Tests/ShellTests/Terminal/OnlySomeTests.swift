import Testing

/// `carousel sync --only`: what names no part of a state is refused in one line that tells how to write it, before
/// anything is opened.
@Suite struct OnlySomeTests {
    private static let address = "0x00000000000000000000000000000000000000aB"

    @Test(arguments: [
        ("", "'' does not begin with 'accounts'"),
        ("contracts", "'contracts' does not begin with 'accounts'"),
        ("Accounts", "'Accounts' does not begin with 'accounts'"),
        (address, "'\(address)' does not begin with 'accounts'"),
        ("accounts,", "'' is no address: write 0x and 40 hexadecimal digits"),
        ("accounts,,\(address)", "'' is no address"),
        ("accounts,0x12", "'0x12' is no address"),
        ("accounts,\(address)ff", "'\(address)ff' is no address"),
        ("accounts, \(address)", "' \(address)' is no address"),
        ("accounts,00000000000000000000000000000000000000ab", "'00000000000000000000000000000000000000ab' is no"),
        ("accounts,0x0000000000000000000000000000000000000xyz", "'0x0000000000000000000000000000000000000xyz' is no"),
        ("accounts,storage", "'storage' is no address"),
        ("accounts,\(address),\(address)", "one address stands there twice: name it once"),
        ("accounts,\(address),0x00000000000000000000000000000000000000ab", "one address stands there twice"),
    ]) func whatNamesNoPartIsRefused(text: String, reason: String) throws {
        guard let outcome = try Program.run(["sync", "--only", text]) else { return }
        #expect(outcome.code == 2 && !outcome.isKilled, "\(outcome.errors)")
        #expect(outcome.errors.contains(reason), "\(outcome.errors)")
        #expect(outcome.errors.split(separator: "\n").count == 1 && outcome.output.isEmpty, "\(outcome.errors)")
    }

    /// What is well written is not what is wrong with a command line that lacks the rest.
    @Test(arguments: ["accounts", "accounts,\(address)"])
    func whatNamesAPartIsTaken(text: String) throws {
        guard let outcome = try Program.run(["sync", "--only", text]) else { return }
        #expect(outcome.code == 2 && outcome.errors.contains("--network is missing"), "\(outcome.errors)")
    }
}
