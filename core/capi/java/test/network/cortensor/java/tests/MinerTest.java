package network.cortensor.java.tests;

import static network.cortensor.java.tests.Support.ONCE;
import static network.cortensor.java.tests.Support.add;
import static network.cortensor.java.tests.Support.eventually;
import static network.cortensor.java.tests.Support.failure;
import static network.cortensor.java.tests.Support.soon;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertTrue;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import network.cortensor.java.Job;
import network.cortensor.java.JobException;
import network.cortensor.java.LocalMiner;
import network.cortensor.java.Miner;
import network.cortensor.java.Options;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;
import network.cortensor.java.Task;
import network.cortensor.java.Tokens;
import org.junit.Test;

/** The contract of miners, whatever they do. */
public class MinerTest {
    @Test
    public void aMinerThatDoesNotAnswerFailsItsJob() throws Exception {
        Map<String, Miner> miners = new LinkedHashMap<>();
        miners.put("throws", job -> {
            throw new IllegalStateException("a bad day");
        });
        miners.put("throws an error", job -> {
            throw new StackOverflowError("a bad day");
        });
        miners.put("has no such code", job -> {
            throw new JobException("no such code", "a bad day");
        });
        miners.put("gives nothing", job -> {});
        miners.put("drops", Job::drop);
        miners.put("forgets", Job::later);
        for (Map.Entry<String, Miner> miner : miners.entrySet()) {
            try (Router router = Router.open(ONCE)) {
                add(router, "m", 1, miner.getValue());
                CompletableFuture<?> answer = router.complete(new Request("x"));
                if (miner.getKey().equals("forgets")) {
                    // The garbage collector finds the job.
                    eventually("the end of a forgotten job", () -> {
                        System.gc();
                        return answer.isDone();
                    });
                }
                RouterException error = failure(() -> soon(answer));
                assertTrue(miner.getKey() + ": " + error, error instanceof RouterException.MinerFailedException);
                if (miner.getKey().startsWith("throws")) {
                    assertTrue(error.getMessage(), error.getMessage().contains("a bad day"));
                }
            }
        }
    }

    @Test
    public void aMinerThatNeverAnswersLosesItsTaskAndIsTold() throws Exception {
        try (Router router = Router.open(ONCE)) {
            AtomicBoolean told = new AtomicBoolean();
            add(router, "m", 1, job -> {
                job.onCancelled(Thread.currentThread()::interrupt);
                try {
                    Thread.sleep(Duration.ofMinutes(10).toMillis());
                } catch (InterruptedException interrupted) {
                    told.set(true);
                    throw interrupted;
                }
            });
            RouterException error = failure(() -> soon(router.complete(new Request("x").timeout(0.1))));
            assertEquals(RouterException.Kind.TIMEOUT, error.kind());
            eventually("the interruption of the miner", told::get);
        }
    }

    @Test
    public void anAnswerInterruptsNobody() throws Exception {
        ExecutorService one = Executors.newSingleThreadExecutor();
        try (Router router = Router.open(ONCE)) {
            AtomicLong interrupted = new AtomicLong();
            router.addMiner(new Options.MinerOptions().name("m").capacity(1), one, job -> {
                job.onCancelled(Thread.currentThread()::interrupt);
                try {
                    // The one before has ended by now, and this is the time in which a late call would come.
                    new Semaphore(0).tryAcquire(1, TimeUnit.MILLISECONDS);
                    job.finish("x");
                    new Semaphore(0).tryAcquire(1, TimeUnit.MILLISECONDS);
                } catch (InterruptedException error) {
                    interrupted.incrementAndGet();
                }
            });
            for (int round = 0; round < 100; round++) {
                soon(router.submit(new Request("x")).thenCompose(Task::result).handle((answer, error) -> answer));
            }
            assertEquals(0, interrupted.get());
        } finally {
            one.shutdown();
        }
    }

    @Test
    public void aJobIsAnsweredLaterFromAnyThread() throws Exception {
        try (Router router = Router.open()) {
            BlockingQueue<Job> jobs = new LinkedBlockingQueue<>();
            add(router, "m", 1, job -> {
                job.later();
                jobs.add(job);
            });
            Task task = soon(router.submit(new Request("x")));
            Job job = jobs.poll(Support.LIMIT, TimeUnit.SECONDS);
            assertNotNull(job);
            assertFalse(job.isAnswered() || job.isCancelled());
            assertEquals("x", job.info().prompt());
            assertTrue(job.info().request().has("prompt"));
            job.emit("later");
            job.finish(new Options.Answer().usage(new Options.UsageOptions().promptTokens(3).completionTokens(4)));
            assertEquals("later", soon(task.result()).text());
            assertEquals(4, soon(task.result()).usage().completionTokens());
            assertTrue(job.isAnswered() && job.isCancelled());
            AtomicBoolean ran = new AtomicBoolean();
            job.onCancelled(() -> ran.set(true));
            assertTrue(ran.get());
            for (Support.Call late : new Support.Call[] {
                () -> job.emit("x"), job::finish, () -> job.fail("internal", "x"), () -> job.reject("x")
            }) {
                assertTrue(failure(late) instanceof RouterException.ClosedException);
            }
        }
    }

    @Test
    public void aWrongAnswerCanBeMended() throws Exception {
        try (Router router = Router.open()) {
            AtomicBoolean refused = new AtomicBoolean();
            add(router, "m", 1, job -> {
                RouterException error = failure(() -> job.finish(new Options.Answer().text("x").embedding("no vector")));
                refused.set(error instanceof RouterException.InvalidArgumentException && !job.isAnswered());
                job.finish("");
            });
            assertEquals("", soon(router.complete(new Request("x"))).text());
            assertTrue(refused.get());
        }
    }

    @Test
    public void theRouterIsClosedFromInsideOfAMiner() throws Exception {
        Router router = Router.open();
        CompletableFuture<Void> closed = new CompletableFuture<>();
        add(router, "m", 1, job -> {
            router.close();
            closed.complete(null);
            job.emit("too late");
        });
        failure(() -> soon(router.complete(new Request("x"))));
        soon(closed);
    }

    @Test
    public void aMinerOnTheThreadOfTheCallMayWait() throws Exception {
        try (Router router = Router.open()) {
            router.addMiner(new Options.MinerOptions().name("inline").capacity(2), Runnable::run, Behaviour::words);
            assertEquals("a b", soon(router.complete(new Request("a b"))).text());
        }
    }

    @Test
    public void noJobComesAfterTheMinerIsRemoved() throws Exception {
        try (Router router = Router.open(Map.of("dispatch", Map.of("no_miner_grace_ms", 0)))) {
            for (int round = 0; round < 20; round++) {
                AtomicLong started = new AtomicLong();
                AtomicBoolean stop = new AtomicBoolean();
                LocalMiner miner = router.addMiner(new Options.MinerOptions().name("m" + round).capacity(8), Runnable::run,
                        job -> {
                            started.incrementAndGet();
                            job.finish("x");
                        });
                Thread crowd = new Thread(() -> {
                    while (!stop.get()) {
                        router.complete(new Request("x")).exceptionally(error -> null).join();
                    }
                });
                crowd.start();
                eventually("work", () -> started.get() > 0);
                miner.remove();
                soon(miner.dropped());
                long before = started.get();
                stop.set(true);
                crowd.join();
                assertEquals(before, started.get());
            }
        }
    }

    @Test
    public void aJobThatWaitsForItsThreadDoesNotBeginAfterTheRemoval() throws Exception {
        BlockingQueue<Runnable> waiting = new LinkedBlockingQueue<>();
        AtomicBoolean started = new AtomicBoolean();
        try (Router router = Router.open(Map.of("dispatch", Map.of("no_miner_grace_ms", 0)))) {
            LocalMiner miner = router.addMiner(
                    new Options.MinerOptions().name("m").capacity(1), waiting::add, job -> started.set(true));
            CompletableFuture<?> answer = router.complete(new Request("x"));
            Runnable work = waiting.poll(Support.LIMIT, TimeUnit.SECONDS);
            assertNotNull(work);
            miner.remove();
            soon(miner.dropped());
            work.run();
            assertFalse(started.get());
            failure(() -> soon(answer));
        }
    }

    @Test
    public void aSlowReaderSlowsTheMiner() throws Exception {
        // More than limits.stream_window_bytes.
        int pieces = 20_000;
        String piece = "x".repeat(100);
        AtomicLong emitted = new AtomicLong();
        CountDownLatch read = new CountDownLatch(1);
        try (Router router = Router.open()) {
            add(router, "m", 1, job -> {
                // A task that is not read has nobody to wait for.
                read.await();
                for (int index = 0; index < pieces; index++) {
                    job.emit(piece);
                    emitted.incrementAndGet();
                }
            });
            Task task = soon(router.submit(new Request("x")));
            try (Tokens tokens = task.tokens()) {
                read.countDown();
                int size = tokens.iterator().next().length();
                // The reader stops for as long as the miner goes on.
                long[] before = {-1};
                eventually("the halt of the miner", () -> {
                    LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(20));
                    long last = before[0];
                    before[0] = emitted.get();
                    return last == before[0];
                });
                assertTrue("the whole answer went to a reader that had stopped", before[0] < pieces);
                size += tokens.stream().mapToInt(String::length).sum();
                assertEquals(pieces * piece.length(), size);
                assertEquals(pieces, emitted.get());
            }
        }
    }
}
