// The words of this target's errors. They name what is wrong with nodes and proofs; whoever asked says whose they are.

extension TrieNodeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLarge: "a trie node has too many bytes"
        case .rlp(let error): "a trie node does not decode: \(error)"
        case .itemCount: "a trie node has neither 2 nor 17 items"
        case .hexPrefix: "a trie node's path is not in its one encoding"
        case .emptyExtension: "a trie extension has no nibbles"
        case .emptyValue: "a trie leaf has no value"
        case .childReference: "a trie node names a child by neither a hash nor a short node"
        case .extensionChild: "a trie extension's child is no branch"
        case .branchValue: "a trie branch has a value"
        case .tooFewChildren: "a trie branch has fewer than two children"
        case .shortNode: "a short trie node is named by its hash"
        case .pathLength: "a trie path does not end after 64 nibbles"
        }
    }
}

extension ProofError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformedNode(let error): "a proof node is none: \(error)"
        case .missingNode(let path): "the proof lacks the node at \(path)"
        case .unusedNode: "the proof has a node that nothing leads to"
        case .repeatedNode: "the proof has a node twice"
        case .boundsReversed: "the first key of the range is after the last"
        case .unsortedLeaves: "the leaves do not ascend"
        case .leafOutsideRange: "a leaf lies outside the range"
        case .emptyValue: "a leaf has no value"
        case .leavesDiffer(let path): "the leaves under \(path) are not those of the root"
        case .unknownSection(let index): "there is no section \(index) in the crown"
        case .depth(let depth): "no crown has the depth \(depth)"
        }
    }
}

extension TrieError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsortedChanges: "the changes do not ascend"
        case .keyOutsidePrefix(let key): "the key \(key) lies outside the part that is changed"
        case .emptyValue(let key): "the key \(key) is to get an empty value"
        case .missingChild(let path): "the stored trie lacks the node at \(path)"
        case .corruptRecord(let path): "the stored branch at \(path) is not the one that was stored there"
        case .corruptSubtree: "a stored subtree does not decode"
        }
    }
}
