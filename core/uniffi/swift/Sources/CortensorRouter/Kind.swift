// Made from the schema by `cargo xtask gen`; do not edit.

/// The kind of an error, which says what to do.
public enum Kind: String, Sendable, CaseIterable {
    /// A field or an argument is missing, of the wrong type or out of its range: correct the one that is named.
    case invalidArgument = "invalid_argument"
    /// There is no token, or one that is not known: send a valid one.
    case unauthenticated = "unauthenticated"
    /// The token is valid but does not carry the scope: use one that does.
    case permissionDenied = "permission_denied"
    /// There is no such session, task, miner, model or key that this caller may see: check the id.
    case notFound = "not_found"
    /// The thing is not in a state that allows this: look at its present state first.
    case conflict = "conflict"
    /// The idempotency key was used before with another request: use a new one.
    case idempotencyMismatch = "idempotency_mismatch"
    /// The request, or what it asks for, is over a limit: send less.
    case tooLarge = "too_large"
    /// The router is at one of its bounds: retry after the time given.
    case overloaded = "overloaded"
    /// Nothing is there to do the work at present: retry after the time given.
    case unavailable = "unavailable"
    /// The deadline passed: a task that goes on can be polled by its ids.
    case timeout = "timeout"
    /// Somebody cancelled the task: nothing is to be done.
    case cancelled = "cancelled"
    /// Every miner that was tried failed: read the message, which is the last one's.
    case minerFailed = "miner_failed"
    /// The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
    case closed = "closed"
    /// A defect of the router itself: report it with its message.
    case internal = "internal"
    /// The call waits for something that this very thread has to do first: make it from outside of a callback.
    case wouldDeadlock = "would_deadlock"
    /// Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
    case panic = "panic"
}
