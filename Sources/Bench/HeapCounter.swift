import Foundation

/// The counter of heap requests, where one stands before the C library's allocator. The program itself has none: it
/// runs on the C library's malloc. `tools/bench` builds the library `allocations` (target `CAllocations`) and loads it
/// before the program, which finds it here by name.
struct HeapCounter: Sendable {
    /// What the library calls its count.
    static let symbol = "callocations_of_thread"

    /// The counter of this process; nil where none stands before malloc. Looked for once.
    static let present = HeapCounter()

    private let count: @convention(c) @Sendable () -> UInt64

    /// The function called `symbol` among all that is loaded. nil where there is none, or where it does not count what
    /// this program asks for: a library that was opened after the start has its name here and not its malloc.
    init?(symbol: String = HeapCounter.symbol) {
        // No handle is RTLD_DEFAULT: all that is loaded, in the order in which the program's own names are found.
        guard let found = dlsym(nil, symbol), let malloc = dlsym(nil, "malloc") else { return nil }
        count = unsafeBitCast(found, to: (@convention(c) @Sendable () -> UInt64).self)
        // By its address, for the compiler leaves out a request whose memory is not used.
        let request = unsafeBitCast(malloc, to: (@convention(c) (Int) -> UnsafeMutableRawPointer?).self)
        let before = count()
        let memory = request(1)
        defer { free(memory) }
        guard count() > before else { return nil }
    }

    /// Requests of the calling thread since it began.
    var ofThread: UInt64 { count() }

    /// Requests divided by `units` with the word for them; a dash for nil, which is what nobody counted.
    static func text(_ requests: UInt64?, per units: Double) -> String {
        requests.map { String(format: "%.4f allocations", Double($0) / units) } ?? "– allocations"
    }
}
