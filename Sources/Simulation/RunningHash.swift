import Primitives

/// A hash over all that was added, in that order. Quick and without any secrecy: it tells whether two runs were the
/// same.
struct RunningHash: Sendable {
    private var first: UInt64 = 0x243f_6a88_85a3_08d3
    private var second: UInt64 = 0x1319_8a2e_0370_7344
    private var words: UInt64 = 0

    /// The hash of 128 bits, and how many words it is of.
    var value: Bytes32 { Bytes32(first, second, words, 0) }

    mutating func add(_ word: UInt64) {
        words &+= 1
        first = (first ^ word) &* 0x9e37_79b9_7f4a_7c15
        first ^= first &>> 29
        second = ((second &<< 31 | second &>> 33) &+ first) &* 0xbf58_476d_1ce4_e5b9
        second ^= second &>> 32
    }

    /// The bytes and how many they are.
    mutating func add(_ bytes: [UInt8]) {
        add(UInt64(bytes.count))
        bytes.withUnsafeBytes { buffer in
            var offset = 0
            while offset + 8 <= buffer.count {
                add(UInt64(littleEndian: buffer.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
                offset += 8
            }
            var last: UInt64 = 0
            for byte in buffer[offset...] { last = last << 8 | UInt64(byte) }
            add(last)
        }
    }
}
