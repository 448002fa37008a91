import Primitives
import Testing

struct BinarySearchTests {
    /// Against a search from one end to the other, for every length up to 9 and every place in it.
    @Test func findsWhereABeginningEnds() {
        for length in 0...9 {
            let numbers = (0..<length).map { 2 * $0 }
            for key in -1...(2 * length) {
                let expected = numbers.firstIndex { $0 >= key } ?? length
                #expect(numbers.partitionPoint { $0 < key } == expected, "\(key) in \(numbers)")
            }
        }
    }

    /// The index is one of the collection that was searched, wherever that begins.
    @Test func countsFromWhereTheCollectionBegins() {
        let numbers = [9, 9, 1, 3, 5]
        #expect(numbers.dropFirst(2).partitionPoint { $0 < 3 } == 3)
        #expect((2..<5).partitionPoint { numbers[$0] < 4 } == 4)
        #expect((7..<7).partitionPoint { _ in true } == 7)
    }

    @Test func asksNoMoreOftenThanAHalvingNeeds() {
        var asked = 0
        let place = (0..<1_000_000).partitionPoint {
            asked += 1
            return $0 < 765_432
        }
        #expect(place == 765_432)
        #expect(asked <= 20)
    }
}
