package network.cortensor.java;

import com.sun.jna.Memory;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.function.Consumer;
import java.util.function.Function;

/**
 * A router inside this process. Close it when it is not needed any more: the garbage collector does not. Every method may
 * be called from any thread.
 *
 * <p>Methods that give a record wait for the store at most; submissions and their ends are futures.
 */
public final class Router implements AutoCloseable {
    /** The version of this library, the same in every language. */
    public static final String VERSION = "0.1.0";

    private final Handle handle;

    private Router(long pointer) {
        handle = new Handle("router", pointer, Library::cortensor_router_free);
    }

    /**
     * Opens a router with the defaults, which keep everything in memory.
     *
     * @return the router
     */
    public static Router open() {
        return open(null, null);
    }

    /**
     * Opens a router.
     *
     * @param config in the form of docs/configuration.md: a map, an object that Gson can write, JSON as a text, or null
     * @return the router
     */
    public static Router open(Object config) {
        return open(config, null);
    }

    /**
     * Opens a router with a log.
     *
     * @param config as for {@link #open(Object)}
     * @param log gets the log lines one at a time, and must not call the router; null: nobody does
     * @return the router
     */
    public static Router open(Object config, Consumer<LogRecord> log) {
        byte[] text = Json.text("config", config);
        Memory records = Callbacks.log(log);
        long[] out = new long[1];
        long[] err = new long[1];
        try {
            Handle.check(Library.cortensor_router_open(text, text.length, Callbacks.address(records), out, err), err);
        } finally {
            // The library reads the table by its address, which keeps nothing alive.
            Reference.reachabilityFence(records);
        }
        return new Router(out[0]);
    }

    /**
     * The version of the loaded library.
     *
     * @return the version
     */
    public static String libraryVersion() {
        return Library.cortensor_version();
    }

    /** Whether a call that waits came to its end in time. */
    static boolean inTime(Runnable call) {
        try {
            call.run();
            return true;
        } catch (RouterException.TimeoutException late) {
            return false;
        }
    }

    /**
     * Takes no new tasks and waits until the present ones have ended.
     *
     * @param within the time limit
     * @return whether all have ended in time
     */
    public boolean drain(Duration within) {
        return inTime(() -> handle.doing((router, err) ->
                Library.cortensor_router_drain(router, within.toMillis(), err)));
    }

    /**
     * Ends the router within a time. If it takes longer, the router is closed, but some of its work has not ended; call it
     * again, or {@link #close}, to wait on.
     *
     * @param within the time limit
     * @return whether everything has ended in time
     */
    public boolean shutdown(Duration within) {
        return handle.isFree() || inTime(() -> handle.doing((router, err) ->
                Library.cortensor_router_shutdown(router, within.toMillis(), err)));
    }

    /**
     * Ends the router: stops the listeners, cancels running tasks and closes the store. Afterwards no job comes to a miner.
     * A second time it does nothing. A miner may call it, too.
     */
    @Override
    public void close() {
        if (!handle.isFree()) {
            handle.doing((router, err) -> Library.cortensor_router_shutdown(router, Library.FOREVER, err));
            handle.free();
        }
    }

    /**
     * The configuration with every default, without secrets.
     *
     * @return JSON
     */
    public String config() {
        return handle.text(Library::cortensor_router_config);
    }

    /**
     * The router's name, version and abilities: the record of {@code GET /api/v1/info}.
     *
     * @return the record
     */
    public Records.NodeInfo info() {
        return handle.record(Records.NodeInfo.class, Library::cortensor_router_info);
    }

    /**
     * The router's present state: the record of {@code GET /api/v1/status}.
     *
     * @return the record
     */
    public Records.NodeStatus status() {
        return handle.record(Records.NodeStatus.class, Library::cortensor_router_status);
    }

    /**
     * All metrics in Prometheus' text format.
     *
     * @return the text
     */
    public String metrics() {
        return handle.text(Library::cortensor_router_metrics);
    }

    /**
     * The miners of every kind.
     *
     * @return the list
     */
    public Pages.Miners miners() {
        return handle.record(Pages.Miners.class, Library::cortensor_router_miners);
    }

    /**
     * The models that clients can ask for.
     *
     * @return the list
     */
    public Pages.Models models() {
        return handle.record(Pages.Models.class, Library::cortensor_router_models);
    }

    /**
     * Opens a session.
     *
     * @param options {@code name} is required
     * @return the session, once it is durable
     */
    public Session createSession(Options.SessionOptions options) {
        byte[] spec = Json.text("session", options);
        return new Session(this, handle.record(Records.SessionRecord.class, (router, out, err) ->
                Library.cortensor_router_create_session(router, spec, spec.length, 0, out, err)));
    }

    /**
     * An existing session.
     *
     * @param id its id
     * @return the session
     */
    public Session session(long id) {
        return new Session(this, handle.record(Records.SessionRecord.class, (router, out, err) ->
                Library.cortensor_router_session(router, id, out, err)));
    }

    /**
     * A page of sessions.
     *
     * @param query the part that is wanted
     * @return the page
     */
    public Pages.Sessions sessions(Options.PageQuery query) {
        byte[] text = Json.text("query", query);
        return handle.record(Pages.Sessions.class, (router, out, err) ->
                Library.cortensor_router_sessions(router, text, text.length, out, err));
    }

    /**
     * Changes a session.
     *
     * @param id its id
     * @param changes what changes
     * @return the new record, once it is durable
     */
    public Records.SessionRecord updateSession(long id, Options.SessionChanges changes) {
        byte[] patch = Json.text("session", changes);
        return handle.record(Records.SessionRecord.class, (router, out, err) ->
                Library.cortensor_router_update_session(router, id, patch, patch.length, out, err));
    }

    /**
     * Closes a session: new tasks are refused, present ones finish.
     *
     * @param id its id
     * @return the new record, once it is durable
     */
    public Records.SessionRecord closeSession(long id) {
        return handle.record(Records.SessionRecord.class, (router, out, err) ->
                Library.cortensor_router_close_session(router, id, out, err));
    }

    /**
     * Submits a task, to session 0 unless the request says another one. The future is completed when the task is as durable
     * as {@code storage.durability} says. Cancelling the future before that cancels the task.
     *
     * @param request the work of the task
     * @return the task
     */
    public CompletableFuture<Task> submit(Request request) {
        return submit(request.session(), request);
    }

    CompletableFuture<Task> submit(long session, Request request) {
        byte[] body;
        try {
            body = Json.text("request", request);
        } catch (RouterException error) {
            return CompletableFuture.failedFuture(error);
        }
        return submit(session, body, request.isDetached());
    }

    /**
     * Submits a task whose request is the body of {@code POST /api/v1/completions}, as a client sent it. Members that the
     * router does not know reach the miner.
     *
     * @param session the session
     * @param request JSON
     * @return the task
     */
    public CompletableFuture<Task> submitJson(long session, String request) {
        return submit(session, Handle.utf8(request), Json.isDetached(request));
    }

    private CompletableFuture<Task> submit(long session, byte[] body, boolean detached) {
        CompletableFuture<Task> future = new CompletableFuture<>();
        Callbacks.Submitted place = (pointer, error) -> {
            if (pointer == 0) {
                future.completeExceptionally(Handle.failed(error));
                return;
            }
            Task task = new Task(pointer, !detached);
            if (!future.complete(task)) {
                // The future was cancelled. Letting go of the task cancels it.
                task.close();
            }
        };
        try {
            handle.doing((router, err) -> Library.cortensor_router_submit_start(
                    router, session, body, body.length, Callbacks.SUBMITTED_FUNCTION, Callbacks.hold(place), err));
        } catch (RouterException error) {
            future.completeExceptionally(error);
        }
        return future;
    }

    /**
     * Submits a task and waits for its end. Cancelling the future cancels the task.
     *
     * @param request the work of the task
     * @return the completion
     */
    public CompletableFuture<Completion> complete(Request request) {
        return complete(request.session(), request);
    }

    CompletableFuture<Completion> complete(long session, Request request) {
        return ended(submit(session, request), Task::result);
    }

    /**
     * Makes the vectors of the texts in the input of a request. Cancelling the future cancels the task.
     *
     * @param request a request with {@code input}, a text or a list of texts
     * @return the vectors
     */
    public CompletableFuture<Records.EmbeddingsRecord> embed(Request request) {
        return embed(request.session(), request);
    }

    CompletableFuture<Records.EmbeddingsRecord> embed(long session, Request request) {
        Map<String, Object> members = request.members();
        if (!members.containsKey("input") || members.containsKey("prompt") || members.containsKey("messages")) {
            return CompletableFuture.failedFuture(Handle.invalid(
                    "input", "an embedding needs input, a text or a list of texts, and nothing else to read"));
        }
        return ended(submit(session, request), task -> task.result().handle((completion, error) -> {
            if (error instanceof RouterException failure) {
                throw failure;
            }
            return task.embeddings();
        }));
    }

    /** Lets go of a task at its end, or when nobody waits for that any more. */
    private static <T> CompletableFuture<T> ended(
            CompletableFuture<Task> submitted, Function<Task, CompletableFuture<T>> end) {
        CompletableFuture<T> future = new CompletableFuture<>();
        submitted.thenCompose(end).whenComplete((value, error) -> {
            if (error == null) {
                future.complete(value);
            } else {
                future.completeExceptionally(error instanceof CompletionException outer ? outer.getCause() : error);
            }
        });
        future.whenComplete((value, error) -> {
            submitted.cancel(false);
            submitted.thenAccept(Task::close);
        });
        return future;
    }

    /**
     * Joins a task by its ids, running or ended. Leaving its tokens does not cancel it: it is another caller's.
     *
     * @param session its session
     * @param task its number there
     * @return the task
     */
    public Task attach(long session, long task) {
        return new Task(handle.giving((router, out, err) ->
                Library.cortensor_router_attach(router, session, task, out, err)), false);
    }

    /**
     * The record of a task.
     *
     * @param session its session
     * @param task its number there
     * @return the record
     */
    public Records.TaskRecord task(long session, long task) {
        return handle.record(Records.TaskRecord.class, (router, out, err) ->
                Library.cortensor_router_task(router, session, task, out, err));
    }

    /**
     * A page of a session's tasks.
     *
     * @param session the session
     * @param query the part that is wanted
     * @return the page
     */
    public Records.TaskPage tasks(long session, Options.TaskQuery query) {
        byte[] text = Json.text("query", query);
        return handle.record(Records.TaskPage.class, (router, out, err) ->
                Library.cortensor_router_tasks(router, session, text, text.length, out, err));
    }

    /**
     * Cancels a task by its ids.
     *
     * @param session its session
     * @param task its number there
     * @return the record, once the end is durable
     */
    public Records.TaskRecord cancel(long session, long task) {
        return handle.record(Records.TaskRecord.class, (router, out, err) ->
                Library.cortensor_router_cancel(router, session, task, out, err));
    }

    /**
     * Adds a miner of this program, whose jobs run on daemon threads of the library's.
     *
     * @param options {@code name} is required
     * @param miner does the work
     * @return the miner
     */
    public LocalMiner addMiner(Options.MinerOptions options, Miner miner) {
        return addMiner(options, Callbacks.MINERS, miner);
    }

    /**
     * Adds a miner of this program whose jobs run on an executor of the program's.
     *
     * @param options {@code name} is required
     * @param executor runs the jobs
     * @param miner does the work
     * @return the miner
     */
    public LocalMiner addMiner(Options.MinerOptions options, Executor executor, Miner miner) {
        byte[] spec = Json.text("miner", options);
        Workshop workshop = new Workshop(miner, executor);
        long pointer = handle.giving((router, out, err) -> {
            // The library takes the table over in any case.
            Memory callbacks = Callbacks.miner(workshop);
            try {
                return Library.cortensor_router_add_miner(
                        router, spec, spec.length, Callbacks.address(callbacks), out, err);
            } finally {
                Reference.reachabilityFence(callbacks);
            }
        });
        return new LocalMiner(pointer, workshop.dropped());
    }

    /**
     * Adds an OpenAI-compatible server as a miner.
     *
     * @param url its address, for example {@code http://127.0.0.1:8080/v1}
     */
    public void addUpstream(String url) {
        addUpstream(Map.of("url", url));
    }

    /**
     * Adds an OpenAI-compatible server as a miner.
     *
     * @param upstream one {@code upstream} of docs/configuration.md
     */
    public void addUpstream(Map<String, ?> upstream) {
        byte[] text = Json.text("upstream", upstream);
        handle.doing((router, err) -> Library.cortensor_router_add_upstream(router, text, text.length, err));
    }

    /**
     * Removes a miner of any kind. Other miners take over its tasks.
     *
     * @param name its name
     */
    public void removeMiner(String name) {
        byte[] text = Handle.utf8(name);
        handle.doing((router, err) -> Library.cortensor_router_remove_miner(router, text, text.length, err));
    }

    /**
     * Starts the HTTP listener: the REST API and the APIs of OpenAI and others.
     *
     * @param config the {@code listen} section of docs/configuration.md; null: the router's own settings
     * @return the listener
     */
    public Listener listen(Object config) {
        byte[] text = Json.text("listen", config);
        return new Listener(handle.giving((router, out, err) ->
                Library.cortensor_router_listen(router, text, text.length, out, err)));
    }

    /**
     * The API for a server of this program, as the listener has it.
     *
     * @param config as for {@link #listen}; addresses do not apply
     * @return a handler for the server of the JDK
     */
    public ApiHandler handler(Object config) {
        byte[] text = Json.text("listen", config);
        return new ApiHandler(handle.giving((router, out, err) ->
                Library.cortensor_router_http_handler(router, text, text.length, out, err)));
    }

    /**
     * Makes an API key for listeners. Its token cannot be read again later.
     *
     * @param options {@code name} is required
     * @return the key
     */
    public Records.NewKey createKey(Options.KeyOptions options) {
        byte[] spec = Json.text("key", options);
        return handle.record(Records.NewKey.class, (router, out, err) ->
                Library.cortensor_router_create_key(router, spec, spec.length, out, err));
    }

    /**
     * The API keys, without their tokens.
     *
     * @return the list
     */
    public Pages.Keys keys() {
        return handle.record(Pages.Keys.class, Library::cortensor_router_keys);
    }

    /**
     * Revokes an API key: listeners refuse it from now on and end its open requests.
     *
     * @param id the id of the key
     */
    public void deleteKey(String id) {
        byte[] text = Handle.utf8(id);
        handle.doing((router, err) -> Library.cortensor_router_delete_key(router, text, text.length, err));
    }

    /**
     * The usage, by day, key, model, session or miner: the record of {@code GET /api/v1/usage}.
     *
     * @param query the part that is wanted
     * @return the record
     */
    public Records.UsageReport usage(Options.UsageQuery query) {
        byte[] text = Json.text("query", query);
        return handle.record(Records.UsageReport.class, (router, out, err) ->
                Library.cortensor_router_usage(router, text, text.length, out, err));
    }
}
