package network.cortensor.router

/** A session, to which tasks are submitted. */
public class Session internal constructor(private val router: Router, record: SessionRecord) {
    /** The record as this object last read or changed it. */
    @Volatile
    public var record: SessionRecord = record
        private set

    /** The session's id. */
    public val id: Long get() = record.id

    /** The session's name. */
    public val name: String get() = record.name

    /** Reads the record anew. */
    public fun refresh(): SessionRecord = router.session(id).record.also { record = it }

    /** Submits a task, and returns when it is durable. */
    public suspend fun submit(prompt: String? = null, vararg options: Pair<String, Any?>): Task =
        router.submit(prompt, *options, sessionId = id)

    /** Submits a task and waits for its answer. Cancelling the coroutine cancels the task. */
    public suspend fun complete(prompt: String? = null, vararg options: Pair<String, Any?>): Completion =
        router.complete(prompt, *options, sessionId = id)

    /** Gives the vectors of texts, in their order. */
    public suspend fun embed(input: List<String>, vararg options: Pair<String, Any?>): Embeddings =
        router.embed(input, *options, sessionId = id)

    /** Changes the given fields. */
    public suspend fun update(vararg changes: Pair<String, Any?>): SessionRecord =
        router.updateSession(id, changes.toMap()).also { record = it }

    /** Closes the session: it takes no new tasks, and running ones end. */
    public suspend fun close(): SessionRecord = router.closeSession(id).also { record = it }

    /** The record of one of the session's tasks. */
    public suspend fun task(taskId: Long): TaskRecord = router.task(id, taskId)

    /** A page of the session's tasks, oldest first inside it: the newest page, or from `offset` on. */
    public suspend fun tasks(vararg query: Pair<String, Any?>): TaskPage = router.tasks(id, *query)

    /** Joins one of the session's tasks, running or ended. */
    public suspend fun attach(taskId: Long): Task = router.attach(id, taskId)

    /** Cancels one of the session's tasks. */
    public suspend fun cancel(taskId: Long): TaskRecord = router.cancel(id, taskId)

    override fun toString(): String = "Session $id $name"
}
