// Made from the schema by `cargo xtask gen`; do not edit.
package network.cortensor.java;

/**
 * Everything that the router refuses or fails at. Each kind has a class of its own, so that a program can catch it.
 */
public sealed class RouterException extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** The kind of an error: it says what the caller can do about it. */
    public enum Kind {

        /**
         * A field or an argument is missing, of the wrong type or out of its range: correct the one that is
         * named.
         */
        INVALID_ARGUMENT,

        /**
         * There is no token, or one that is not known: send a valid one.
         */
        UNAUTHENTICATED,

        /**
         * The token is valid but does not carry the scope: use one that does.
         */
        PERMISSION_DENIED,

        /**
         * There is no such session, task, miner, model or key that this caller may see: check the id.
         */
        NOT_FOUND,

        /**
         * The thing is not in a state that allows this: look at its present state first.
         */
        CONFLICT,

        /**
         * The idempotency key was used before with another request: use a new one.
         */
        IDEMPOTENCY_MISMATCH,

        /**
         * The request, or what it asks for, is over a limit: send less.
         */
        TOO_LARGE,

        /**
         * The router is at one of its bounds: retry after the time given.
         */
        OVERLOADED,

        /**
         * Nothing is there to do the work at present: retry after the time given.
         */
        UNAVAILABLE,

        /**
         * The deadline passed: a task that goes on can be polled by its ids.
         */
        TIMEOUT,

        /**
         * Somebody cancelled the task: nothing is to be done.
         */
        CANCELLED,

        /**
         * Every miner that was tried failed: read the message, which is the last one's.
         */
        MINER_FAILED,

        /**
         * The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
         */
        CLOSED,

        /**
         * A defect of the router itself: report it with its message.
         */
        INTERNAL,

        /**
         * The call waits for something that this very thread has to do first: make it from outside of a
         * callback.
         */
        WOULD_DEADLOCK,

        /**
         * Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
         */
        PANIC,
    }

    private final Kind kind;
    private final transient Records.ErrorDetails details;
    private final String code;

    RouterException(Kind kind, Records.ErrorDetails details) {
        super(details.message());
        this.kind = kind;
        this.details = details;
        this.code = details.code();
    }

    /**
     * The kind says what the caller can do about it.
     *
     * @return the kind
     */
    public final Kind kind() {
        return kind;
    }

    /**
     * The finest code there is: {@code session_not_found}, {@code no_miner}, {@code queue_full} ...
     *
     * @return the code
     */
    public final String code() {
        return code;
    }

    /**
     * Whether the same call may succeed later, unchanged.
     *
     * @return whether it may
     */
    public final boolean isRetryable() {
        return details != null && Boolean.TRUE.equals(details.retryable());
    }

    /**
     * The field, the session and the task that the error is about.
     *
     * @return the details; null in an exception that was serialized
     */
    public final Records.ErrorDetails details() {
        return details;
    }

    static RouterException of(Records.ErrorDetails details) {
        return switch (details.kind()) {
            case "invalid_argument" -> new InvalidArgumentException(details);
            case "unauthenticated" -> new UnauthenticatedException(details);
            case "permission_denied" -> new PermissionDeniedException(details);
            case "not_found" -> new NotFoundException(details);
            case "conflict" -> new ConflictException(details);
            case "idempotency_mismatch" -> new IdempotencyMismatchException(details);
            case "too_large" -> new TooLargeException(details);
            case "overloaded" -> new OverloadedException(details);
            case "unavailable" -> new UnavailableException(details);
            case "timeout" -> new TimeoutException(details);
            case "cancelled" -> new TaskCancelledException(details);
            case "miner_failed" -> new MinerFailedException(details);
            case "closed" -> new ClosedException(details);
            case "would_deadlock" -> new WouldDeadlockException(details);
            case "panic" -> new PanicException(details);
            default -> new InternalException(details);
        };
    }

    /**
     * A field or an argument is missing, of the wrong type or out of its range: correct the one that is named.
     */
    public static final class InvalidArgumentException extends RouterException {
        private static final long serialVersionUID = 1;

        InvalidArgumentException(Records.ErrorDetails details) {
            super(Kind.INVALID_ARGUMENT, details);
        }
    }

    /**
     * There is no token, or one that is not known: send a valid one.
     */
    public static final class UnauthenticatedException extends RouterException {
        private static final long serialVersionUID = 1;

        UnauthenticatedException(Records.ErrorDetails details) {
            super(Kind.UNAUTHENTICATED, details);
        }
    }

    /**
     * The token is valid but does not carry the scope: use one that does.
     */
    public static final class PermissionDeniedException extends RouterException {
        private static final long serialVersionUID = 1;

        PermissionDeniedException(Records.ErrorDetails details) {
            super(Kind.PERMISSION_DENIED, details);
        }
    }

    /**
     * There is no such session, task, miner, model or key that this caller may see: check the id.
     */
    public static final class NotFoundException extends RouterException {
        private static final long serialVersionUID = 1;

        NotFoundException(Records.ErrorDetails details) {
            super(Kind.NOT_FOUND, details);
        }
    }

    /**
     * The thing is not in a state that allows this: look at its present state first.
     */
    public static final class ConflictException extends RouterException {
        private static final long serialVersionUID = 1;

        ConflictException(Records.ErrorDetails details) {
            super(Kind.CONFLICT, details);
        }
    }

    /**
     * The idempotency key was used before with another request: use a new one.
     */
    public static final class IdempotencyMismatchException extends RouterException {
        private static final long serialVersionUID = 1;

        IdempotencyMismatchException(Records.ErrorDetails details) {
            super(Kind.IDEMPOTENCY_MISMATCH, details);
        }
    }

    /**
     * The request, or what it asks for, is over a limit: send less.
     */
    public static final class TooLargeException extends RouterException {
        private static final long serialVersionUID = 1;

        TooLargeException(Records.ErrorDetails details) {
            super(Kind.TOO_LARGE, details);
        }
    }

    /**
     * The router is at one of its bounds: retry after the time given.
     */
    public static final class OverloadedException extends RouterException {
        private static final long serialVersionUID = 1;

        OverloadedException(Records.ErrorDetails details) {
            super(Kind.OVERLOADED, details);
        }
    }

    /**
     * Nothing is there to do the work at present: retry after the time given.
     */
    public static final class UnavailableException extends RouterException {
        private static final long serialVersionUID = 1;

        UnavailableException(Records.ErrorDetails details) {
            super(Kind.UNAVAILABLE, details);
        }
    }

    /**
     * The deadline passed: a task that goes on can be polled by its ids.
     */
    public static final class TimeoutException extends RouterException {
        private static final long serialVersionUID = 1;

        TimeoutException(Records.ErrorDetails details) {
            super(Kind.TIMEOUT, details);
        }
    }

    /**
     * Somebody cancelled the task: nothing is to be done.
     */
    public static final class TaskCancelledException extends RouterException {
        private static final long serialVersionUID = 1;

        TaskCancelledException(Records.ErrorDetails details) {
            super(Kind.CANCELLED, details);
        }
    }

    /**
     * Every miner that was tried failed: read the message, which is the last one's.
     */
    public static final class MinerFailedException extends RouterException {
        private static final long serialVersionUID = 1;

        MinerFailedException(Records.ErrorDetails details) {
            super(Kind.MINER_FAILED, details);
        }
    }

    /**
     * The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
     */
    public static final class ClosedException extends RouterException {
        private static final long serialVersionUID = 1;

        ClosedException(Records.ErrorDetails details) {
            super(Kind.CLOSED, details);
        }
    }

    /**
     * A defect of the router itself: report it with its message.
     */
    public static final class InternalException extends RouterException {
        private static final long serialVersionUID = 1;

        InternalException(Records.ErrorDetails details) {
            super(Kind.INTERNAL, details);
        }
    }

    /**
     * The call waits for something that this very thread has to do first: make it from outside of a callback.
     */
    public static final class WouldDeadlockException extends RouterException {
        private static final long serialVersionUID = 1;

        WouldDeadlockException(Records.ErrorDetails details) {
            super(Kind.WOULD_DEADLOCK, details);
        }
    }

    /**
     * Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
     */
    public static final class PanicException extends RouterException {
        private static final long serialVersionUID = 1;

        PanicException(Records.ErrorDetails details) {
            super(Kind.PANIC, details);
        }
    }
}
