import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.awaitCancellation
import kotlinx.coroutines.delay
import kotlinx.coroutines.flow.asFlow
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.take
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.launch
import kotlinx.coroutines.withTimeout
import network.cortensor.router.ClosedException
import network.cortensor.router.ConflictException
import network.cortensor.router.End
import network.cortensor.router.InvalidArgumentException
import network.cortensor.router.MinerClient
import network.cortensor.router.MinerFailedException
import network.cortensor.router.NotFoundException
import network.cortensor.router.Record
import network.cortensor.router.Router
import network.cortensor.router.TaskCancelledException
import network.cortensor.router.Token
import network.cortensor.router.internal.version

/** Waits until the block gives true. */
suspend fun until(what: String, holds: suspend () -> Boolean) {
    withTimeout(20.seconds) { while (!holds()) delay(2.milliseconds) }
    check(true) { what }
}

/** Checks that the class of a record has a property for each of its members. */
private fun known(record: Record) {
    val names = record.javaClass.methods.map { it.name }.toSet()
    val absent = record.fields.keys.filter { name ->
        "get" + name.split('_').joinToString("") { it.replaceFirstChar(Char::uppercase) } !in names
    }
    check(absent.isEmpty() && record.fields.isNotEmpty()) { "${record.javaClass.simpleName} has no $absent" }
}

/** The facade: errors, options, flows, sessions. */
fun facade(): List<Test> = listOf(
    Test("a session streams and gives usage") {
        Router.open().use { router ->
            router.miner("local", "models" to listOf("tiny"), "capacity" to 4) { job ->
                job.prompt.split(" ").forEach { job.emit("$it ") }
            }
            val session = router.createSession("chat", "model" to "tiny")
            val task = session.submit("Hello there", "max_tokens" to 64)
            same(listOf("Hello ", "there "), task.tokens().toList())
            check(task.result().usage.completionTokens > 0) { "no usage" }
            same("Hello there ", task.text())
            same("Hello there ", session.complete("Hello there").text)
            same("chat", router.session(session.id).name)
            same(2L, session.tasks().count)
            same("ended", session.task(task.id).state)
        }
    },
    Test("records have a property for each member that the router sends") {
        Router.open().use { router ->
            router.miner("local", "models" to listOf("tiny"), "capacity" to 4) { it.finish(it.info.prompt) }
            val session = router.createSession("chat", "model" to "tiny")
            val task = session.submit("Hello")
            val done = task.result()
            val key = router.createKey("me", "scopes" to listOf("submit"), "limits" to mapOf("tokens_per_day" to 5))
            val row = session.tasks()[0]
            val used = router.usage("by" to "model")
            val all = listOf(
                session.record, task.record(), row, router.miners()[0], router.models()[0], router.status(),
                router.info(), key, router.keys()[0], used[0], done.usage, done.choices[0], router.info().nodeStats,
            )
            all.forEach { known(it) }
            same(4L, router.miners()[0].capacity)
            same(null, router.miners()[0].reservedFor)
            same("Hello", row.results.single())
            same(listOf("Hello"), task.record().results.data)
            same(5L, key.limits.tokensPerDay)
            same(null, key.limits.tokensPerMonth)
            same("model", used.by)
            same(1L, used.count)
            same("tiny", used[0].name)
            check(session.tasks().corrupt.isNullOrEmpty()) { "damaged rows" }
            same("text_completion", done.`object`)
            same("Hello", done.choices[0].message.content)
        }
    },
    Test("the version is the library's") { same(Router.VERSION, version()) },
    Test("every form of an answer") {
        Router.open().use { router ->
            router.miner("text", "models" to listOf("text")) { it.finish("abc") }
            router.miner("pieces", "models" to listOf("pieces")) { job ->
                listOf("a", "b", "c").forEach { job.emit(it) }
            }
            router.miner("each", "models" to listOf("each")) { it.emitEach(listOf("a", "b", "c")) }
            router.miner("flow", "models" to listOf("flow")) { it.emitAll(listOf("a", "b", "c").asFlow()) }
            router.miner("bytes", "models" to listOf("bytes")) { job ->
                "abc".toByteArray().forEach { job.emit(byteArrayOf(it)) }
            }
            router.miner("try", "models" to listOf("try")) { job -> listOf("a", "b", "c").forEach { job.tryEmit(it) } }
            for (model in listOf("text", "pieces", "each", "flow", "bytes", "try")) {
                same("abc", router.complete("x", "model" to model).text)
            }
            router.miner("parts", "models" to listOf("parts")) { job ->
                job.emit("reasoning" to "hm")
                val function = mapOf("name" to "f", "arguments" to mapOf("a" to 1))
                job.emit("tool_calls" to listOf(mapOf("function" to function)))
            }
            val answer = router.complete("x", "model" to "parts")
            same("hm", answer.reasoning)
            same("f", answer.toolCalls.first().name)
            same("""{"a":1}""", answer.toolCalls.first().arguments)
            router.miner("vectors", "models" to listOf("vectors"), "embeddings" to true) { job ->
                job.finish(null, "embedding" to listOf(listOf(1.0), listOf(2.0)))
            }
            same(listOf(listOf(1.0), listOf(2.0)), router.embed(listOf("a", "b"), "model" to "vectors").vectors)
        }
    },
    Test("mistakes are named") {
        Router.open().use { router ->
            router.miner("echo") { job -> job.finish("${job.prompt} ${job.request["grammar"]}") }
            val error = throws<InvalidArgumentException> { router.complete("hello", "max_token" to 64) }
            same("max_token", error.param)
            check("did you mean max_tokens?" in error.message!!) { error.message!! }
            check(!error.retryable) { "retryable" }
            same("hello json", router.complete("hello", "extra" to mapOf("grammar" to "json")).text)
            same("messages", throws<InvalidArgumentException> { router.complete(null, "messages" to "hello") }.param)
            val twice = throws<InvalidArgumentException> { router.complete("x", "extra" to mapOf("top_p" to 1)) }
            same("extra", twice.param)
            throws<InvalidArgumentException> { router.complete("x", "seed" to Double.NaN) }
            throws<InvalidArgumentException> { router.complete("x", "user" to Any()) }
            throws<InvalidArgumentException> { router.complete("\ud800") }
            throws<InvalidArgumentException> { router.session(-1) }
            throws<NotFoundException> { router.session(77) }
            throws<NotFoundException> { router.task(0, 999) }
            throws<ConflictException> { router.miner("echo") { it.finish("") } }
            throws<InvalidArgumentException> { router.miner("x", "capacty" to 1) { it.finish("") } }
        }
        throws<InvalidArgumentException> { Router.open("listen" to mapOf("prot" to 1)) }
        val closed = Router.open()
        closed.close()
        closed.close()
        same("closed", throws<ClosedException> { closed.complete("x") }.kind)
    },
    Test("leaving the flow cancels, and tokens after a number do not") {
        Router.open().use { router ->
            router.miner("count", "capacity" to 4) { job ->
                var number = 0
                while (true) job.emit("${++number} ")
            }
            val left = router.submit("go")
            same(listOf("1 ", "2 ", "3 "), left.tokens().take(3).toList())
            throws<TaskCancelledException> { left.result() }
            val read = router.submit("go")
            same("1 ", read.tokens(0).first())
            same("acked", read.record().state)
            read.cancel()
            val detached = router.submit("go", "detach" to true)
            detached.tokens().first()
            same("acked", detached.record().state)
            detached.cancel()
            val events = router.submit("go").events().take(2).toList()
            check(events.all { it is Token } && (events[0] as Token).seq == 1L) { "$events" }
        }
    },
    Test("a task whose tokens were restarted goes on") {
        Router.open().use { router ->
            val closed = CompletableDeferred<Unit>()
            router.miner("one") { job ->
                job.emit("void")
                awaitCancellation()
            }
            val task = router.submit("x", "on_failure" to "restart")
            val error = throws<MinerFailedException> {
                task.tokens().collect { text ->
                    same("void", text)
                    router.miner("two") { job ->
                        job.emit("well")
                        closed.await()
                    }
                    router.removeMiner("one")
                }
            }
            same("stream_restarted", error.code)
            closed.complete(Unit)
            same("well", task.text())
        }
    },
    Test("a cancelled coroutine cancels its task, and the miner's coroutine with it") {
        Router.open().use { router ->
            val begun = CompletableDeferred<Unit>()
            val ended = CompletableDeferred<Boolean>()
            router.miner("held") { job ->
                begun.complete(Unit)
                try {
                    job.awaitCancelled()
                } finally {
                    ended.complete(true)
                }
            }
            val waiting = launch { router.complete("x") }
            begun.await()
            waiting.cancel()
            check(ended.await()) { "the miner goes on" }
            waiting.join()
        }
    },
    Test("keys, usage, and a listener") {
        Router.open().use { router ->
            router.miner("echo", "models" to listOf("echo")) { it.finish(it.prompt) }
            val key = router.createKey("app")
            same(listOf("app"), router.keys().map { it.text("name") })
            val listener = router.listen("port" to 0)
            val request = HttpRequest.newBuilder(URI("${listener.url}/v1/chat/completions"))
                .header("authorization", "Bearer ${key.token}").header("content-type", "application/json")
                .POST(
                    HttpRequest.BodyPublishers.ofString(
                        """{"model":"echo","messages":[{"role":"user","content":"hi"}]}""",
                    ),
                )
            val answer = HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString())
            check(answer.statusCode() == 200 && "hi" in answer.body()) { answer.body() }
            check(listener.posture.isNotEmpty()) { "no posture" }
            listener.stop()
            listener.ended()
            check(router.usage("by" to "model").count >= 0) { "no usage" }
            router.deleteKey(key.id)
            same(0L, router.keys().count)
            check("# TYPE" in router.metrics()) { "no metrics" }
            same("memory", router.status().store)
        }
    },
    Test("HTTP without a socket") {
        Router.open().use { router ->
            router.miner("echo", "models" to listOf("echo")) { job -> job.prompt.split(" ").forEach { job.emit(it) } }
            val http = router.http()
            check(http.maxBodyBytes > 0) { "no bound" }
            val token = "authorization" to "Bearer default-dev-token"
            val headers = listOf(token, "host" to "localhost", "content-type" to "application/json")
            val body = """{"prompt":"hi there","stream":true}""".toByteArray()
            val answer = http.handle("POST", "/api/v1/completions", headers, body, peer = "127.0.0.1")
            same(200, answer.status)
            val text = answer.body().toList().joinToString("") { it.toString(Charsets.UTF_8) }
            check("[DONE]" in text) { text }
            throws<InvalidArgumentException> { http.handle("G T", "/") }
        }
    },
    Test("a miner dials in") {
        Router.open().use { router ->
            val listener = router.listen("port" to 0)
            val key = router.createKey("gpu", "scopes" to listOf("miner"))
            val url = listener.url.replaceFirst("http", "ws")
            val settings = arrayOf("token" to key.token, "models" to listOf("far"))
            MinerClient.start(url, "gpu-1", *settings) { it.finish(it.prompt.uppercase()) }.use { client ->
                until("the connection") { client.stats().connected }
                same("HELLO", router.complete("hello", "model" to "far").text)
                check(client.drain(20.seconds)) { "not drained" }
            }
        }
    },
    Test("the end of a stream has the completion") {
        Router.open().use { router ->
            router.miner("one") { it.finish("one") }
            val last = router.submit("x").events().toList().last()
            same("one", (last as End).completion.text)
        }
    },
)
