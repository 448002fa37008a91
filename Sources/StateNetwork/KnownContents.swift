import StateContent

/// The kinds of content that a node knows beside those that all versions do. What is off it neither asks for nor
/// offers, and it treats such a key as any that it does not know: so a node of a former version can be run in a network
/// of both.
public struct KnownContents: Sendable {
    /// Block diffs by stretches (0x4A).
    public var stretches: Bool
    /// Small sections, several at once (0x45).
    public var bundles: Bool

    public init(stretches: Bool = true, bundles: Bool = true) {
        self.stretches = stretches
        self.bundles = bundles
    }

    func holds(_ selector: StateContentKey.Selector) -> Bool {
        switch selector {
        case .blockDiffs: stretches
        case .sections: bundles
        default: true
        }
    }
}
