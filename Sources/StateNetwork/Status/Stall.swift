import Chain
import Primitives

/// Nothing was verified for some time: since when, why, and what helps.
public struct Stall: Sendable, Equatable {
    public var seconds: Int
    public var cause: StallReason

    public init(seconds: Int, cause: StallReason) {
        self.seconds = seconds
        self.cause = cause
    }

    /// Why, for people.
    public var reason: String { cause.text }
    /// What helps, or what is being done about it.
    public var advice: String { cause.advice }
}

/// Why nothing is verified. Each has a name, by which guides and programs know it, a text and an advice;
/// `Specs/status.md` lists them.
public enum StallReason: Sendable, Equatable {
    /// No peer of the state network answers. `tried`: how each family of addresses fared.
    case noPeers(tried: String)
    /// No peer has the header that is needed next.
    case headersPruned(wanted: UInt64, lowest: UInt64)
    /// Peers serve an epoch whose headers are not here yet.
    case headersBehind(served: UInt64, newest: Anchor, head: UInt64, hasChainPeers: Bool)
    /// No header above the checkpoint was attested.
    case noAttestedHead(hasChainPeers: Bool)
    /// Attested headers are here, and none that is final begins an epoch. `next`: the block that will.
    case noFinalEpoch(head: UInt64, final: UInt64, next: UInt64?)
    /// The newest attestation is older than the network allows; seconds.
    case headTooOld(age: UInt64, limit: UInt64, Reach)
    /// The store has no room for more.
    case storeFull
    /// `--max-download-rate` lets nothing be asked for now.
    case downloadLimited(bytesPerSecond: UInt64)
    /// Nobody known has a section at the newest anchor. `elsewhere`: how many have it at the one before; `search`: what
    /// is done to find somebody.
    case noHolders(section: String, Anchor, elsewhere: Int, search: String)
    /// Nobody known has it any more: those who said so had it not, or were banned for false answers.
    case holdersLied(section: String, Anchor, disbelieved: Int, banned: Int, search: String)
    /// All who have a section say that they are busy.
    case holdersBusy(section: String, Anchor, holders: Int)
    /// Those who have a section do not answer.
    case holdersSilent(section: String, Anchor, holders: Int)
    /// A section is held at an older anchor, and none of the holders of the newest leads it on.
    case notLedOn(section: String, from: Anchor, to: Anchor, holders: Int)
    /// Code that accounts name is not here, and nobody sent it.
    case codeMissing(count: Int)
    /// All is held, and what later blocks changed does not come. `lacking`: the first section that lacks it, of how
    /// many, and how many known holders are further.
    case blocksMissing(verified: UInt64, head: UInt64, lacking: Lacking?)
    /// Block by block: the next block does not come. `peers` keep blocks; `isRefused`: all who have it sent it false.
    case blockNotHad(block: UInt64, peers: Int, isRefused: Bool)
    /// Block by block: the next block is below all that anybody keeps.
    case blocksPruned(block: UInt64, lowest: UInt64, peers: Int)

    /// Who answers at all.
    public enum Reach: Sendable, Equatable {
        /// Nobody; how each family of addresses fared.
        case nobody(tried: String)
        /// Peers of the state network alone, which bring no headers.
        case noChainPeers
        /// Peers that know of nothing newer.
        case nothingNewer
    }

    /// Sections that lack blocks.
    public struct Lacking: Sendable, Equatable {
        public var sections: Int
        public var first: String
        public var holders: Int
        /// What is done to find others, where there are none.
        public var search: String?

        public init(sections: Int, first: String, holders: Int, search: String?) {
            self.sections = sections
            self.first = first
            self.holders = holders
            self.search = search
        }
    }
}

extension StallReason {
    /// The reason's name, which stays as it is.
    public var name: String {
        switch self {
        case .noPeers: "no_peers"
        case .headersPruned: "headers_pruned"
        case .headersBehind: "headers_behind"
        case .noAttestedHead: "no_attested_head"
        case .noFinalEpoch: "no_final_epoch"
        case .headTooOld: "head_too_old"
        case .storeFull: "store_full"
        case .downloadLimited: "download_limited"
        case .noHolders: "no_holders"
        case .holdersLied: "holders_lied"
        case .holdersBusy: "holders_busy"
        case .holdersSilent: "holders_silent"
        case .notLedOn: "not_led_on"
        case .codeMissing: "code_missing"
        case .blocksMissing: "blocks_missing"
        case .blockNotHad: "block_not_had"
        case .blocksPruned: "blocks_pruned"
        }
    }

    /// What is the matter.
    public var text: String {
        switch self {
        case .noPeers(let tried): "no peer of this network answers (\(tried))"
        case .headersPruned(let wanted, let lowest):
            "no peer serves block \(wanted)'s header; the lowest served is block \(lowest)'s"
        case .headersBehind(let epoch, let newest, let head, _):
            "peers serve epoch \(epoch), and the headers up to it are not here yet: the newest anchor here is "
                + "\(newest), the newest attested block \(head)"
        case .noAttestedHead: "no attested header above the checkpoint was seen"
        case .noFinalEpoch(let head, let final, _):
            "headers are here up to block \(head), final up to \(final), and none that is final begins an epoch"
        case .headTooOld(let age, let limit, _):
            "the newest attested block was attested \(age) s ago, and the network's limit is \(limit) s"
        case .storeFull: "the store is at its limit, and nothing is left that could be given up"
        case .downloadLimited(let rate): "held back by --max-download-rate (\(rate) B/s): nothing may be asked for now"
        case .noHolders(let section, let anchor, let elsewhere, _):
            "nobody known has section \(section) at \(anchor)"
                + (elsewhere > 0 ? " (\(elsewhere) at epoch \(anchor.epoch - 1))" : "")
        case .holdersLied(let section, let anchor, let disbelieved, let banned, _):
            "nobody is left who has section \(section) at \(anchor): \(disbelieved) said so and had it not, "
                + "\(banned) who said so are banned for false answers"
        case .holdersBusy(let section, let anchor, let holders):
            "section \(section) has \(holders) reachable holders at \(anchor), and all are busy"
        case .holdersSilent(let section, let anchor, let holders):
            "section \(section) has \(holders) reachable holders at \(anchor), and none of them gave anything"
        case .notLedOn(let section, let from, let to, let holders):
            "section \(section) is held at \(from), and none of its \(holders) reachable holders at \(to) leads it on"
        case .codeMissing(let count): "\(count) codes are missing and no peer sent them"
        case .blocksMissing(let verified, let head, let lacking):
            "block \(verified) of \(head) is verified, and nothing newer came"
                + (lacking.map {
                    ": \($0.sections) sections lack blocks, and \($0.first) has \($0.holders) reachable holders that "
                        + "are further"
                } ?? "")
        case .blockNotHad(let block, let peers, let isRefused):
            isRefused
                ? "block \(block) does not hold as any of the peers that have it sent it"
                : "block \(block) is needed next and did not come from any of \(peers) peers that keep blocks"
        case .blocksPruned(let block, let lowest, let peers):
            "block \(block) is needed next, and the lowest that any of \(peers) peers keeps is block \(lowest)"
        }
    }

    /// What helps, or what is being done about it.
    public var advice: String {
        switch self {
        case .noPeers: "check the boot nodes, the UDP port and that the network file is the right one"
        case .headersPruned: "a boot node that keeps older headers, or a network file with a newer checkpoint"
        case .headersBehind(_, _, _, let hasChainPeers), .noAttestedHead(let hasChainPeers):
            hasChainPeers
                ? "the attesting keys of the network file must be those of bridges that run"
                : "no peer answers in the chain network, which brings headers: give a boot node that speaks it"
        case .noFinalEpoch(_, _, let next):
            next.map { "waiting until block \($0), which begins one, is final" } ?? "waiting for finality"
        case .headTooOld(_, _, .nobody(let tried)):
            "no peer answers (\(tried)): check the boot nodes, the UDP port and that the network file is the right one"
        case .headTooOld(_, _, .noChainPeers):
            "no peer answers in the chain network, which brings headers: give a boot node that speaks it"
        case .headTooOld(_, _, .nothingNewer):
            "peers know nothing newer: are the bridges up whose keys the network file names?"
        case .storeFull: "raise --storage-capacity, or make room on the disk"
        case .downloadLimited: "waiting until the limit allows the next range; raise it, or lower --range-size"
        case .noHolders(_, _, _, let search), .holdersLied(_, _, _, _, let search): search
        case .holdersBusy: "asking them again; more holders of this section would help"
        case .holdersSilent: "asking them again, and looking for others"
        case .notLedOn: "asking all of them; where they keep refusing it is compared with what they hold"
        case .codeMissing: "retrying with other peers"
        case .blocksMissing(_, _, let lacking):
            lacking.map { $0.search ?? "retrying" } ?? "waiting for block diffs"
        case .blockNotHad(_, _, true):
            "every new peer is asked: give another boot node, or see whether the network file is of this chain"
        case .blockNotHad(_, _, false): "give a boot node that keeps blocks from genesis on, as a bridge does"
        case .blocksPruned:
            "fetch the state instead, with --catch-up state; or give a boot node that keeps blocks from genesis on, as "
                + "a bridge does"
        }
    }
}
