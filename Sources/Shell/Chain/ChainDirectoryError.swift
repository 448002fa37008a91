import Chain
import Primitives

/// What is wrong with a chain directory. Each description is one line that names the file, the block and the cure.
enum ChainDirectoryError: Error, Equatable, Sendable {
    case missingFile(String)
    case cannotRead(file: String, String)
    /// Named .gz, but `gzip` cannot unpack it.
    case notGzip(String)
    /// The file ends inside this block.
    case cut(file: String, block: UInt64)
    /// Something in the file is not what it must be.
    case malformed(file: String, block: UInt64?, String)
    /// The block's parent hash is not the hash of the block before it.
    case wrongParent(file: String, block: UInt64, expected: Bytes32, found: Bytes32)
    /// A block or its access list breaks a rule or does not fit its header.
    case invalid(file: String, block: UInt64, ChainError)
    /// The file with the changes ends before the chain does, or goes on after it.
    case wrongCount(file: String, block: UInt64)
    /// What the file says that a block changes does not lead to what the block's header commits to; the text says what
    /// was expected and what was found.
    case refused(file: String, StatePoint, String)
    /// The bridge has replayed another block of this number into its data directory.
    case notReplayed(file: String, StatePoint, expected: Bytes32)
    /// A line of diffs.jsonl is not of the block it stands for.
    case wrongDiff(file: String, block: UInt64, field: String)
}

extension ChainDirectoryError: CustomStringConvertible {
    var description: String {
        switch self {
        case .missingFile(let file):
            return "\(file): no such file: a chain directory has genesis.json, genesis_header.rlp, chain.rlp, and "
                + "bals.rlp or diffs.jsonl (each may be gzipped, its name ending in .gz)"
        case .cannotRead(let file, let reason): return "\(file): \(reason): check the file and its permissions"
        case .notGzip(let file): return "\(file): is no whole gzip file: copy it again, or unpack it"
        case .cut(let file, let block): return "\(file): ends inside block \(block): export or copy it again"
        case .malformed(let file, let block, let reason):
            return "\(file): \(Self.place(block))\(reason): export it again"
        case .wrongParent(let file, let block, let expected, let found):
            return "\(file): block \(block) has the parent \(found), but the block before it is \(expected): "
                + "all files must be of one chain, in order, from block 1"
        case .invalid(let file, let block, let error):
            return "\(file): block \(block): \(error): all files must be of one chain; export it again"
        case .wrongCount(let file, let block):
            return "\(file): does not end with the chain, at block \(block): it must have the changes of each block of "
                + "chain.rlp from 1 on: export both from the same node (lists that begin at a fork are not enough: "
                + "diffs.jsonl has all)"
        case .refused(let file, let point, let what) where point.number == 0:
            return "\(file): block 0: \(what): it must be the genesis of genesis_header.rlp: export both from the same "
                + "node"
        case .refused(let file, let point, let what):
            return "\(file): block \(point.number) (\(point.hash)): \(what): all files must be of one chain, with the "
                + "changes of each block from 1 on; export them again (lists that begin at a fork are not enough: "
                + "diffs.jsonl has all)"
        case .notReplayed(let file, let point, let expected):
            return "\(file): block \(point.number) is \(point.hash), but this data directory goes on from \(expected): "
                + "give the chain that it began with, or another directory with --data-dir"
        case .wrongDiff(let file, let block, let field):
            return "\(file): line \(block) has another \(field) than block \(block): all files must be of one chain"
        }
    }

    private static func place(_ block: UInt64?) -> String { block.map { "block \($0): " } ?? "" }
}
