extension Workloads {
    /// What goes over sockets.
    static let network: [any Workload] = []
}
