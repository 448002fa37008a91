/// A cursor of whatever store, without its type: walks are long and run in code that is not specialised for a store,
/// and this way each step costs a call or two, not a look for generic metadata.
class ErasedCursor {
    func seek(_ key: [UInt8]) throws(StoreError) -> Bool { false }
    func next() throws(StoreError) -> Bool { false }
    /// Runs `body` where the last move gave true.
    func read(_ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {}
}

/// The one kind there is.
final class CursorBox<Cursor: StoreCursor>: ErasedCursor {
    private var cursor: Cursor

    init(_ cursor: Cursor) { self.cursor = cursor }

    override func seek(_ key: [UInt8]) throws(StoreError) -> Bool { try cursor.seek(key) }

    override func next() throws(StoreError) -> Bool { try cursor.next() }

    override func read(_ body: (_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Void) {
        cursor.withEntry { body($0, $1) }
    }
}
