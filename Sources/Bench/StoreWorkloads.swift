extension Workloads {
    /// What the store on disk does.
    static let store: [any Workload] = []
}
