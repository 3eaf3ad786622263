import java.io.File
import java.util.concurrent.atomic.AtomicInteger
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.TimeSource
import kotlinx.coroutines.CancellationException
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.takeWhile
import network.cortensor.router.End
import network.cortensor.router.Job
import network.cortensor.router.JobException
import network.cortensor.router.Json
import network.cortensor.router.Page
import network.cortensor.router.Record
import network.cortensor.router.Restart
import network.cortensor.router.Router
import network.cortensor.router.RouterException
import network.cortensor.router.Task
import network.cortensor.router.Token
import network.cortensor.router.internal.requestOptions

private val REPOSITORY = System.getProperty("cortensor.repository") ?: "."

/** The steps that Kotlin has, so that a new one cannot be left out unseen. There is none without a call for it. */
private val STEPS = (
    "info status miners models metrics create_session session close_session update_session sessions submit " +
        "submit_prompt attach task cancel tasks record result text embed cancel_task detach release stream " +
        "add_miner remove_miner miner_saw drain shutdown"
    ).split(" ").toSet()

private typealias Fields = Map<String, Any?>

@Suppress("UNCHECKED_CAST")
private fun fields(value: Any?): Fields = value as Fields

/** The scenarios of core/tests/conformance. */
fun conformance(): List<Test> {
    val directory = File("$REPOSITORY/core/tests/conformance")
    val all = directory.listFiles { file -> file.extension == "json" }.orEmpty().sorted().flatMap { file ->
        (Json.read(file.readText()) as List<*>).map { file.nameWithoutExtension to fields(it) }
    }
    val steps = all.flatMap { (_, scenario) -> scenario["steps"] as List<*> }
    val used = steps.map { fields(it)["do"] as String }.toSet()
    val every = Test("conformance: every scenario is played") {
        check(all.size >= 40) { "only ${all.size} scenarios" }
        check(STEPS.containsAll(used)) { "unknown steps: ${used - STEPS}" }
        println("conformance: ${all.size} scenarios, all of ${used.size} kinds of steps")
    }
    return listOf(every) + all.map { (file, scenario) ->
        Test("$file: ${scenario["name"]}") {
            Router.open(*fields(scenario["config"]).toList().toTypedArray()).use { Stage(it).play(scenario) }
        }
    }
}

/** A scenario's miner, which counts. */
private class Player(private val behaviour: String, private val given: Fields) {
    private val jobs = AtomicInteger()
    private val cancelled = AtomicInteger()

    val seen: Fields get() = mapOf("jobs" to jobs.get(), "cancelled" to cancelled.get())

    suspend fun play(job: Job) {
        val number = jobs.getAndIncrement()
        fun text(name: String) = given[name] as String
        when (behaviour) {
            "silent" -> return
            "reject" -> return job.reject(text("reason"))
            "drop" -> return job.release()
            "words" -> return words(job)
            "flaky" -> {
                if (number < (given["times"] as Number).toInt()) throw JobException(text("code"), "not this time")
                return words(job)
            }
        }
        for (piece in given["pieces"] as List<*>? ?: emptyList<Any?>()) {
            if (piece is String) {
                job.emit(piece)
            } else {
                job.emit((fields(piece)["bytes"] as List<*>).map { (it as Number).toByte() }.toByteArray())
            }
        }
        for (part in given["parts"] as List<*>? ?: emptyList<Any?>()) job.emit(*fields(part).toList().toTypedArray())
        when (behaviour) {
            "fail" -> throw JobException(text("code"), text("message"))
            "hold" -> try {
                awaitCancellation()
            } catch (error: CancellationException) {
                cancelled.incrementAndGet()
                throw error
            }
            "pieces", "whole", "parts" -> {
                val answer = fields(given["answer"] ?: emptyMap<String, Any?>())
                job.finish(answer["text"] as String?, *(answer - "text").toList().toTypedArray())
            }
            else -> throw AssertionError("no such behaviour: $behaviour")
        }
    }

    /** The words, each with the blanks behind it. */
    private suspend fun words(job: Job) =
        job.prompt.split(Regex("(?<= )(?! )")).filter { it.isNotEmpty() }.forEach { job.emit(it) }
}

/** One scenario under way. */
private class Stage(private val router: Router) {
    private val kept = HashMap<String, Any?>()
    private val tasks = HashMap<String, Task>()
    private val players = HashMap<String, Player>()

    suspend fun play(scenario: Fields) {
        (scenario["miners"] as List<*>).forEach { addMiner(fields(it)) }
        (scenario["steps"] as List<*>).forEachIndexed { index, step ->
            perform(fields(resolved(step)))?.let { throw AssertionError("step ${index + 1} $step\n    $it") }
        }
    }

    private fun addMiner(miner: Fields) {
        val spec = fields(miner["spec"])
        val player = Player(miner["behaviour"] as String, fields(miner["with"] ?: emptyMap<String, Any?>()))
        router.miner(spec["name"] as String, *(spec - "name").toList().toTypedArray()) { player.play(it) }
        players[spec["name"] as String] = player
    }

    /** The step with every `"$name.path"` put in. */
    private fun resolved(value: Any?): Any? = when (value) {
        is String -> {
            val name = value.removePrefix("$").substringBefore('.')
            if (value.startsWith("$") && '.' in value && name in kept) {
                value.substringAfter('.').split('.').fold(kept[name]) { found, part -> fields(found)[part] }
            } else {
                value
            }
        }
        is List<*> -> value.map(::resolved)
        is Map<*, *> -> value.mapValues { resolved(it.value) }
        else -> value
    }

    /** Plays a step as often as it wants. */
    private suspend fun perform(step: Fields): String? {
        val deadline = TimeSource.Monotonic.markNow() + 10.seconds
        while (true) {
            val wrong = attempt(step)
            if (wrong == null || step["until"] != true || deadline.hasPassedNow()) return wrong
            delay(5.milliseconds)
        }
    }

    /** Plays a step once. The text says what is wrong. */
    private suspend fun attempt(step: Fields): String? {
        var outcome = try {
            deed(step)
        } catch (error: RouterException) {
            return if ("error" in step) mismatch(step["error"], error.details) else "failed: ${error.details}"
        }
        if ("error" in step) return "expected the error ${step["error"]}, got $outcome"
        val task = outcome as? Task
        if (task != null) {
            val ids = mapOf("session_id" to task.sessionId, "task_id" to task.id, "gid" to task.gid)
            outcome = ids + ("joined" to task.joined)
        }
        val wrong = if ("expect" in step) mismatch(step["expect"], outcome) else null
        val name = step["as"] as String?
        if (wrong == null && name != null) {
            kept[name] = outcome
            if (task != null) tasks[name] = task
        }
        return wrong
    }

    private fun page(name: String, page: Page<*>): Fields = mapOf("count" to page.count, name to page.map(Record::fields))

    private fun pairs(value: Any?) = fields(value).toList().toTypedArray()

    private fun options(request: Fields): Array<Pair<String, Any?>> {
        val known = requestOptions().toSet()
        val extra = request.filterKeys { (it != "prompt" || request[it] !is String) && it !in known }
        return (request.filterKeys { it in known } + ("extra" to extra)).toList().toTypedArray()
    }

    private suspend fun deed(step: Fields): Any? {
        fun number(name: String) = (step[name] as Number).toLong()
        fun text(name: String) = step[name] as String
        val task = (step["task"] as? String)?.let { tasks.getValue(it.removePrefix("$")) }
        return when (val deed = step["do"]) {
            "info" -> router.info().fields
            "status" -> router.status().fields
            "miners" -> page("miners", router.miners())
            "models" -> page("models", router.models())
            "metrics" -> mapOf("text" to router.metrics())
            "create_session" -> {
                val spec = fields(step["spec"])
                router.createSession(spec["name"] as? String ?: "", *pairs(spec - "name")).record.fields
            }
            "session" -> router.session(number("session")).record.fields
            "close_session" -> router.session(number("session")).close().fields
            "update_session" -> router.session(number("session")).update(*pairs(step["patch"])).fields
            "sessions" -> page("sessions", router.sessions(*pairs(step["query"])))
            "submit" -> {
                val request = fields(step["request"])
                // A prompt that is no text cannot be given as one.
                router.submit(request["prompt"] as? String, *options(request), sessionId = number("session"))
            }
            "submit_prompt" -> router.submit(text("prompt"), *pairs(step["options"]), sessionId = number("session"))
            "embed" -> when (val input = step["input"]) {
                is String -> router.embed(input, sessionId = number("session")).fields
                else -> router.embed((input as List<*>).map { it as String }, sessionId = number("session")).fields
            }
            "attach" -> router.attach(number("session"), number("task_id"))
            "task" -> router.task(number("session"), number("task_id")).fields
            "cancel" -> router.cancel(number("session"), number("task_id")).fields
            "tasks" -> page("tasks", router.tasks(number("session"), *pairs(step["query"])))
            "record" -> task!!.record().fields
            "result" -> task!!.result().fields
            "text" -> mapOf("text" to task!!.text())
            "cancel_task" -> task!!.cancel()
            "detach" -> task!!.detach()
            "release" -> tasks.remove(text("task").removePrefix("$"))!!.release()
            "stream" -> read(task!!, (step["after"] as Number? ?: 0).toLong(), (step["take"] as Number?)?.toInt())
            "add_miner" -> addMiner(fields(step["miner"]))
            "remove_miner" -> router.removeMiner(text("name"))
            "miner_saw" -> players.getValue(text("name")).seen
            "drain" -> mapOf("drained" to router.drain(number("timeout_ms").milliseconds))
            "shutdown" -> router.shutdown()
            else -> throw AssertionError("no such step: $deed")
        }
    }

    private suspend fun read(task: Task, after: Long, take: Int?): Fields {
        val tokens = ArrayList<Fields>()
        var text = ""
        var restarts = 0
        var end: Fields? = null
        try {
            task.events(after).takeWhile { event ->
                when (event) {
                    is Token -> {
                        text += event.text
                        tokens.add(mapOf("seq" to event.seq, "text" to event.text))
                    }
                    is Restart -> {
                        text = ""
                        restarts++
                    }
                    is End -> end = event.completion.fields
                }
                take == null || tokens.size < take
            }.collect {}
        } catch (error: RouterException) {
            end = mapOf("error" to error.details)
        }
        return mapOf("tokens" to tokens, "text" to text, "restarts" to restarts, "end" to end)
    }
}
