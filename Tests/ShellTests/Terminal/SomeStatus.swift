import StateNetwork

@testable import Node

/// A status made by hand.
enum SomeStatus {
    static func peers(_ connected: Int, holding: Int, useful: Int) -> NodeStatus.Peers {
        NodeStatus.Peers(
            connected: connected, holding: holding, useful: useful, charged: 0, banned: 0, kept: 0, searches: 0,
            searchesMade: 4)
    }

    static func stall(_ stall: Stall) -> NodeStatus.StallStatus {
        NodeStatus.StallStatus(
            seconds: stall.seconds, reason: stall.cause.name, text: stall.reason, advice: stall.advice)
    }

    /// One that has fetched 61.79 % of the keyspace.
    static func walking(_ role: String = "walker") -> NodeStatus {
        NodeStatus(
            time: 1_800_000_000,
            node: NodeStatus.Identity(
                role: role, id: "0x" + String(repeating: "ab", count: 32), network: "demo", program: "carousel 0.1.0",
                uptime: 200),
            phase: "walking", epoch: NodeStatus.Epoch(number: 1_842, block: 471_552, hash: "0x00ff00ff00ff", age: 185),
            head: NodeStatus.Head(block: 400, verified: 399, age: 3, stale: false),
            keyspace: NodeStatus.Keyspace(
                held: 0.6179, newest: 0.6179, stale: 0, oldestEpoch: nil, ofRing: 0.6171, rootVerified: false),
            sections: NodeStatus.Sections(
                verified: 158, stale: 0, complete: 158, begun: 4, inFlight: 6, wanted: 256),
            transfer: NodeStatus.Transfer(
                stateBytes: 432_013_312, bytesPerSecond: 10_276_045, averageRate: 2_160_066, udpBytes: 500_000_000,
                remaining: nil),
            crossings: NodeStatus.Crossings(count: 0, rollForward: nil, epochLength: nil, share: nil, underWay: false),
            peers: peers(23, holding: 17, useful: 12),
            lanes: [
                NodeStatus.Lane(
                    lane: 0, section: "0x9e", share: 0.5, doing: "asked", peer: "0x11223344556677", seconds: 1.25)
            ],
            waiting: nil, stall: nil,
            upkeep: NodeStatus.UpkeepStatus(
                radiusKept: nil, radiusAnnounced: nil, readySections: 0, readyBytes: 0, scrubbedSections: 0,
                damagedSections: 0, unheld: 0, underHeld: 0, unheldFirst: nil, underHeldFirst: nil),
            done: NodeStatus.Done(
                leafBytes: 400_000_000, followedBytes: 0, ranges: 500, bundledSections: 0, sectionDiffs: 0,
                blockDiffs: 0, codes: 3,
                folds: 0, comparisons: 0, invalidAnswers: 0, falseAnnouncements: 0, stateBytesFrom: ["0x11": 77]),
            complete: nil,
            supply: [NodeStatus.Supply(first: "0x00", last: "0xff", providers: 3, keepers: 4)],
            peerList: [
                NodeStatus.Peer(
                    id: "0x1122334455667788", address: "10.0.0.1:9009", client: "carousel/0.1.0", role: "holder",
                    arc: "0x80-0xff", sections: 128, epoch: 1_842, lowest: 0, highest: 400, head: 403,
                    mode: "pacemaker", lowestBlock: 1, highestBlock: 400, failureRate: 0.25, roundTrip: 41.5,
                    rate: 2_097_152, inFlight: 2,
                    usefulFor: 90),
                NodeStatus.Peer(id: "0x99aabbccddeeff00", inFlight: 0, charge: "banned", chargedFor: 61),
            ])
    }
}
