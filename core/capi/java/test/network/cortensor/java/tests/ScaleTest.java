package network.cortensor.java.tests;

import static network.cortensor.java.tests.Support.add;
import static network.cortensor.java.tests.Support.soon;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import network.cortensor.java.Completion;
import network.cortensor.java.Job;
import network.cortensor.java.Options;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.Task;
import network.cortensor.java.Tokens;
import org.junit.Test;

/** Many tasks, many tokens, many ends. */
public class ScaleTest {
    private static final int TASKS = 10_000;

    @Test
    public void tenThousandTasksAtOnce() throws Exception {
        try (Router router = Router.open(Map.of(
                "limits", Map.of("default_timeout_secs", 280), "dispatch", Map.of("progress_timeout_ms", 280_000)))) {
            ConcurrentLinkedQueue<Job> jobs = new ConcurrentLinkedQueue<>();
            AtomicInteger count = new AtomicInteger();
            CompletableFuture<Void> everyone = new CompletableFuture<>();
            add(router, "meet", TASKS, job -> {
                job.later();
                jobs.add(job);
                // Every task waits until all are here.
                if (count.incrementAndGet() == TASKS) {
                    everyone.complete(null);
                }
            });
            List<CompletableFuture<Completion>> answers = new ArrayList<>();
            for (int index = 0; index < TASKS; index++) {
                answers.add(router.complete(new Request(Integer.toString(index))));
            }
            everyone.get(240, TimeUnit.SECONDS);
            for (Job job : jobs) {
                job.finish(job.prompt());
            }
            for (int index = 0; index < TASKS; index++) {
                assertEquals(Integer.toString(index), answers.get(index).get(240, TimeUnit.SECONDS).text());
            }
        }
    }

    /** The memory of the process in bytes, after a collection. */
    private static long resident() throws IOException {
        System.gc();
        return Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
    }

    @Test
    public void memoryStaysFlatOverAMillionTokens() throws Exception {
        int tasks = 1_000;
        int pieces = 1_000;
        // Ended tasks that are kept to be read again would hide what is kept by mistake.
        try (Router router = Router.open(Map.of(
                "limits", Map.of("recent_tasks", 16), "retention", Map.of("max_memory_bytes", 100_000)))) {
            add(router, "flood", 1, job -> {
                for (int index = 0; index < pieces; index++) {
                    job.emit("token ");
                }
            });
            long base = 0;
            for (int number = 0; number < tasks; number++) {
                Task task = soon(router.submit(new Request("x")));
                try (Tokens tokens = task.tokens()) {
                    assertEquals(pieces, tokens.stream().count());
                }
                if (number == tasks / 2) {
                    base = resident();
                }
            }
            long grown = resident() - base;
            assertTrue(grown + " bytes", grown < 8L * pieces * tasks / 2);
        }
    }

    @Test
    public void thingsAreLetGoInEveryOrder() throws Exception {
        Random random = new Random(7);
        for (int round = 0; round < 24; round++) {
            Router router = Router.open();
            Map<String, Object> things = new HashMap<>();
            things.put("miner", add(router, "words", 4, Behaviour::words));
            things.put("session", router.createSession(new Options.SessionOptions().name("s")));
            Task task = soon(router.submit(new Request("a b c")));
            var events = task.events(0);
            events.next();
            things.put("task", task);
            things.put("events", events);
            things.put("listener", router.listen(Map.of("port", 0)));
            task = null;
            events = null;
            List<String> names = new ArrayList<>(things.keySet());
            names.add("router");
            Collections.shuffle(names, random);
            for (String name : names) {
                if (name.equals("router")) {
                    router.close();
                }
                things.remove(name);
                System.gc();
            }
        }
    }

    @Test
    public void aProcessEndsWellInMidStream() throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        String[] ways = {"return", "exit", "close", "throw", "halt"};
        String set = System.getenv("CORTENSOR_JAVA_EXIT_RUNS");
        int runs = set == null || set.isEmpty() ? 15 : Integer.parseInt(set);
        // Several at a time: most of their time is the start of the virtual machine.
        ExecutorService runners = Executors.newFixedThreadPool(4);
        List<CompletableFuture<String>> ends = new ArrayList<>();
        for (int round = 0; round < runs; round++) {
            String way = ways[round % ways.length];
            ends.add(CompletableFuture.supplyAsync(() -> ending(java, way), runners));
        }
        for (CompletableFuture<String> end : ends) {
            assertEquals("", end.get(240, TimeUnit.SECONDS));
        }
        runners.shutdown();
    }

    /** The fault of a process that ends so; empty: none. */
    private static String ending(String java, String way) {
        try {
            Process process = new ProcessBuilder(java, "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
                    "-Djna.library.path=" + System.getProperty("jna.library.path"), "-cp",
                    System.getProperty("java.class.path"), Ending.class.getName(), way)
                    .redirectErrorStream(true).start();
            String said = new String(process.getInputStream().readAllBytes());
            boolean ended = process.waitFor(1, TimeUnit.MINUTES);
            if (!ended) {
                process.destroyForcibly();
            }
            boolean well = ended && process.exitValue() == (way.equals("throw") ? 1 : 0)
                    && (said.isEmpty() || way.equals("throw") && said.contains("the program throws"));
            return well ? "" : way + ": " + (ended ? process.exitValue() : "it does not end") + "\n" + said;
        } catch (IOException | InterruptedException error) {
            return error.toString();
        }
    }
}
