import Primitives
import StateContent

/// Changed leaves as they stand in a diff of any kind (0x41, 0x43, 0x4A), account by account, to be told otherwise.
/// What comes of it is written by the schema, so that what no honest node would write can be sent.
struct ChangedLeaves {
    /// One account, with its slots.
    struct Account {
        var key: [UInt8]
        /// An RLP item: the slim body, or an empty string where the account is gone.
        var body: [UInt8]
        var slots: [(key: [UInt8], value: [UInt8])] = []

        var isGone: Bool { body == ChangedLeaves.gone }
    }

    static let gone: [UInt8] = [0x80]
    var accounts: [Account] = []

    /// nil where the fields are not those of changed leaves.
    init?(_ value: SSZValue) {
        do {
            let fields = try value.fields
            guard fields.count == 5 else { return nil }
            var bodies = RLPReader(try fields[1].bytes)
            var counts = try fields[2].elements[...]
            var slotKeys = try fields[3].elements[...]
            var slotValues = RLPReader(try fields[4].bytes)
            for key in try fields[0].elements {
                var account = Account(key: try key.bytes, body: try bodies.nextRaw())
                for _ in 0..<(try counts.popFirst()?.uint64 ?? 0) {
                    account.slots.append((try slotKeys.popFirst()?.bytes ?? [], try slotValues.nextRaw()))
                }
                accounts.append(account)
            }
        } catch {
            return nil
        }
    }

    var value: SSZValue {
        let slots = accounts.flatMap(\.slots)
        return .fields([
            .elements(accounts.map { .bytes($0.key) }), .bytes(accounts.flatMap(\.body)),
            .elements(accounts.map { .integer(UInt32($0.slots.count)) }), .elements(slots.map { .bytes($0.key) }),
            .bytes(slots.flatMap(\.value)),
        ])
    }

    /// Ways to tell changes otherwise. Each returns false where the changes give no occasion for it.
    static let lies: [(name: String, tell: @Sendable (inout ChangedLeaves) -> Bool)] = [
        (
            "leaves a change out",
            { leaves in
                guard !leaves.accounts.isEmpty else { return false }
                leaves.accounts.removeLast()
                return true
            }
        ),
        (
            "says of something that is gone that it is there",
            { leaves in
                guard let place = leaves.accounts.firstIndex(where: \.isGone),
                    let body = leaves.accounts.first(where: { !$0.isGone })?.body ?? ChangedLeaves.someBody
                else { return false }
                leaves.accounts[place].body = body
                return true
            }
        ),
        (
            "says of something that is there that it is gone",
            { leaves in
                guard let place = leaves.accounts.firstIndex(where: { !$0.isGone }) else { return false }
                leaves.accounts[place] = Account(key: leaves.accounts[place].key, body: ChangedLeaves.gone)
                return true
            }
        ),
        (
            "changes what lies outside",
            { leaves in
                guard var account = leaves.accounts.last, let first = account.key.first, first < 0xf0 else {
                    return false
                }
                account.key[0] = 0xff
                leaves.accounts.append(account)
                return true
            }
        ),
        (
            "changes the last key of the section",
            { leaves in
                guard var account = leaves.accounts.last, !account.isGone, let first = account.key.first else {
                    return false
                }
                account.key = [first | 0x0f] + [UInt8](repeating: 0xff, count: account.key.count - 1)
                account.slots = []
                leaves.accounts.append(account)
                return true
            }
        ),
        (
            "says that nothing changed",
            { leaves in
                guard !leaves.accounts.isEmpty else { return false }
                leaves.accounts = []
                return true
            }
        ),
        (
            "says that all is gone",
            { leaves in
                guard leaves.accounts.contains(where: { !$0.isGone }) else { return false }
                for place in leaves.accounts.indices {
                    leaves.accounts[place] = Account(key: leaves.accounts[place].key, body: ChangedLeaves.gone)
                }
                return true
            }
        ),
        (
            "gives an account another's body",
            { leaves in
                guard let place = leaves.accounts.firstIndex(where: { !$0.isGone }), let other = ChangedLeaves.someBody,
                    leaves.accounts[place].body != other
                else { return false }
                leaves.accounts[place].body = other
                return true
            }
        ),
    ]

    /// A slim body that no account of a made chain has: nonce 9, one wei, no storage, no code.
    private static let someBody: [UInt8]? = [0xc4, 0x09, 0x01, 0x80, 0x80]
}
