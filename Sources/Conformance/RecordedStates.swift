import Chain
import MerklePatricia
import Primitives
import StateStore

/// The two small states that vectors are recorded from, and what leads from the one to the other. Sections (first
/// nibbles) have their parts: 0 and f the ends of the ring; 1 empty before and after; 2 two accounts with a long common
/// path, one of which goes (the extension above them too); 3 one account, which goes; 5 an account with 48 slots, many
/// of which change, and one with storage that goes; 7 empty, gets an account; 9 codes come and storage is wiped; b
/// stays.
struct RecordedStates {
    /// An account in plain form.
    struct Account {
        let key: Bytes32
        var nonce: UInt64
        var balance: UInt256
        var code: [UInt8]
        /// Keys and values without leading zeros.
        var slots: [(key: Bytes32, value: [UInt8])]

        var leaves: [MemoryState.Leaf] {
            var columns = LeafColumns()
            let sorted = slots.sorted { $0.key < $1.key }
            for slot in sorted { columns.append(key: slot.key, value: SlotValue.rlp(slot.value)) }
            var body = StateAccount(nonce: nonce, balance: balance, codeHash: Keccak.hash(code))
            body.storageRoot = TrieBuilder.root(of: columns)
            return [MemoryState.Leaf(key: FlatKey(account: key), value: body.slim)]
                + sorted.map { MemoryState.Leaf(key: FlatKey(account: key, slot: $0.key), value: $0.value) }
        }
    }

    private(set) var before: [Account] = []
    private(set) var after: [Account] = []
    private var generator = SeededGenerator(seed: 0x4353)

    init() {
        let plan: [(section: UInt64, slots: [Int])] = [
            (0, [0, 2]), (2, []), (3, [0]), (4, [0, 0]), (5, [48, 0, 3]), (6, [1]), (8, [0, 0, 0]), (9, [4, 0]),
            (0xb, [0, 3, 0, 7]), (0xd, [0]), (0xf, [0]),
        ]
        for (section, slotCounts) in plan {
            for count in slotCounts { before.append(account(section, slots: count)) }
        }
        before.append(account(key: .zero, slots: 0))
        before.append(account(key: .max, slots: 0))
        let twin = key(2)
        before.append(account(key: twin, slots: 0))
        before.append(account(key: Bytes32(twin.word0, twin.word1 ^ 1, twin.word2, twin.word3), slots: 1))
        before.sort { $0.key < $1.key }
        after = before
        change(twin)
    }

    func leaves(_ accounts: [Account]) -> [MemoryState.Leaf] { accounts.flatMap(\.leaves) }

    private mutating func key(_ section: UInt64) -> Bytes32 {
        let random = generator.hash()
        return Bytes32(section << 60 | random.word0 >> 4, random.word1, random.word2, random.word3)
    }

    private mutating func account(_ section: UInt64, slots: Int) -> Account { account(key: key(section), slots: slots) }

    private mutating func account(key: Bytes32, slots count: Int) -> Account {
        let slots = (0..<count).map { index in (key: generator.hash(), value: value(index)) }
        return Account(
            key: key, nonce: generator.next() >> 52, balance: UInt256(generator.next()),
            code: count > 0 ? code(count) : [], slots: slots)
    }

    /// The code of accounts that have so many slots at first.
    private func code(_ count: Int) -> [UInt8] { [0x60, UInt8(count), 0x60, 0x00, 0x55] }

    private mutating func value(_ index: Int) -> [UInt8] {
        switch index % 4 {
        case 0: [UInt8(index % 120 + 1)]
        case 1: [0x80 | UInt8(index % 100)]
        case 2: [1] + generator.bytes(19)
        default: [0xff] + generator.bytes(31)
        }
    }

    private func indices(_ section: UInt64) -> [Int] { after.indices.filter { after[$0].key.word0 >> 60 == section } }

    private mutating func change(_ twin: Bytes32) {
        let five = indices(5)
        if let big = five.first(where: { after[$0].slots.count == 48 }) {
            var slots = after[big].slots.enumerated().filter { $0.offset % 5 != 0 }.map(\.element)
            for index in slots.indices where index % 7 == 0 { slots[index].value = [0x2a] }
            slots.append((key: generator.hash(), value: [7]))
            after[big].slots = slots
            after[big].nonce += 1
        }
        let nine = indices(9)
        if let wiped = nine.first(where: { !after[$0].slots.isEmpty }) { after[wiped].slots = [] }
        if let plain = nine.first(where: { after[$0].code.isEmpty && after[$0].slots.isEmpty }) {
            after[plain].code = [0xfe, 0x01]
            after[plain].slots = [(key: generator.hash(), value: [9, 9])]
        }
        let emptied = five.filter { after[$0].slots.count == 3 } + indices(3)
        let gone = Set(emptied.map { after[$0].key } + [twin])
        after.removeAll { gone.contains($0.key) }
        after.append(account(7, slots: 1))
        for index in indices(8) { after[index].balance = UInt256(after[index].nonce + 1) }
        after.sort { $0.key < $1.key }
    }
}
