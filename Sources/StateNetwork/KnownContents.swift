import StateContent

/// The kinds of content that a node knows beside those that all versions do. What is off it neither asks for nor
/// offers, and it treats such a key as any that it does not know: so a node of a former version can be run in a network
/// of both.
public struct KnownContents: Sendable {
    /// Block diffs by stretches (0x4A).
    public var stretches: Bool
    /// Small sections, several at once (0x45).
    public var bundles: Bool
    /// The partial form of keys (0x4C).
    public var partial: Bool

    public init(stretches: Bool = true, bundles: Bool = true, partial: Bool = true) {
        self.stretches = stretches
        self.bundles = bundles
        self.partial = partial
    }

    /// Among the capabilities in the first PING: that a node answers keys in the partial form. It is their selector,
    /// which is no type of a payload.
    public static let partialCapability = UInt16(StateContentKey.Selector.partial.rawValue)

    /// What a node says of itself by that.
    public var capabilities: [UInt16] { partial ? [KnownContents.partialCapability] : [] }

    func holds(_ selector: StateContentKey.Selector) -> Bool {
        switch selector {
        case .blockDiffs: stretches
        case .sections: bundles
        case .partial: partial
        default: true
        }
    }
}
