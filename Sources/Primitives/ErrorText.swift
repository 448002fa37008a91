// The words of this target's errors. They name what is wrong with some bytes; whoever read them says which bytes, and
// what helps.

extension ByteError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "the bytes end inside a field"
        case .trailingBytes: "bytes follow the last field"
        case .notCanonical: "a number is written longer than it need be"
        case .tooLarge: "a number or a length is above its limit"
        }
    }
}

extension RLPError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .truncated: "the RLP is cut off"
        case .trailingBytes: "bytes follow the RLP item"
        case .notCanonical: "an RLP item is not written in its one way"
        case .expectedString: "an RLP list stands where a string must be"
        case .expectedList: "an RLP string stands where a list must be"
        case .leadingZeros: "an RLP integer has leading zeros"
        case .integerTooLarge: "an RLP integer is too large"
        case .wrongSize: "an RLP string has another size than it must have"
        case .nestedTooDeep: "RLP lists are nested too deep"
        }
    }
}

extension SSZError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .wrongSize: "the SSZ bytes are fewer or more than the type has"
        case .notBoolean: "an SSZ boolean is neither 0 nor 1"
        case .badOffset: "an SSZ offset is not where the part before it ends"
        case .overLimit: "an SSZ list is longer than its limit"
        case .badBits: "SSZ bits go beyond their length, or lack their end"
        case .unknownSelector: "an SSZ union has no such selector"
        case .wrongShape: "an SSZ value is not of its type"
        }
    }
}
