import ArgumentParser
import Primitives
import StateStore

/// `--only accounts`, or `accounts,0x…`.
enum OnlySome {
    static func parse(_ text: String) throws -> KeptStorage {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.first == "accounts" else {
            throw ValidationError("'\(text)' does not begin with 'accounts', which are always kept")
        }
        let keys = try parts.dropFirst().map { address in
            guard address.hasPrefix("0x"), let bytes = Hex.decode(String(address)), bytes.count == 20 else {
                throw ValidationError("'\(address)' is no address: write 0x and 40 hexadecimal digits")
            }
            return Keccak.hash(bytes)
        }
        guard Set(keys).count == keys.count else {
            throw ValidationError("one address stands there twice: name it once")
        }
        guard keys.count <= StateStoreLimits.keptStorages else {
            throw ValidationError(
                "more than \(StateStoreLimits.keptStorages) contracts: name fewer, or leave --only out")
        }
        return .only(keys)
    }

    /// A request about a section names all of its contracts.
    static func check(_ kept: KeptStorage, depth: Int) throws {
        let sections = Dictionary(grouping: kept.accounts ?? []) { Section(of: $0, depth: depth) }
        let most = StateStoreLimits.keptStoragesPerSection
        guard let crowded = sections.filter({ $0.value.count > most }).keys.min() else { return }
        throw ValidationError(
            "more than \(most) of the contracts of --only lie in section \(crowded) of this network: name fewer")
    }
}
