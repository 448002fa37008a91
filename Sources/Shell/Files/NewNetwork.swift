import Chain
import Foundation
import Primitives

/// A network that is begun: its configuration file, and the keys that attest its head, each in a file of its own.
public struct NewNetwork: Sendable {
    public var name: String
    public var chainID: UInt64
    public var genesisHash: Bytes32
    /// How many attesting keys are made, and how many of them must sign.
    public var keys = 1
    public var threshold = 1
    public var epochLength: UInt64 = 256
    public var sectionDepth = 2
    public var wideDepth: Int?
    public var maxAgeSeconds: UInt64 = 3600

    /// A network on the chain of that id and genesis, with the least of everything.
    public init(name: String, chainID: UInt64, genesisHash: Bytes32) {
        self.name = name
        self.chainID = chainID
        self.genesisHash = genesisHash
    }

    /// A network on a recorded chain.
    public init(name: String, chainDirectory: String) throws {
        let chain = try ChainDirectory(path: chainDirectory)
        self.init(name: name, chainID: chain.chainID, genesisHash: chain.genesisHeader.hash)
    }

    /// Writes NAME.json and NAME-1.key, NAME-2.key … into a folder, and gives their paths, the network's first. Nothing
    /// that is there already is touched, and where anything is wrong nothing is written.
    public func write(to folder: String) throws -> [String] {
        let file = "\(folder)/\(name).json"
        let keyFiles = (0..<keys).map { "\(folder)/\(name)-\($0 + 1).key" }
        for path in [file] + keyFiles where FileManager.default.fileExists(atPath: path) {
            throw ShellError.fileExists(path)
        }
        let seeds = keyFiles.map { _ in SystemEntropy.seed().bytes }
        let configuration: NetworkConfiguration
        do throws(ChainError) {
            configuration = try NetworkConfiguration(
                name: name, chainID: chainID, genesisHash: genesisHash,
                checkpoint: StatePoint(number: 0, hash: genesisHash), epochLength: epochLength,
                sectionDepth: sectionDepth, wideDepth: wideDepth,
                rule: NetworkConfiguration.Rule(
                    keys: seeds.map { KeyFile.signingPublicKey(ofSeed: $0) }, threshold: threshold,
                    maxAgeSeconds: maxAgeSeconds),
                bridges: [])
        } catch {
            throw NetworkConfigurationError.invalid(file: file, error)
        }
        for (path, seed) in zip(keyFiles, seeds) { try KeyFile.write(seed, to: path) }
        try NetworkConfigurationFile.write(configuration, to: file)
        return [file] + keyFiles
    }
}
