package network.cortensor.router

import java.util.concurrent.ConcurrentHashMap
import kotlin.coroutines.CoroutineContext
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import network.cortensor.router.internal.NativeMessage
import network.cortensor.router.internal.NativeRouter
import network.cortensor.router.internal.openRouter

/**
 * A router for AI inference inside this program: it owns its threads, its store and its miners.
 *
 * ```
 * Router.open().use { router ->
 *     router.miner("shout") { job -> job.finish(job.prompt.uppercase()) }
 *     println(router.complete("hello").text)
 * }
 * ```
 *
 * Options have the names of the REST API: `router.complete("hello", "max_tokens" to 64)`.
 */
public class Router private constructor(
    private val native: NativeRouter,
    private val log: Log,
) : AutoCloseable {
    private val miners = ConcurrentHashMap<String, Miner>()
    private val leaving = Bridge.Leaving { runBlocking { shutdown(5.seconds) } }

    init {
        Bridge.opened(leaving)
    }

    public companion object {
        /** The version of the product. */
        public const val VERSION: String = "0.1.0"

        /**
         * Opens a router. The settings are those of the configuration: `"data_dir" to "..."`, `"limits" to mapOf(...)`;
         * without `data_dir` the store is in memory. The router logs to `logger`.
         */
        public suspend fun open(
            vararg config: Pair<String, Any?>,
            logger: System.Logger = System.getLogger("cortensor_router"),
        ): Router {
            val log = Log(logger)
            try {
                val text = Json.write(config.toMap())
                val opened = Bridge.call { openRouter(Bridge.mailbox, it, text, log.number) } as NativeMessage.Router
                return Router(opened.router, log)
            } catch (error: Throwable) {
                log.close()
                throw error
            }
        }
    }

    /**
     * Ends the router: listeners stop, running tasks are cancelled, the store is closed. Miners get `timeout` to stop.
     * One that does not is left behind, and the log says which.
     */
    public suspend fun shutdown(timeout: Duration = 10.seconds): Unit = withContext(NonCancellable) {
        // The miner that calls this loses its job, which must not stop the rest.
        val begun = TimeSource.Monotonic.markNow()
        Bridge.call { native.shutdown(it, timeout.inWholeMilliseconds.toULong()) }
        Bridge.closed(leaving)
        val left = miners.values.filter { !it.workers.end(maxOf(Duration.ZERO, timeout - begun.elapsedNow())) }
        miners.clear()
        val names = left.joinToString { it.name }
        if (left.isNotEmpty()) log.warn("miners that did not stop when the router was closed: $names")
        log.close()
    }

    /** Ends the router as [shutdown] does, and blocks the thread until then. */
    override fun close(): Unit = runBlocking { shutdown() }

    /** The configuration with every default; without secrets. */
    public fun config(): Record = Record(Json.readObject(Bridge.native { native.config() }))

    /** The router's identity and abilities. */
    public fun info(): NodeInfo = NodeInfo(Json.readObject(Bridge.native { native.info() }))

    /** The router's state. */
    public fun status(): NodeStatus = NodeStatus(Json.readObject(Bridge.native { native.status() }))

    /** All metrics in Prometheus' text format. */
    public fun metrics(): String = Bridge.native { native.metrics() }

    /** The miners, of any kind. */
    public fun miners(): Page<MinerInfo> = Page.of(Bridge.native { native.miners() }, "miners", ::MinerInfo)

    /** The models that can be asked for. */
    public fun models(): Page<ModelInfo> = Page.of(Bridge.native { native.models() }, "models", ::ModelInfo)

    /** The usage by `day`, `key`, `model`, `session` or `miner`; this month where no days are given. */
    public suspend fun usage(vararg query: Pair<String, Any?>): UsageReport =
        UsageReport(Record(Json.readObject(Bridge.text { native.usage(it, Json.write(query.toMap())) })))

    /**
     * Adds a miner of that name. `work` answers a job, in a coroutine of its own: it gives pieces with [Job.emit], or
     * the whole answer with [Job.finish]. A coroutine whose work is no longer wanted is cancelled.
     *
     * The options are those of a miner: `models`, `capacity`, `weight`, `owner`, `embeddings` ... With `manual`, `work`
     * only takes the job, and the program answers it later, from any thread.
     */
    public fun miner(
        name: String,
        vararg options: Pair<String, Any?>,
        manual: Boolean = false,
        context: CoroutineContext = Dispatchers.Default,
        work: suspend (Job) -> Unit,
    ): Miner {
        val spec = Json.write(mapOf("name" to name) + options)
        val workers = Workers(name, context, manual, log.logger, work)
        val added = try {
            Bridge.native { native.addMiner(workers.number.toULong(), spec) }
        } catch (error: RouterException) {
            workers.cancel()
            throw error
        }
        return Miner(name, added, workers).also { miners[name] = it }
    }

    /**
     * Adds an OpenAI-compatible server (llama.cpp, vLLM, Ollama ...). The settings are those of the configuration's
     * `upstreams`. Its models are asked for in the background.
     */
    public fun addUpstream(url: String, vararg settings: Pair<String, Any?>): Unit =
        Bridge.native { native.addUpstream(Json.write(mapOf("url" to url) + settings)) }

    /** Removes a miner of any kind by its name. Its tasks go to other miners. */
    public fun removeMiner(name: String) {
        Bridge.native { native.removeMiner(name) }
        miners.remove(name)?.workers?.cancel()
    }

    /** Makes an API key for listeners. Its token cannot be read again later. */
    public suspend fun createKey(name: String, vararg options: Pair<String, Any?>): NewKey =
        NewKey(Json.readObject(Bridge.text { native.createKey(it, Json.write(mapOf("name" to name) + options)) }))

    /** The API keys, without their tokens. */
    public suspend fun keys(): Page<ApiKey> = Page.of(Bridge.text(start = native::keys), "keys", ::ApiKey)

    /** Revokes an API key: listeners refuse it from now on and end its open requests. */
    public suspend fun deleteKey(id: String) {
        Bridge.call { native.deleteKey(it, id) }
    }

    /** Opens a session: tasks of one session share its model, limits and weight. */
    public suspend fun createSession(name: String, vararg options: Pair<String, Any?>): Session =
        session(Bridge.text { native.createSession(it, Json.write(mapOf("name" to name) + options)) })

    /** An existing session. */
    public fun session(id: Long): Session = session(Bridge.native { native.session(unsigned("id", id)) })

    private fun session(text: String) = Session(this, SessionRecord(Json.readObject(text)))

    /** A page of sessions. The options are `state` (`open` or `closed`), `limit` and `offset`. */
    public fun sessions(vararg query: Pair<String, Any?>): Page<SessionRecord> =
        Page.of(Bridge.native { native.sessions(Json.write(query.toMap())) }, "sessions", ::SessionRecord)

    internal suspend fun updateSession(id: Long, changes: Map<String, Any?>): SessionRecord =
        SessionRecord(Json.readObject(Bridge.text { native.updateSession(it, unsigned("id", id), Json.write(changes)) }))

    internal suspend fun closeSession(id: Long): SessionRecord =
        SessionRecord(Json.readObject(Bridge.text { native.closeSession(it, unsigned("id", id)) }))

    /** Submits a task, and returns when it is durable. Session 0 always exists. */
    public suspend fun submit(prompt: String? = null, vararg options: Pair<String, Any?>, sessionId: Long = 0): Task {
        val request = request(prompt, options, stream = true)
        val task = Bridge.call { native.submit(it, unsigned("sessionId", sessionId), request) } as NativeMessage.Task
        return Task(task, owned = options.none { (name, value) -> name == "detach" && value == true })
    }

    /** Submits a task and waits for its answer. Cancelling the coroutine cancels the task. */
    public suspend fun complete(
        prompt: String? = null,
        vararg options: Pair<String, Any?>,
        sessionId: Long = 0,
    ): Completion {
        val request = request(prompt, options, stream = false)
        val text = Bridge.text(true) { native.complete(it, unsigned("sessionId", sessionId), request) }
        return Completion(Json.readObject(text))
    }

    /** Gives the vectors of texts, in their order. */
    public suspend fun embed(
        input: List<String>,
        vararg options: Pair<String, Any?>,
        sessionId: Long = 0,
    ): Embeddings = embedded(input, options, sessionId)

    /** Gives the vector of a text. */
    public suspend fun embed(input: String, vararg options: Pair<String, Any?>, sessionId: Long = 0): Embeddings =
        embedded(input, options, sessionId)

    private suspend fun embedded(input: Any, options: Array<out Pair<String, Any?>>, sessionId: Long): Embeddings {
        val request = request(null, arrayOf(*options, "input" to input), stream = false)
        val text = Bridge.text(true) { native.embed(it, unsigned("sessionId", sessionId), request) }
        return Embeddings(Json.readObject(text))
    }

    /** A task's record. */
    public suspend fun task(sessionId: Long, taskId: Long): TaskRecord =
        taskRecord(Bridge.text { native.task(it, unsigned("sessionId", sessionId), unsigned("taskId", taskId)) })

    /**
     * A page of a session's tasks, oldest first inside it: the newest page, or from `offset` on. The options are
     * `state`, `key`, `limit`, `offset` and `order`.
     */
    public suspend fun tasks(sessionId: Long = 0, vararg query: Pair<String, Any?>): TaskPage {
        val text = Bridge.text { native.tasks(it, unsigned("sessionId", sessionId), Json.write(query.toMap())) }
        return TaskPage(Record(Json.readObject(text)))
    }

    /** Cancels a task, waits until that is durable, and gives its record. */
    public suspend fun cancel(sessionId: Long, taskId: Long): TaskRecord =
        taskRecord(Bridge.text { native.cancel(it, unsigned("sessionId", sessionId), unsigned("taskId", taskId)) })

    /** Joins a task, running or ended. */
    public suspend fun attach(sessionId: Long, taskId: Long): Task {
        val (session, task) = unsigned("sessionId", sessionId) to unsigned("taskId", taskId)
        return Task(Bridge.call { native.attach(it, session, task) } as NativeMessage.Task, owned = false)
    }

    /** Starts the HTTP listener; the settings are those of the configuration's `listen`: `"port" to 0`. */
    public suspend fun listen(vararg settings: Pair<String, Any?>): Listener {
        val config = if (settings.isEmpty()) "" else Json.write(settings.toMap())
        return Listener((Bridge.call { native.listen(it, config) } as NativeMessage.Listener).listener)
    }

    /** The REST API without a socket, for servers of the program's own. The settings are those of [listen]. */
    public suspend fun http(vararg settings: Pair<String, Any?>): HttpHandler {
        val config = if (settings.isEmpty()) "" else Json.write(settings.toMap())
        return HttpHandler((Bridge.call { native.httpHandler(it, config) } as NativeMessage.Handler).handler)
    }

    /** Takes no new tasks and waits until the present ones have ended. false: not all did within `timeout`. */
    public suspend fun drain(timeout: Duration): Boolean {
        val drained = Bridge.call { native.drain(it, timeout.inWholeMilliseconds.toULong()) } as NativeMessage.Flag
        return drained.value
    }

    override fun toString(): String = runCatching { "Router ${status().status}" }.getOrDefault("Router closed")
}

private fun taskRecord(text: String) = TaskRecord(Json.readObject(text))

internal fun unsigned(name: String, value: Long): ULong =
    if (value < 0) throw InvalidArgumentException("$name must be 0 or more", param = name) else value.toULong()
