package ownserver

import com.sun.net.httpserver.HttpExchange
import com.sun.net.httpserver.HttpServer
import java.net.InetAddress
import java.net.InetSocketAddress
import java.net.URI
import java.net.http.HttpClient
import java.net.http.HttpRequest
import java.net.http.HttpResponse
import java.util.concurrent.Executors
import kotlinx.coroutines.runBlocking
import network.cortensor.router.HttpHandler
import network.cortensor.router.Router

/** Passes a request of the program's own server on. */
fun answer(exchange: HttpExchange, api: HttpHandler): Unit = runBlocking {
    exchange.use {
        val headers = exchange.requestHeaders.flatMap { (name, values) -> values.map { name to it } }
        val body = exchange.requestBody.readNBytes(api.maxBodyBytes.toInt())
        val target = exchange.requestURI.toString().removePrefix("/ai")
        val peer = exchange.remoteAddress.address.hostAddress
        val answer = api.handle(exchange.requestMethod, target, headers, body, peer)
        answer.headers.forEach { (name, value) -> exchange.responseHeaders.add(name, value) }
        exchange.sendResponseHeaders(answer.status, 0)
        answer.body().collect {
            exchange.responseBody.write(it)
            exchange.responseBody.flush()
        }
    }
}

/** The REST API inside a server of the program's own, below /ai. */
fun main(): Unit = runBlocking {
    Router.open().use { router ->
        router.miner("words", "models" to listOf("tiny")) { job -> job.prompt.split(" ").forEach { job.emit("$it ") } }
        val api = router.http()
        val server = HttpServer.create(InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0)
        val threads = Executors.newCachedThreadPool()
        server.executor = threads
        server.createContext("/ai/") { answer(it, api) }
        server.start()
        val request = HttpRequest.newBuilder(URI("http://127.0.0.1:${server.address.port}/ai/v1/completions"))
            .header("authorization", "Bearer default-dev-token").header("content-type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("""{"model":"tiny","prompt":"every word comes","stream":true}"""))
        println(HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString()).body())
        server.stop(0)
        threads.shutdown()
    }
}
