package serve

import kotlinx.coroutines.runBlocking
import network.cortensor.router.Router

/** A program that embeds a router and serves its REST API and OpenAI's until Ctrl-C. Call it as it says. */
fun main(): Unit = runBlocking {
    Router.open().use { router ->
        router.miner("echo", "models" to listOf("echo"), "capacity" to 8) { job ->
            job.prompt.split(" ").forEach { job.emit("$it ") }
        }
        val listener = router.listen("port" to (System.getenv("PORT") ?: "0").toInt())
        println("curl -H 'Authorization: Bearer default-dev-token' ${listener.url}/api/v1/status")
        listener.ended()
    }
}
