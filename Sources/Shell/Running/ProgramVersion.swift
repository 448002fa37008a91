/// What program this is.
public enum ProgramVersion {
    /// The version of the program and of its own wire.
    public static let number = "0.1.0"
    /// Told to people: program, version, system.
    public static let text = "carousel \(number) (\(system))"
    /// Told to peers in the ping payload: name/version/system/language.
    public static let clientInfo = "carousel/\(number)/\(system)/swift"

    private static var system: String {
        #if arch(x86_64)
            return "linux-x86_64"
        #elseif arch(arm64)
            return "linux-aarch64"
        #else
            return "linux"
        #endif
    }
}
