package network.cortensor.java;

import com.sun.jna.Memory;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.function.Consumer;

/** A miner of this program that works for a distant router. Close it when it is not needed any more. */
public final class MinerClient implements AutoCloseable {
    private final Handle handle;

    private MinerClient(long pointer) {
        handle = new Handle("miner", pointer, Library::cortensor_miner_client_free);
    }

    /**
     * Connects to a router and works for it. It reconnects when the connection breaks, and loses no finished answer. It
     * does not wait for the connection: {@link #stats} tells of it.
     *
     * @param settings {@code routers} and {@code name} are required
     * @param miner does the work
     * @return the miner
     */
    public static MinerClient run(Options.MinerClientSettings settings, Miner miner) {
        return run(settings, miner, null);
    }

    /**
     * Like {@link #run(Options.MinerClientSettings, Miner)}, with a log.
     *
     * @param settings {@code routers} and {@code name} are required
     * @param miner does the work
     * @param log gets the log lines one at a time, and must not call the miner; null: nobody does
     * @return the miner
     */
    public static MinerClient run(Options.MinerClientSettings settings, Miner miner, Consumer<LogRecord> log) {
        byte[] config = Json.text("config", settings);
        Workshop workshop = new Workshop(miner, Callbacks.MINERS);
        Memory callbacks = Callbacks.miner(workshop);
        Memory records = Callbacks.log(log);
        long[] out = new long[1];
        long[] err = new long[1];
        try {
            Handle.check(Library.cortensor_miner_client_start(config, config.length, Callbacks.address(callbacks),
                    Callbacks.address(records), out, err), err);
        } finally {
            // The library reads the tables by their addresses, which keep nothing alive.
            Reference.reachabilityFence(callbacks);
            Reference.reachabilityFence(records);
        }
        return new MinerClient(out[0]);
    }

    /**
     * The miner's counts and the state of its connection.
     *
     * @return the record
     */
    public Records.MinerClientStats stats() {
        return handle.record(Records.MinerClientStats.class, Library::cortensor_miner_client_stats);
    }

    /**
     * Sets how many jobs the miner takes at a time from now on, at most its first capacity.
     *
     * @param jobs the number
     */
    public void setCapacity(int jobs) {
        handle.doing((client, err) -> Library.cortensor_miner_client_set_capacity(client, jobs, err));
    }

    /**
     * Takes no new jobs, finishes the present ones, and ends the connection.
     *
     * @param within the time limit
     * @return whether all were finished in time, and the router has their answers
     */
    public boolean drain(Duration within) {
        return Router.inTime(() -> handle.doing((client, err) ->
                Library.cortensor_miner_client_drain(client, within.toMillis(), err)));
    }

    /** Ends the connection and cancels the work. Afterwards no job comes. A second time it does nothing. */
    @Override
    public void close() {
        if (!handle.isFree()) {
            handle.doing((client, err) -> Library.cortensor_miner_client_close(client, Library.FOREVER, err));
            handle.free();
        }
    }
}
