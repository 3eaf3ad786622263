package network.cortensor.java;

import java.util.concurrent.CompletableFuture;

/** An open account for work. Closing it with {@link #end} refuses new tasks. */
public final class Session {
    private final Router router;
    private final Records.SessionRecord record;

    Session(Router router, Records.SessionRecord record) {
        this.router = router;
        this.record = record;
    }

    /**
     * The session's id.
     *
     * @return the id
     */
    public long id() {
        return record.id();
    }

    /**
     * The record as it was when this object was made.
     *
     * @return the record
     */
    public Records.SessionRecord record() {
        return record;
    }

    /**
     * Submits a task to this session; see {@link Router#submit}.
     *
     * @param request the work of the task
     * @return the task, once it is durable
     */
    public CompletableFuture<Task> submit(Request request) {
        return router.submit(id(), request);
    }

    /**
     * Submits a task to this session and waits for its end; see {@link Router#complete}.
     *
     * @param request the work of the task
     * @return the completion
     */
    public CompletableFuture<Completion> complete(Request request) {
        return router.complete(id(), request);
    }

    /**
     * Makes the vectors of the texts in the input of a request; see {@link Router#embed}.
     *
     * @param request the work of the task
     * @return the vectors
     */
    public CompletableFuture<Records.EmbeddingsRecord> embed(Request request) {
        return router.embed(id(), request);
    }

    /**
     * A page of the session's tasks.
     *
     * @param query the part that is wanted
     * @return the page
     */
    public Records.TaskPage tasks(Options.TaskQuery query) {
        return router.tasks(id(), query);
    }

    /**
     * Joins a task of this session, running or ended.
     *
     * @param taskId the task's number in this session
     * @return the task
     */
    public Task attach(long taskId) {
        return router.attach(id(), taskId);
    }

    /**
     * Changes the session.
     *
     * @param changes what changes
     * @return the new record
     */
    public Records.SessionRecord update(Options.SessionChanges changes) {
        return router.updateSession(id(), changes);
    }

    /**
     * Closes the session: new tasks are refused, present ones finish.
     *
     * @return the new record
     */
    public Records.SessionRecord end() {
        return router.closeSession(id());
    }
}
