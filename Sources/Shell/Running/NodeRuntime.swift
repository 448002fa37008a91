import Chain
import Discovery
import Foundation
import Node
import Primitives
import StateNetwork
import StateStore

/// A node on the real world: opens what it needs, connects it to an event loop, runs it to its end.
public enum NodeRuntime {
    /// What was opened, in the order in which it is needed.
    private struct Parts {
        var settings: RuntimeSettings
        let clock: SystemClock
        let terminal: Terminal
        let network: NetworkConfiguration
        let socket: UDPSocket
        let store: LMDBStore
        /// What a bridge replays: its chain, opened, and what is said of it.
        var replay: (chain: ChainDirectory, settings: RuntimeSettings.Replay)?
        /// What is told of the settings.
        let lines: [String]

        /// Keeps the store under its capacity, and tells what is given up.
        func capacity(shrink: (@Sendable () -> Void)? = nil) -> StoreCapacity {
            StoreCapacity(
                store, capacity: Int(clamping: settings.storageCapacityBytes),
                tell: { [terminal] text in terminal.log(.warn, text) }, shrink: shrink)
        }
    }

    /// Runs a node as told; the exit code. Whatever is wrong with what it was given is told before anything is written,
    /// except for a missing key, which is made. `lines` are told when it begins.
    public static func run(_ settings: RuntimeSettings, telling lines: [String] = []) throws -> Int32 {
        // Before any thread is started: threads inherit that signals are held back.
        let signals = try Signals()
        let clock = SystemClock()
        let terminal = Terminal(level: settings.logLevel, format: settings.logFormat, clock: clock)
        let (network, replay, seeds) = try given(settings)
        let lock = try settings.dataDirectory.lock()
        defer { withExtendedLifetime(lock) {} }
        let key = try KeyFile.identity(at: settings.nodeKeyFile ?? settings.dataDirectory.keyPath)
        let socket = try UDPSocket.opened(at: settings.listen, orIPv4: settings.fallsBackToIPv4)
        let store = try openStore(settings, network)
        var way = settings
        try BlockByBlock.chooseFirstWay(store, &way, network)
        if let line = try BlockByBlock.prepare(store, way, network) { terminal.log(.info, line) }
        var parts = Parts(
            settings: way, clock: clock, terminal: terminal, network: network, socket: socket, store: store,
            replay: way.role == .bridge || way.keeping.blocks.applies ? replay : nil, lines: lines)

        // A holder moves its arc while it runs. Where it could not do so in time, its node ends, and another with a
        // smaller arc goes on.
        var short: Int?
        var ending: Ending
        repeat {
            let configuration: NodeConfiguration
            let stored: StoredState
            (configuration, stored) = try StoreAccess.telling(settings.dataDirectory, settings.networkFile) {
                try lookForDamage(parts)
                if settings.keeping.preimages, let chain = replay?.chain {
                    try PreimageFill.run(store, chain, upTo: try ReplayMark.read(from: try store.snapshot()))
                }
                return (
                    try NodeRuntime.configuration(parts, key: key, signing: seeds, shortOf: short),
                    try StoredState.load(from: try store.snapshot(), network: network)
                )
            }
            let node = try CarouselNode(
                configuration: configuration, stored: stored, entropy: SystemEntropy.make(), at: clock.now())
            ending = try run(node, parts, signals)
            short = if case .storeShort(let kept) = ending { kept } else { nil }
            if ending == .otherWay {
                parts.settings.keeping.blocks.applies.toggle()
                parts.replay = parts.settings.keeping.blocks.applies ? replay : nil
                if let line = try BlockByBlock.prepare(store, parts.settings, network) { terminal.log(.info, line) }
            }
        } while short != nil || ending == .otherWay
        if ending == .synced { try checkSynced(parts) }
        let code: Int32 = if case .exit(let code) = ending { code } else { 0 }
        terminal.log(.info, "stopped")
        return code
    }

    /// Checks all that can be checked without writing anything: the network's file, and a bridge's chain and keys.
    public static func check(_ settings: RuntimeSettings) throws { _ = try given(settings) }

    /// What the settings name: the network, what a bridge replays, and its keys.
    private static func given(
        _ settings: RuntimeSettings
    ) throws -> (
        network: NetworkConfiguration, replay: (chain: ChainDirectory, settings: RuntimeSettings.Replay)?,
        seeds: [[UInt8]]
    ) {
        let network = try NetworkConfigurationFile.read(settings.networkFile)
        let replay = try settings.replay.map { (try ChainDirectory(path: $0.chainDirectory), $0) }
        if let (chain, _) = replay { try check(chain, settings, network) }
        let seeds = try (settings.replay?.signingKeyFiles ?? []).map { try readSigningKey($0, network) }
        return (network, replay, seeds)
    }

    /// The last word of a sync that was to end with the whole state: what is on the disk now is read back and hashed.
    private static func checkSynced(_ parts: Parts) throws {
        let (settings, network) = (parts.settings, parts.network)
        try StoreAccess.telling(settings.dataDirectory, settings.networkFile) {
            let report = try StoreCheck.all(
                try parts.store.snapshot(), network, threads: settings.workers, in: settings.dataDirectory)
            guard let root = report.root, let point = report.point else { throw StateExport.Failure.noBlock }
            parts.terminal.log(
                .info,
                "all \(report.accounts) accounts and \(report.slots) slots were read back and hashed: the root \(root) "
                    + "is that of block \(point.number)")
        }
    }

    /// How the life of a node ended.
    private enum Ending: Equatable {
        case exit(Int32)
        /// With the whole state, where that was to be the end; it is still to be read back.
        case synced
        /// The store has no room for the arc of so many bits.
        case storeShort(kept: Int)
        /// By blocks where it was by state, or the other way round.
        case otherWay
    }

    private static func configuration(
        _ parts: Parts, key: IdentityKey, signing seeds: [[UInt8]], shortOf short: Int?
    ) throws -> NodeConfiguration {
        let (settings, socket, network) = (parts.settings, parts.socket, parts.network)
        var configuration = NodeConfiguration(
            network: network, role: settings.role, key: key, clientInfo: ProgramVersion.clientInfo)
        configuration.endpoint = settings.addressPlan.endpoint(listeningAt: socket.local)
        configuration.learnsAddress = settings.addressPlan == .auto
        configuration.families = AddressFamilies(listeningAt: socket.local)
        configuration.bootNodes = settings.bootNodes
        // They were read as records where the file was read.
        configuration.bridges = network.bridges.compactMap { try? NodeRecord(text: $0) }
        configuration.recordSequence = try nextRecordSequence(parts, key)
        configuration.keeping = settings.keeping
        configuration.storageBytes = Int(clamping: settings.storageCapacityBytes)
        // A client's arc is the whole ring: for it there is only more room.
        if settings.role == .holder { try fit(&configuration, parts, shortOf: short) }
        configuration.lanes = settings.lanes
        configuration.rangeBytes = settings.rangeBytes
        configuration.rates = settings.limits.rates
        // Half of the workers are left to those who ask for something else.
        configuration.serveAhead = ServeAhead(
            bytes: Int(clamping: settings.limits.serveAheadBytes), jobs: max(1, settings.workers / 2))
        configuration.attestingSeeds = seeds
        if let replay = settings.replay { configuration.finalityDepth = replay.finalityDepth }
        configuration.keptHeaders = settings.keptHeaders
        return configuration
    }

    /// Reads back a part of what is held. Who can fetch it again drops what is damaged; a bridge cannot begin.
    private static func lookForDamage(_ parts: Parts) throws {
        let (settings, store) = (parts.settings, parts.store)
        let damaged = try StoreCheck.some(
            try store.snapshot(), parts.network, from: Int(parts.clock.now().unixSeconds), threads: settings.workers)
        guard let first = damaged.first else { return }
        guard settings.role != .bridge, !settings.keeping.blocks.applies else {
            throw ShellError.damaged(path: settings.dataDirectory.path, first.fault, others: damaged.count - 1)
        }
        for (section, fault) in damaged {
            var batch = StateWrites.dropSection(section)
            // Code is kept when sections go; what is damaged of it would be found here again.
            if case .code(let hash, _) = fault { batch.delete(.codes, hash.bytes) }
            try store.commit(batch)
            parts.terminal.log(.warn, "section \(section) is damaged (\(fault)): it is fetched again")
        }
    }

    /// Makes the arc that a holder begins with fit into the store. `short`: the store had no room for an arc of so many
    /// bits. One that chooses its arc goes on from what it wrote down, and needs this only then.
    private static func fit(
        _ configuration: inout NodeConfiguration, _ parts: Parts, shortOf short: Int?
    ) throws(StoreError) {
        guard !configuration.arcPlan.isOpen || short != nil else { return }
        let (id, depth) = (configuration.key.nodeID, configuration.network.sectionDepth)
        func arc(_ exponent: Int) -> Range<Int> { Arc(of: id, radiusExponent: exponent, depth: depth).sections }
        var exponent = configuration.arcPlan.largest
        if let short {
            // What is on its way out makes room before anything else does.
            let records = try SectionRecord.all(in: try parts.store.snapshot())
            let isTidy = records.allSatisfy { arc(short).contains($0.section.place(sectionDepth: depth)) }
            exponent = isTidy ? short - 1 : short
        }
        let fitting = try parts.capacity().fit(exponent: exponent, depth: depth, isShort: short != nil, arc: arc)
        if configuration.arcPlan.isOpen {
            let mark = ArcMark(kept: fitting, announced: fitting)
            try parts.store.commit(mark.writing(under: configuration.arcPlan))
        } else {
            configuration.arcPlan = .fixed(fitting)
        }
    }

    private static func openStore(
        _ settings: RuntimeSettings, _ network: NetworkConfiguration
    ) throws(ShellError) -> LMDBStore {
        let directory = settings.dataDirectory
        var options = LMDBStore.Options()
        options.mapSize = Int(clamping: settings.storageCapacityBytes)
        do throws(StoreError) {
            let store = try LMDBStore(directory: directory.storePath, options: options)
            try StoreMeta.open(store, for: network, keeping: settings.keeping.storage)
            return store
        } catch {
            throw ShellError(error, dataDirectory: directory, networkFile: settings.networkFile)
        }
    }

    /// The sequence number of this start's node record, written down. The record file has one too, which counts where
    /// it is of this key: the store may have been lost.
    private static func nextRecordSequence(_ parts: Parts, _ key: IdentityKey) throws -> UInt64 {
        let published = (try? parts.settings.dataDirectory.readRecord()).flatMap { try? NodeRecord(text: $0) }
        let sequence = try RecordSequence.next(
            in: try parts.store.snapshot(), published: published?.id == key.nodeID ? published?.sequence : nil,
            unixSeconds: parts.clock.now().unixSeconds)
        try parts.store.commit(RecordSequence.writing(sequence))
        return sequence
    }

    /// Keeps the record file up to what peers are told, which changes where the node learns its address.
    private static func recordFile(
        from sequence: UInt64, _ parts: Parts
    ) -> (_ node: CarouselNode) -> Void {
        var written = sequence
        return { node in
            guard node.record.sequence != written else { return }
            written = node.record.sequence
            do {
                try parts.settings.dataDirectory.writeRecord(node.record.text)
            } catch {
                parts.terminal.log(.warn, "the node record cannot be written: \(error)")
            }
        }
    }

    /// Connects the node and runs it until a signal, what it reports or a store that is too small ends it.
    private static func run(_ node: CarouselNode, _ parts: Parts, _ signals: Signals) throws -> Ending {
        let (settings, store) = (parts.settings, parts.store)
        let mailbox = try Mailbox<MachineEvent<RunningNode>>()
        let pool = WorkerPool<JobID, StateJob>(count: settings.workers) { id, job in
            do throws(StoreError) {
                mailbox.post(.jobFinished(id, job.run(on: try store.snapshot())))
            } catch {
                mailbox.post(.jobFinished(id, job.failed(error)))
            }
        }
        let canShrink = settings.role == .holder
        let shrink: @Sendable () -> Void = { mailbox.post(.storeShort) }
        let capacity = parts.capacity(shrink: canShrink ? shrink : nil)
        let writer = StoreWriter<CommitID, WriteBatch, StoreError>(
            commit: { (batches) throws(StoreError) in try commit(batches, to: store, within: capacity) },
            size: { $0.byteCount }, mayWait: { $0.mayWait },
            done: { id, failure in mailbox.post(failure.map { .commitFailed(id, $0) } ?? .committed(id)) })
        let reporter = Reporter(
            settings: settings, terminal: parts.terminal, clock: parts.clock, chain: parts.replay?.chain)
        reporter.receivedBytes = { [socket = parts.socket] in socket.counters.receivedBytes }
        reporter.wholeState = { [depth = parts.network.sectionDepth] in
            // A store that cannot be read is told by whoever needs it.
            (try? FetchedState.start(depth: depth, in: store.snapshot()))?.point
        }
        let record = node.record.text
        try settings.dataDirectory.writeRecord(record)
        tellReady(record, parts)
        let line = parts.replay?.settings.made.map { _ in BelievedLine() }
        let feed = try parts.replay.map { chain, replay in
            try BridgeFeed(
                chain: chain, replay: replay, node: node, directory: settings.dataDirectory, clock: parts.clock,
                line: line, terminal: parts.terminal
            ).start(to: mailbox)
        }
        if let feed { reporter.blockUsed = { feed.used() } }
        let keepRecord = recordFile(from: node.record.sequence, parts)
        let hands = EventLoop<RunningNode>.Hands(
            pool: pool, writer: writer,
            report: { report, machine in
                if case .progress = report { keepRecord(machine.node) }
                line?.note(machine.node)
                return reporter.handle(report, from: machine.node)
            },
            stopFeeds: { feed?.stop() }, feedFailed: { parts.terminal.log(.error, $0) })
        let loop = try EventLoop(
            machine: RunningNode(node), socket: parts.socket, mailbox: mailbox, signals: signals, clock: parts.clock,
            hands: hands)
        let code = try loop.run()
        reporter.finish(loop.machine.node)
        if loop.endedShort {
            // The smallest arc is one section.
            if let mark = loop.machine.node.arcMark, loop.machine.node.arc.count > 1 {
                return .storeShort(kept: mark.kept)
            }
            parts.terminal.log(.error, "there is no room for the smallest arc: raise --storage-capacity")
            return .exit(1)
        }
        if code == 0, reporter.goesOver { return .otherWay }
        return code == 0 && reporter.hasSynced ? .synced : .exit(code)
    }

    /// Commits batches; where there is no room for them, each by itself, and then again as long as something can be
    /// given up. One thread does this.
    private static func commit(
        _ batches: [WriteBatch], to store: LMDBStore, within capacity: StoreCapacity
    ) throws(StoreError) {
        var isWritten = false
        while !isWritten {
            do throws(StoreError) {
                if capacity.isShort { throw .full }
                try store.commit(batches)
                isWritten = true
            } catch {
                guard error == .full else { throw error }
                if batches.count > 1 {
                    for batch in batches { try commit([batch], to: store, within: capacity) }
                    return
                }
                guard try capacity.look(isFull: true) else { throw error }
            }
        }
        try capacity.wrote(batches.reduce(0) { $0 + $1.byteCount })
    }

    private static func tellReady(_ record: String, _ parts: Parts) {
        let (settings, socket) = (parts.settings, parts.socket)
        parts.terminal.log(
            .info,
            "\(ProgramVersion.text): \(settings.role) on network \(parts.network.name), UDP \(socket.local), "
                + "data in \(settings.dataDirectory.path), \(settings.workers) workers")
        for line in parts.lines { parts.terminal.log(.info, "set: \(line)") }
        if socket.receiveBufferBytes < ShellLimits.socketBufferBytes {
            parts.terminal.log(
                .debug,
                "the receive buffer has \(ByteCount(bytes: UInt64(socket.receiveBufferBytes))): raise "
                    + "net.core.rmem_max to \(ShellLimits.socketBufferBytes) for full speed")
        }
        FileHandle.standardOutput.write(Data("ready enr=\(record)\n".utf8))
    }

    /// A bridge's chain must be the network's.
    private static func check(
        _ chain: ChainDirectory, _ settings: RuntimeSettings, _ network: NetworkConfiguration
    ) throws(ShellError) {
        guard chain.genesisHeader.hash == network.genesisHash else {
            throw .badFile(
                path: chain.path,
                reason: "its genesis is \(chain.genesisHeader.hash), but that of \(settings.networkFile) is "
                    + "\(network.genesisHash): give the chain of this network")
        }
        guard chain.chainID == network.chainID else {
            throw .badFile(
                path: chain.path,
                reason: "its chain id is \(chain.chainID), but that of \(settings.networkFile) is \(network.chainID)")
        }
        let isWhole = settings.replay.map { !$0.isGenesisAlone } ?? false
        guard network.rule.kind != .committee || chain.hasCertificates || !isWhole else {
            throw .badFile(
                path: chain.path,
                reason: "has no certificates.rlp, and a committee signs the blocks of \(settings.networkFile): give a "
                    + "chain with its certificates")
        }
    }

    private static func readSigningKey(
        _ path: String, _ network: NetworkConfiguration
    ) throws(ShellError) -> [UInt8] {
        let seed = try KeyFile.read(path)
        let publicKey = KeyFile.signingPublicKey(ofSeed: seed)
        guard network.rule.keys.contains(publicKey) else {
            throw .badFile(
                path: path,
                reason: "its public key \(publicKey) is not among rule.keys of the network: nobody would believe it")
        }
        return seed
    }
}
