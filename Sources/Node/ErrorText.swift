extension NodeError: CustomStringConvertible {
    /// Why the node cannot begin, and what helps.
    public var description: String {
        switch self {
        case .record(let error): "the node's record cannot be made: \(error): check --nat and the key file"
        case .headers(let error):
            "the stored headers do not join the network's checkpoint (\(error)): give the network file that the data "
                + "directory was made with, or another directory with --data-dir"
        case .attestingSeed(let index):
            "signing key \(index + 1) is no secret key: make one with 'carousel key signing'"
        case .attestingKeyNotOfNetwork(_, let key):
            "the signing key \(key) is not among rule.keys of the network: nobody would believe it"
        case .attestingKeyTwice(_, let key): "the signing key \(key) is given twice: give each once"
        case .unexpected(let what): what
        }
    }
}
