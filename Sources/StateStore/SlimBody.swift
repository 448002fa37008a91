import Chain
import Primitives

/// An account's slim body read in place, as strictly as `StateAccount(slim:)` reads it: for those who
/// read many and need neither nonce nor balance.
public struct SlimBody {
    /// The root of the account's storage trie; nil where that is empty.
    public let storageRoot: Bytes32?
    /// The hash of the account's code; nil where it has none.
    public let codeHash: Bytes32?
    /// Where nonce and balance stand, with their headers.
    @usableFromInline let numbers: Range<Int>

    /// Bytes that `writeFull` needs at most: a header of 2, nonce 9, balance 33, two hashes 33 each.
    public static let fullBytes = 110

    /// nil where `bytes` are no slim body.
    @inlinable
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard let start = SlimBody.contentStart(of: bytes),
            let nonce = SlimBody.number(in: bytes, at: start, limit: 8),
            let balance = SlimBody.number(in: bytes, at: nonce, limit: 32),
            let root = SlimBody.hash(in: bytes, at: balance), let code = SlimBody.hash(in: bytes, at: root.end),
            code.end == bytes.count, root.hash != StateAccount.emptyRoot, code.hash != StateAccount.emptyCodeHash
        else { return nil }
        storageRoot = root.hash
        codeHash = code.hash
        numbers = start..<balance
    }

    // A body has fewer than 256 bytes and its items at most 32: of RLP's forms only the shortest can stand here.

    /// Where the list's first item begins, if the list takes all of `bytes`.
    @inlinable
    static func contentStart(of bytes: UnsafeRawBufferPointer) -> Int? {
        guard let header = bytes.first else { return nil }
        if header >= 0xc0 && header <= 0xf7 { return bytes.count == 1 + Int(header - 0xc0) ? 1 : nil }
        guard header == 0xf8, bytes.count > 2, bytes[1] > 55 else { return nil }
        return bytes.count == 2 + Int(bytes[1]) ? 2 : nil
    }

    /// The end of an integer of at most `limit` bytes without leading zeros.
    @inlinable
    static func number(in bytes: UnsafeRawBufferPointer, at start: Int, limit: Int) -> Int? {
        guard start < bytes.count else { return nil }
        let header = bytes[start]
        // A byte below 0x80 stands for itself; zero is the empty string.
        if header < 0x80 { return header == 0 ? nil : start &+ 1 }
        let length = Int(header) &- 0x80
        guard length <= limit, start &+ 1 &+ length <= bytes.count else { return nil }
        if length == 0 { return start &+ 1 }
        let first = bytes[start &+ 1]
        return first == 0 || length == 1 && first < 0x80 ? nil : start &+ 1 &+ length
    }

    /// A string that is empty or has 32 bytes, and its end.
    @inlinable
    static func hash(in bytes: UnsafeRawBufferPointer, at start: Int) -> (hash: Bytes32?, end: Int)? {
        guard start < bytes.count, let base = bytes.baseAddress else { return nil }
        if bytes[start] == 0x80 { return (nil, start &+ 1) }
        guard bytes[start] == 0xa0, start &+ 33 <= bytes.count else { return nil }
        return (Bytes32(loading: base + (start &+ 1)), start &+ 33)
    }

    /// Writes the account as it stands in the trie to `target`, which has room for `fullBytes`; `bytes` are those it
    /// was read from. Returns how many.
    @inlinable
    public func writeFull(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) -> Int {
        guard let base = bytes.baseAddress else { return 0 }
        // Two hashes alone have more than 55 bytes, and the whole fewer than 256: one byte of length.
        target.storeBytes(of: 0xf8, as: UInt8.self)
        target.storeBytes(of: UInt8(truncatingIfNeeded: numbers.count &+ 66), toByteOffset: 1, as: UInt8.self)
        (target + 2).copyMemory(from: base + numbers.lowerBound, byteCount: numbers.count)
        let root = 2 &+ numbers.count
        target.storeBytes(of: 0xa0, toByteOffset: root, as: UInt8.self)
        (storageRoot ?? StateAccount.emptyRoot).store(to: target + (root &+ 1))
        target.storeBytes(of: 0xa0, toByteOffset: root &+ 33, as: UInt8.self)
        (codeHash ?? StateAccount.emptyCodeHash).store(to: target + (root &+ 34))
        return root &+ 66
    }

    /// The account as it stands in the trie; `bytes` are those it was read from.
    func full(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SlimBody.fullBytes) { buffer, count in
            count = buffer.baseAddress.map { writeFull(bytes, to: UnsafeMutableRawPointer($0)) } ?? 0
        }
    }
}
