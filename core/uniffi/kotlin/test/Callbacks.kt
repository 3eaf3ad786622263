import java.util.ResourceBundle
import java.util.concurrent.ConcurrentLinkedQueue
import java.util.concurrent.atomic.AtomicInteger
import kotlin.coroutines.CoroutineContext
import kotlin.time.Duration.Companion.milliseconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.cancel
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.job
import kotlinx.coroutines.joinAll
import kotlinx.coroutines.launch
import network.cortensor.router.Bridge
import network.cortensor.router.ClosedException
import network.cortensor.router.InvalidArgumentException
import network.cortensor.router.Job
import network.cortensor.router.JobException
import network.cortensor.router.Miner
import network.cortensor.router.MinerFailedException
import network.cortensor.router.Router
import network.cortensor.router.RouterException
import network.cortensor.router.RouterTimeoutException

private val once = "dispatch" to mapOf("max_attempts" to 1)

/** A logger that keeps what it gets. */
private fun collecting(said: MutableCollection<String>) = object : System.Logger {
    override fun getName() = "collecting"

    override fun isLoggable(level: System.Logger.Level) = true

    override fun log(level: System.Logger.Level, bundle: ResourceBundle?, message: String?, thrown: Throwable?) {
        said.add("$message")
    }

    override fun log(level: System.Logger.Level, bundle: ResourceBundle?, format: String?, vararg values: Any?) {
        said.add("$format")
    }
}

/** The callback law: whatever a miner does, each task ends once, and nothing of a miner runs after it was removed. */
fun callbacks(): List<Test> = listOf(
    Test("a miner that throws fails its task") {
        Router.open(once).use { router ->
            fun add(name: String, work: suspend (Job) -> Unit) =
                router.miner(name, "models" to listOf(name), work = work)
            add("throws") { error("out of cheese") }
            add("coded") { throw JobException("invalid", "not this prompt") }
            add("silent") { }
            add("unknown") { throw JobException("no-such-code", "words") }
            add("fatal") { throw StackOverflowError("deep") }
            val said = throws<MinerFailedException> { router.complete("x", "model" to "throws") }.message!!
            check("out of cheese" in said) { said }
            throws<InvalidArgumentException> { router.complete("x", "model" to "coded") }
            for ((model, words) in listOf("silent" to "returned nothing", "unknown" to "words", "fatal" to "deep")) {
                val message = throws<MinerFailedException> { router.complete("x", "model" to model) }.message!!
                check(words in message) { "$model: $message" }
            }
        }
    },
    Test("a miner that never answers loses its task, and a late answer changes nothing") {
        Router.open("dispatch" to mapOf("progress_timeout_ms" to 200, "max_attempts" to 1)).use { router ->
            val jobs = Channel<Job>(Channel.UNLIMITED)
            router.miner("never", manual = true) { jobs.trySend(it) }
            throws<RouterException> { router.complete("x", "timeout" to 2) }
            val job = jobs.receive()
            check(job.isCancelled && job.awaitCancelled()) { "not cancelled" }
            check(!job.tryEmit("late")) { "taken" }
            job.finish("late")
            throws<ClosedException> { job.finish("twice") }
        }
    },
    Test("a job is answered later, from any thread, and once") {
        Router.open().use { router ->
            val jobs = Channel<Job>(Channel.UNLIMITED)
            router.miner("later", "capacity" to 8, manual = true) { jobs.send(it) }
            val tasks = List(8) { router.submit("$it") }
            List(8) {
                val job = jobs.receive()
                launch(Dispatchers.IO) {
                    job.emit("got")
                    job.finish(null, "usage" to mapOf("completion_tokens" to 1))
                    throws<ClosedException> { job.fail("internal", "twice") }
                }
            }.joinAll()
            tasks.forEach { same("got", it.text()) }
        }
    },
    Test("a job that is let go counts as dropped") {
        Router.open(once).use { router ->
            router.miner("drops", manual = true) { it.release() }
            check("dropped" in throws<MinerFailedException> { router.complete("x") }.message!!) { "not dropped" }
        }
    },
    Test("a router is closed from inside of a miner, which does not wait for itself") {
        val ways = listOf<suspend (Router) -> Unit>({ it.close() }, { it.shutdown() })
        ways.forEachIndexed { way, close ->
            val said = ConcurrentLinkedQueue<String>()
            val closed = CompletableDeferred<Boolean>()
            val router = Router.open(logger = collecting(said))
            router.miner("closes") { job ->
                close(router)
                closed.complete(true)
                job.finish("late")
            }
            throws<RouterException> { router.complete("x") }
            check(closed.await()) { "way $way: not closed" }
            check(said.none { "did not stop" in it }) { "way $way: $said" }
        }
    },
    Test("whoever waits for a cancellation hears of the answer") {
        Router.open().use { router ->
            val jobs = Channel<Job>(Channel.UNLIMITED)
            router.miner("held", manual = true) { jobs.send(it) }
            val task = router.submit("x")
            val job = jobs.receive()
            val waiting = async(start = CoroutineStart.UNDISPATCHED) { job.awaitCancelled() }
            job.finish("x")
            check(!waiting.await()) { "cancelled" }
            check(!job.awaitCancelled()) { "cancelled later" }
            same("x", task.text())
        }
    },
    Test("nothing of a job stays when it has ended") {
        Router.open().use { router ->
            router.miner("echo", "capacity" to 4) { it.finish(it.prompt) }
            val before = Bridge.handlers.size
            repeat(100) { router.complete("x") }
            until("the end of the handlers") { Bridge.handlers.size <= before }
        }
    },
    Test("a coroutine that was cancelled before submits nothing") {
        Router.open().use { router ->
            router.miner("echo") { it.finish(it.prompt) }
            launch(start = CoroutineStart.UNDISPATCHED) {
                coroutineContext.cancel()
                router.complete("x")
            }.join()
            router.complete("y")
            same(1L, router.tasks().count)
        }
    },
    Test("a job whose coroutine was cancelled before it began is let go") {
        val held = Channel<Pair<CoroutineContext, Runnable>>(Channel.UNLIMITED)
        val later = object : CoroutineDispatcher() {
            override fun dispatch(context: CoroutineContext, block: Runnable) {
                held.trySend(context to block)
            }
        }
        Router.open().use { router ->
            val begun = AtomicInteger()
            router.miner("late", context = later) { job ->
                begun.incrementAndGet()
                job.finish("here")
            }
            val task = router.submit("x")
            val (coroutine, start) = held.receive()
            task.cancel()
            until("the cancellation") { coroutine.job.isCancelled }
            start.run()
            same(0, begun.get())
            val next = router.submit("y")
            val rest = launch { for ((_, block) in held) block.run() }
            same("here", next.text())
            rest.cancel()
        }
    },
    Test("a handler that throws ends neither the others nor its job") {
        Router.open(once).use { router ->
            router.miner("echo", "models" to listOf("echo")) { it.finish(it.prompt) }
            val known = Bridge.handlers.keys.toSet()
            router.miner("broken", "models" to listOf("broken")) { it.finish("never") }
            val added = Bridge.handlers.keys - known
            added.forEach { number -> Bridge.handlers[number] = { throw OutOfMemoryError("no more threads") } }
            val said = throws<MinerFailedException> { router.complete("x", "model" to "broken") }.message!!
            check("dropped" in said) { said }
            same("again", router.complete("again", "model" to "echo").text)
        }
    },
    Test("a miner is removed from inside of itself") {
        Router.open().use { router ->
            var miner: Miner? = null
            miner = router.miner("leaves", "models" to listOf("a")) { job ->
                miner!!.remove()
                job.finish("bye")
            }
            router.miner("stays", "models" to listOf("a")) { it.finish("here") }
            check(router.complete("x", "model" to "a").text in listOf("bye", "here")) { "no answer" }
            until("the end of the miner") { router.miners().none { "leaves" in it.text("id") } }
        }
    },
    Test("nothing of a miner runs after it was removed") {
        Router.open().use { router ->
            val running = AtomicInteger()
            val miner = router.miner("works", "capacity" to 4) { job ->
                running.incrementAndGet()
                try {
                    job.awaitCancelled()
                } finally {
                    running.decrementAndGet()
                }
            }
            val tasks = List(4) { router.submit("x") }
            until("four jobs") { running.get() == 4 }
            miner.remove()
            same(0, running.get())
            tasks.forEach { it.cancel() }
        }
    },
    Test("a function that does not stop is told") {
        Router.open().use { router ->
            val goOn = CompletableDeferred<Unit>()
            val begun = CompletableDeferred<Unit>()
            val miner = router.miner("stubborn", context = Dispatchers.IO) {
                begun.complete(Unit)
                // Blocks its thread, and hears nothing.
                while (!goOn.isCompleted) Thread.sleep(1)
            }
            val task = router.submit("x")
            begun.await()
            same("miner_busy", throws<RouterTimeoutException> { miner.remove(50.milliseconds) }.code)
            goOn.complete(Unit)
            task.cancel()
        }
    },
    Test("a cancelled task reaches the miner") {
        Router.open().use { router ->
            val told = Channel<String>(Channel.UNLIMITED)
            router.miner("streams", "models" to listOf("a")) { job ->
                try {
                    while (true) job.emit("x")
                } finally {
                    told.trySend("streams")
                }
            }
            // A coroutine that is cancelled before its begin runs nothing.
            val begun = CompletableDeferred<Unit>()
            router.miner("waits", "models" to listOf("b")) {
                try {
                    begun.complete(Unit)
                    delay(Long.MAX_VALUE)
                } finally {
                    told.trySend("waits")
                }
            }
            router.submit("x", "model" to "a").tokens().take(3).toList()
            same("streams", told.receive())
            val task = router.submit("x", "model" to "b")
            begun.await()
            task.cancel()
            same("waits", told.receive())
        }
    },
)
