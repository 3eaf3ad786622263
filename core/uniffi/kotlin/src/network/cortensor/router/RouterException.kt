package network.cortensor.router

/** An error of the router: a refusal or a failure. Each kind has a class of its own. */
public open class RouterException(
    message: String,
    /** The kind of the error, by the same word in every language. */
    public val kind: String = "internal",
    code: String? = null,
    /** Whether the same call may succeed later, unchanged. */
    public val retryable: Boolean = false,
    /** The field or argument at fault, where one is. */
    public val param: String? = null,
    details: Map<String, Any?> = emptyMap(),
    cause: Throwable? = null,
) : Exception(message, cause) {
    /** The finest code of the error: one below the kind (`no_miner`), or the kind. */
    public val code: String = code ?: kind

    /** Everything that is known of the error, by the names of the REST API. */
    public val details: Map<String, Any?> = details.ifEmpty {
        mapOf("kind" to kind, "code" to this.code, "message" to message, "retryable" to retryable, "param" to param)
    }

    /** Milliseconds after which a retry may succeed. */
    public val retryAfterMs: Long? get() = (details["retry_after_ms"] as? Number)?.toLong()

    /** The session that the error is about. */
    public val sessionId: Long? get() = (details["session_id"] as? Number)?.toLong()

    /** The task that the error is about; it can be polled. */
    public val taskId: Long? get() = (details["task_id"] as? Number)?.toLong()

    internal companion object {
        /** Makes the exception for an error from its JSON. */
        fun of(text: String): RouterException {
            val details = Json.readObject(text)
            val word = { name: String -> details[name] as? String }
            return exceptionOf(word("kind") ?: "internal", word("message") ?: "", word("code"), word("param"), details)
        }
    }
}

/** An error that a miner throws to give its failure a code: `overloaded`, `internal` ... */
public class JobException(
    /** The reason for the failure, in one word. */
    public val code: String,
    message: String,
) : Exception(message)
