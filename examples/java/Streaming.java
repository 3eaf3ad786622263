import java.util.List;
import network.cortensor.java.Job;
import network.cortensor.java.Options.MinerOptions;
import network.cortensor.java.Options.SessionOptions;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;
import network.cortensor.java.Session;
import network.cortensor.java.Task;
import network.cortensor.java.Tokens;

/** Tokens as they come, with a time limit. Closing them early cancels the work. */
final class Streaming {
    private Streaming() {}

    /** Stands for a model that never stops by itself. */
    private static void count(Job job) throws InterruptedException {
        try {
            for (int number = 1; ; number++) {
                job.emit(number + " ");
                Thread.sleep(5);
            }
        } catch (RouterException.TaskCancelledException nobodyWaits) {
            System.out.println("\nthe miner was told to stop");
        }
    }

    public static void main(String[] arguments) {
        try (Router router = Router.open()) {
            router.addMiner(new MinerOptions().name("counter").models(List.of("tiny")).capacity(4), Streaming::count);
            Session session = router.createSession(new SessionOptions().name("chat").model("tiny"));
            Task task = session.submit(new Request("count").timeout(5)).join();
            try (Tokens tokens = task.tokens()) {
                for (String token : tokens) {
                    System.out.print(token);
                    if (token.equals("10 ")) {
                        break;
                    }
                }
            }
        }
    }
}
