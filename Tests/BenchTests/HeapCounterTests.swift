import Testing

@testable import Bench

/// Heap requests where nobody counts them, as in the tests' own process. That they are counted where the library is
/// loaded, `tools/test` sees to.
@Suite struct HeapCounterTests {
    @Test func whereNoneWasLoadedThereIsNone() {
        #expect(HeapCounter.present == nil)
        #expect(HeapCounter(symbol: "a_name_that_nobody_has") == nil)
    }

    /// `getppid` takes nothing and gives a number, as a counter does; requests do not move it.
    @Test func aFunctionThatDoesNotCountThisProgramsRequestsIsNoCounter() {
        #expect(HeapCounter(symbol: "getppid") == nil)
    }

    @Test func whatNobodyCountedIsADashAndNotZero() {
        #expect(HeapCounter.text(nil, per: 4) == "– allocations")
        #expect(HeapCounter.text(0, per: 4) == "0.0000 allocations")
        #expect(HeapCounter.text(1, per: 4) == "0.2500 allocations")
    }

    @Test func aMeasurementWithoutACounterSaysSoAndSucceeds() throws {
        var options = BenchRunner.Options()
        options.runs = 1
        let result = try #require(try BenchRunner(options).run([PacketWorkload()]).first)
        #expect(result.items > 0)
        #expect(result.remark?.hasSuffix("CPU, – allocations a packet") == true, "\(result.remark ?? "no remark")")
        #expect(result.line.contains("– allocations"))
    }

    @Test func figuresOfTheFarEndGoOverTheWireWithAndWithoutACount() {
        var figures = NetFigures()
        (figures.datagramsIn, figures.datagramsOut, figures.nanoseconds) = (9, 8, 7)
        #expect(NetFigures(words: figures.words) == figures)
        #expect(figures.since(NetFigures()).allocations == nil)
        let uncounted = figures
        figures.allocations = 6
        #expect(NetFigures(words: figures.words) == figures)
        var earlier = NetFigures()
        (earlier.datagramsIn, earlier.datagramsOut, earlier.nanoseconds, earlier.allocations) = (1, 2, 3, 4)
        #expect(figures.since(earlier).words == [8, 6, 4, 2])
        // What one end counted and the other did not is not a difference.
        #expect(figures.since(uncounted).allocations == nil)
        #expect(NetFigures(words: [1, 2]) == NetFigures())
    }
}
