import Overlay
import Primitives
import StateContent
import StateNetwork

/// What stands between a node's state network and the wire. A node has nothing there; the simulation's liars are nodes
/// with something there that says other things to peers than the state network does, and tests listen there to what
/// liars say.
package protocol StateVoice: Sendable {
    /// A peer asks for the content of a key.
    mutating func hears(_ key: StateContentKey, _ token: Overlay.ContentToken)
    /// What is done in place of what the state network wants.
    mutating func says(_ directive: StateSync.Directive) -> [StateSync.Directive]
    /// What was asked of a peer has come, or will not.
    mutating func gets(_ result: Result<ContentAnswer, OverlayError>, for operation: OperationID)
}

extension StateVoice {
    /// Who lies has no use for what others say.
    package mutating func gets(_ result: Result<ContentAnswer, OverlayError>, for operation: OperationID) {}
}
