import Shell

extension Workloads {
    /// What goes over sockets.
    static let network: [any Workload] = [
        StreamWorkload(name: "net.stream.64m", streams: 1, bytes: 64 << 20),
        StreamWorkload(name: "net.streams.50", streams: 50, bytes: 2 << 20),
        StreamWorkload(name: "net.stream.64m.plain", streams: 1, bytes: 64 << 20, offload: .none),
        YardstickWorkload(),
        PacketWorkload(),
        HandshakeWorkload(), HandshakeHalfWorkload(half: .encode), HandshakeHalfWorkload(half: .decode),
    ]
}

/// The other end of a network workload, in a process of its own.
public enum FarEnd {
    /// Serves one kind of workload ("streams" or "udp") until standard input ends. `plain`: single datagrams only.
    public static func serve(_ kind: String, plain: Bool) throws {
        switch kind {
        case "streams": try NetEnd.serve(offload: plain ? .none : UDPSocket.Offload())
        case "udp": try YardstickEnd.serve()
        default: throw BenchError.unknownWorkload(kind)
        }
    }
}
