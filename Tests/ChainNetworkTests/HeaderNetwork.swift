import Chain
import ChainLab
import ChainNetwork
import Primitives
import Testing

/// Machines that talk to one another in virtual time. Links take 20 ms and can be cut, every machine pings once a
/// second, and each writes down what it is told to, so that it can be started again at any moment.
struct HeaderNetwork {
    /// What a machine has written.
    struct Disk {
        private(set) var headers: [StatePoint: CertifiedHeader] = [:]
        private(set) var floor: StoredFloor?
        private(set) var writes = 0

        mutating func write(_ kept: [CertifiedHeader], forgetting: [StatePoint], floor: StoredFloor?) {
            for point in forgetting { headers[point] = nil }
            for entry in kept { headers[entry.point] = entry }
            if let floor { self.floor = floor }
            writes += 1
        }
    }

    /// One that says and answers what it likes.
    struct Liar {
        let payload: [UInt8]
        let answer: ([UInt8]) -> [UInt8]?
    }

    private enum Message {
        case ask(from: Int, to: Int, key: [UInt8], tag: ChainSync.RequestTag, life: Int)
        case answer(to: Int, tag: ChainSync.RequestTag, content: [UInt8]?, life: Int)
        case offer(from: Int, to: Int, key: [UInt8], value: [UInt8])
    }

    let configuration: NetworkConfiguration
    private(set) var members: [ChainSync] = []
    private(set) var disks: [Disk] = []
    private var liars: [Int: Liar] = [:]
    /// How often each was started.
    private var lives: [Int] = []
    /// Pairs that do not hear of each other.
    private(set) var cuts: Set<[Int]> = []
    private var mail: [(due: Instant, message: Message)] = []
    private(set) var now = Instant.zero
    private var nextPing = Instant.zero
    /// The calendar's time, the same for all.
    var unixSeconds: UInt64 = 1 << 40
    /// Everything directed but requests and offers, by member.
    private(set) var log: [(member: Int, directive: ChainSync.Directive)] = []
    /// Keys asked for, by who was asked.
    private(set) var asked: [(of: Int, key: [UInt8])] = []
    /// The machine that is killed right after one of its writes, and after which of them.
    var killing: (member: Int, write: Int)?

    init(_ configuration: NetworkConfiguration) { self.configuration = configuration }

    static func id(_ member: Int) -> Bytes32 { Bytes32(UInt64(member) + 1, 0, 0, 9) }

    /// A machine that has made these headers itself.
    mutating func add(_ entries: [CertifiedHeader] = [], genesis: BlockHeader? = nil) throws {
        let member = members.count
        members.append(try ChainSync(configuration: configuration, seed: UInt64(member) + 1))
        disks.append(Disk())
        lives.append(1)
        members[member].unixSeconds = unixSeconds
        if let genesis { members[member].handle(.produced(CertifiedHeader(header: genesis)), at: now) }
        for entry in entries { members[member].handle(.produced(entry), at: now) }
        carryOut(member)
    }

    mutating func add(_ liar: Liar) throws {
        liars[members.count] = liar
        try add()
    }

    /// A block of a member's own making.
    mutating func produce(_ entry: CertifiedHeader, by member: Int) {
        members[member].handle(.produced(entry), at: now)
        carryOut(member)
    }

    mutating func cut(_ a: Int, _ b: Int) {
        cuts.insert([a, b])
        cuts.insert([b, a])
        for (one, other) in [(a, b), (b, a)] {
            members[one].handle(.peerLost(HeaderNetwork.id(other)), at: now)
            carryOut(one)
        }
    }

    mutating func join() { cuts = [] }

    /// Starts a machine again from what it has written.
    mutating func restart(_ member: Int) throws {
        let disk = disks[member]
        lives[member] += 1
        members[member] = try ChainSync(
            configuration: configuration, restoring: Array(disk.headers.values), floor: disk.floor,
            seed: UInt64(100 * lives[member] + member))
        members[member].unixSeconds = unixSeconds
        carryOut(member)
    }

    /// Lets time pass.
    mutating func run(_ seconds: Int) throws {
        let end = now + .seconds(seconds)
        while now < end {
            now = now + .milliseconds(20)
            if nextPing <= now {
                nextPing = now + .seconds(1)
                unixSeconds += 1
                ping()
            }
            let due = mail.filter { $0.due <= now }.map(\.message)
            mail.removeAll { $0.due <= now }
            for message in due { deliver(message) }
            for member in members.indices where liars[member] == nil {
                members[member].unixSeconds = unixSeconds
                if let deadline = members[member].nextDeadline, deadline <= now { members[member].advance(to: now) }
                carryOut(member)
            }
            if let (member, write) = killing, disks[member].writes >= write {
                killing = nil
                try restart(member)
            }
        }
    }

    private mutating func ping() {
        for sender in members.indices {
            let payload = liars[sender]?.payload ?? members[sender].localPayload
            for receiver in members.indices where receiver != sender && !cuts.contains([sender, receiver]) {
                guard liars[receiver] == nil else { continue }
                members[receiver].handle(.peerUpdated(HeaderNetwork.id(sender), payload: payload), at: now)
            }
        }
    }

    private mutating func deliver(_ message: Message) {
        let later = now + .milliseconds(20)
        switch message {
        case .ask(let from, let to, let key, let tag, let life):
            asked.append((to, key))
            let content: [UInt8]? = if let liar = liars[to] { liar.answer(key) } else { members[to].serve(key) }
            let isCut = cuts.contains([from, to])
            mail.append((later, .answer(to: from, tag: tag, content: isCut ? nil : content, life: life)))
        case .answer(let to, let tag, let content, let life):
            guard life == lives[to] else { return }
            members[to].handle(.answered(tag, content: content), at: now)
        case .offer(let from, let to, let key, let value):
            guard !cuts.contains([from, to]), liars[to] == nil, members[to].wants(key) else { return }
            members[to].handle(.offered(key: key, value: value, by: HeaderNetwork.id(from)), at: now)
        }
    }

    /// Writes come first: a machine that is killed after one has sent nothing that followed from a later one.
    private mutating func carryOut(_ member: Int) {
        let due = now + .milliseconds(20)
        for directive in members[member].drain() {
            switch directive {
            case .request(let peer, let key, let tag):
                mail.append((due, .ask(from: member, to: place(peer), key: key, tag: tag, life: lives[member])))
            case .offer(let peer, let key, let value):
                mail.append((due, .offer(from: member, to: place(peer), key: key, value: value)))
            case .persist(let kept, let forgotten, let floor):
                if let (killed, write) = killing, killed == member, disks[member].writes >= write { continue }
                disks[member].write(kept, forgetting: forgotten, floor: floor)
            default: log.append((member, directive))
            }
        }
    }

    private func place(_ id: Bytes32) -> Int { Int(id.word0) - 1 }

    // MARK: What came of it

    func penalised(by member: Int) -> [(peer: Int, reason: ChainNetworkError)] {
        log.compactMap { entry in
            guard entry.member == member, case .penalise(let peer, let reason) = entry.directive else { return nil }
            return (place(peer), reason)
        }
    }

    func conflicts(of member: Int) -> [ChainError] {
        log.compactMap { entry in
            guard entry.member == member, case .conflict(let error) = entry.directive else { return nil }
            return error
        }
    }
}

/// A peer that serves a line of its own making by number, whatever its rule says of it.
struct ScriptedLine {
    var entries: [CertifiedHeader]

    init(_ genesis: BlockHeader, _ entries: [CertifiedHeader]) {
        self.entries = [CertifiedHeader(header: genesis)] + entries
    }

    func payload(claiming height: UInt64? = nil) -> [UInt8] {
        let last = entries[entries.count - 1].header
        return ChainPingPayload(
            genesisHash: entries[0].header.hash, lowest: 0, highest: height ?? last.number, headHash: last.hash,
            certified: height ?? last.number
        ).encoded
    }

    /// The headers that a key asks for, upward from a number, as far as there are any.
    func answer(_ key: [UInt8]) -> [UInt8] {
        guard case .success(.headers(let wanted)) = Result(catching: { try ChainContentKey(decoding: key) }),
            case .number(let first) = wanted.start, first < UInt64(entries.count), wanted.stride == 1
        else { return HeadersValue.notServed(lowest: 0, highest: UInt64(entries.count) - 1).encoded() }
        let end = min(Int(first) + Int(wanted.count), entries.count)
        return HeadersValue.headers(Array(entries[Int(first)..<end])).encoded()
    }
}
