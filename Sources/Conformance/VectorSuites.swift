/// Every kind of vector file there is: one line each.
public enum VectorSuites {
    /// Every suite, in the order of the floors.
    public static let all: [any VectorSuite.Type] = [
        RLPVectors.self,
        KeccakVectors.self,
        SSZVectors.self,
        DiscoveryWireVectors.self,
        NodeRecordVectors.self,
        UTPWireVectors.self,
        PortalWireVectors.self,
        TrieVectors.self,
        RangeProofVectors.self,
        PortalStateVectors.self,
        HeaderVectors.self,
        TransactionVectors.self,
        AccessListVectors.self,
        StateWireVectors.self,
        StateRangeVectors.self,
        ChainWireVectors.self,
        ChainRuleVectors.self,
    ]

    /// Cases of one kind from another origin stand in a second file, `enr-derived.json` beside `enr.json`.
    private static let secondFile = "-derived.json"

    /// The suite of the files named `fileName`; nil for a kind that is not known.
    public static func suite(of fileName: String) -> (any VectorSuite.Type)? {
        let kind = fileName.hasSuffix(secondFile) ? fileName.dropLast(secondFile.count) + ".json" : fileName[...]
        return all.first { $0.fileName == kind }
    }
}
