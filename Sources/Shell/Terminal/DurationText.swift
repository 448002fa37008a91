/// A number of seconds as people say it: the two largest units of it.
enum DurationText {
    private static let units: [(name: String, seconds: UInt64)] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]

    /// "45 s", "4 m 10 s", "2 h 0 m", "3 d 7 h".
    static func text(_ seconds: UInt64) -> String {
        guard let first = units.firstIndex(where: { seconds >= $0.seconds }) else { return "0 s" }
        let unit = units[first]
        let whole = "\(seconds / unit.seconds) \(unit.name)"
        guard first + 1 < units.count else { return whole }
        let next = units[first + 1]
        return whole + " \(seconds % unit.seconds / next.seconds) \(next.name)"
    }
}
