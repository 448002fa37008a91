import Chain
import Primitives

// A walk begins with the checkpoint's header, but a node that hears of a block above the checkpoint first goes on from
// there. It still wants that header: without it the checkpoint's own epoch has no anchor, and nothing can be fetched
// before the next boundary is final. So it asks for it besides the walk. Who fails rests longer each time, and who says
// that it does not have the header claims it no more. Under proof of work nothing can be judged without it: there it is
// asked for first.
extension ChainSync {
    /// Asks a peer that claims to serve the checkpoint for its header, where it is missing and the walk is past it.
    mutating func askForCheckpoint(at now: Instant) {
        let checkpoint = attested.configuration.checkpoint.number
        guard attested.lacksCheckpoint, checkpointRequest == nil,
            attested.head.number > checkpoint || attested.floorStanding == nil
        else { return }
        guard let peer = peers.choose(for: checkpoint, at: now, using: &generator) else { return }
        checkpointRequest = request(checkpoint, 1, of: peer, at: now)
    }

    /// The answer to that. The hash decides, so nothing has to be believed.
    mutating func takeCheckpoint(_ run: [CertifiedHeader], from peer: Bytes32, at now: Instant) {
        do throws(ChainError) {
            report(try attested.accept(run.map { CertifiedHeader(header: $0.header) }))
        } catch {
            penalise(peer, .invalid(error), at: now)
        }
    }
}
