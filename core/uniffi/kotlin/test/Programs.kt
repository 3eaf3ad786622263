import java.io.File
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.runBlocking
import network.cortensor.router.Job
import network.cortensor.router.Router
import network.cortensor.router.RouterException
import network.cortensor.router.Task

private val WAYS = listOf("return", "exit", "halt", "blocked", "spinning")

/** How often a program ends in mid-stream, in CI too, where the variable does not say otherwise. */
private val ROUNDS = System.getenv("CORTENSOR_KOTLIN_EXIT_RUNS")?.toInt() ?: 10

/** The ends of programs, and garbage. */
fun processes(): List<Test> = listOf(
    Test("a program may end in the middle of everything", 30 + 10 * ROUNDS) {
        (0 until ROUNDS).chunked(2).forEach { some ->
            val runs = some.map { async(Dispatchers.IO) { run("end", WAYS[it % WAYS.size]) } }
            runs.awaitAll().forEach { (status, text) ->
                check(status == 0 && text.isEmpty()) { "status $status: $text" }
            }
        }
    },
    Test("the example that serves ends with a signal") {
        val process = ProcessBuilder(java("serve.ServeKt")).redirectErrorStream(true).start()
        val killer = limit(process)
        val output = process.inputStream.bufferedReader()
        val url = output.readLine().substringAfterLast(' ')
        val request = HttpRequest.newBuilder(URI(url)).header("authorization", "Bearer default-dev-token").build()
        same(200, HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode())
        // SIGTERM: the virtual machine runs what it runs at its end.
        process.toHandle().destroy()
        val rest = output.readText()
        check(process.waitFor() == 143) { "status ${process.waitFor()}: $rest" }
        killer.interrupt()
    },
    Test("objects are let go in every order") {
        val (status, text) = run("garbage")
        check(status == 0 && text == "done\n") { "status $status: $text" }
    },
)

/** The command of a virtual machine like this one. */
private fun java(vararg arguments: String): List<String> {
    val java = File(System.getProperty("java.home"), "bin/java").path
    val options = listOf("-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp", System.getProperty("java.class.path"))
    val native = listOfNotNull(System.getProperty("jna.library.path")).map { "-Djna.library.path=$it" }
    return listOf(java) + native + options + arguments
}

/** Kills a program that hangs. */
private fun limit(process: Process) = thread(isDaemon = true) {
    try {
        if (!process.waitFor(90, TimeUnit.SECONDS)) process.destroyForcibly()
    } catch (_: InterruptedException) {
        // The program has ended.
    }
}

/** Runs one of the programs below in a virtual machine of its own. A program that hangs is killed. */
private fun run(vararg arguments: String): Pair<Int, String> {
    val process = ProcessBuilder(java("MainKt", "program", *arguments)).redirectErrorStream(true).start()
    val killer = limit(process)
    val text = process.inputStream.readBytes().toString(Charsets.UTF_8)
    return process.waitFor().also { killer.interrupt() } to text
}

/** A program of the tests. */
fun program(arguments: List<String>) {
    when (arguments[0]) {
        "end" -> endIn(arguments[1])
        "garbage" -> garbage()
        else -> error("no such program: $arguments")
    }
}

/** Ends in the middle of everything, without closing anything. */
private fun endIn(how: String) {
    val router = runBlocking { Router.open("runtime" to mapOf("log_level" to "off")) }
    val works = CountDownLatch(1)
    when (how) {
        "blocked" -> router.miner("sleeps", context = Dispatchers.IO) {
            works.countDown()
            Thread.sleep(1_000_000)
        }
        "spinning" -> router.miner("spins") {
            works.countDown()
            while (true) Thread.onSpinWait()
        }
        else -> router.miner("endless", "capacity" to 4) { job -> while (true) job.emit("x") }
    }
    if (how == "blocked" || how == "spinning") {
        val task = runBlocking { router.submit("x") }
        thread(isDaemon = true) { quietly { task.result() } }
        works.await()
    } else {
        val read = CountDownLatch(20)
        val tasks: List<Task> = runBlocking { List(4) { router.submit("go") } }
        tasks.forEach { task -> thread(isDaemon = true) { quietly { task.tokens().collect { read.countDown() } } } }
        read.await()
    }
    when (how) {
        "exit", "blocked" -> exitProcess(0)
        "halt" -> Runtime.getRuntime().halt(0)
    }
}

private fun quietly(block: suspend () -> Unit) {
    try {
        runBlocking { block() }
    } catch (_: RouterException) {
        // The router ended first.
    } catch (_: InterruptedException) {
        // The program ended first.
    }
}

/** Lets go of objects in every order, and of some in cycles. */
private fun garbage() = runBlocking {
    val kept = ArrayList<Job>()
    for (order in 0 until 24) {
        val router = Router.open("runtime" to mapOf("log_level" to "off"))
        val things = arrayListOf<Any?>(router)
        things.add(router.miner("words", "capacity" to 2) { job -> job.prompt.split(" ").forEach { job.emit(it) } })
        things.add(router.miner("keeps", "models" to listOf("kept"), manual = true) { kept.add(it) })
        things.add(router.createSession("chat"))
        things.add(router.submit("a b c"))
        things.add(router.submit("x", "model" to "kept"))
        if (order % 8 == 0) things.add(router.listen("port" to 0))
        // A cycle, so that the collector finds them all at once.
        things.add(things)
        if (order % 3 == 0) router.close()
        things.shuffle(java.util.Random(order.toLong()))
        while (things.isNotEmpty()) {
            things.removeAt(things.size - 1)
            if (things.size == order % 7) System.gc()
        }
        if (order % 4 == 0) kept.clear()
    }
    System.gc()
    println("done")
}
