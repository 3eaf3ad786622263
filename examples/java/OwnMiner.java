import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import network.cortensor.java.Completion;
import network.cortensor.java.Job;
import network.cortensor.java.MinerClient;
import network.cortensor.java.Options.Answer;
import network.cortensor.java.Options.MinerClientSettings;
import network.cortensor.java.Options.UsageOptions;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;

/**
 * Passes jobs on to a thread of its own, which answers them later. The miner dials in to the router, as it would from
 * another machine.
 */
final class OwnMiner {
    private OwnMiner() {}

    /** Stands for a model: says the words of the prompt in reverse order. */
    private static void answer(Job job) {
        List<String> words = new ArrayList<>(List.of(job.prompt().split(" ")));
        Collections.reverse(words);
        try {
            words.forEach(word -> job.emit(word + " "));
            job.finish(new Answer().usage(new UsageOptions().promptTokens(words.size()).completionTokens(words.size())));
        } catch (RouterException.TaskCancelledException gone) {
            job.drop();
        }
    }

    public static void main(String[] arguments) throws InterruptedException {
        BlockingQueue<Job> jobs = new LinkedBlockingQueue<>();
        Thread worker = new Thread(() -> {
            try {
                while (true) {
                    answer(jobs.take());
                }
            } catch (InterruptedException end) {
                // The program ends.
            }
        });
        worker.start();
        Map<String, ?> token = Map.of("value", "a-token-for-the-miner", "scopes", List.of("miner"));
        try (Router router = Router.open();
                var listener = router.listen(Map.of("port", 0, "token", List.of(token)));
                MinerClient miner = MinerClient.run(
                        new MinerClientSettings().routers(List.of("ws://" + listener.address())).name("desk")
                                .models(List.of("tiny")).token("a-token-for-the-miner"),
                        job -> {
                            job.later();
                            jobs.add(job);
                        })) {
            while (!miner.stats().connected()) {
                Thread.sleep(10);
            }
            Completion completion = router.complete(new Request("one two three").model("tiny")).join();
            System.out.println(completion.text() + completion.usage().completionTokens());
        }
        worker.interrupt();
    }
}
