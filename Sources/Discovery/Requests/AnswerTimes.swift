import Primitives

/// How long answers of one peer take, and so how long to wait before a request is sent again.
///
/// The mean and the mean deviation are weighted as RFC 6298 has them (1/8 and 1/4). Of a request that was sent more
/// than once nobody knows which sending was answered: it is no sample where the answer can belong to the last sending.
struct AnswerTimes: Sendable {
    /// nil before the first sample.
    private(set) var mean: Interval?
    private var deviation = Interval.zero
    /// Requests that failed since the last sample.
    private var failures = 0

    /// Takes the time from a request to its answer.
    mutating func note(_ sample: Interval) {
        failures = 0
        guard let old = mean else {
            mean = sample
            deviation = Interval(microseconds: sample.microseconds / 2)
            return
        }
        let apart = max(old, sample).microseconds - min(old, sample).microseconds
        deviation = Interval(microseconds: (deviation.microseconds * 3 + apart) / 4)
        mean = Interval(microseconds: (old.microseconds * 7 + sample.microseconds) / 8)
    }

    /// Takes what an answered request tells. `repeated`: when it was sent for the last time, if that was not the first.
    mutating func note(sent: Instant, repeated: Instant?, answered now: Instant) {
        if let repeated, let mean, now - repeated >= Interval(microseconds: mean.microseconds / 2) { return }
        note(now - sent)
    }

    /// A request has failed, however often it was sent. Where that is for a line that is full, what is sent again fills
    /// it the more: so the patience doubles until there is a sample again, as RFC 6298 has it.
    mutating func failed() { failures = min(failures + 1, DiscoveryLimits.failuresCounted) }

    /// How long an answer is waited for before the request is sent again; twice as long before each further time.
    var patience: Interval {
        let usual = mean.map { mean in
            max(Interval(microseconds: mean.microseconds + 4 * deviation.microseconds), DiscoveryLimits.leastPatience)
        }
        return Interval(microseconds: (usual ?? DiscoveryLimits.unknownPatience).microseconds << failures)
    }
}
