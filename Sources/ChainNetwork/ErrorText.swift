extension ChainNetworkError: CustomStringConvertible {
    /// What a peer did wrong.
    public var description: String {
        switch self {
        case .malformedKey: "a content key that is none"
        case .unknownStatus(let byte): byte.map { "the status \($0) is not known" } ?? "no status"
        case .malformedValue(let error): "it does not decode: \(error)"
        case .invalid(let error): "\(error)"
        case .notWhatWasAsked: "other headers or blocks than were asked for, or none"
        case .wrongState(let number): "the access list of block \(number) does not lead to its state root"
        case .anotherGenesis(let hash): "a chain with another genesis, \(hash)"
        case .notAttested(let number): "the headers up to block \(number) do not prove it"
        }
    }
}
