package network.cortensor.java.tests;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.BooleanSupplier;
import network.cortensor.java.LocalMiner;
import network.cortensor.java.Miner;
import network.cortensor.java.Options;
import network.cortensor.java.Router;
import network.cortensor.java.RouterException;

/** The parts that several tests use. */
final class Support {
    /** The seconds that anything may take. */
    static final long LIMIT = 20;

    /** A task has one attempt. */
    static final Map<String, ?> ONCE = Map.of("dispatch", Map.of("max_attempts", 1));

    private Support() {}

    static LocalMiner add(Router router, String name, long capacity, Miner miner) {
        return router.addMiner(new Options.MinerOptions().name(name).capacity(capacity), miner);
    }

    /** The value of a future; its exception is thrown as it is. */
    static <T> T soon(CompletableFuture<T> future) throws Exception {
        try {
            return future.get(LIMIT, TimeUnit.SECONDS);
        } catch (ExecutionException error) {
            if (error.getCause() instanceof Exception cause) {
                throw cause;
            }
            throw error;
        } catch (TimeoutException late) {
            throw new AssertionError("nothing came within " + LIMIT + " seconds");
        }
    }

    /** The exception of the router by which a call fails. */
    static RouterException failure(Call call) throws Exception {
        try {
            call.run();
        } catch (RouterException error) {
            return error;
        }
        throw new AssertionError("it did not fail");
    }

    @FunctionalInterface
    interface Call {
        void run() throws Exception;
    }

    /** Waits for what another thread brings about. */
    static void eventually(String what, BooleanSupplier holds) throws InterruptedException {
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
        while (!holds.getAsBoolean()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError(what + " did not come about");
            }
            Thread.sleep(1);
        }
    }
}
