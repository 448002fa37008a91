import Fuzzing
import Glibc

/// libFuzzer, which is linked only where the build says so: tools/fuzz does, in a folder of its own.
enum LibFuzzer {
    /// Set once, before the driver starts; the driver's callback can carry nothing.
    nonisolated(unsafe) fileprivate static var target = DecoderTarget.rlp

    #if LIBFUZZER
        @_silgen_name("LLVMFuzzerRunDriver")
        private static func drive(
            _ count: UnsafeMutablePointer<Int32>,
            _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
            _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
        ) -> Int32

        /// Runs the driver with its own arguments; it ends the process when it is done.
        static func run(_ chosen: DecoderTarget, _ arguments: [String]) throws(UsageError) -> Int32 {
            target = chosen
            let words = ["fuzz"] + arguments
            var count = Int32(words.count)
            var strings = UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>.allocate(capacity: words.count + 1)
            strings.initialize(repeating: nil, count: words.count + 1)
            for (index, word) in words.enumerated() { strings[index] = strdup(word) }
            return drive(&count, &strings, testOneInput)
        }
    #else
        static func run(_ chosen: DecoderTarget, _ arguments: [String]) throws(UsageError) -> Int32 {
            throw .noDriver
        }
    #endif
}

/// What libFuzzer calls with each input; the name is the one it knows.
@_cdecl("LLVMFuzzerTestOneInput")
func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ size: Int) -> Int32 {
    do throws(FuzzFailure) {
        _ = try LibFuzzer.target.run(Array(UnsafeBufferPointer(start: bytes, count: size)))
    } catch {
        Fuzz.complain("\(LibFuzzer.target.rawValue): \(error)")
        abort()
    }
    return 0
}
