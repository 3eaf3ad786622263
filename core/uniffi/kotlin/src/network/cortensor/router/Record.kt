package network.cortensor.router

/**
 * A record of the router. Its class has a property for each member: `miner.firstTokenMs`. [get] and the functions beside
 * it read a member by its name in the REST API, also one that is newer than this package: `miner["first_token_ms"]`.
 *
 * Objects are maps there, lists are lists, whole numbers are [Long], others [Double].
 */
public open class Record(
    /** The fields by their names. */
    public val fields: Map<String, Any?>,
) {
    /** A field; null if there is none. */
    public operator fun get(name: String): Any? = fields[name]

    /** A text; empty if there is none. */
    public fun text(name: String): String = fields[name] as? String ?: ""

    /** A whole number; 0 if there is none. */
    public fun number(name: String): Long = (fields[name] as? Number)?.toLong() ?: 0

    /** A number that need not be whole; 0 if there is none. */
    public fun decimal(name: String): Double = (fields[name] as? Number)?.toDouble() ?: 0.0

    /** A flag; false if there is none. */
    public fun flag(name: String): Boolean = fields[name] as? Boolean ?: false

    /** An object; an empty one if there is none. */
    public fun record(name: String): Record = record(name, ::Record)

    /** A list of objects. */
    public fun records(name: String): List<Record> = records(name, ::Record)

    /** A list of texts. */
    public fun texts(name: String): List<String> = (fields[name] as? List<*>).orEmpty().filterIsInstance<String>()

    internal fun numbers(name: String): List<Long> =
        (fields[name] as? List<*>).orEmpty().filterIsInstance<Number>().map { it.toLong() }

    internal fun decimals(name: String): List<Double> =
        (fields[name] as? List<*>).orEmpty().filterIsInstance<Number>().map { it.toDouble() }

    @Suppress("UNCHECKED_CAST")
    internal fun <R : Record> record(name: String, make: (Map<String, Any?>) -> R): R =
        make(fields[name] as? Map<String, Any?> ?: emptyMap())

    @Suppress("UNCHECKED_CAST")
    internal fun <R : Record> records(name: String, make: (Map<String, Any?>) -> R): List<R> =
        (fields[name] as? List<*>).orEmpty().filterIsInstance<Map<*, *>>().map { make(it as Map<String, Any?>) }

    /** Reads a member that may be absent; null if it is. */
    internal inline fun <T> given(name: String, read: (String) -> T): T? =
        if (fields[name] == null) null else read(name)

    override fun equals(other: Any?): Boolean = other is Record && other.fields == fields

    override fun hashCode(): Int = fields.hashCode()

    /** The record as JSON. */
    override fun toString(): String = Json.write(fields)
}

/** A page of records. */
public open class Page<R : Record> internal constructor(
    /** The whole page, with all that stands beside its records. */
    public val record: Record,
    private val records: List<R>,
) : List<R> by records {
    /** How many records there are beside this page, too. */
    public val count: Long get() = record.number("count")

    override fun toString(): String = "$size of $count"

    internal companion object {
        fun <R : Record> of(text: String, name: String, make: (Map<String, Any?>) -> R): Page<R> =
            Record(Json.readObject(text)).let { Page(it, it.records(name, make)) }
    }
}

/** A finished task's answer, with its parts at hand. */
public class Completion(fields: Map<String, Any?>) : CompletionRecord(fields) {
    private val message: Message? get() = choices.firstOrNull()?.message

    /** The answer's text. */
    public val text: String get() = choices.firstOrNull()?.text ?: ""

    /** The calls of tools, as in OpenAI's API; empty if there is none. */
    public val toolCalls: List<ToolCall> get() = message?.toolCalls.orEmpty()

    /** The model's reasoning before its answer, if it is known. */
    public val reasoning: String get() = message?.reasoning ?: ""
}

/** An answer as a message. */
public class Message(fields: Map<String, Any?>) : Record(fields) {
    /** `assistant` */
    public val role: String get() = text("role")

    /** The text. */
    public val content: String get() = text("content")

    /** The model's reasoning before its answer; empty if it is not known. */
    public val reasoning: String get() = text("reasoning_content")

    /** The calls of tools; empty if there is none. */
    public val toolCalls: List<ToolCall> get() = records("tool_calls", ::ToolCall)
}

/** A call of a tool, as in OpenAI's API. */
public class ToolCall(fields: Map<String, Any?>) : Record(fields) {
    /** The call's id, by which the tool's answer names it. */
    public val id: String get() = text("id")

    /** `function` */
    public val type: String get() = text("type")

    /** The name of the function that is called. */
    public val name: String get() = record("function").text("name")

    /** The arguments of the function, as JSON text. */
    public val arguments: String get() = record("function").text("arguments")
}

/** Vectors of texts, in the order of the texts. */
public class Embeddings(fields: Map<String, Any?>) : EmbeddingsRecord(fields) {
    /** The numbers alone. */
    public val vectors: List<List<Double>> get() = data.map { it.embedding }
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
