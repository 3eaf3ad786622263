package network.cortensor.java;

import com.sun.jna.Native;

/**
 * The functions of the C library, by JNA's direct mapping. A pointer is a {@code long} here, and a text is bytes with
 * their number. docs/c-api.md describes the functions.
 */
final class Library {
    /** The ABI that this library was written for. */
    private static final int ABI = 1;

    /** The timeout that means no limit. */
    static final long FOREVER = -1;

    static final int OK = 0;
    static final int TIMEOUT = 10;

    static {
        // The library is looked for inside the jar, in jna.library.path, and where the system has its libraries.
        Native.register(Library.class, "cortensor_router");
        int abi = cortensor_abi_version();
        if (abi != ABI) {
            throw new UnsatisfiedLinkError(
                    "the library cortensor_router has ABI " + abi + ", this jar wants " + ABI + ": install the library of "
                            + Router.VERSION);
        }
    }

    private Library() {}

    static native String cortensor_version();

    private static native int cortensor_abi_version();

    static native long cortensor_error_details(long error);

    static native void cortensor_error_free(long error);

    static native long cortensor_bytes_data(long bytes);

    static native long cortensor_bytes_len(long bytes);

    static native void cortensor_bytes_free(long bytes);

    static native int cortensor_router_open(byte[] config, long len, long log, long[] out, long[] err);

    static native int cortensor_router_drain(long router, long timeout, long[] err);

    static native int cortensor_router_shutdown(long router, long timeout, long[] err);

    static native void cortensor_router_free(long router);

    static native int cortensor_router_config(long router, long[] out, long[] err);

    static native int cortensor_router_info(long router, long[] out, long[] err);

    static native int cortensor_router_status(long router, long[] out, long[] err);

    static native int cortensor_router_metrics(long router, long[] out, long[] err);

    static native int cortensor_router_miners(long router, long[] out, long[] err);

    static native int cortensor_router_models(long router, long[] out, long[] err);

    static native int cortensor_router_create_session(
            long router, byte[] spec, long len, long id, long[] out, long[] err);

    static native int cortensor_router_session(long router, long session, long[] out, long[] err);

    static native int cortensor_router_sessions(long router, byte[] query, long len, long[] out, long[] err);

    static native int cortensor_router_update_session(
            long router, long session, byte[] patch, long len, long[] out, long[] err);

    static native int cortensor_router_close_session(long router, long session, long[] out, long[] err);

    static native int cortensor_router_submit_start(
            long router, long session, byte[] request, long len, long onSubmitted, long user, long[] err);

    static native int cortensor_router_attach(long router, long session, long task, long[] out, long[] err);

    static native int cortensor_router_task(long router, long session, long task, long[] out, long[] err);

    static native int cortensor_router_tasks(
            long router, long session, byte[] query, long len, long[] out, long[] err);

    static native int cortensor_router_cancel(long router, long session, long task, long[] out, long[] err);

    static native long cortensor_task_session_id(long task);

    static native long cortensor_task_id(long task);

    static native long cortensor_task_gid(long task);

    static native byte cortensor_task_joined(long task);

    static native int cortensor_task_record(long task, long[] out, long[] err);

    static native int cortensor_task_result(long task, long timeout, long[] out, long[] err);

    static native int cortensor_task_cancel(long task, long[] err);

    static native int cortensor_task_detach(long task, long[] err);

    static native int cortensor_task_notify(long task, long wake, long user, long[] err);

    static native int cortensor_task_embeddings(long task, long timeout, long[] out, long[] err);

    static native void cortensor_task_free(long task);

    static native int cortensor_embeddings_record(long embeddings, long[] out, long[] err);

    static native void cortensor_embeddings_free(long embeddings);

    static native int cortensor_task_stream(long task, long seq, long[] out, long[] err);

    static native int cortensor_stream_next(long stream, long timeout, long event, long[] err);

    static native int cortensor_stream_notify(long stream, long wake, long user, long[] err);

    static native void cortensor_stream_free(long stream);

    static native int cortensor_router_add_miner(
            long router, byte[] spec, long len, long callbacks, long[] out, long[] err);

    static native int cortensor_router_add_upstream(long router, byte[] upstream, long len, long[] err);

    static native int cortensor_router_remove_miner(long router, byte[] name, long len, long[] err);

    static native int cortensor_miner_drain(long miner, long[] err);

    static native int cortensor_miner_set_capacity(long miner, int capacity, long[] err);

    static native int cortensor_miner_remove(long miner, long timeout, long[] err);

    static native void cortensor_miner_free(long miner);

    static native int cortensor_job_info(long job, long[] out, long[] err);

    static native int cortensor_job_prompt(long job, long[] out, long[] err);

    static native int cortensor_job_emit(long job, byte[] piece, long len, byte[] full, long[] err);

    static native int cortensor_job_emit_parts(long job, byte[] parts, long len, byte[] full, long[] err);

    static native int cortensor_job_finish(long job, byte[] answer, long len, long[] err);

    static native int cortensor_job_fail(
            long job, byte[] code, long codeLen, byte[] message, long messageLen, long[] err);

    static native int cortensor_job_reject(long job, byte[] reason, long len, long[] err);

    static native byte cortensor_job_is_cancelled(long job);

    static native byte cortensor_job_is_answered(long job);

    static native int cortensor_job_wait_writable(long job, long timeout, long[] err);

    static native int cortensor_job_notify_cancelled(long job, long wake, long user, long[] err);

    static native void cortensor_job_free(long job);

    static native int cortensor_router_listen(long router, byte[] config, long len, long[] out, long[] err);

    static native int cortensor_listener_address(long listener, long[] out, long[] err);

    static native int cortensor_listener_posture(long listener, long[] out, long[] err);

    static native int cortensor_listener_stop(long listener, long timeout, long[] err);

    static native int cortensor_listener_wait(long listener, long timeout, long[] err);

    static native void cortensor_listener_free(long listener);

    static native int cortensor_router_create_key(long router, byte[] spec, long len, long[] out, long[] err);

    static native int cortensor_router_keys(long router, long[] out, long[] err);

    static native int cortensor_router_usage(long router, byte[] query, long len, long[] out, long[] err);

    static native int cortensor_router_delete_key(long router, byte[] id, long len, long[] err);

    static native int cortensor_miner_client_start(
            byte[] config, long len, long callbacks, long log, long[] out, long[] err);

    static native int cortensor_miner_client_stats(long client, long[] out, long[] err);

    static native int cortensor_miner_client_set_capacity(long client, int capacity, long[] err);

    static native int cortensor_miner_client_drain(long client, long timeout, long[] err);

    static native int cortensor_miner_client_close(long client, long timeout, long[] err);

    static native void cortensor_miner_client_free(long client);

    static native int cortensor_router_http_handler(long router, byte[] config, long len, long[] out, long[] err);

    static native long cortensor_http_handler_max_body_bytes(long handler);

    static native int cortensor_http_handler_handle(
            long handler, byte[] head, long headLen, byte[] body, long bodyLen, byte[] peer, long peerLen, long[] out,
            long[] err);

    static native void cortensor_http_handler_free(long handler);

    static native int cortensor_http_response_head(
            long response, long timeout, short[] status, long[] headers, long[] err);

    static native int cortensor_http_response_next(long response, long timeout, long[] out, long[] err);

    static native void cortensor_http_response_free(long response);
}
