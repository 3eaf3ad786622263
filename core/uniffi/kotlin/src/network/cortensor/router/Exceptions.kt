// Made from the schema by `cargo xtask gen`; do not edit.
package network.cortensor.router

/** A field or an argument is missing, of the wrong type or out of its range: correct the one that is named. */
public class InvalidArgumentException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "invalid_argument", code, false, param, details)

/** There is no token, or one that is not known: send a valid one. */
public class UnauthenticatedException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "unauthenticated", code, false, param, details)

/** The token is valid but does not carry the scope: use one that does. */
public class PermissionDeniedException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "permission_denied", code, false, param, details)

/** There is no such session, task, miner, model or key that this caller may see: check the id. */
public class NotFoundException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "not_found", code, false, param, details)

/** The thing is not in a state that allows this: look at its present state first. */
public class ConflictException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "conflict", code, false, param, details)

/** The idempotency key was used before with another request: use a new one. */
public class IdempotencyMismatchException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "idempotency_mismatch", code, false, param, details)

/** The request, or what it asks for, is over a limit: send less. */
public class TooLargeException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "too_large", code, false, param, details)

/** The router is at one of its bounds: retry after the time given. */
public class OverloadedException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "overloaded", code, true, param, details)

/** Nothing is there to do the work at present: retry after the time given. */
public class UnavailableException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "unavailable", code, true, param, details)

/** The deadline passed: a task that goes on can be polled by its ids. */
public class RouterTimeoutException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "timeout", code, true, param, details)

/** Somebody cancelled the task: nothing is to be done. */
public class TaskCancelledException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "cancelled", code, false, param, details)

/** Every miner that was tried failed: read the message, which is the last one's. */
public class MinerFailedException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "miner_failed", code, true, param, details)

/** The router is shut down or draining, the job was answered, or the stream is over: begin a new one. */
public class ClosedException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "closed", code, false, param, details)

/** A defect of the router itself: report it with its message. */
public class InternalException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "internal", code, false, param, details)

/** The call waits for something that this very thread has to do first: make it from outside of a callback. */
public class WouldDeadlockException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "would_deadlock", code, false, param, details)

/** Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable. */
public class PanicException(
    message: String,
    code: String? = null,
    param: String? = null,
    details: Map<String, Any?> = emptyMap(),
) : RouterException(message, "panic", code, false, param, details)

internal fun exceptionOf(
    kind: String,
    message: String,
    code: String?,
    param: String?,
    details: Map<String, Any?>,
): RouterException = when (kind) {
    "invalid_argument" -> InvalidArgumentException(message, code, param, details)
    "unauthenticated" -> UnauthenticatedException(message, code, param, details)
    "permission_denied" -> PermissionDeniedException(message, code, param, details)
    "not_found" -> NotFoundException(message, code, param, details)
    "conflict" -> ConflictException(message, code, param, details)
    "idempotency_mismatch" -> IdempotencyMismatchException(message, code, param, details)
    "too_large" -> TooLargeException(message, code, param, details)
    "overloaded" -> OverloadedException(message, code, param, details)
    "unavailable" -> UnavailableException(message, code, param, details)
    "timeout" -> RouterTimeoutException(message, code, param, details)
    "cancelled" -> TaskCancelledException(message, code, param, details)
    "miner_failed" -> MinerFailedException(message, code, param, details)
    "closed" -> ClosedException(message, code, param, details)
    "internal" -> InternalException(message, code, param, details)
    "would_deadlock" -> WouldDeadlockException(message, code, param, details)
    "panic" -> PanicException(message, code, param, details)
    else -> RouterException(message, kind, code, false, param, details)
}
