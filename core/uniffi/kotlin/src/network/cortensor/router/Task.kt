package network.cortensor.router

import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.flow
import network.cortensor.router.internal.NativeEvent
import network.cortensor.router.internal.NativeMessage

/** A submitted task. */
public class Task internal constructor(message: NativeMessage.Task, owned: Boolean) {
    private val native = message.task

    /** The session. */
    public val sessionId: Long = message.sessionId.toLong()

    /** The task's id in its session. */
    public val id: Long = message.taskId.toLong()

    /** The task's id among all sessions. */
    public val gid: Long = message.gid.toLong()

    /** Whether an idempotency key led to a task that existed already. */
    public val joined: Boolean = message.joined

    @Volatile private var owned = owned && !joined

    /**
     * The tokens as they come. Leaving the flow early, by `take` or by a cancelled coroutine, cancels the task: read
     * [tokens] with a number where it should not. It does not where the task was submitted with `"detach" to true`, or
     * by somebody else.
     */
    public fun tokens(): Flow<String> = flow {
        var over = false
        try {
            read(0, { over = true }) { emit(it) }
            over = true
        } finally {
            if (!over && owned) cancel()
        }
    }

    /** The tokens after that number, 0 for all. Leaving this flow early cancels nothing. */
    public fun tokens(after: Long): Flow<String> = flow { read(after, {}) { emit(it) } }

    /**
     * The tokens after that number with their numbers, restarts, and the end. An end without an answer throws what
     * there is in its place.
     */
    public fun events(after: Long = 0): Flow<Event> = flow {
        batches(after) { event ->
            when (event) {
                is NativeEvent.Tokens ->
                    event.texts.forEachIndexed { index, text -> emit(Token(event.seq.toLong() + index, text)) }
                is NativeEvent.Restart -> emit(Restart(event.seq.toLong()))
                is NativeEvent.Completed -> emit(End(Completion(Json.readObject(event.completion))))
                is NativeEvent.Failed -> throw RouterException.of(event.error)
            }
        }
    }

    /** The task's present record. */
    public suspend fun record(): TaskRecord = TaskRecord(Json.readObject(Bridge.text(true, native::record)))

    /** Waits for the end and gives the answer, any number of times. */
    public suspend fun result(): Completion = Completion(Json.readObject(Bridge.text(true, native::result)))

    /** Waits for the end and gives the answer's text. */
    public suspend fun text(): String = Bridge.text(true, native::textOfAnswer)

    /** Cancels the task, even if other callers wait for it. */
    public fun cancel(): Unit = Bridge.native { native.cancel() }

    /** Detaches the task: from now on, no caller that leaves cancels it. */
    public fun detach() {
        Bridge.native { native.detach() }
        owned = false
    }

    /**
     * Lets go of the task, which cancels it unless somebody else holds it or it is detached. A task that ends by itself
     * need not be released.
     */
    public fun release(): Unit = native.release()

    override fun toString(): String = "Task $id of session $sessionId"

    /** Calls `void` before it throws because the task begins again, which goes on then. */
    private suspend inline fun read(after: Long, void: () -> Unit, crossinline give: suspend (String) -> Unit) {
        var spoke = after > 0
        batches(after) { event ->
            when (event) {
                is NativeEvent.Tokens -> {
                    spoke = true
                    event.texts.forEach { give(it) }
                }
                is NativeEvent.Restart -> if (spoke) {
                    void()
                    throw MinerFailedException(
                        "another miner starts over, and what was read is void: read task.events() to go on",
                        code = "stream_restarted",
                    )
                }
                is NativeEvent.Completed -> {}
                is NativeEvent.Failed -> throw RouterException.of(event.error)
            }
        }
    }

    private suspend inline fun batches(after: Long, take: (NativeEvent) -> Unit) {
        val stream = Bridge.native { native.stream(unsigned("after", after)) }
        try {
            while (true) {
                val batch = Bridge.ready { number -> stream.take(number) } ?: return
                batch.forEach { take(it) }
            }
        } finally {
            stream.release()
            stream.close()
        }
    }
}
