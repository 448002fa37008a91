import Chain
import Discovery
import Foundation
import MerklePatricia
import Node
import Primitives
import StateContent
import StateStore

/// Coverage certificates as files: what a data directory holds, and what somebody else's says.
public enum CoverageReport {
    /// Why there is nothing to certify.
    public enum Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// No section is held whole at an anchor that is believed here.
        case nothingHeld
        /// What is stored does not show that the block is believed.
        case notShown(block: UInt64)

        public var description: String {
            switch self {
            case .nothingHeld: return "no section is held whole at a final anchor: let the node run on"
            case .notShown(let block):
                return "the headers here do not show that block \(block) is believed: let the node run on; where it "
                    + "was started with --prune-headers, give a larger number"
            }
        }
    }

    /// Reads back everything that a data directory holds, and writes down what is held whole at the anchor at which
    /// most is, signed with the node's key. The directory may be that of a running process. Gives what was written, as
    /// `check` tells it.
    public static func write(
        _ path: String, dataDirectory: DataDirectory, networkFile: String, keyFile: String?, threads: Int
    ) throws -> [(name: String, value: String)] {
        try dataDirectory.requireStore()
        let key = try KeyFile.readIdentity(keyFile ?? dataDirectory.keyPath)
        return try StoreAccess.withSnapshot(of: dataDirectory, networkFile: networkFile) { snapshot, network in
            _ = try StoreCheck.all(snapshot, network, threads: threads, in: dataDirectory)
            let stored = try StoredState.load(from: snapshot, network: network)
            let chain = try AttestedChain(
                configuration: network, restoring: stored.headers, floor: stored.floor)
            let kept = try StoreMeta.read(from: snapshot)?.kept ?? .all
            let coverage = try coverage(
                stored, chain, keeping: kept, unixSeconds: SystemClock().now().unixSeconds)
            let certificate = try CoverageCertificate(coverage, by: key)
            let figures = try figures(certificate, network)
            let file = try WholeFile(path, .replaced)
            try file.write(Data(certificate.encoded))
            try file.finish()
            return figures
        }
    }

    /// Reads a certificate and says apart what is proven and what is the node's word.
    public static func check(_ path: String, networkFile: String) throws -> [(name: String, value: String)] {
        let network = try NetworkConfigurationFile.read(networkFile)
        let certificate = try read(path)
        do throws(CoverageError) {
            return try figures(certificate, network)
        } catch {
            throw ShellError.badFile(path: path, reason: "\(error)")
        }
    }

    /// Reads a file, as strictly as it can be.
    static func read(_ path: String) throws(ShellError) -> CoverageCertificate {
        let bytes: Data
        do {
            let handle = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
            bytes = try handle.read(upToCount: StateContentLimits.coverageBytes + 1) ?? Data()
        } catch {
            throw .file(
                path: path,
                reason: FileManager.default.fileExists(atPath: path) ? "cannot be read" : "no such file")
        }
        do throws(CoverageError) {
            return try CoverageCertificate(decoding: Array(bytes))
        } catch {
            throw .badFile(path: path, reason: "\(error)")
        }
    }

    /// What is held at the anchor at which most is, of several the newest.
    static func coverage(
        _ stored: StoredState, _ chain: AttestedChain, keeping kept: KeptStorage, unixSeconds: UInt64
    ) throws -> HeldCoverage {
        let network = chain.configuration
        let records = stored.held.records.filter {
            $0.isComplete && $0.section.owner == nil && $0.section.depth == network.sectionDepth
        }
        let points = Set(records.flatMap { [$0.working, $0.previous].compactMap { $0 } })
        var best: (point: StatePoint, crown: Crown, sections: [Int])?
        for point in points.sorted(by: >) where network.epochs.isBoundary(point.number) && chain.isFinal(point) {
            let held = records.filter { $0.working == point || $0.previous == point }
            guard held.count > best?.sections.count ?? 0, let root = chain.header(of: point)?.stateRoot,
                let crown = crown(at: point, root: root, held, stored, network)
            else { continue }
            best = (point, crown, held.map(\.section.index).sorted())
        }
        guard let best else { throw Failure.nothingHeld }
        guard let line = AttestedLine.shortest(to: best.point, in: chain) else {
            throw Failure.notShown(block: best.point.number)
        }
        var proof = ProofNodes()
        var sections: [HeldCoverage.Held] = []
        for index in best.sections {
            try best.crown.addProof(ofSection: index, to: &proof)
            sections.append(HeldCoverage.Held(index: index, hash: try best.crown.sectionHash(index)))
        }
        return HeldCoverage(
            of: network, at: best.point, line: line, keeping: kept, sections: sections, proof: proof.nodes,
            unixSeconds: unixSeconds)
    }

    /// The crown of an anchor: as it is stored, or made of all sections where they are here.
    private static func crown(
        at point: StatePoint, root: Bytes32, _ held: [SectionRecord], _ stored: StoredState,
        _ network: NetworkConfiguration
    ) -> Crown? {
        let anchor = network.epochs.anchor(at: point)
        if let crown = stored.held.crowns.first(where: { $0.anchor == anchor })?.crown { return crown }
        let subtrees = held.filter { $0.working == point }.sorted { $0.section < $1.section }.compactMap(\.subtree)
        guard subtrees.count == Section.count(depth: network.sectionDepth) else { return nil }
        let crown = Crown(sections: subtrees, depth: network.sectionDepth)
        return crown.root == root ? crown : nil
    }

    private static func figures(
        _ certificate: CoverageCertificate, _ network: NetworkConfiguration
    ) throws(CoverageError) -> [(name: String, value: String)] {
        let standing = try certificate.verify(for: network)
        let coverage = certificate.coverage
        let all = Section.count(depth: coverage.sectionDepth)
        return [
            ("proven_block", "\(coverage.point.number)"), ("proven_hash", "\(coverage.point.hash)"),
            ("proven_epoch", "\(network.epochs.epoch(of: coverage.point.number))"),
            ("proven_root", "\(standing.header.stateRoot)"),
            ("proven_final", standing.isFinal ? "yes" : "no"),
            ("proven_from", standing.isFromCheckpoint ? "checkpoint" : "signatures"),
            ("proven_section_hashes", "\(coverage.sections.count)"),
            ("said_by", "\(certificate.key.nodeID)"), ("said_at", "\(coverage.unixSeconds)"),
            ("said_held", "\(coverage.sections.count) of \(all) sections"),
            ("said_sections", runs(of: coverage.sections.map(\.index))),
            ("said_storage_of", coverage.kept.accounts.map { "\($0.count)" } ?? "all"),
        ]
    }

    /// "0-3,7": numbers that ascend, in runs.
    static func runs(of indices: [Int]) -> String {
        var runs: [(first: Int, last: Int)] = []
        for index in indices {
            if let last = runs.last, last.last + 1 == index {
                runs[runs.count - 1].last = index
            } else {
                runs.append((index, index))
            }
        }
        return runs.map { $0.first == $0.last ? "\($0.first)" : "\($0.first)-\($0.last)" }.joined(separator: ",")
    }
}
