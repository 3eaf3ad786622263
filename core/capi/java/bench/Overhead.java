import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;
import network.cortensor.java.Event;
import network.cortensor.java.Miner;
import network.cortensor.java.Options.MinerOptions;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.Task;
import network.cortensor.java.Tokens;

/**
 * Measures a completion with one and with 32 under way, and a token of a stream, with miners in Java, beside equal work in
 * Rust in the same run: {@code cargo xtask bench java}.
 */
final class Overhead {
    private static final int TOGETHER = 32;
    private static final int TOKENS = 200_000;

    private Overhead() {}

    public static void main(String[] arguments) throws Exception {
        JsonObject rust = new Gson().fromJson(arguments[0], JsonObject.class);
        int calls = arguments.length > 2 ? 4_000 : 20_000;
        Map<String, Double> java = new TreeMap<>();
        try (Router router = Router.open(Map.of("runtime", Map.of("log_level", "off")))) {
            add(router, "tiny", 256, job -> job.finish("x"));
            add(router, "flood", 1, job -> {
                for (int index = 0; index < TOKENS; index++) {
                    job.emit("tok ");
                }
            });
            // The virtual machine compiles what runs often.
            one(router, calls / 2);
            flood(router, false);
            java.put("call_c1_us", micros(calls, () -> one(router, calls)));
            java.put("call_c32_us", micros(calls, () -> together(router, calls)));
            java.put("token_us", micros(TOKENS, () -> flood(router, false)));
            java.put("text_token_us", micros(TOKENS, () -> flood(router, true)));
        }
        Map<String, ?> machine = Map.of("cpus", Runtime.getRuntime().availableProcessors(), "java",
                Runtime.version().toString(), "version", Router.VERSION);
        String text = new GsonBuilder().setPrettyPrinting().create()
                .toJson(Map.of("machine", machine, "rust", rust, "java", java));
        System.out.println(text);
        for (String name : rust.keySet()) {
            double reference = rust.get(name).getAsDouble();
            System.out.printf("bench: %s: %.2f in Rust, %.2f in Java, %.2f more%n", name, reference, java.get(name),
                    java.get(name) - reference);
        }
        Files.writeString(Path.of(arguments[1]), text + "\n");
    }

    private static void add(Router router, String model, long capacity, Miner miner) {
        router.addMiner(new MinerOptions().name(model).models(List.of(model)).capacity(capacity), miner);
    }

    /** The microseconds for each of {@code count}, with three digits. */
    private static double micros(int count, Runnable work) {
        long start = System.nanoTime();
        work.run();
        return Math.round((System.nanoTime() - start) / (double) count) / 1e3;
    }

    private static void one(Router router, int count) {
        for (int index = 0; index < count; index++) {
            router.complete(new Request("hello").model("tiny")).join();
        }
    }

    private static void together(Router router, int count) {
        CompletableFuture.allOf(IntStream.range(0, TOGETHER)
                .mapToObj(caller -> next(router, count / TOGETHER)).toArray(CompletableFuture<?>[]::new)).join();
    }

    /** A completion after the other, without a thread that waits. */
    private static CompletableFuture<Void> next(Router router, int count) {
        return count == 0
                ? CompletableFuture.completedFuture(null)
                : router.complete(new Request("hello").model("tiny")).thenCompose(done -> next(router, count - 1));
    }

    private static void flood(Router router, boolean texts) {
        Task task = router.submit(new Request("go").model("flood")).join();
        int count = 0;
        if (texts) {
            try (Tokens tokens = task.tokens()) {
                for (String token : tokens) {
                    count += token.length() / 4;
                }
            }
        } else {
            try (var events = task.events(0)) {
                while (events.next() instanceof Event.Token) {
                    count++;
                }
            }
        }
        if (count != TOKENS) {
            throw new IllegalStateException(count + " tokens instead of " + TOKENS);
        }
    }
}
