import Chain
import MerklePatricia
import Primitives

/// Why an answer with codes or with a crown is not what was asked for. Everything but `status` is the sender's fault.
public enum ContentError: Error, Equatable, Sendable {
    /// The value carries no data, or no readable status.
    case status(StateContentError)
    case malformed(SSZError)
    /// A code that was not asked for, or not in the order asked for.
    case unaskedCode(Bytes32)
    /// The nodes are not the crown of the state root.
    case crown(ProofError)
}

/// Bytecodes by hash: those that are known, in the order asked for.
public enum CodesValue {
    /// The list after the status byte.
    package static let schema = SSZType.list(.byteList(ChainLimits.codeBytes), limit: StateContentLimits.codeHashes)

    /// The answer to `key`, status byte included. `code` gives what is known; nil for others. Codes that this network
    /// could not carry are left out.
    public static func serve(_ key: CodesKey, code: (Bytes32) throws -> [UInt8]?) rethrows -> [UInt8] {
        var codes: [[UInt8]] = []
        for hash in key.hashes {
            if let found = try code(hash), found.count <= ChainLimits.codeBytes { codes.append(found) }
        }
        return [0] + ColumnWriter.items(codes)
    }

    /// The codes in an answer with their hashes, all of which were asked for. None is a valid answer.
    public static func verify(
        _ value: [UInt8], key: CodesKey
    ) throws(ContentError) -> [(hash: Bytes32, code: [UInt8])] {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        let codes: [[UInt8]]
        do throws(SSZError) {
            codes = try ColumnReader(bytes: value).byteLists(
                1..<value.count, limit: StateContentLimits.codeHashes, itemLimit: ChainLimits.codeBytes)
        } catch {
            throw .malformed(error)
        }
        var asked = key.hashes[...]
        var found: [(hash: Bytes32, code: [UInt8])] = []
        for code in codes {
            let hash = Keccak.hash(code)
            guard let place = asked.firstIndex(of: hash) else { throw .unaskedCode(hash) }
            asked = asked[(place + 1)...]
            found.append((hash, code))
        }
        return found
    }
}

/// The crown of an anchor: every trie node above the sections.
public enum CrownValue {
    /// The list after the status byte.
    package static let schema = SSZType.list(
        .byteList(StateContentLimits.nodeBytes), limit: StateContentLimits.crownNodes)

    /// The answer, status byte included.
    public static func serve(_ crown: Crown) -> [UInt8] { [0] + ColumnWriter.items(crown.nodes) }

    /// The crown in an answer, checked against the state root of the anchor's header.
    public static func verify(_ value: [UInt8], stateRoot: Bytes32, depth: Int) throws(ContentError) -> Crown {
        do throws(StateContentError) { try StateStatus.requireData(value) } catch { throw .status(error) }
        let nodes: [[UInt8]]
        do throws(SSZError) {
            nodes = try ColumnReader(bytes: value).byteLists(
                1..<value.count, limit: StateContentLimits.crownNodes, itemLimit: StateContentLimits.nodeBytes)
        } catch {
            throw .malformed(error)
        }
        do throws(ProofError) {
            return try Crown(decoding: nodes, root: stateRoot, depth: depth)
        } catch {
            throw .crown(error)
        }
    }
}
