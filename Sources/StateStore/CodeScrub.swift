import Primitives

/// Codes that the accounts of a section name, read back as they come by, each once.
struct CodeScrub: Sendable {
    private var read: Set<Bytes32> = []
    private var damaged: [Bytes32] = []

    /// Reads the code of this hash, unless it was read before. Gives what that took, in leaves.
    mutating func look(at hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> Int {
        if read.count >= StateStoreLimits.scrubbedCodes { read = [] }
        guard read.insert(hash).inserted else { return 0 }
        guard let code = try snapshot.get(.codes, hash.bytes) else {
            // What is still to be fetched is no damage.
            if try !isWanted(hash, in: snapshot) { damaged.append(hash) }
            return 1
        }
        if Keccak.hash(code) != hash { damaged.append(hash) }
        return 1 + code.count / StateStoreLimits.scrubbedCodeBytes
    }

    /// Those that are not what their hash says, or gone; each is given once.
    mutating func takeDamaged() -> [Bytes32] {
        defer { damaged = [] }
        return damaged
    }

    private func isWanted(_ hash: Bytes32, in snapshot: some StoreSnapshot) throws(StoreError) -> Bool {
        var cursor = try snapshot.cursor(.wantedCodes)
        return try cursor.seek(hash.bytes) && cursor.key?.starts(with: hash.bytes) == true
    }
}
