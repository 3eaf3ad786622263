package network.cortensor.java.tests;

import static network.cortensor.java.tests.Support.add;
import static network.cortensor.java.tests.Support.eventually;
import static network.cortensor.java.tests.Support.failure;
import static network.cortensor.java.tests.Support.soon;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.concurrent.Semaphore;
import network.cortensor.java.Event;
import network.cortensor.java.EventStream;
import network.cortensor.java.LogRecord;
import network.cortensor.java.MinerClient;
import network.cortensor.java.Options;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;
import network.cortensor.java.Task;
import network.cortensor.java.Tokens;
import org.junit.Test;

/** Tasks, the ways to read and to leave them, and what stands beside them. */
public class TaskTest {
    private final Semaphore begun = new Semaphore(0);
    private final Semaphore ended = new Semaphore(0);

    /** A router with a miner that gives one piece, waits for the end of its job, and tells of both. */
    private Router holding() {
        Router router = Router.open();
        add(router, "hold", 4, job -> {
            CountDownLatch end = new CountDownLatch(1);
            job.onCancelled(end::countDown);
            job.emit("begun");
            begun.release();
            end.await();
            ended.release();
            job.drop();
        });
        return router;
    }

    @Test
    public void leavingATaskReachesTheMiner() throws Exception {
        try (Router router = holding()) {
            CompletableFuture<?> completion = router.complete(new Request("x"));
            begun.acquire();
            completion.cancel(true);
            ended.acquire();

            Task task = soon(router.submit(new Request("x")));
            begun.acquire();
            try (Tokens tokens = task.tokens()) {
                assertEquals("begun", tokens.iterator().next());
            }
            ended.acquire();
            assertTrue(failure(() -> soon(task.result())) instanceof RouterException.TaskCancelledException);

            Task closed = soon(router.submit(new Request("x")));
            begun.acquire();
            closed.close();
            ended.acquire();
            assertTrue(failure(closed::record) instanceof RouterException.ClosedException);

            Task cancelled = soon(router.submit(new Request("x")));
            begun.acquire();
            cancelled.cancel();
            ended.acquire();
        }
    }

    @Test
    public void cancellingTheFutureOfASubmissionCancelsTheTask() throws Exception {
        try (Router router = holding()) {
            for (int round = 0; round < 50; round++) {
                CompletableFuture<Task> submitted = router.submit(new Request("x"));
                if (!submitted.cancel(true)) {
                    // The task was there first.
                    submitted.join().close();
                }
            }
            eventually("the end of all tasks", () -> router.status().runningTasks() + router.status().queuedTasks() == 0);
        }
    }

    @Test
    public void theTaskOfAnotherCallerIsNotCancelled() throws Exception {
        try (Router router = holding()) {
            Request request = new Request("x").idempotencyKey("one");
            Task task = soon(router.submit(request));
            begun.acquire();
            Task same = soon(router.submit(request));
            assertTrue(same.joined());
            for (Task other : List.of(same, router.attach(task.sessionId(), task.id()))) {
                try (Tokens tokens = other.tokens()) {
                    assertEquals("begun", tokens.iterator().next());
                }
                other.close();
            }
            assertFalse(task.record().ended());
            task.close();
            ended.acquire();
        }
    }

    @Test
    public void aTaskWhoseTokensWereRestartedGoesOn() throws Exception {
        CountDownLatch closed = new CountDownLatch(1);
        try (Router router = Router.open()) {
            var one = add(router, "one", 1, job -> {
                job.emit("void");
                closed.await();
            });
            Task task = soon(router.submit(new Request("x").onFailure("restart")));
            try (Tokens tokens = task.tokens()) {
                var texts = tokens.iterator();
                assertEquals("void", texts.next());
                add(router, "two", 1, job -> {
                    job.emit("well");
                    closed.await();
                });
                one.remove();
                assertEquals("stream_restarted", failure(texts::hasNext).code());
            }
            closed.countDown();
            assertEquals("well", soon(task.result()).text());
        }
    }

    @Test
    public void aDetachedTaskOutlivesItsReaders() throws Exception {
        try (Router router = holding()) {
            Task task = soon(router.submit(new Request("x").detach(true)));
            begun.acquire();
            try (Tokens tokens = task.tokens()) {
                assertEquals("begun", tokens.iterator().next());
            }
            task.close();
            assertFalse(router.task(task.sessionId(), task.id()).ended());
        }
    }

    @Test
    public void aStreamHasOneReaderAndCanBeInterrupted() throws Exception {
        try (Router router = holding()) {
            Task task = soon(router.submit(new Request("x")));
            try (EventStream events = task.events(0)) {
                assertEquals(new Event.Token(1, "begun"), events.next());
                Thread.currentThread().interrupt();
                assertEquals("interrupted", failure(events::next).code());
                assertTrue(Thread.interrupted());
                task.cancel();
                Event.End end = (Event.End) events.next();
                assertNull(end.completion());
                assertTrue(end.error() instanceof RouterException.TaskCancelledException);
                assertFalse(events.hasNext());
            }
        }
    }

    /** Keeps what a publisher tells. */
    private static final class Reader implements Flow.Subscriber<String> {
        final List<String> texts = Collections.synchronizedList(new ArrayList<>());
        final CompletableFuture<Void> end = new CompletableFuture<>();
        final CompletableFuture<Flow.Subscription> subscription = new CompletableFuture<>();

        @Override
        public void onSubscribe(Flow.Subscription given) {
            subscription.complete(given);
        }

        @Override
        public void onNext(String text) {
            texts.add(text);
        }

        @Override
        public void onError(Throwable error) {
            end.completeExceptionally(error);
        }

        @Override
        public void onComplete() {
            end.complete(null);
        }
    }

    @Test
    public void aPublisherGivesWhatIsWanted() throws Exception {
        try (Router router = Router.open()) {
            add(router, "words", 4, Behaviour::words);
            Task task = soon(router.submit(new Request("a b c")));
            Reader reader = new Reader();
            task.publisher().subscribe(reader);
            reader.subscription.join().request(2);
            eventually("two tokens", () -> reader.texts.size() == 2);
            assertFalse(reader.end.isDone());
            reader.subscription.join().request(1);
            // The end needs no demand.
            soon(reader.end);
            assertEquals(List.of("a ", "b ", "c"), reader.texts);
            Reader wrong = new Reader();
            task.publisher().subscribe(wrong);
            wrong.subscription.join().request(0);
            assertTrue(wrong.end.handle((none, error) -> error).join() instanceof IllegalArgumentException);
        }
    }

    @Test
    public void aSubscriberThatCancelsCancelsTheTask() throws Exception {
        try (Router router = holding()) {
            Task task = soon(router.submit(new Request("x")));
            Reader reader = new Reader();
            Reader other = new Reader();
            task.publisher().subscribe(reader);
            task.publisher().subscribe(other);
            reader.subscription.join().request(10);
            other.subscription.join().request(10);
            begun.acquire();
            reader.subscription.join().cancel();
            ended.acquire();
            RouterException error = failure(() -> soon(other.end));
            assertTrue(error instanceof RouterException.TaskCancelledException);
        }
    }

    @Test
    public void errorsSayWhatIsWrong() throws Exception {
        RouterException error = failure(() -> Router.open(Map.of("limits", Map.of("max_sesions", 1))));
        assertEquals(RouterException.Kind.INVALID_ARGUMENT, error.kind());
        assertEquals("limits.max_sesions", error.details().param());
        try (Router router = Router.open("{\"dispatch\": {\"no_miner_grace_ms\": 0}}")) {
            RouterException none = failure(() -> soon(router.complete(new Request("x"))));
            assertEquals("no_miner", none.code());
            assertTrue(none.isRetryable());
            assertTrue(failure(() -> router.session(99)) instanceof RouterException.NotFoundException);
            assertTrue(failure(() -> add(router, "m", 1, null)) instanceof RouterException.InvalidArgumentException);
            Request both = new Request("x").extra(Map.of("prompt", "y"));
            assertEquals("extra", failure(() -> soon(router.submit(both))).details().param());
        }
    }

    @Test
    public void theLogIsHeard() throws Exception {
        List<LogRecord> lines = Collections.synchronizedList(new ArrayList<>());
        try (Router router = Router.open(Map.of("runtime", Map.of("log_level", "trace")), record -> {
            lines.add(record);
            throw new IllegalStateException("a log that throws ends nothing");
        })) {
            // Nobody serves there, which is worth a line.
            router.addUpstream("http://127.0.0.1:1/v1");
            eventually("a line", () -> !lines.isEmpty());
        }
        assertFalse(lines.get(0).message().isEmpty() || lines.get(0).target().isEmpty());
        assertTrue(Duration.between(lines.get(0).time(), java.time.Instant.now()).abs().toHours() < 1);
    }

    @Test
    public void aDistantMinerKeysUsageAndTheListener() throws Exception {
        try (Router router = Router.open(); var listener = router.listen(Map.of("port", 0))) {
            var key = router.createKey(new Options.KeyOptions().name("desk").scopes(List.of("miner", "read")));
            var settings = new Options.MinerClientSettings().routers(List.of("ws://" + listener.address())).name("desk")
                    .token(key.token()).models(List.of("tiny")).capacity(2);
            try (MinerClient miner = MinerClient.run(settings, job -> job.finish(job.prompt().toUpperCase()))) {
                eventually("the connection", () -> miner.stats().connected());
                var completion = soon(router.complete(new Request("hello").model("tiny").keyId("me")));
                assertEquals("HELLO", completion.text());
                assertEquals(1, router.usage(new Options.UsageQuery().by("key")).usage().size());
                HttpRequest request = HttpRequest.newBuilder(URI.create(listener.url() + "/api/v1/status"))
                        .header("Authorization", "Bearer " + key.token()).build();
                assertEquals(200, HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).statusCode());
                router.deleteKey(key.id());
                assertEquals(0, router.keys().count());
            }
            assertFalse(listener.posture().isEmpty());
            assertTrue(listener.stop(Duration.ofSeconds(Support.LIMIT)));
            listener.await();
        }
    }

    @Test
    public void aServerOfTheProgramHasTheWholeApi() throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        try (Router router = holding()) {
            server.createContext("/", router.handler(null));
            server.setExecutor(Executors.newCachedThreadPool(work -> {
                Thread thread = new Thread(work);
                thread.setDaemon(true);
                return thread;
            }));
            server.start();
            URI url = URI.create("http://127.0.0.1:" + server.getAddress().getPort());
            HttpClient client = HttpClient.newHttpClient();
            assertEquals(401, client.send(HttpRequest.newBuilder(url.resolve("/api/v1/status")).build(),
                    HttpResponse.BodyHandlers.ofString()).statusCode());
            HttpRequest request = HttpRequest.newBuilder(url.resolve("/api/v1/completions"))
                    .header("Authorization", "Bearer default-dev-token").header("Content-Type", "application/json")
                    .POST(HttpRequest.BodyPublishers.ofString("{\"prompt\": \"x\", \"stream\": true}")).build();
            var response = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
            assertEquals(200, response.statusCode());
            assertTrue(response.headers().firstValue("content-type").orElse("").startsWith("text/event-stream"));
            byte[] part = new byte[4096];
            int read = response.body().read(part);
            assertTrue(new String(part, 0, read).contains("begun"));
            begun.acquire();
            router.cancel(0, 1);
            ended.acquire();
            assertNotNull(response.body().readAllBytes());

            // A body that breaks off is no whole one; the router may have told of the end still.
            var broken = client.send(request, HttpResponse.BodyHandlers.ofInputStream());
            begun.acquire();
            assertTrue(broken.body().read(part) > 0);
            assertTrue(router.shutdown(Duration.ofSeconds(Support.LIMIT)));
            String end = "data: [DONE]\n\n";
            String rest;
            try {
                rest = new String(broken.body().readAllBytes());
            } catch (IOException brokeOff) {
                rest = end;
            }
            assertTrue(rest, rest.endsWith(end));
        } finally {
            server.stop(0);
        }
    }

    @Test
    public void theVersionIsThatOfTheLibrary() {
        assertEquals(Router.VERSION, Router.libraryVersion());
    }
}
