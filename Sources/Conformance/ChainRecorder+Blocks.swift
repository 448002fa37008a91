import Chain
import ChainForge
import ChainNetwork
import Primitives

// Blocks (content 0x51): keys that are refused, answers, and what is in them.
extension ChainRecorder {
    /// Keys for blocks that are none.
    mutating func recordBadBlocksKeys() {
        guard let run = BlockRun(start: headers[5].hash, count: 256),
            let hashes = BlocksKey(of: [headers[1].hash, headers[2].hash])
        else { return }
        let up = ChainContentKey.blocks(.run(run)).encoded
        let named = ChainContentKey.blocks(hashes).encoded
        func refused(_ name: String, _ bytes: [UInt8]) {
            lists.add("keys", "bad-blocks-\(name)", bytes, valid: false)
        }
        func changed(_ edits: [Int: UInt8]) -> [UInt8] {
            var changed = up
            for (place, byte) in edits { changed[place] = byte }
            return changed
        }
        // After the selector: option 1, start 32, count 2, direction 1.
        refused("option-2", changed([1: 2]))
        refused("count-0", changed([34: 0, 35: 0]))
        refused("count-1001", changed([34: 0xe9, 35: 0x03]))
        refused("direction-2", changed([36: 2]))
        refused("cut", Array(up.dropLast()))
        refused("a-byte-more", up + [0])
        refused("no-hash", [0x51, 1])
        refused("hash-cut", Array(named.dropLast()))
        refused("hash-twice", Array(named[..<34]) + named[2..<34])
        refused("21-hashes", [0x51, 1] + (0..<21).flatMap { Bytes32(UInt64($0), 0, 0, 1).bytes })
    }

    /// Answers: what decodes and, where the case names what was asked for, what holds.
    mutating func recordBlocks() throws {
        var forge = try ChainForge(
            shape: ForgeShape(accounts: ForgeLimits.accounts.lowerBound, blocks: 2, transactions: 1, isPlain: true),
            seed: 0x51)
        var made: [BlockBytes] = []
        while let block = try forge.next() { made.append(BlockBytes(block.block, block.accessList)) }
        guard made.count == 2 else { throw VectorError.malformed("two blocks were to be made") }
        let asked = made.map { WireFields.hash(Keccak.hash($0.header)) }
        func value(_ name: String, _ value: BlocksValue, _ asked: [JSONValue] = []) -> [UInt8] {
            var fields = ["decoded": WireFields.object(value)]
            if !asked.isEmpty { fields["asked"] = .array(asked) }
            lists.add("blocks", name, value.encoded, fields)
            return value.encoded
        }
        _ = value("two", .blocks(made), asked)
        let one = value("one", .blocks([made[0]]), [asked[0]])
        _ = value("not-kept", .notServed(lowest: 1, highest: 0))
        _ = value("busy", .busy(seconds: 1))
        func refused(_ name: String, _ bytes: [UInt8], _ asked: [JSONValue]) {
            lists.add("blocks", "bad-\(name)", bytes, valid: false, ["asked": .array(asked)])
        }
        func refused(_ name: String, _ header: [UInt8], _ body: [UInt8], _ list: [UInt8]) {
            let block = BlockBytes(header: header, body: body, accessList: list)
            refused(name, BlocksValue.blocks([block]).encoded, [asked[0]])
        }
        func flipped(_ bytes: [UInt8]) -> [UInt8] {
            var changed = bytes
            changed[changed.count / 2] ^= 1
            return changed
        }
        refused("empty", [], asked)
        refused("none", [0], asked)
        refused("status-3", [3], asked)
        refused("cut", Array(one.dropLast()), [asked[0]])
        refused("a-byte-more", one + [0], [asked[0]])
        refused("another-block", one, [asked[1]])
        let (first, second) = (made[0], made[1])
        refused("header-bit", flipped(first.header), first.body, first.accessList)
        refused("body-bit", first.header, flipped(first.body), first.accessList)
        refused("list-bit", first.header, first.body, flipped(first.accessList))
        refused("body-of-another", first.header, second.body, first.accessList)
        refused("list-of-another", first.header, first.body, second.accessList)
        refused("no-body", first.header, [], first.accessList)
        refused("no-list", first.header, first.body, [])
    }
}
