import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;
import network.cortensor.java.Job;
import network.cortensor.java.Options.MinerOptions;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;

/** The whole API inside a server of the JDK, beside a page of its own. */
final class OwnServer {
    private OwnServer() {}

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

    public static void main(String[] arguments) throws IOException {
        Router router = Router.open();
        router.addMiner(new MinerOptions().name("tick").capacity(8), OwnServer::tick);
        // With an argument: any port that is free.
        int port = arguments.length > 0 ? 0 : 3000;
        HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/hello", exchange -> {
            byte[] page = "a page of this program\n".getBytes(StandardCharsets.UTF_8);
            exchange.sendResponseHeaders(200, page.length);
            exchange.getResponseBody().write(page);
            exchange.close();
        });
        server.createContext("/", router.handler(null));
        server.start();
        System.out.println("listening on http://127.0.0.1:" + server.getAddress().getPort());
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            router.close();
            Runtime.getRuntime().halt(0);
        }));
    }
}
