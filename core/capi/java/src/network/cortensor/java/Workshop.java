package network.cortensor.java;

import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;

/** The place of one miner's jobs. */
final class Workshop {
    private final Miner miner;
    private final Executor executor;
    private final CompletableFuture<Void> dropped = new CompletableFuture<>();
    private volatile boolean closed;

    Workshop(Miner miner, Executor executor) {
        if (miner == null) {
            throw Handle.invalid("miner", "the miner is null: give a Miner, or a lambda with a Job");
        }
        this.miner = miner;
        this.executor = executor;
    }

    /** Whether a job is only passed on. An executor of the program may run it at once. */
    boolean isQuick() {
        return executor == Callbacks.MINERS;
    }

    /** Completed when the library lets go of the miner: no job comes any more. */
    CompletableFuture<Void> dropped() {
        return dropped;
    }

    /** Gets a job from the library. */
    void take(long pointer) {
        Job job = new Job(pointer);
        try {
            executor.execute(() -> run(job));
        } catch (RejectedExecutionException error) {
            // The answer is a call of the library, which this thread may not make.
            Callbacks.ANSWERS.execute(() -> job.end(new JobException("overloaded", "the miner's executor is full")));
        }
    }

    void close() {
        closed = true;
        dropped.completeAsync(() -> null, Callbacks.ANSWERS);
    }

    private void run(Job job) {
        if (closed) {
            // The miner was removed while the job waited for its thread.
            job.drop();
            return;
        }
        try {
            miner.work(job);
            job.end(null);
        } catch (CancellationException error) {
            job.end(new JobException("cancelled", String.valueOf(error.getMessage())));
        } catch (Throwable error) {
            job.end(error);
        }
    }
}
