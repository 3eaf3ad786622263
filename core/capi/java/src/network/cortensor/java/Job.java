package network.cortensor.java;

/**
 * One attempt at a task, in a miner's hands. Any thread may use it. It is answered exactly once, by {@link #finish},
 * {@link #fail} or {@link #reject}, or by the return of the miner.
 */
public final class Job {
    private final Handle handle;
    private final Turn turn = new Turn();
    private volatile boolean later;
    private Records.JobInfo info;

    Job(long pointer) {
        // A job that was left for later and then forgotten fails.
        handle = new Handle("job", pointer, Library::cortensor_job_free).collected(this);
    }

    /**
     * The router's record of the job. It is read once; read it before the answer.
     *
     * @return the record
     */
    public synchronized Records.JobInfo info() {
        if (info == null) {
            info = handle.record(Records.JobInfo.class, Library::cortensor_job_info);
        }
        return info;
    }

    /**
     * The whole text that the model must read.
     *
     * @return the text
     */
    public String prompt() {
        return handle.text(Library::cortensor_job_prompt);
    }

    /** Says that the job will be answered after the miner has returned, by whatever thread has it. */
    public void later() {
        later = true;
    }

    /**
     * Gives the next piece of the answer. It waits while the reader is slow.
     *
     * @param piece the text
     * @throws RouterException.TaskCancelledException nobody wants the answer: stop working
     */
    public void emit(String piece) {
        emit(Handle.utf8(piece));
    }

    /**
     * Gives the next piece of the answer as UTF-8. The last character may be incomplete if the next piece begins with the
     * rest of it. It waits while the reader is slow.
     *
     * @param piece the bytes
     * @throws RouterException.TaskCancelledException nobody wants the answer: stop working
     */
    public void emit(byte[] piece) {
        byte[] full = new byte[1];
        handle.doing((job, err) -> Library.cortensor_job_emit(job, piece, piece.length, full, err));
        awaitWritable(full);
    }

    /**
     * Gives the next piece of the answer with its reasoning and its calls of tools. It waits while the reader is slow.
     *
     * @param parts the parts
     * @throws RouterException.TaskCancelledException nobody wants the answer: stop working
     */
    public void emit(Options.PieceParts parts) {
        byte[] text = Json.text("parts", parts);
        byte[] full = new byte[1];
        handle.doing((job, err) -> Library.cortensor_job_emit_parts(job, text, text.length, full, err));
        awaitWritable(full);
    }

    private void awaitWritable(byte[] full) {
        if (full[0] != 0) {
            handle.doing((job, err) -> Library.cortensor_job_wait_writable(job, Library.FOREVER, err));
        }
    }

    /** Ends the job with success. The pieces that were emitted are the text; a job without any content fails. */
    public void finish() {
        answer((job, err) -> Library.cortensor_job_finish(job, new byte[0], 0, err));
    }

    /**
     * Ends the job with a text, which may be empty.
     *
     * @param text the answer
     */
    public void finish(String text) {
        finish(new Options.Answer().text(text));
    }

    /**
     * Ends the job with success. If the answer is wrong, the job can still be answered.
     *
     * @param answer the answer; pieces that were emitted are its text
     */
    public void finish(Options.Answer answer) {
        byte[] text = Json.text("answer", answer);
        answer((job, err) -> Library.cortensor_job_finish(job, text, text.length, err));
    }

    /**
     * Ends the job with a failure.
     *
     * @param code as in {@link JobException}
     * @param message reaches the caller
     */
    public void fail(String code, String message) {
        byte[] word = Handle.utf8(code);
        byte[] text = Handle.utf8(message);
        answer((job, err) -> Library.cortensor_job_fail(job, word, word.length, text, text.length, err));
    }

    /**
     * Gives the job back: another miner is tried, and this one is not blamed.
     *
     * @param reason the reason
     */
    public void reject(String reason) {
        byte[] text = Handle.utf8(reason);
        answer((job, err) -> Library.cortensor_job_reject(job, text, text.length, err));
    }

    /** Lets go of the job. A job that was not answered fails. */
    public void drop() {
        handle.free();
    }

    /**
     * Whether the job is no longer wanted, or was answered.
     *
     * @return whether to stop
     */
    public boolean isCancelled() {
        return asks(handle, Library::cortensor_job_is_cancelled);
    }

    /**
     * Whether the job was answered or dropped.
     *
     * @return whether it was
     */
    public boolean isAnswered() {
        return asks(handle, Library::cortensor_job_is_answered);
    }

    /**
     * Calls a function once the job is no longer wanted: {@code job.onCancelled(Thread.currentThread()::interrupt)} wakes
     * a miner that sleeps. If the job is no longer wanted, or was answered, before this call, the function runs at once. An
     * answer calls nothing, and nothing is called after the miner has returned, unless it called {@link #later}: its thread
     * may have another job then. The function must not wait for the miner.
     *
     * @param action the function
     */
    public void onCancelled(Runnable action) {
        // The library holds what it calls; this must not be the job, or one that is forgotten would never be found.
        Handle held = handle;
        Turn its = turn;
        Runnable wake = () -> its.take(() -> {
            if (!asks(held, Library::cortensor_job_is_answered)) {
                action.run();
            }
        });
        try {
            handle.doing((job, err) ->
                    Library.cortensor_job_notify_cancelled(job, Callbacks.WAKE_FUNCTION, Callbacks.hold(wake), err));
        } catch (RouterException.ClosedException answered) {
            action.run();
        }
    }

    private interface Question {
        byte ask(long job);
    }

    /** Lets the end of the miner come before or after a call of its function, but not between. */
    private static final class Turn {
        private boolean over;

        synchronized void take(Runnable action) {
            if (!over) {
                action.run();
            }
        }

        /** Waits for the call that runs, and lets no other one begin. */
        synchronized void end() {
            over = true;
        }
    }

    private static boolean asks(Handle handle, Question question) {
        boolean[] answer = {true};
        try {
            handle.doing((job, err) -> {
                answer[0] = question.ask(job) != 0;
                return Library.OK;
            });
        } catch (RouterException.ClosedException answered) {
            return true;
        }
        return answer[0];
    }

    /** Makes a call that answers the job, and frees it if it is answered then. */
    private void answer(Handle.Doing call) {
        try {
            handle.doing(call);
        } finally {
            if (isAnswered()) {
                handle.free();
            }
        }
    }

    /** Answers the job as the miner ended: it returned, or threw. */
    void end(Throwable thrown) {
        if (thrown != null || !later) {
            turn.end();
        }
        try {
            if (thrown == null) {
                if (!later && !isAnswered()) {
                    finish();
                }
            } else if (!isAnswered()) {
                String message = thrown.getMessage() == null ? thrown.toString() : thrown.getMessage();
                failOr(thrown instanceof JobException own ? own.code() : code(thrown), message);
            }
        } catch (RouterException error) {
            // The job is answered, or nobody wants it, or it had no content, which fails it.
        } finally {
            if (thrown != null || !later) {
                drop();
            }
        }
    }

    private void failOr(String code, String message) {
        try {
            fail(code, message);
        } catch (RouterException.InvalidArgumentException noSuchCode) {
            fail("internal", message);
        }
    }

    private static String code(Throwable thrown) {
        if (thrown instanceof RouterException.TaskCancelledException || thrown instanceof InterruptedException) {
            return "cancelled";
        }
        // The miner called a router itself.
        return thrown instanceof RouterException.OverloadedException ? "overloaded" : "internal";
    }
}
