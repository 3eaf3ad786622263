package network.cortensor.router

/**
 * A record of the router, with the names of the REST API: `record["status"]`, `record.text("status")`.
 *
 * Objects are records or maps, lists are lists, whole numbers are [Long], others [Double].
 */
public open class Record(
    /** The fields by their names. */
    public val fields: Map<String, Any?>,
) {
    /** A field; null if there is none. */
    public operator fun get(name: String): Any? = fields[name]

    /** A text; empty if there is none. */
    public fun text(name: String): String = fields[name] as? String ?: ""

    /** A number; 0 if there is none. */
    public fun number(name: String): Long = (fields[name] as? Number)?.toLong() ?: 0

    /** A flag; false if there is none. */
    public fun flag(name: String): Boolean = fields[name] as? Boolean ?: false

    /** An object; an empty one if there is none. */
    @Suppress("UNCHECKED_CAST")
    public fun record(name: String): Record = Record(fields[name] as? Map<String, Any?> ?: emptyMap())

    /** A list of objects. */
    @Suppress("UNCHECKED_CAST")
    public fun records(name: String): List<Record> =
        (fields[name] as? List<*>).orEmpty().filterIsInstance<Map<*, *>>().map { Record(it as Map<String, Any?>) }

    /** A list of texts. */
    public fun texts(name: String): List<String> = (fields[name] as? List<*>).orEmpty().filterIsInstance<String>()

    override fun equals(other: Any?): Boolean = other is Record && other.fields == fields

    override fun hashCode(): Int = fields.hashCode()

    /** The record as JSON. */
    override fun toString(): String = Json.write(fields)
}

/** A page of records. */
public class Page internal constructor(
    private val records: List<Record>,
    /** How many records there are beside this page, too. */
    public val count: Long,
) : List<Record> by records {
    override fun toString(): String = "$size of $count"

    internal companion object {
        fun of(text: String, name: String): Page =
            Record(Json.readObject(text)).run { Page(records(name), number("count")) }
    }
}

/** A finished task's answer. */
public class Completion(fields: Map<String, Any?>) : Record(fields) {
    private val choice: Record get() = records("choices").firstOrNull() ?: Record(emptyMap())

    /** The answer's text. */
    public val text: String get() = choice.text("text")

    /** The calls of tools, as in OpenAI's API; empty if there is none. */
    public val toolCalls: List<Record> get() = choice.record("message").records("tool_calls")

    /** The model's reasoning before its answer, if it is known. */
    public val reasoning: String get() = choice.record("message").text("reasoning_content")

    /** The token counts. */
    public val usage: Usage
        get() = record("usage").run {
            Usage(number("prompt_tokens"), number("completion_tokens"), number("total_tokens"))
        }

    /** The model that answered. */
    public val model: String get() = text("model")
}

/** Token counts. */
public data class Usage(val promptTokens: Long, val completionTokens: Long, val totalTokens: Long)

/** Vectors of texts, in the order of the texts. */
public class Embeddings(fields: Map<String, Any?>) : Record(fields) {
    /** The numbers alone. */
    public val vectors: List<List<Double>>
        get() = records("data").map { one -> (one["embedding"] as List<*>).map { (it as Number).toDouble() } }
}

/** An event of a task's stream. */
public sealed interface Event

/** A piece of the text. */
public data class Token(
    /** Its number, one more than that of the event before it. */
    val seq: Long,
    /** The text. */
    val text: String,
) : Event

/** All pieces before this one are void: another miner or a later start begins anew. */
public data class Restart(
    /** The number of this mark. */
    val seq: Long,
) : Event

/** The end, exactly one and last. */
public data class End(
    /** The answer, whole. */
    val completion: Completion,
) : Event
