import CNet
import Synchronization

/// The way into the loop from other threads: messages in the order posted, and an eventfd that wakes the sleeper.
public final class Mailbox<Message: Sendable>: Sendable {
    private let messages = Mutex<[Message]>([])
    let descriptor: Int32

    /// An empty mailbox; throws where the system has no descriptor left.
    public init() throws(ShellError) {
        descriptor = cnet_event_create()
        if descriptor < 0 { throw .system("eventfd", descriptor) }
    }

    deinit { _ = cnet_close(descriptor) }

    /// Leaves a message and wakes the loop. Any thread may call it.
    public func post(_ message: Message) {
        let wasEmpty = messages.withLock { list in
            list.append(message)
            return list.count == 1
        }
        // One wake for as many messages as come before the loop looks; a failed one leaves the message in the list,
        // and the loop takes it with its next event.
        if wasEmpty { _ = cnet_event_signal(descriptor) }
    }

    /// All messages left so far, in order. Only the loop calls it.
    func take() -> [Message] {
        _ = cnet_event_clear(descriptor)
        return messages.withLock { list in
            defer { list = [] }
            return list
        }
    }
}
