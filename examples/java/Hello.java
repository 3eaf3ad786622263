import network.cortensor.java.Options.MinerOptions;
import network.cortensor.java.Request;
import network.cortensor.java.Router;

/** The shortest program: a router, a miner, a task. */
final class Hello {
    private Hello() {}

    public static void main(String[] arguments) {
        try (Router router = Router.open()) {
            router.addMiner(new MinerOptions().name("shout"), job -> job.finish(job.prompt().toUpperCase()));
            System.out.println(router.complete(new Request("hello from Java")).join().text());
        }
    }
}
