package network.cortensor.java.tests;

import java.util.Map;
import java.util.concurrent.Semaphore;
import network.cortensor.java.Request;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;
import network.cortensor.java.Task;

/** Ends while tasks are answered and read. The argument says how. */
final class Ending {
    private Ending() {}

    public static void main(String[] arguments) throws Exception {
        Router router = Router.open(Map.of("runtime", Map.of("log_level", "trace")), record -> {});
        Support.add(router, "endless", 4, job -> {
            while (true) {
                job.emit("x");
            }
        });
        Semaphore read = new Semaphore(0);
        for (int index = 0; index < 4; index++) {
            Task task = Support.soon(router.submit(new Request("x")));
            Thread reader = new Thread(() -> {
                try (var tokens = task.tokens()) {
                    tokens.forEach(token -> read.release());
                } catch (RouterException error) {
                    // The router was closed.
                }
            });
            reader.setDaemon(true);
            reader.start();
        }
        read.acquire(50);
        switch (arguments[0]) {
            case "return" -> {}
            case "exit" -> System.exit(0);
            case "close" -> router.close();
            case "throw" -> throw new IllegalStateException("the program throws");
            case "halt" -> Runtime.getRuntime().halt(0);
            default -> throw new IllegalArgumentException(arguments[0]);
        }
    }
}
