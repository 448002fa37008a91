import Chain
import Primitives

/// A genesis file as execution clients read it, with the state as its allocation. Addresses and slots stand there for
/// themselves, so their preimages are needed; where one lacks, the account or slot is counted and left out, and the
/// file must not be used.
///
///     {"config": {"chainId": 7928}, "nonce": "0x0", "timestamp": "0x5f", …, "alloc": {
///     "0x<address>": {"balance": "0x1", "nonce": "0x1", "code": "0x…", "storage": {
///      "0x<slot>": "0x<32 bytes>"}},
///     …}}
struct GenesisForm: ExportForm {
    private let addressOf: (Bytes32) throws -> Address?
    private let slotOf: (Bytes32) throws -> Bytes32?
    private var hasAccount = false
    private var hasSlot = false
    /// Whether the last account was left out.
    private var isLeftOut = false
    /// Keys whose preimages lack.
    private(set) var missingAddresses: UInt64 = 0
    private(set) var missingSlots: UInt64 = 0

    /// `address`, `slot`: what a key is the hash of; nil where that is not known.
    init(address: @escaping (Bytes32) throws -> Address?, slot: @escaping (Bytes32) throws -> Bytes32?) {
        addressOf = address
        slotOf = slot
    }

    func begin(_ head: ExportHead, _ text: inout ExportText) {
        let header = head.header
        text.add("{\"config\": {\"chainId\": ")
        text.number(head.network.chainID)
        text.add("}, \"nonce\": ")
        text.quantity(UInt256(header.nonce))
        text.add(", \"timestamp\": ")
        text.quantity(UInt256(header.timestamp))
        text.add(", \"extraData\": ")
        text.quoted(header.extraData)
        text.add(", \"gasLimit\": ")
        text.quantity(UInt256(header.gasLimit))
        text.add(", \"difficulty\": ")
        text.quantity(header.difficulty)
        text.add(", \"mixHash\": ")
        text.quoted(header.mixHash)
        text.add(", \"coinbase\": ")
        text.quoted(header.miner.bytes)
        if let fee = header.baseFeePerGas {
            text.add(", \"baseFeePerGas\": ")
            text.quantity(fee)
        }
        text.add(", \"alloc\": {")
    }

    /// A genesis has no parents.
    func header(_ entry: StoredHeader, _ text: inout ExportText) {}

    mutating func account(
        _ key: Bytes32, _ account: StateAccount, code: [UInt8]?, _ text: inout ExportText
    ) throws {
        closeAccount(&text)
        guard let address = try addressOf(key) else {
            (isLeftOut, missingAddresses) = (true, missingAddresses + 1)
            return
        }
        isLeftOut = false
        text.add(hasAccount ? ",\n" : "\n")
        hasAccount = true
        text.quoted(address.bytes)
        text.add(": {\"balance\": ")
        text.quantity(account.balance)
        text.add(", \"nonce\": ")
        text.quantity(UInt256(account.nonce))
        if let code {
            text.add(", \"code\": ")
            text.quoted(code)
        }
    }

    mutating func slot(_ key: Bytes32, _ value: UnsafeRawBufferPointer, _ text: inout ExportText) throws {
        guard let slot = try slotOf(key) else {
            missingSlots += 1
            return
        }
        guard !isLeftOut else { return }
        text.add(hasSlot ? ", " : ", \"storage\": {\n ")
        hasSlot = true
        text.quoted(slot)
        text.add(": ")
        text.quoted(UInt256(bigEndian: value)?.big ?? .zero)
    }

    mutating func end(_ tally: ExportTally, _ text: inout ExportText) {
        closeAccount(&text)
        text.add("}}\n")
    }

    private mutating func closeAccount(_ text: inout ExportText) {
        guard hasAccount, !isLeftOut else { return }
        text.add(hasSlot ? "}}" : "}")
        hasSlot = false
        // Only once.
        isLeftOut = true
    }
}
