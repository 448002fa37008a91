import Chain
import Primitives

/// What genesis is, from the seed: any account and any contract's storage can be derived again at any time, so nothing
/// of it but the accounts' own columns stays in memory.
///
/// Accounts are numbered: the system contracts, the contracts (from the widest on), the senders, all others.
struct GenesisPlan: Sendable {
    let seed: UInt64
    let count: Int
    let contracts: Range<Int>
    let senders: Range<Int>
    let others: Range<Int>
    let codes: [Code]
    /// Slots of each contract, by its place in `contracts`; never rising.
    private let widths: [Int32]
    /// Running sum of the codes' shares of contracts, ending in 1.
    private let popularity: [Double]

    /// A code and its hash.
    struct Code: Sendable {
        let bytes: [UInt8]
        let hash: Bytes32

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            hash = Keccak.hash(bytes)
        }
    }

    init(seed: UInt64, accounts: Int, isPlain: Bool = false, wideSlots: Int = 0) {
        self.seed = seed
        count = accounts
        let first = SystemContract.all.count
        let contractCount = accounts / ForgeLimits.accountsPerContract
        let senderCount = min(ForgeLimits.senders, accounts / 4)
        contracts = first..<(first + contractCount)
        senders = contracts.upperBound..<(contracts.upperBound + senderCount)
        others = senders.upperBound..<accounts
        let codeCount = isPlain ? 4 : min(max(4, accounts / ForgeLimits.accountsPerCode), contractCount)
        let clones = max(2, codeCount / ForgeLimits.codesPerClone)
        codes = (0..<codeCount).map { Code(GenesisPlan.code(seed, $0, isClone: $0 < clones)) }
        popularity = GenesisPlan.popularity(codeCount)
        let law =
            isPlain
            ? [1]
            : GenesisPlan.widths(
                total: accounts * ForgeLimits.slotsPerAccount,
                among: max(1, contractCount * ForgeLimits.percentWithStorage / 100))
        widths = wideSlots > 0 ? [Int32(clamping: wideSlots)] + law.dropFirst() : law
    }

    // MARK: Laws

    /// Sizes by rank r: widest / r^a, with the a (in 64ths) at which they come nearest to `total` from below. A power
    /// law: few contracts hold most slots.
    static func widths(total: Int, among count: Int) -> [Int32] {
        let widest = Double(max(1, total / ForgeLimits.widestShare))
        // Six square roots are the 64th root; the standard library has no powers, and IEEE 754 defines these exactly.
        var roots = (1...count).map { Double($0) }
        for _ in 0..<6 { roots = roots.map { $0.squareRoot() } }
        func sizes(_ sixtyFourths: Int) -> [Int32] {
            roots.map { root in Int32(max(1, widest / power(root, sixtyFourths))) }
        }
        return sizes((0..<192).partitionPoint { sizes($0).reduce(0, { $0 + Int($1) }) > total })
    }

    private static func power(_ base: Double, _ exponent: Int) -> Double {
        var result = 1.0
        var square = base
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result *= square }
            square *= square
            rest >>= 1
        }
        return result
    }

    /// Shares by rank r in the proportion of r^-1.5, summed up.
    private static func popularity(_ count: Int) -> [Double] {
        let weights = (1...max(count, 1)).map { rank in 1 / (Double(rank) * Double(rank).squareRoot()) }
        let sum = weights.reduce(0, +)
        var running = 0.0
        return weights.map { weight in
            running += weight / sum
            return running
        }
    }

    /// No program: bytes that no machine is meant to run, a third of them from few values as in real code.
    static func code(_ seed: UInt64, _ number: Int, isClone: Bool) -> [UInt8] {
        var draw = Draw(seed: seed, .code, number)
        let size: Int
        if number == 0 {
            size = 45
        } else if isClone {
            size = draw.within(ForgeLimits.cloneBytes)
        } else {
            let u = draw.unit()
            let span = Double(ForgeLimits.codeBytes.count - 1)
            size = ForgeLimits.codeBytes.lowerBound + Int(span * u * u * u)
        }
        var bytes = draw.bytes(size)
        let frequent: [UInt8] = [0x60, 0x5b, 0x80, 0x01, 0x00, 0x56, 0x57, 0x90]
        for index in stride(from: 0, to: bytes.count, by: 3) { bytes[index] = frequent[Int(bytes[index] & 7)] }
        // A first byte of 0xef is refused since EIP-3541.
        bytes[0] = 0x60
        return bytes
    }

    // MARK: Accounts

    /// How many slots account `index` has.
    func slotCount(of index: Int) -> Int {
        let place = index - contracts.lowerBound
        return widths.indices.contains(place) ? Int(widths[place]) : 0
    }

    /// Slots of all contracts.
    var slotCount: Int { widths.reduce(0) { $0 + Int($1) } }

    /// Account `index` but for its storage root. A sender's address is its key's.
    func account(_ index: Int, key: TransactionKey?) -> CompactAccount {
        var draw = Draw(seed: seed, .account, index)
        if SystemContract.all.indices.contains(index) {
            let system = SystemContract.all[index]
            return CompactAccount(address: system.address, nonce: 1, balance: 0, code: Int32(codes.count + index))
        }
        let address = key?.address ?? CompactAccount.address(seed: seed, index)
        if contracts.contains(index) {
            let isRich = draw.oneIn(10)
            return CompactAccount(
                address: address, nonce: 1, balance: isRich ? draw.wei(decimals: 9...19) : 0, code: code(index, &draw))
        }
        if senders.contains(index) {
            return CompactAccount(
                address: address, nonce: UInt64(draw.lowBelow(4_000)), balance: draw.wei(decimals: 17...20), code: -1)
        }
        // Half of the others have never sent.
        let nonce = draw.oneIn(2) ? 0 : UInt64(1 + draw.lowBelow(400))
        return CompactAccount(address: address, nonce: nonce, balance: draw.wei(decimals: 3...18), code: -1)
    }

    /// The widest contracts have a code of their own each, the others share by popularity.
    private func code(_ index: Int, _ draw: inout Draw) -> Int32 {
        let place = index - contracts.lowerBound
        if place < codes.count { return Int32(codes.count - 1 - place) }
        let u = draw.unit()
        return Int32(popularity.dropLast().partitionPoint { $0 < u })
    }

    /// The storage of account `index` in the order in which it was drawn: some variables in the lowest slots, then
    /// entries of mappings, whose slots are hashes.
    func storage(of index: Int) -> [(slot: UInt256, value: UInt256)] {
        let count = slotCount(of: index)
        guard count > 0 else { return [] }
        var draw = Draw(seed: seed, .storage, index)
        let variables = min(count, draw.within(1...8))
        return (0..<count).map { number in
            let slot = number < variables ? UInt256(UInt64(number)) : UInt256(big: draw.bytes32())
            return (slot, draw.slotValue())
        }
    }
}

/// Contracts into which every block writes before its transactions.
struct SystemContract: Sendable {
    let address: Address
    let code: [UInt8]

    /// The block hashes' ring buffer (EIP-2935), then the beacon roots' (EIP-4788), with the code that those EIPs give.
    static let all: [SystemContract] = [
        SystemContract(
            "0000f90827f1c53a10cb7a02335b175320002935",
            "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff8143031160"
                + "4257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"),
        SystemContract(
            "000f3df6d732807ef1319fb7b8bb8522d0beac02",
            "3373fffffffffffffffffffffffffffffffffffffffe14604d57602036146024575f5ffd5b5f35801560495762001fff81069081"
                + "5414603c575f5ffd5b62001fff01545f5260205ff35b5f5ffd5b62001fff42064281555f359062001fff015500"),
    ]
    static let blockHashes = 0
    static let beaconRoots = 1

    private init(_ address: String, _ code: String) {
        self.address = Address(hex: address) ?? .zero
        self.code = Hex.decode(code) ?? []
    }
}
