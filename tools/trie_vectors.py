"""Vectors of tries and range proofs, and what the other makers of tools/vectors share with them."""
import random

import rlp
from Crypto.Hash import keccak as keccak_hash
from rlp.sedes import big_endian_int
from trie import HexaryTrie


def hexed(data):
    return "0x" + bytes(data).hex()


def keccak(data):
    return keccak_hash.new(digest_bits=256, data=data).digest()


# Keccak-256: every length round the block of 136 bytes, and the sizes that trie nodes have.


# Tries: states with their keys hashed, storage, and shapes that hashes never show; set, overwritten and deleted.

def account(draw):
    empty = keccak(b""), keccak(rlp.encode(b""))
    code = empty[0] if draw.random() < 0.7 else draw.randbytes(32)
    storage = empty[1] if draw.random() < 0.7 else draw.randbytes(32)
    return rlp.encode([draw.randrange(1 << draw.choice([1, 7, 20])), draw.randrange(1 << draw.choice([1, 60, 90])),
                       storage, code])


def slot_value(draw):
    return rlp.encode(draw.randrange(1, 1 << draw.choice([3, 7, 8, 64, 160, 256])), big_endian_int)


def shaped_key(draw, shape):
    if shape == "spread":
        return draw.randbytes(32)
    if shape == "deep":
        same = draw.choice([0, 1, 15, 30, 31])
        return b"\x77" * same + bytes(draw.choice([0, 1, 0x10, 0xff]) for _ in range(32 - same))
    if shape == "section":
        return bytes([draw.choice([0x00, 0x0f, 0xf0, 0xff, 0x80])]) + draw.choice([b"\0", b"\xff"]) * 30 \
            + draw.randbytes(1)
    return bytes([draw.choice([0x4a, 0x4b])]) + b"\x33" * 12 + draw.randbytes(3) + b"\0" * 16


VALUES = {"account": account, "slot": slot_value, "short": lambda draw: draw.randbytes(draw.randint(1, 3))}


def trie_case(name, seed, shape, value, count, secure=False, deletions=0.0):
    draw = random.Random(seed)
    trie, operations, live = HexaryTrie({}), [], {}
    for _ in range(count):
        if live and draw.random() < deletions:
            key, new = draw.choice(sorted(live)), None
        else:
            key = draw.choice(sorted(live)) if live and draw.random() < 0.1 else \
                draw.randbytes(20) if secure else shaped_key(draw, shape)
            new = VALUES[value](draw)
        path = keccak(key) if secure else key
        operations.append([hexed(key), None if new is None else hexed(new)])
        if new is None:
            del trie[path]
            del live[key]
        else:
            trie[path] = new
            live[key] = new
    case = {"name": name, "secure": secure, "anyOrder": deletions == 0 and len(live) == count,
            "operations": operations, "finalEntries": len(live), "root": hexed(trie.root_hash)}
    return case, trie, {keccak(key) if secure else key: new for key, new in live.items()}


def trie_cases():
    cases = []
    for count in [1, 2, 3, 17, 60]:
        cases.append(trie_case(f"accounts-{count}", 100 + count, "", "account", count, secure=True)[0])
    cases.append(trie_case("accounts-deleted", 200, "", "account", 100, secure=True, deletions=0.4)[0])
    for shape in ["spread", "deep", "section", "narrow"]:
        for value in ["slot", "short"]:
            for deletions in [0.0, 0.3, 0.48]:
                name = f"{shape}-{value}-{int(100 * deletions)}-deleted"
                cases.append(trie_case(name, 300 + len(cases), shape, value, 60, deletions=deletions)[0])
    # Everything goes again, one after the other: each branch collapses on the way.
    case, trie, live = trie_case("emptied", 400, "deep", "short", 30)
    for key in random.Random(401).sample(sorted(live), len(live)):
        case["operations"].append([hexed(key), None])
        del trie[key]
    case |= {"anyOrder": False, "finalEntries": 0, "root": hexed(trie.root_hash)}
    return {"cases": cases + [case], "nextPrevious": [], "hexPrefix": []}


# Range proofs: nodes by the library for both ends; a claim is valid when its leaves are those of the trie.

def nodes_for(trie, keys):
    nodes = []
    for key in keys:
        for depth, node in enumerate(trie.get_proof(key)):
            encoded = rlp.encode(node)
            if (depth == 0 or len(encoded) >= 32) and encoded not in nodes:
                nodes.append(encoded)
    return nodes


def number(key):
    return int.from_bytes(key, "big")


def bound(draw, known):
    key = number(draw.choice(known))
    key = draw.choice([key, key, key + 1, key - 1, number(draw.randbytes(32)), 0, 2 ** 256 - 1,
                       key >> 252 << 252, key | (1 << 240) - 1])
    return max(0, min(key, 2 ** 256 - 1)).to_bytes(32, "big")


def lies(draw, rows, first, last, known):
    """Runs of leaves that are not the truth."""
    if rows:
        place = draw.randrange(len(rows))
        key, value = rows[place]
        yield "leaf-dropped", rows[:place] + rows[place + 1:]
        yield "leaf-changed", rows[:place] + [(key, value + b"\1")] + rows[place + 1:]
        yield "leaf-duplicated", rows[:place] + [rows[place]] + rows[place:]
        yield "leaf-moved", rows[:place] + [((number(key) ^ 1).to_bytes(32, "big"), value)] + rows[place + 1:]
        yield "value-empty", rows[:place] + [(key, b"")] + rows[place + 1:]
    if len(rows) > 1:
        yield "all-dropped", []
        yield "reordered", rows[1:2] + rows[:1] + rows[2:]
        yield "edge-cut", rows[:-1]
    extra = number(first) + (number(last) - number(first)) // 2
    key = extra.to_bytes(32, "big")
    if key not in known:
        yield "leaf-added", sorted(rows + [(key, b"\1")])


def range_cases():
    cases = []
    shapes = [("accounts", "", "account", True), ("spread", "spread", "slot", False), ("deep", "deep", "short", False),
              ("section", "section", "slot", False), ("narrow", "narrow", "short", False)]
    for index, (name, shape, value, secure) in enumerate(shapes):
        draw = random.Random(500 + index)
        _, trie, live = trie_case(name, 600 + index, shape, value, 20, secure=secure)
        known = sorted(live)
        # Leaves are listed: as many cases as keep the file small.
        for attempt in range(5):
            first, last = sorted([bound(draw, known), bound(draw, known)])
            if attempt == 0:
                first = last = draw.choice(known)
            if attempt == 1:
                first = last = bound(draw, known)
            rows = [(key, live[key]) for key in known if first <= key <= last][:6]
            if len(rows) == 6:
                last = rows[-1][0]
            base = {"mode": "bounded", "trie": name, "trieLeaves": len(known), "root": hexed(trie.root_hash),
                    "first": hexed(first), "last": hexed(last),
                    "edgeNodes": list(map(hexed, nodes_for(trie, [first, last])))}

            def case(kind, leaves, valid, **changes):
                listed = [[hexed(key), hexed(entry)] for key, entry in leaves]
                return {"name": f"{name}-{attempt}-{kind}", "valid": valid} | base | {"leaves": listed} | changes

            cases.append(case("true", rows, True, moreAfter=any(key > last for key in known)))
            wrong = list(lies(draw, rows, first, last, live))
            for kind, leaves in draw.sample(wrong, min(3, len(wrong))):
                cases.append(case(kind, leaves, False))
            node = base["edgeNodes"][0]
            if (first, last) != (b"\0" * 32, b"\xff" * 32):
                cases.append(case("root-node-dropped", rows, False, edgeNodes=base["edgeNodes"][1:]))
                changed = node[:-1] + ("0" if node[-1] != "0" else "1")
                cases.append(case("root-node-bit", rows, False, edgeNodes=[changed]
                                  + base["edgeNodes"][1:]))
            cases.append(case("wrong-root", rows, False, root=hexed(keccak(trie.root_hash))))
        whole = sorted(live.items())
        cases.append({"name": f"{name}-whole", "valid": True, "mode": "whole", "trie": name, "trieLeaves": len(known),
                      "root": hexed(trie.root_hash), "first": hexed(b"\0" * 32), "last": hexed(known[-1]),
                      "leaves": [[hexed(key), hexed(entry)] for key, entry in whole], "edgeNodes": [],
                      "moreAfter": False})
    return {"cases": cases}
