extension NodeError: CustomStringConvertible {
    /// Why the node cannot begin, and what helps.
    public var description: String {
        switch self {
        case .record(let error): "the node's record cannot be made: \(error): check --nat and the key file"
        case .headers(let error):
            "the stored headers do not join the network's checkpoint (\(error)): give the network file that the data "
                + "directory was made with, or another directory with --data-dir"
        case .bridgeKey(let error): "\(error)"
        case .unexpected(let what): what
        }
    }
}
