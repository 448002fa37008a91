import Chain
import MerklePatricia
import Primitives
import StateLab
import StateStore
import Testing

@testable import StateContent

/// Soundness: no answer is accepted that says anything of the state that is not so.
@Suite struct RangeLieTests {
    static let seed: UInt64 = 5_001

    /// One way to lie about a range. nil where this range offers no opportunity.
    enum Lie: CaseIterable {
        case dropAccount, addAccount, changeAccountKey, changeBody, swapAccounts, repeatAccount
        case dropSlot, addSlot, changeSlotKey, changeSlotValue, swapSlots, moveSlotToNeighbour
        case changeKind, changeStorageRoot, dropStorage
        case moveEnd, dropProofNode, addProofNode, repeatProofNode, changeProofNode
        case dropStorageProofNode, addStorageProofNode
    }

    private struct Liar {
        var value: RangeValue
        let state: TestState
        var generator: SeededGenerator

        mutating func random(_ count: Int) -> Int? {
            count > 0 ? Int.random(in: 0..<count, using: &generator) : nil
        }

        mutating func hash() -> Bytes32 {
            Bytes32(generator.next(), generator.next(), generator.next(), generator.next())
        }

        /// The account that slot `index` belongs to, and where it stands among those with slots.
        func owner(of index: Int) -> Int? {
            var sum = 0
            return value.slotCounts.firstIndex { count in
                sum += count
                return index < sum
            }
        }

        /// Rebuilds a column with one value exchanged, taken out (nil) or put in.
        static func replacing(
            _ column: ByteColumn, at range: Range<Int>, with new: [[UInt8]]
        ) -> ByteColumn {
            var values = (0..<column.count).map(column.value)
            values.replaceSubrange(range, with: new)
            var result = ByteColumn()
            for value in values { result.append(value) }
            return result
        }

        mutating func account(_ lie: Lie) -> Bool {
            switch lie {
            case .dropAccount:
                // Without storage, so that all else stays in step.
                let plain = value.kinds.indices.filter { value.kinds[$0] == .none }
                guard let index = plain.randomElement(using: &generator) else { return false }
                value.accountKeys.remove(at: index)
                value.kinds.remove(at: index)
                value.bodies = Self.replacing(value.bodies, at: index..<(index + 1), with: [])
            case .addAccount:
                let key = hash()
                let index = value.accountKeys.firstIndex { $0 > key } ?? value.accountKeys.count
                value.accountKeys.insert(key, at: index)
                value.kinds.insert(.none, at: index)
                value.bodies = Self.replacing(
                    value.bodies, at: index..<index, with: [StateAccount(nonce: 1).slim])
            case .changeAccountKey:
                guard let index = random(value.accountKeys.count) else { return false }
                let key = value.accountKeys[index]
                value.accountKeys[index] = key ^ Bytes32(0, 0, 0, 1 << (generator.next() & 63))
            case .changeBody, .changeStorageRoot:
                guard let index = random(value.accountKeys.count),
                    var body = try? StateAccount(slim: value.bodies.value(at: index))
                else { return false }
                if lie == .changeBody { body.nonce &+= 1 } else { body.storageRoot = hash() }
                value.bodies = Self.replacing(value.bodies, at: index..<(index + 1), with: [body.slim])
            case .swapAccounts:
                guard let index = random(value.accountKeys.count - 1) else { return false }
                value.accountKeys.swapAt(index, index + 1)
            case .repeatAccount:
                guard let index = value.kinds.firstIndex(of: .none) else { return false }
                value.accountKeys.insert(value.accountKeys[index], at: index)
                value.kinds.insert(.none, at: index)
                value.bodies = Self.replacing(
                    value.bodies, at: index..<index, with: [value.bodies.value(at: index)])
            case .changeKind:
                guard let index = random(value.kinds.count) else { return false }
                let others = StorageKind.allCases.filter { $0 != value.kinds[index] }
                value.kinds[index] = others.randomElement(using: &generator) ?? .elsewhere
            case .dropStorage:
                // Says that an account has no storage, its body cleaned of it, and leaves its slots out.
                guard let slot = random(value.slotKeys.count), let place = owner(of: slot) else { return false }
                let index = value.kinds.indices.filter { value.kinds[$0] != .none }[place]
                guard value.kinds[index] == .complete, var body = try? StateAccount(slim: value.bodies.value(at: index))
                else { return false }
                body.storageRoot = StateAccount.emptyRoot
                let start = value.slotCounts[..<place].reduce(0, +)
                let range = start..<(start + value.slotCounts[place])
                value.kinds[index] = .none
                value.bodies = Self.replacing(value.bodies, at: index..<(index + 1), with: [body.slim])
                value.slotKeys.removeSubrange(range)
                value.slotValues = Self.replacing(value.slotValues, at: range, with: [])
                value.slotCounts.remove(at: place)
            default: return false
            }
            return true
        }

        mutating func slot(_ lie: Lie) -> Bool {
            guard let index = random(value.slotKeys.count), let place = owner(of: index) else { return false }
            switch lie {
            case .dropSlot:
                value.slotKeys.remove(at: index)
                value.slotValues = Self.replacing(value.slotValues, at: index..<(index + 1), with: [])
                value.slotCounts[place] -= 1
            case .addSlot:
                value.slotKeys.insert(value.slotKeys[index].successor ?? .zero, at: index + 1)
                value.slotValues = Self.replacing(value.slotValues, at: (index + 1)..<(index + 1), with: [[7]])
                value.slotCounts[place] += 1
            case .changeSlotKey:
                value.slotKeys[index] = value.slotKeys[index] ^ Bytes32(0, 0, 0, 1 << (generator.next() & 63))
            case .changeSlotValue:
                let other: [UInt8] = value.slotValues.value(at: index) == [9] ? [8] : [9]
                value.slotValues = Self.replacing(value.slotValues, at: index..<(index + 1), with: [other])
            case .swapSlots:
                guard index + 1 < value.slotKeys.count else { return false }
                value.slotKeys.swapAt(index, index + 1)
            case .moveSlotToNeighbour:
                guard place + 1 < value.slotCounts.count, value.slotCounts[place] > 0 else { return false }
                value.slotCounts[place] -= 1
                value.slotCounts[place + 1] += 1
            default: return false
            }
            return true
        }

        mutating func proof(_ lie: Lie) -> Bool {
            switch lie {
            case .moveEnd:
                value.end = state.cursor(&generator)
            case .dropProofNode:
                guard let index = random(value.accountProof.count) else { return false }
                value.accountProof.remove(at: index)
            case .addProofNode:
                let other = state.crown.nodes + [StateAccount(nonce: 5).rlp]
                guard let node = other.filter({ !value.accountProof.contains($0) }).randomElement(using: &generator)
                else { return false }
                value.accountProof.append(node)
            case .repeatProofNode:
                guard let node = value.accountProof.randomElement(using: &generator) else { return false }
                value.accountProof.append(node)
            case .changeProofNode:
                guard let index = random(value.accountProof.count) else { return false }
                let byte = Int.random(in: 0..<value.accountProof[index].count, using: &generator)
                value.accountProof[index][byte] ^= UInt8.random(in: 1...255, using: &generator)
            case .dropStorageProofNode:
                guard let index = random(value.storageProofs.count), let node = random(value.storageProofs[index].count)
                else { return false }
                value.storageProofs[index].remove(at: node)
            case .addStorageProofNode:
                guard let index = random(value.storageProofs.count) else { return false }
                value.storageProofs[index].append(StateAccount(nonce: 6).rlp)
            default: return false
            }
            return true
        }

        mutating func tell(_ lie: Lie) -> Bool { account(lie) || slot(lie) || proof(lie) }
    }

    /// Each lie many times over, about ranges of many forms. Nothing untrue is accepted; and of these lies only a moved
    /// end, or a proof node left out that was not needed, may leave the statement true.
    @Test(arguments: Lie.allCases) func lieIsRefused(_ lie: Lie) throws {
        var generator = SeededGenerator(seed: Self.seed)
        var (told, harmlessTold) = (0, 0)
        for _ in 0..<4 {
            let state = try TestState.random(&generator, accounts: 50)
            for _ in 0..<40 {
                let bounds = [state.cursor(&generator), state.cursor(&generator)].sorted()
                let key = try TestState.key(bounds[0], bounds[1], maxBytes: 12_000)
                let honest = try state.serve(key)
                var liar = Liar(value: try RangeValue(decoding: honest), state: state, generator: generator)
                generator = SeededGenerator(seed: generator.next())
                guard liar.tell(lie), liar.value.encoded != honest else { continue }
                told += 1
                let answer = liar.value.encoded
                let range = try? RangeCheck.verify(answer, key: RangeTests.wide(key), stateRoot: state.root)
                guard let range else { continue }
                let harmless: [Lie] = [.moveEnd, .dropProofNode, .dropStorageProofNode]
                #expect(harmless.contains(lie), "seed \(Self.seed): accepted")
                #expect(state.has(range), "seed \(Self.seed): accepted what is not so")
                harmlessTold += 1
            }
        }
        #expect(told > 5)
        #expect(harmlessTold < told)
    }

    /// The same answer under another root, or to another question, is refused or still true.
    @Test func anotherRootOrQuestion() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        let state = try TestState.random(&generator, accounts: 50)
        var other = state.accounts
        other[20].body.nonce &+= 1
        let otherRoot = try TestState(other, depth: 1).root
        var accepted = 0
        for _ in 0..<100 {
            let bounds = [state.cursor(&generator), state.cursor(&generator)].sorted()
            let key = try TestState.key(bounds[0], bounds[1])
            let value = try state.serve(key)
            #expect(throws: RangeError.self) { try RangeCheck.verify(value, key: key, stateRoot: otherRoot) }
            let asked = [state.cursor(&generator), state.cursor(&generator)].sorted()
            let question = try TestState.key(asked[0], asked[1])
            guard let range = try? RangeCheck.verify(value, key: question, stateRoot: state.root) else { continue }
            #expect(state.has(range))
            accepted += 1
        }
        #expect(accepted < 20)
    }

    /// Any byte changed, cut or added: refused, or still true. Never a crash.
    @Test func bytesAreRefusedOrTrue() throws {
        var generator = SeededGenerator(seed: Self.seed + 2)
        var accepted = 0
        for _ in 0..<6 {
            let state = try TestState.random(&generator, accounts: 30)
            let bounds = [state.cursor(&generator), state.cursor(&generator)].sorted()
            let key = try TestState.key(bounds[0], bounds[1])
            let honest = try state.serve(key)
            for _ in 0..<400 {
                var value = honest
                switch Int.random(in: 0..<6, using: &generator) {
                case 0: value.removeLast(Int.random(in: 1...value.count, using: &generator))
                case 1: value.append(UInt8.random(in: 0...255, using: &generator))
                default:
                    let place = Int.random(in: 0..<value.count, using: &generator)
                    value[place] ^= UInt8.random(in: 1...255, using: &generator)
                }
                guard let range = try? RangeCheck.verify(value, key: key, stateRoot: state.root) else { continue }
                #expect(state.has(range))
                accepted += 1
            }
        }
        #expect(accepted < 40)
    }

    @Test func namesWhatIsWrong() throws {
        var generator = SeededGenerator(seed: Self.seed + 3)
        let state = try TestState.random(&generator, accounts: 40)
        let key = try TestState.key(.first, .last)
        let honest = try state.serve(key)
        func failure(_ change: (inout RangeValue) -> Void) throws -> RangeError? {
            var value = try RangeValue(decoding: honest)
            change(&value)
            do throws(RangeError) {
                _ = try RangeCheck.verify(value.encoded, key: key, stateRoot: state.root)
                return nil
            } catch {
                return error
            }
        }
        let first = state.accounts[0].key
        let kind = try RangeValue(decoding: honest).kinds[0]
        let wrong = StorageKind.elsewhere
        #expect(kind != wrong)
        #expect(try failure { $0.end = .first } == .wrongEnd(.first))
        #expect(try failure { $0.accountKeys.swapAt(0, 1) } == .accountOrder(first))
        #expect(try failure { $0.storageProofs.append([]) } == .malformed(.wrongSize))
        #expect(try failure { $0.accountProof.append([0xc0]) } == .accountProof(.unusedNode))
        let complete = try #require(state.accounts.first { $0.slots.count > 1 })
        let slots = state.leaves.filter { $0.key.slot != nil }
        let index = try #require(slots.firstIndex { $0.key.account == complete.key })
        #expect(try failure { $0.slotKeys.swapAt(index, index + 1) } == .slotOrder(account: complete.key))
        let value = Array(repeating: UInt8(1), count: 200)
        let small = try TestState.key(.first, .last, maxBytes: 100)
        #expect(throws: RangeError.status(.unknownStatus(9))) {
            try RangeCheck.verify([0x09] + value, key: small, stateRoot: state.root)
        }
        #expect(throws: RangeError.overMaxBytes(201)) {
            try RangeCheck.verify([0x00] + value, key: small, stateRoot: state.root)
        }
    }

    /// A count that no input can back is refused before anything is made for it.
    @Test func hugeCountsAreRefused() throws {
        let limit = StateContentLimits.leaves
        var value = RangeValue(end: .last)
        value.accountKeys = Array(repeating: .zero, count: limit + 1)
        #expect(throws: SSZError.overLimit) { try RangeValue(decoding: value.encoded) }
        var slots = RangeValue(end: .last)
        slots.kinds = [.complete]
        slots.accountKeys = [.zero]
        slots.bodies.append(StateAccount(nonce: 1).slim)
        slots.slotCounts = [0xffff_ffff]
        #expect(throws: SSZError.wrongSize) { try RangeValue(decoding: slots.encoded) }
    }

    /// The columns are what the schema says, byte for byte.
    @Test func columnsAreTheSchema() throws {
        var generator = SeededGenerator(seed: Self.seed + 4)
        let state = try TestState.random(&generator, accounts: 40)
        for _ in 0..<20 {
            let bounds = [state.cursor(&generator), state.cursor(&generator)].sorted()
            let value = try state.serve(try TestState.key(bounds[0], bounds[1], maxBytes: 9_000))
            let decoded = try SSZ.decode(value.dropFirst(), as: RangeValue.schema)
            #expect(try SSZ.encode(decoded, as: RangeValue.schema) == Array(value.dropFirst()))
            #expect(try RangeValue(decoding: value).encoded == value)
            for _ in 0..<50 {
                var changed = value
                let place = Int.random(in: 1..<min(200, value.count), using: &generator)
                changed[place] ^= UInt8.random(in: 1...255, using: &generator)
                guard let range = try? RangeValue(decoding: changed) else { continue }
                #expect(range.encoded == changed)
                _ = try SSZ.decode(changed.dropFirst(), as: RangeValue.schema)
            }
        }
    }
}

extension RangeTests {
    /// The same question with room for anything.
    static func wide(_ key: RangeKey) -> RangeKey {
        RangeKey(anchor: key.anchor, origin: key.origin, limit: key.limit, maxBytes: 1 << 25) ?? key
    }
}
