package network.cortensor.java;

import java.util.concurrent.CompletableFuture;

/** A miner of this program that was added. It works on if nobody refers to it. */
public final class LocalMiner {
    private final Handle handle;
    private final CompletableFuture<Void> dropped;

    LocalMiner(long pointer, CompletableFuture<Void> dropped) {
        this.handle = new Handle("miner", pointer, Library::cortensor_miner_free).collected(this);
        this.dropped = dropped;
    }

    /** Stops new jobs for the miner, which finishes those that it has. */
    public void drain() {
        handle.doing(Library::cortensor_miner_drain);
    }

    /**
     * Sets how many jobs the miner takes at a time from now on.
     *
     * @param jobs the number
     */
    public void setCapacity(int jobs) {
        handle.doing((miner, err) -> Library.cortensor_miner_set_capacity(miner, jobs, err));
    }

    /** Removes the miner: no job comes to it any more, and other miners take over its tasks. */
    public void remove() {
        handle.doing((miner, err) -> Library.cortensor_miner_remove(miner, Library.FOREVER, err));
    }

    /**
     * Completed when the router has let go of the miner: no job comes to it any more.
     *
     * @return a future of its own for each call
     */
    public CompletableFuture<Void> dropped() {
        return dropped.copy();
    }
}
