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
            try {
                val config = Json.write(mapOf("routers" to listOf(router), "name" to name) + settings)
                val native = Bridge.native {
                    NativeMinerClient.start(Bridge.mailbox, workers.number.toULong(), config, log.number)
                }
                return MinerClient(name, native, workers, log)
            } catch (error: RouterException) {
                workers.cancel()
                log.close()
                throw error
            }
        }
    }

    /** The miner's counts and the state of its connection. */
    public fun stats(): MinerClientStats = MinerClientStats(Json.readObject(Bridge.native { native.stats() }))

    /** Sets how many tasks the miner takes at a time from now on. */
    public fun setCapacity(tasks: Int) {
        Bridge.native { native.setCapacity(unsigned("tasks", tasks.toLong()).toUInt()) }
    }

    /** Takes no new tasks and finishes the present ones; true: the router has all answers. */
    public suspend fun drain(timeout: Duration): Boolean {
        val drained = Bridge.call { native.drain(it, timeout.inWholeMilliseconds.toULong()) } as NativeMessage.Flag
        return drained.value
    }

    /** Ends the miner's connection and cancels its work. */
    public suspend fun shutdown(timeout: Duration = 10.seconds): Unit = withContext(NonCancellable) {
        // A job that calls this is cancelled, which must not stop the rest.
        Bridge.call { native.shutdown(it, timeout.inWholeMilliseconds.toULong()) }
        Bridge.closed(leaving)
        workers.end(timeout)
        log.close()
    }

    /** Ends the miner as [shutdown] does, and blocks the thread until then. */
    override fun close(): Unit = runBlocking { shutdown() }
}
