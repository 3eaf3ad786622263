import java.time.Duration;
import java.util.Map;
import network.cortensor.java.Job;
import network.cortensor.java.Options.MinerOptions;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;

/** A router that serves the REST API and OpenAI's until Ctrl-C. */
final class Serve {
    private Serve() {}

    /** Gives {@code tick} until no client reads, but not for ever. */
    private static void tick(Job job) {
        try {
            for (int count = 0; count < 100_000; count++) {
                job.emit("tick ");
            }
        } catch (RouterException.TaskCancelledException gone) {
            System.out.println("the client hung up");
            throw gone;
        }
    }

    public static void main(String[] arguments) {
        Router router = Router.open(null, record ->
                System.err.printf("%s %s %s: %s%n", record.time(), record.level(), record.target(), record.message()));
        router.addMiner(new MinerOptions().name("tick").capacity(8), Serve::tick);
        // With an argument: any port that is free.
        var listener = router.listen(Map.of("port", arguments.length > 0 ? 0 : 5010));
        System.out.println("listening on " + listener.url());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            // Ten seconds for what runs; the end of the router cancels the rest.
            router.drain(Duration.ofSeconds(10));
            router.close();
            // Java ends with 130 after SIGINT; this program has done what it was told.
            Runtime.getRuntime().halt(0);
        }));
        listener.await();
    }
}
