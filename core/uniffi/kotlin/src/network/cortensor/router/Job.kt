package network.cortensor.router

import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.flow.Flow
import network.cortensor.router.internal.NativeEmit
import network.cortensor.router.internal.NativeJob

/** A job in the hands of a miner. Any thread may answer it, once, at any later time. */
public class Job internal constructor(internal val native: NativeJob) {
    /** The whole text that the model is to read. */
    public val prompt: String by lazy { Bridge.native { native.prompt() } }

    /** The job's record: its task, its deadline, and the text that another miner gave before it was lost. */
    public val info: JobInfo by lazy { JobInfo(Json.readObject(Bridge.native { native.info() })) }

    /** The caller's request: `messages`, `max_tokens`, `temperature` ... */
    public val request: Record get() = info.request

    /** The model that the caller named. */
    public val model: String? get() = info.model

    /** Whether the work is no longer wanted, or was answered. */
    public val isCancelled: Boolean get() = native.isCancelled()

    /** Whether the job was answered. */
    public val isAnswered: Boolean get() = native.isAnswered()

    /**
     * Gives the next piece of the answer, and waits while the reader is slow. Throws [CancellationException] if nobody
     * wants the answer any more.
     */
    public suspend fun emit(piece: String): Unit = heed(Bridge.native { native.emit(piece) })

    /** Gives a piece as UTF-8, which may end in the middle of a character. Otherwise as [emit]. */
    public suspend fun emit(piece: ByteArray): Unit = heed(Bridge.native { native.emitBytes(piece) })

    /** Gives a piece with other parts: `"reasoning" to "..."`, `"tool_calls" to listOf(...)`. Otherwise as [emit]. */
    public suspend fun emit(vararg parts: Pair<String, Any?>): Unit =
        heed(Bridge.native { native.emitParts(Json.write(parts.toMap())) })

    /** Gives several pieces that the miner has at once. Otherwise as [emit]. */
    public suspend fun emitEach(pieces: List<String>): Unit = heed(Bridge.native { native.emitEach(pieces) })

    /** Gives the pieces of a flow as they come. */
    public suspend fun emitAll(pieces: Flow<String>): Unit = pieces.collect { emit(it) }

    /** Gives the next piece and does not wait for a slow reader. false: the answer is no longer wanted, stop. */
    public fun tryEmit(piece: String): Boolean =
        when (Bridge.native { native.emit(piece) }) {
            NativeEmit.CANCELLED, NativeEmit.ANSWERED -> false
            else -> true
        }

    /**
     * Ends the work. If pieces were emitted, they are the text; usage that is not given is estimated. The other parts
     * are `reasoning`, `tool_calls`, `finish_reason`, `usage`, `model` and `embedding`.
     */
    public fun finish(text: String? = null, vararg parts: Pair<String, Any?>) {
        val answer = parts.toMap() + if (text == null) emptyMap() else mapOf("text" to text)
        Bridge.here { native.finish(if (answer.isEmpty()) "" else Json.write(answer)) }
    }

    /** Ends the work with a failure; the codes are those of [JobException]. */
    public fun fail(code: String, message: String): Unit = Bridge.here { native.fail(code, message) }

    /** Gives the job back: another miner is tried, and this one is not blamed. */
    public fun reject(reason: String): Unit = Bridge.here { native.reject(reason) }

    /** Lets go of the job. If it was not answered, it counts as failed. */
    public fun release(): Unit = native.release()

    /** Waits until the work is no longer wanted (true) or the job was answered (false). */
    public suspend fun awaitCancelled(): Boolean {
        Bridge.call { native.onCancelled(it) }
        return isCancelled && !isAnswered
    }

    override fun toString(): String = "Job ${info.gid}"

    private suspend fun heed(said: NativeEmit) {
        when (said) {
            NativeEmit.TAKEN -> return
            NativeEmit.FULL -> {
                Bridge.call { native.onWritable(it) }
                if (isCancelled) throw CancellationException("the answer is no longer wanted")
            }
            NativeEmit.CANCELLED, NativeEmit.ANSWERED -> throw CancellationException("the answer is no longer wanted")
        }
    }
}
