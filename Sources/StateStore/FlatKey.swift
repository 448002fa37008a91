import Primitives

/// The key of a leaf of the state in its one order: an account's leaf, then its slots, then the next account's.
public struct FlatKey: Hashable, Comparable, Sendable {
    /// keccak256 of the address.
    public let account: Bytes32
    /// keccak256 of the slot; nil for the account's own leaf.
    public let slot: Bytes32?

    @inlinable
    /// An account's key, or one of its slots'.
    public init(account: Bytes32, slot: Bytes32? = nil) {
        self.account = account
        self.slot = slot
    }

    @inlinable
    /// The flat order.
    public static func < (a: FlatKey, b: FlatKey) -> Bool {
        if a.account != b.account { return a.account < b.account }
        switch (a.slot, b.slot) {
        case (_, nil): return false
        case (nil, _?): return true
        case (let x?, let y?): return x < y
        }
    }

    /// 32 bytes for an account, 64 for a slot: bytes are ordered as the keys are.
    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: slot == nil ? 32 : 64) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            account.store(to: base)
            slot?.store(to: base + 32)
            count = slot == nil ? 32 : 64
        }
    }

    /// Puts the bytes in the place of others, into their room.
    func write(over bytes: inout [UInt8]) {
        let count = slot == nil ? 32 : 64
        if bytes.count != count {
            bytes.removeAll(keepingCapacity: true)
            bytes.append(contentsOf: repeatElement(0, count: count))
        }
        bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            account.store(to: base)
            slot?.store(to: base + 32)
        }
    }

    /// nil unless 32 or 64 bytes are given.
    @inlinable
    public init?(loading bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 32 || bytes.count == 64, let base = bytes.baseAddress else { return nil }
        self.init(account: Bytes32(loading: base), slot: bytes.count == 64 ? Bytes32(loading: base + 32) : nil)
    }

    /// nil unless 32 or 64 bytes are given.
    public init?(_ bytes: [UInt8]) {
        guard let key = bytes.withUnsafeBytes({ FlatKey(loading: $0) }) else { return nil }
        self = key
    }
}

extension FlatKey: CustomStringConvertible {
    /// The first bytes in hex.
    public var description: String { account.short + (slot.map { "/" + $0.short } ?? "") }
}

/// A position on the ring of leaves, at which a range starts or ends, both included.
///
/// (a, 0) as a start means account a's own leaf and on; (a, s) its slots from s on. As an end, (a, s) means up to slot
/// s of a, its own leaf included, and (a, ff…ff) all of a.
public struct Cursor: Hashable, Comparable, Sendable {
    /// keccak256 of an address, or anything between two of them.
    public let account: Bytes32
    /// Zero: before the account's own leaf.
    public let slot: Bytes32

    /// A position; without a slot, before the account's own leaf.
    public init(account: Bytes32, slot: Bytes32 = .zero) {
        self.account = account
        self.slot = slot
    }

    /// Before the first leaf there can be.
    public static let first = Cursor(account: .zero, slot: .zero)
    /// After the last leaf there can be.
    public static let last = Cursor(account: .max, slot: .max)

    /// The end of account `account`: all its slots included.
    public static func end(of account: Bytes32) -> Cursor { Cursor(account: account, slot: .max) }

    /// The flat order.
    public static func < (a: Cursor, b: Cursor) -> Bool {
        a.account == b.account ? a.slot < b.slot : a.account < b.account
    }

    /// The next position; nil after the last.
    public var successor: Cursor? {
        if let next = slot.successor { return Cursor(account: account, slot: next) }
        return account.successor.map { Cursor(account: $0, slot: .zero) }
    }

    /// The position before; nil before the first.
    public var predecessor: Cursor? {
        if let before = slot.predecessor { return Cursor(account: account, slot: before) }
        return account.predecessor.map { Cursor(account: $0, slot: .max) }
    }

    /// The first leaf key a walk from here may give.
    public var firstKey: FlatKey { FlatKey(account: account, slot: slot == .zero ? nil : slot) }

    /// Whether a range that ends here holds `key`.
    public func covers(_ key: FlatKey) -> Bool {
        if key.account != account { return key.account < account }
        guard let keySlot = key.slot else { return true }
        return keySlot <= slot
    }

    /// account ‖ slot.
    public var bytes: [UInt8] { account.bytes + slot.bytes }

    /// nil unless 64 bytes are given.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == 64, let account = Bytes32(bytes[..<32]), let slot = Bytes32(bytes[32...]) else {
            return nil
        }
        self.init(account: account, slot: slot)
    }
}

extension Cursor: CustomStringConvertible {
    /// The first bytes in hex.
    public var description: String { slot == .zero ? account.short : account.short + "/" + slot.short }
}

/// One leaf's change as it travels.
public struct LeafChange: Hashable, Sendable {
    /// Which leaf.
    public let key: FlatKey
    /// Slim body or slot value without leading zeros; nil where the leaf is gone.
    public let value: [UInt8]?

    /// A change; nil deletes.
    public init(key: FlatKey, value: [UInt8]?) {
        self.key = key
        self.value = value
    }
}
