// Code generated from the schema by `cargo xtask gen`; DO NOT EDIT.

package cortensor

// Kind is the kind of an error: it says what the caller can do about it. A Kind is an error itself, so that
// errors.Is(err, cortensor.ErrNotFound) works.
type Kind string

// The kinds of errors.
const (
	// KindInvalidArgument: A field or an argument is missing, of the wrong type or out of its range: correct the one that
	// is named.
	KindInvalidArgument Kind = "invalid_argument"

	// KindUnauthenticated: There is no token, or one that is not known: send a valid one.
	KindUnauthenticated Kind = "unauthenticated"

	// KindPermissionDenied: The token is valid but does not carry the scope: use one that does.
	KindPermissionDenied Kind = "permission_denied"

	// KindNotFound: There is no such session, task, miner, model or key that this caller may see: check the id.
	KindNotFound Kind = "not_found"

	// KindConflict: The thing is not in a state that allows this: look at its present state first.
	KindConflict Kind = "conflict"

	// KindIdempotencyMismatch: The idempotency key was used before with another request: use a new one.
	KindIdempotencyMismatch Kind = "idempotency_mismatch"

	// KindTooLarge: The request, or what it asks for, is over a limit: send less.
	KindTooLarge Kind = "too_large"

	// KindOverloaded: The router is at one of its bounds: retry after the time given.
	KindOverloaded Kind = "overloaded"

	// KindUnavailable: Nothing is there to do the work at present: retry after the time given.
	KindUnavailable Kind = "unavailable"

	// KindTimeout: The deadline passed: a task that goes on can be polled by its ids.
	KindTimeout Kind = "timeout"

	// KindCancelled: Somebody cancelled the task: nothing is to be done.
	KindCancelled Kind = "cancelled"

	// KindMinerFailed: Every miner that was tried failed: read the message, which is the last one's.
	KindMinerFailed Kind = "miner_failed"

	// KindClosed: The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
	KindClosed Kind = "closed"

	// KindInternal: A defect of the router itself: report it with its message.
	KindInternal Kind = "internal"

	// KindWouldDeadlock: The call waits for something that this very thread has to do first: make it from outside of a
	// callback.
	KindWouldDeadlock Kind = "would_deadlock"

	// KindPanic: Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
	KindPanic Kind = "panic"
)

// The errors to compare with by errors.Is, one for each kind.
var (
	// ErrInvalidArgument: A field or an argument is missing, of the wrong type or out of its range: correct the one that
	// is named.
	ErrInvalidArgument error = KindInvalidArgument

	// ErrUnauthenticated: There is no token, or one that is not known: send a valid one.
	ErrUnauthenticated error = KindUnauthenticated

	// ErrPermissionDenied: The token is valid but does not carry the scope: use one that does.
	ErrPermissionDenied error = KindPermissionDenied

	// ErrNotFound: There is no such session, task, miner, model or key that this caller may see: check the id.
	ErrNotFound error = KindNotFound

	// ErrConflict: The thing is not in a state that allows this: look at its present state first.
	ErrConflict error = KindConflict

	// ErrIdempotencyMismatch: The idempotency key was used before with another request: use a new one.
	ErrIdempotencyMismatch error = KindIdempotencyMismatch

	// ErrTooLarge: The request, or what it asks for, is over a limit: send less.
	ErrTooLarge error = KindTooLarge

	// ErrOverloaded: The router is at one of its bounds: retry after the time given.
	ErrOverloaded error = KindOverloaded

	// ErrUnavailable: Nothing is there to do the work at present: retry after the time given.
	ErrUnavailable error = KindUnavailable

	// ErrTimeout: The deadline passed: a task that goes on can be polled by its ids.
	ErrTimeout error = KindTimeout

	// ErrCancelled: Somebody cancelled the task: nothing is to be done.
	ErrCancelled error = KindCancelled

	// ErrMinerFailed: Every miner that was tried failed: read the message, which is the last one's.
	ErrMinerFailed error = KindMinerFailed

	// ErrClosed: The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
	ErrClosed error = KindClosed

	// ErrInternal: A defect of the router itself: report it with its message.
	ErrInternal error = KindInternal

	// ErrWouldDeadlock: The call waits for something that this very thread has to do first: make it from outside of a
	// callback.
	ErrWouldDeadlock error = KindWouldDeadlock

	// ErrPanic: Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
	ErrPanic error = KindPanic
)
