package network.cortensor.router

import kotlin.coroutines.CoroutineContext
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.NonCancellable
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withContext
import network.cortensor.router.internal.NativeMessage
import network.cortensor.router.internal.NativeMinerClient

/**
 * A miner of this program that works for a distant router. It reconnects if the connection breaks, and loses no
 * finished answer.
 */
public class MinerClient private constructor(
    /** The miner's name. */
    public val name: String,
    private val native: NativeMinerClient,
    private val workers: Workers,
    private val number: Long,
    private val log: Log,
) : AutoCloseable {
    private val leaving = Bridge.Leaving { runBlocking { shutdown(5.seconds) } }

    init {
        Bridge.opened(leaving)
    }

    public companion object {
        /**
         * Starts the miner; `work` is as in [Router.miner]. The settings are those of a miner that dials in: `models`,
         * `capacity`, `token` ...
         */
        public fun start(
            router: String,
            name: String,
            vararg settings: Pair<String, Any?>,
            manual: Boolean = false,
            context: CoroutineContext = Dispatchers.Default,
            logger: System.Logger = System.getLogger("cortensor_router"),
            work: suspend (Job) -> Unit,
        ): MinerClient {
            val log = Log(logger)
            val workers = Workers(name, context, manual, logger, work)
            val number = Bridge.handle { workers.offer(it as NativeMessage.Job) }
            try {
                val config = Json.write(mapOf("routers" to listOf(router), "name" to name) + settings)
                val native = Bridge.native {
                    NativeMinerClient.start(Bridge.mailbox, number.toULong(), config, log.number)
                }
                return MinerClient(name, native, workers, number, log)
            } catch (error: RouterException) {
                Bridge.forget(number)
                log.close()
                throw error
            }
        }
    }

    /** The miner's counts and the state of its connection. */
    public fun stats(): Record = Record(Json.readObject(Bridge.native { native.stats() }))

    /** Sets how many tasks the miner takes at a time from now on. */
    public fun setCapacity(tasks: Int) {
        if (tasks < 0) throw InvalidArgumentException("tasks must be 0 or more", param = "tasks")
        Bridge.native { native.setCapacity(tasks.toUInt()) }
    }

    /** Takes no new tasks and finishes the present ones; true: the router has all answers. */
    public suspend fun drain(timeout: Duration): Boolean {
        val call: (ULong) -> Boolean = {
            native.drain(it, timeout.inWholeMilliseconds.toULong())
            false
        }
        return (Bridge.call(start = call) as NativeMessage.Flag).value
    }

    /** Ends the miner's connection and cancels its work. */
    public suspend fun shutdown(timeout: Duration = 10.seconds): Unit = withContext(NonCancellable) {
        // A job that calls this is cancelled, which must not stop the rest.
        Bridge.call {
            native.shutdown(it, timeout.inWholeMilliseconds.toULong())
            false
        }
        Bridge.closed(leaving)
        Bridge.forget(number)
        workers.end(timeout)
        log.close()
    }

    /** Ends the miner as [shutdown] does, and blocks the thread until then. */
    override fun close(): Unit = runBlocking { shutdown() }
}
