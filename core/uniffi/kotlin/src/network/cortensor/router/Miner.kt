package network.cortensor.router

import kotlin.coroutines.CoroutineContext
import kotlin.coroutines.cancellation.CancellationException
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Job as Work
import kotlinx.coroutines.SupervisorJob
import kotlinx.coroutines.asContextElement
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeoutOrNull
import network.cortensor.router.internal.NativeMessage
import network.cortensor.router.internal.NativeMiner

/** The coroutines in which the function of one miner runs, one for each job. */
internal class Workers(
    private val name: String,
    context: CoroutineContext,
    private val manual: Boolean,
    private val log: System.Logger,
    private val work: suspend (Job) -> Unit,
) {
    private val scope = CoroutineScope(context + SupervisorJob())
    /** The coroutines that run, each under the job that it has. */
    private val running = HashMap<Job, Work>()
    private var over = false

    /** The number under which the jobs come, until the workers are cancelled. */
    val number: Long = Bridge.handle { offer(it as NativeMessage.Job) }

    private fun offer(message: NativeMessage.Job) {
        val job = Job(message.job)
        val coroutine = scope.launch(here.asContextElement(job), CoroutineStart.LAZY) { run(job) }
        val begins = synchronized(running) {
            if (!over) running[job] = coroutine
            !over
        }
        // The end of the wanted work ends the coroutine that does it.
        val unwanted = if (manual || !begins) null else Bridge.handle { stopUnwanted(job, coroutine) }
        coroutine.invokeOnCompletion {
            synchronized(running) { running.remove(job) }
            if (unwanted != null) Bridge.forget(unwanted)
            // A coroutine that was cancelled before its begin has not released the job.
            if (!manual || it != null) job.release()
        }
        if (begins) coroutine.start() else coroutine.cancel()
        if (unwanted != null) runCatching { message.job.onCancelled(unwanted.toULong()) }
    }

    private fun stopUnwanted(job: Job, coroutine: Work) {
        val unwanted = job.isCancelled && !job.isAnswered
        if (unwanted) coroutine.cancel(CancellationException("the answer is no longer wanted"))
    }

    private suspend fun run(job: Job) {
        try {
            work(job)
            if (!manual && !job.isAnswered) job.finish()
        } catch (error: CancellationException) {
            answer(job) { job.fail("cancelled", "the miner stopped") }
            throw error
        } catch (error: JobException) {
            answer(job) {
                try {
                    job.fail(error.code, error.message ?: "")
                } catch (_: InvalidArgumentException) {
                    // There is no such code.
                    job.fail("internal", error.message ?: "")
                }
            }
        } catch (error: RouterException) {
            // The router has failed a job without an answer with this message already.
            log.log(System.Logger.Level.WARNING, "the miner $name: ${error.message}")
            answer(job) { job.fail("internal", error.message ?: "") }
        } catch (error: Throwable) {
            log.log(System.Logger.Level.WARNING, "the miner $name threw", error)
            answer(job) { job.fail("internal", error.toString()) }
        }
    }

    private inline fun answer(job: Job, how: () -> Unit) {
        try {
            if (!job.isAnswered) how()
        } catch (_: RouterException) {
            // It was answered meanwhile.
        }
    }

    /** Cancels the coroutines that run, and waits for their ends. false: one had not ended within `timeout`. */
    suspend fun end(timeout: Duration): Boolean {
        val others = cancel()
        return withTimeoutOrNull(timeout) { others.joinAll() } != null
    }

    /** Takes no more jobs and cancels the coroutines that run, but not the one that asks for it. Gives them. */
    fun cancel(): List<Work> {
        Bridge.forget(number)
        val others = synchronized(running) {
            over = true
            running.filterKeys { it !== here.get() }.values.toList()
        }
        others.forEach { it.cancel() }
        return others
    }

    private companion object {
        /** The job whose coroutine the present thread runs, also within a `runBlocking` of that coroutine. */
        val here = ThreadLocal<Job?>()
    }
}

/** A miner that was added. */
public class Miner internal constructor(
    /** The miner's name. */
    public val name: String,
    private val native: NativeMiner,
    internal val workers: Workers,
) {
    /** Stops new tasks for the miner, which finishes those that it has. */
    public fun drain(): Unit = Bridge.native { native.drain() }

    /** Sets how many tasks the miner takes at a time from now on. */
    public fun setCapacity(tasks: Int) {
        Bridge.native { native.setCapacity(unsigned("tasks", tasks.toLong()).toUInt()) }
    }

    /**
     * Ends the miner. Its tasks go to other miners. Waits until its functions have ended.
     *
     * @throws RouterTimeoutException when they had not within `timeout`.
     */
    public suspend fun remove(timeout: Duration = 10.seconds) {
        Bridge.native { native.remove() }
        if (!workers.end(timeout)) {
            throw RouterTimeoutException("the miner $name works on although it was told to stop", code = "miner_busy")
        }
    }

    override fun toString(): String = "Miner $name"
}
