import Foundation

/// Processor time in nanoseconds, kernel's and program's together: steadier than a clock on a busy machine.
enum ProcessorTime {
    /// What the calling thread has used since it began.
    static var ofThread: UInt64 { nanoseconds(CLOCK_THREAD_CPUTIME_ID) }
    /// What all threads of this process have used since it began.
    static var ofProcess: UInt64 { nanoseconds(CLOCK_PROCESS_CPUTIME_ID) }

    private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
