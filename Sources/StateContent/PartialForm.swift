import Primitives
import StateStore

// The partial form of a key.
//
// Who keeps all accounts and the storage of a few asks for the same things as everybody: ranges, sections, section
// diffs, block diffs. What comes is the same but for the slots of all other accounts, which are left out. So it has no
// keys of its own, only a form that says whose storage is wanted, around a key as it always was:
//
//      0x4C │ storage_of: 0 to 16 account keys │ key: 40… , 41… , 45… or 4A…
//
// The value has the layout of the key inside. What is proven of the accounts is proven as always: a range by its edges,
// everything else by the section hash. Of an account that is not named the storage root stands in its body, and no slot
// of it may come.
enum PartialForm {
    static let schema = SSZType.container([
        ("storage_of", .list(.bytes32, limit: StateContentLimits.keptStorages)),
        ("key", .byteList(StateContentLimits.keyBytes)),
    ])

    /// Whether a key of this trie may say that. Parts of storage have no accounts beside them.
    static func mayName(_ kept: KeptStorage, of trie: StateTrie) -> Bool {
        guard let accounts = kept.accounts else { return true }
        return trie == .accounts && accounts.count <= StateContentLimits.keptStorages
    }

    /// A key in this form, its selector included.
    static func encoded(_ key: [UInt8], keeping kept: KeptStorage) -> [UInt8] {
        [StateContentKey.Selector.partial.rawValue]
            + ColumnWriter.container([ColumnWriter.hashes(kept.accounts ?? []), key])
    }

    /// Reads what `encoded` gives.
    static func key(_ bytes: [UInt8]) throws(StateContentError) -> StateContentKey {
        let (accounts, inner): ([Bytes32], [UInt8])
        do throws(SSZError) {
            let fields = try SSZ.decode(bytes.dropFirst(), as: schema).fields
            var read: [Bytes32] = []
            for element in try fields[0].elements { read.append(try element.bytes32) }
            (accounts, inner) = (read, try fields[1].bytes)
        } catch {
            throw .malformed(error)
        }
        let kept = KeptStorage.only(accounts)
        guard kept.accounts == accounts, let first = inner.first,
            let selector = StateContentKey.Selector(rawValue: first)
        else { throw .invalid("the accounts or the key in a partial key") }
        switch selector {
        case .range, .diffs, .sections, .blockDiffs:
            return try StateContentKey.key(selector, inner, keeping: kept)
        case .codes, .blockDiff, .crown, .subtrees, .wideDirectory, .availability, .storageCrown, .partial:
            throw .invalid("the key in a partial key")
        }
    }
}
