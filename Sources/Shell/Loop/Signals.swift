import CNet
import Foundation

/// SIGINT and SIGTERM as something the loop can wait for. Make it before any thread is started: threads inherit that
/// these two are held back.
public final class Signals {
    let descriptor: Int32

    /// Holds back both signals in this thread; also makes refused writes errors instead of ends of the process.
    public init() throws(ShellError) {
        descriptor = cnet_signals_open()
        if descriptor < 0 { throw .system("signalfd", descriptor) }
        cnet_ignore_write_signals()
    }

    deinit { _ = cnet_close(descriptor) }

    /// The number of the next waiting signal; nil where none waits.
    func next() -> Int32? {
        let number = cnet_signals_next(descriptor)
        return number > 0 ? number : nil
    }
}
