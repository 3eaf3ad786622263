package network.cortensor.router

import java.util.concurrent.ConcurrentHashMap
import java.util.concurrent.atomic.AtomicLong
import java.util.concurrent.locks.ReentrantLock
import kotlin.concurrent.thread
import kotlin.concurrent.withLock
import kotlin.coroutines.resumeWithException
import kotlinx.coroutines.CancellableContinuation
import kotlinx.coroutines.ExperimentalCoroutinesApi
import kotlinx.coroutines.suspendCancellableCoroutine
import network.cortensor.router.internal.InternalException as NativePanic
import network.cortensor.router.internal.NativeException
import network.cortensor.router.internal.NativeMailbox
import network.cortensor.router.internal.NativeMessage

/**
 * The way from the router's threads to coroutines.
 *
 * No thread of the router ever enters the virtual machine. Answers, jobs and log records lie in a mailbox, each with
 * the number under which a coroutine waits for it. One daemon thread takes them. A call that was answered at once
 * empties the mailbox itself, without that thread.
 */
@OptIn(ExperimentalCoroutinesApi::class)
internal object Bridge {
    val mailbox = NativeMailbox()
    private val numbers = AtomicLong()
    private val waits = ConcurrentHashMap<Long, CancellableContinuation<NativeMessage>>()
    val handlers = ConcurrentHashMap<Long, (NativeMessage) -> Unit>()
    private val log = System.getLogger("cortensor_router")
    private val open = ConcurrentHashMap.newKeySet<Leaving>()

    /** Held while messages are taken and delivered, so that jobs and log records stay in order. */
    private val taking = ReentrantLock()

    /** Something that must be closed before the program ends. */
    fun interface Leaving {
        fun leave()
    }

    init {
        thread(isDaemon = true, name = "cortensor-router") { run() }
        Runtime.getRuntime().addShutdownHook(
            thread(start = false, name = "cortensor-router-end") {
                open.forEach { runCatching { it.leave() } }
            },
        )
    }

    private fun run() {
        while (true) {
            taking.withLock { mailbox.take().forEach(::deliver) }
            // Waiting takes no message, so that another thread's turn stays in order.
            mailbox.ready(WAIT_MS)
        }
    }

    /**
     * Makes a call that is answered by a message, and waits for the message. `start` gets the call's number; where it
     * gives true, the mailbox may have got messages for this thread.
     */
    suspend fun call(cancels: Boolean = false, start: (ULong) -> Any?): NativeMessage {
        val message = suspendCancellableCoroutine { waiting ->
            val number = numbers.incrementAndGet()
            waits[number] = waiting
            waiting.invokeOnCancellation {
                if (waits.remove(number) != null && cancels) here { mailbox.cancel(number.toULong()) }
            }
            // A coroutine that was cancelled before must not begin anything.
            if (!waiting.isActive) return@suspendCancellableCoroutine
            try {
                here { start(number.toULong()) == true }
                // If it was cancelled just now, there was nothing to cancel yet.
                if (cancels && waiting.isCancelled) here { mailbox.cancel(number.toULong()) }
            } catch (error: RouterException) {
                if (waits.remove(number) != null) waiting.resumeWithException(error)
            }
        }
        if (message is NativeMessage.Failed) throw RouterException.of(message.error)
        return message
    }

    /** A call that is answered by a text. */
    suspend fun text(cancels: Boolean = false, start: (ULong) -> Boolean): String =
        (call(cancels, start) as NativeMessage.Text).text

    /** Gives what the block gives. While that is an empty list, waits for the message that its number is for. */
    suspend fun <T> ready(take: (ULong) -> List<T>?): List<T>? {
        while (true) {
            var given: List<T>? = emptyList()
            call { number ->
                given = native { take(number) }
                if (given?.isEmpty() != true) done(number)
            }
            if (given?.isEmpty() != true) return given
        }
    }

    /** Makes a native call that may have put messages into the mailbox for this thread. */
    fun here(call: () -> Boolean) {
        if (native(call)) taking.withLock { mailbox.take().forEach(::deliver) }
    }

    /** A number for messages that come again and again. */
    fun handle(handler: (NativeMessage) -> Unit): Long = numbers.incrementAndGet().also { handlers[it] = handler }

    fun forget(number: Long) {
        handlers.remove(number)
    }

    fun opened(thing: Leaving) {
        open.add(thing)
    }

    fun closed(thing: Leaving) {
        open.remove(thing)
    }

    /** Makes a native call whose errors are the package's exceptions. */
    inline fun <T> native(call: () -> T): T =
        try {
            call()
        } catch (error: NativeException.Refused) {
            throw RouterException.of(error.details)
        } catch (error: NativePanic) {
            throw PanicException("the router panicked: ${error.message}")
        }

    private fun done(number: ULong) {
        waits.remove(number.toLong())?.resume(NativeMessage.Done(number)) {}
    }

    private fun deliver(message: NativeMessage) {
        val number = message.token.toLong()
        val waiting = waits.remove(number)
        val handler = handlers[number]
        try {
            when {
                // A coroutine that was cancelled meanwhile does not get it.
                waiting != null -> waiting.resume(message) { release(message) }
                handler != null -> handler(message)
                else -> release(message)
            }
        } catch (error: Throwable) {
            // One message must not end the delivery of the others, and neither must a log that fails.
            release(message)
            runCatching { log.log(System.Logger.Level.WARNING, "a message was not delivered", error) }
        }
    }

    /** Releases what came for a coroutine that waits no more. */
    private fun release(message: NativeMessage) {
        runCatching {
            when (message) {
                is NativeMessage.Task -> message.task.release()
                is NativeMessage.Job -> message.job.release()
                is NativeMessage.Response -> message.response.release()
                else -> {}
            }
        }
    }

    private val NativeMessage.token: ULong
        get() = when (this) {
            is NativeMessage.Done -> token
            is NativeMessage.Failed -> token
            is NativeMessage.Flag -> token
            is NativeMessage.Text -> token
            is NativeMessage.Router -> token
            is NativeMessage.Task -> token
            is NativeMessage.Listener -> token
            is NativeMessage.Handler -> token
            is NativeMessage.Response -> token
            is NativeMessage.Piece -> token
            is NativeMessage.Job -> token
            is NativeMessage.Log -> token
        }

    private const val WAIT_MS = 600_000uL
}
