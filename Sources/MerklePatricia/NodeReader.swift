import Primitives

/// Reads single nodes of a stored trie by their place. One reader for several saves it making its room anew.
public struct NodeReader: ~Copyable {
    private var twig = Twig()

    /// A reader that has read nothing.
    public init() {}

    /// The RLP of the node that stands where a parent that has consumed `path` finds it: a branch there, the extension
    /// over one further down, or the only leaf under the path. nil where there is no leaf.
    ///
    /// Errors: `TrieError` for a stored record that is no branch, or the source's own.
    public mutating func node(at path: Nibbles, of source: inout some TrieSource) throws -> [UInt8]? {
        if let branch = try source.branch(atOrBelow: path) { return try NodeReader.node(of: branch, seenFrom: path) }
        try twig.fill(under: path, of: &source, isNamed: false)
        if let branch = twig.branch(atOrBelow: path) { return try NodeReader.node(of: branch, seenFrom: path) }
        return twig.leafNode(at: path)
    }

    private static func node(of branch: StoredBranch, seenFrom path: Nibbles) throws -> [UInt8] {
        guard branch.path.isBranchPath(under: path) else { throw TrieError.corruptRecord(branch.path) }
        guard branch.path.count > path.count else { return branch.node }
        let child = NodeReference(encodedNode: branch.node)
        return TrieNode.extension(path: branch.path.dropFirst(path.count), child: child).encoded
    }
}
