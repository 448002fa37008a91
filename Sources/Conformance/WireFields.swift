import Chain
import ChainNetwork
import MerklePatricia
import Primitives
import StateContent
import StateNetwork
import StateStore

/// Decoded values of the project's own wire as JSON: what stands under `decoded` in its vector files.
enum WireFields {
    static func hex(_ bytes: [UInt8]) -> JSONValue { .string(JSONValue.prefixedHex(bytes)) }
    static func hash(_ value: Bytes32) -> JSONValue { hex(value.bytes) }
    static func integer(_ value: UInt64) -> JSONValue {
        Int64(exactly: value).map { .integer($0) } ?? .unsigned(value)
    }
    static func integer(_ value: some BinaryInteger) -> JSONValue { integer(UInt64(value)) }

    static func object(_ anchor: Anchor) -> JSONValue {
        .object(["epoch": integer(anchor.epoch), "hash": hash(anchor.hash)])
    }

    static func object(_ point: StatePoint) -> JSONValue {
        .object(["number": integer(point.number), "hash": hash(point.hash)])
    }

    static func object(_ cursor: Cursor) -> JSONValue {
        .object(["account": hash(cursor.account), "slot": hash(cursor.slot)])
    }

    /// Paths as digits, one a nibble.
    static func object(_ place: StatePlace) -> JSONValue {
        func digits(_ path: Nibbles) -> JSONValue {
            .string(path.storeKey.map { String($0, radix: 16) }.joined())
        }
        return .object(["account": digits(place.account), "storage": place.storage.map(digits) ?? .null])
    }

    static func object(_ trie: StateTrie) -> JSONValue {
        switch trie {
        case .accounts: .string("accounts")
        case .storage(let account, let placement):
            .object(["account": hash(account), "placement": integer(placement)])
        }
    }

    /// In the partial form with the accounts that it names.
    static func object(_ key: StateContentKey) -> JSONValue {
        guard let accounts = key.kept.accounts, case .object(var fields) = plain(key) else { return plain(key) }
        fields["storageOf"] = .array(accounts.map { hash($0) })
        return .object(fields)
    }

    private static func plain(_ key: StateContentKey) -> JSONValue {
        switch key {
        case .range(let key):
            .object([
                "type": .string("range"), "trie": object(key.trie), "anchor": object(key.anchor),
                "origin": object(key.origin), "limit": object(key.limit), "maxBytes": integer(key.maxBytes),
            ])
        case .diffs(let key):
            .object([
                "type": .string("diffs"), "trie": object(key.trie), "from": object(key.from), "to": object(key.to),
                "sections": .array(key.sections.map { integer($0) }), "maxBytes": integer(key.maxBytes),
                "withProof": .bool(key.withProof),
            ])
        case .codes(let key):
            .object([
                "type": .string("codes"), "near": hash(key.near), "hashes": .array(key.hashes.map { hash($0) }),
            ])
        case .blockDiff(let key):
            .object([
                "type": .string("blockDiff"), "trie": object(key.trie), "block": object(key.point),
                "section": integer(key.section),
            ])
        case .crown(let anchor): .object(["type": .string("crown"), "anchor": object(anchor)])
        case .sections(let key):
            .object([
                "type": .string("sections"), "trie": object(key.trie), "anchor": object(key.anchor),
                "sections": .array(key.sections.map { integer($0) }), "maxBytes": integer(key.maxBytes),
            ])
        case .subtrees(let key):
            .object([
                "type": .string("subtrees"), "trie": object(key.trie), "anchor": object(key.anchor),
                "places": .array(key.places.map { object($0) }), "levels": integer(key.levels),
                "maxBytes": integer(key.maxBytes),
            ])
        case .availability: .object(["type": .string("availability")])
        case .wideDirectory(let key):
            .object([
                "type": .string("wideDirectory"), "anchor": object(key.anchor),
                "sections": .array(key.sections.map { integer($0) }),
            ])
        case .storageCrown(let key):
            .object([
                "type": .string("storageCrown"), "trie": object(key.trie), "anchor": object(key.anchor),
                "first": integer(key.first), "last": integer(key.last),
            ])
        case .blockDiffs(let key):
            .object([
                "type": .string("blockDiffs"), "trie": object(key.trie), "block": object(key.point),
                "first": integer(key.first), "last": integer(key.last),
            ])
        }
    }

    static func object(_ status: StateStatus) -> JSONValue {
        switch status {
        case .data: .object(["status": .integer(0)])
        case .notAtThisAnchor(let served):
            .object(["status": .integer(1), "served": .array(served.map { object($0) })])
        case .busy(let seconds): .object(["status": .integer(2), "seconds": integer(seconds)])
        case .historyTooShort: .object(["status": .integer(3)])
        case .itemTooLarge: .object(["status": .integer(4)])
        case .placementNotSupported: .object(["status": .integer(5)])
        }
    }

    /// Runs are written as first and last index.
    static func array(_ served: [AnchorSections]) -> JSONValue {
        .array(
            served.map { sections in
                .object([
                    "anchor": object(sections.anchor),
                    "runs": .array(
                        sections.runs.map { .array([integer($0.lowerBound), integer($0.upperBound - 1)]) }),
                ])
            })
    }

    static func object(_ payload: StatePingPayload) -> JSONValue {
        .object([
            "role": integer(payload.role.rawValue), "radius": hash(payload.radius.big),
            "head": payload.head.map { object($0) } ?? .null, "served": array(payload.served),
        ])
    }

    /// Leaves or changes as [key of 32 or 64 bytes, value]; null where the leaf is gone.
    static func array(_ changes: [LeafChange]) -> JSONValue {
        .array(changes.map { .array([hex($0.key.bytes), $0.value.map { hex($0) } ?? .null]) })
    }

    static func object(_ key: ChainContentKey) -> JSONValue {
        switch key {
        case .headers(let key):
            let start: JSONValue
            switch key.start {
            case .number(let number): start = integer(number)
            case .hash(let value): start = hash(value)
            }
            return .object([
                "type": .string("headers"), "start": start, "count": integer(key.count), "stride": integer(key.stride),
                "direction": integer(key.direction.rawValue),
            ])
        case .blocks(.run(let run)):
            return .object([
                "type": .string("blocks"), "start": hash(run.start), "count": integer(run.count),
                "direction": integer(run.direction.rawValue),
            ])
        case .blocks(.hashes(let hashes)):
            return .object(["type": .string("blocksByHash"), "hashes": .array(hashes.map { hash($0) })])
        case .newBlock(let point): return .object(["type": .string("newBlock"), "block": object(point)])
        }
    }

    static func object(_ value: BlocksValue) -> JSONValue {
        switch value {
        case .blocks(let blocks):
            .object([
                "status": .integer(0),
                "blocks": .array(
                    blocks.map { block in
                        .object([
                            "header": hash(Keccak.hash(block.header)), "body": hash(Keccak.hash(block.body)),
                            "accessList": hash(Keccak.hash(block.accessList)),
                        ])
                    }),
            ])
        case .notServed(let lowest, let highest):
            .object(["status": .integer(1), "lowest": integer(lowest), "highest": integer(highest)])
        case .busy(let seconds): .object(["status": .integer(2), "seconds": integer(seconds)])
        }
    }

    static func object(_ claim: Claim) -> JSONValue {
        .object([
            "kind": integer(claim.kind.rawValue), "block": object(claim.point),
            "unixSeconds": integer(claim.unixSeconds),
        ])
    }

    /// Each claim, its signer, and whether the signature is right.
    static func array(_ certificate: Certificate, in context: ClaimContext) -> JSONValue {
        .array(
            certificate.claims.map { signed in
                .object([
                    "claim": object(signed.claim), "key": hash(signed.signer), "signature": hex(signed.signature),
                    "signatureIsValid": .bool(signed.isValid(in: context)),
                ])
            })
    }

    static func object(_ entry: CertifiedHeader) -> JSONValue {
        .object([
            "block": object(entry.point), "stateRoot": hash(entry.header.stateRoot),
            "claims": integer(entry.certificate?.claims.count ?? 0),
        ])
    }

    static func object(_ value: HeadersValue) -> JSONValue {
        switch value {
        case .headers(let entries):
            .object(["status": .integer(0), "headers": .array(entries.map { object($0) })])
        case .notServed(let lowest, let highest):
            .object(["status": .integer(1), "lowest": integer(lowest), "highest": integer(highest)])
        case .busy(let seconds): .object(["status": .integer(2), "seconds": integer(seconds)])
        }
    }

    static func object(_ payload: ChainPingPayload) -> JSONValue {
        .object([
            "genesisHash": hash(payload.genesisHash), "lowest": integer(payload.lowest),
            "highest": integer(payload.highest), "headHash": hash(payload.headHash),
            "certified": integer(payload.certified),
        ])
    }

    /// Compares what was decoded with the case's `decoded`, where it has one.
    static func difference(_ found: JSONValue, _ vector: JSONValue) -> String? {
        guard let expected = vector["decoded"].ifPresent, found != expected else { return nil }
        return "decoded is \(found), expected \(expected)"
    }
}
