package network.cortensor.java;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Flow;

/**
 * A submitted task. It runs until it ends, whether it is read or not. A task that nobody refers to any more goes on, too.
 * Closing it lets go of it, which cancels it unless it has ended, is detached, or is held by another caller.
 */
public final class Task implements AutoCloseable {
    private final Handle handle;
    private final long sessionId;
    private final long id;
    private final long gid;
    private final boolean joined;
    private final CompletableFuture<Completion> end = new CompletableFuture<>();
    /** Whether a reader that leaves cancels the task: it was submitted here, for the first time, and is not detached. */
    private volatile boolean owned;

    Task(long pointer, boolean owned) {
        handle = new Handle("task", pointer, Library::cortensor_task_free);
        sessionId = Library.cortensor_task_session_id(pointer);
        id = Library.cortensor_task_id(pointer);
        gid = Library.cortensor_task_gid(pointer);
        joined = Library.cortensor_task_joined(pointer) != 0;
        this.owned = owned && !joined;
        // The library holds this object until the end, so that garbage collection never decides whether a task runs.
        handle.doing((task, err) ->
                Library.cortensor_task_notify(task, Callbacks.WAKE_FUNCTION, Callbacks.hold((Runnable) this::ended), err));
    }

    private void ended() {
        try {
            end.complete(Completion.read(handle.bytes((task, out, err) ->
                    Library.cortensor_task_result(task, Library.FOREVER, out, err))));
        } catch (RuntimeException error) {
            end.completeExceptionally(error);
        }
        // After the end, nothing is cancelled when the task is let go.
        handle.collected(this);
    }

    /**
     * The session.
     *
     * @return its id
     */
    public long sessionId() {
        return sessionId;
    }

    /**
     * The task's number in its session.
     *
     * @return the number
     */
    public long id() {
        return id;
    }

    /**
     * The task's number among all sessions.
     *
     * @return the number
     */
    public long gid() {
        return gid;
    }

    /**
     * Whether an idempotency key led to a task that existed already.
     *
     * @return whether it did
     */
    public boolean joined() {
        return joined;
    }

    /**
     * The end of the task: its completion, or a {@link RouterException}. Cancelling this future leaves the task alone; what
     * waits for it runs on a thread of the library's and must not block, so use the forms whose names end in Async.
     *
     * @return a future of its own for each call
     */
    public CompletableFuture<Completion> result() {
        return end.copy();
    }

    /**
     * The present record.
     *
     * @return the record
     */
    public Records.TaskRecord record() {
        return handle.record(Records.TaskRecord.class, Library::cortensor_task_record);
    }

    /**
     * The texts of the tokens, for one thread. Closing them early cancels the task, unless it is detached, or
     * another caller submitted it.
     *
     * @return the texts from the first on
     */
    public Tokens tokens() {
        return new Tokens(this);
    }

    /**
     * The texts of the tokens, for any number of subscribers, each from the first on. A subscriber that cancels cancels
     * the task, unless it is detached, or another caller submitted it.
     *
     * @return the publisher
     */
    public Flow.Publisher<String> publisher() {
        return new TokenPublisher(this);
    }

    /**
     * The events after a number: tokens with their numbers, restarts, and the end. Leaving them cancels nothing.
     *
     * @param after the number; 0: from the first event on
     * @return the events, to be closed
     */
    public EventStream events(long after) {
        return new EventStream(handle.giving((task, out, err) -> Library.cortensor_task_stream(task, after, out, err)));
    }

    /** Cancels the task, even if other callers wait for it. */
    public void cancel() {
        handle.doing(Library::cortensor_task_cancel);
    }

    /** Detaches the task: from now on, neither leaving nor closing it cancels it. */
    public void detach() {
        owned = false;
        handle.doing(Library::cortensor_task_detach);
    }

    /** Cancels the task, since its reader has left, unless it is detached, another caller's, or was closed. */
    void leave() {
        if (owned && !handle.isFree()) {
            cancel();
        }
    }

    /** The vectors of a task with an input, which has ended. */
    Records.EmbeddingsRecord embeddings() {
        Handle vectors = new Handle("vectors", handle.giving((task, out, err) ->
                Library.cortensor_task_embeddings(task, Library.FOREVER, out, err)),
                Library::cortensor_embeddings_free);
        try {
            return vectors.record(Records.EmbeddingsRecord.class, Library::cortensor_embeddings_record);
        } finally {
            vectors.free();
        }
    }

    @Override
    public void close() {
        handle.free();
    }
}
