/* cortensor-router: a router for AI inference inside your program. docs/c-api.md describes the conventions.
 * Generated from core/capi/src; do not edit. Apache-2.0 OR MIT. */

#ifndef CORTENSOR_ROUTER_H
#define CORTENSOR_ROUTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/** The version of this header. `cortensor_version()` is that of the library. */
#define CORTENSOR_VERSION "0.1.0"
#define CORTENSOR_VERSION_MAJOR 0
#define CORTENSOR_VERSION_MINOR 1
#define CORTENSOR_VERSION_PATCH 0
/** The ABI that this header describes: `cortensor_abi_version()` must return this number. */
#define CORTENSOR_ABI_VERSION 1

/** Passes a text that ends with a NUL as a pointer and a length. `s` is evaluated twice. */
#define CORTENSOR_STR(s) (s), strlen(s)
/** Passes an empty text as a pointer and a length. */
#define CORTENSOR_EMPTY NULL, 0
/** The timeout that means no limit. */
#define CORTENSOR_FOREVER (-1)

/**
 * A flag of `cortensor_miner_callbacks`: `on_job` neither blocks nor calls the router, but only passes the job on. It
 * then runs directly on the thread that dispatches, which saves a thread switch.
 */
#define CORTENSOR_MINER_QUICK 1

/**
 * The result of a call. The numbers never change.
 */
enum cortensor_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The call succeeded.
     */
    CORTENSOR_STATUS_OK = 0,
    /**
     * A field or an argument is missing, of the wrong type or out of its range: correct the one that is named.
     */
    CORTENSOR_STATUS_INVALID_ARGUMENT = 1,
    /**
     * There is no token, or one that is not known: send a valid one.
     */
    CORTENSOR_STATUS_UNAUTHENTICATED = 2,
    /**
     * The token is valid but does not carry the scope: use one that does.
     */
    CORTENSOR_STATUS_PERMISSION_DENIED = 3,
    /**
     * There is no such session, task, miner, model or key that this caller may see: check the id.
     */
    CORTENSOR_STATUS_NOT_FOUND = 4,
    /**
     * The thing is not in a state that allows this: look at its present state first.
     */
    CORTENSOR_STATUS_CONFLICT = 5,
    /**
     * The idempotency key was used before with another request: use a new one.
     */
    CORTENSOR_STATUS_IDEMPOTENCY_MISMATCH = 6,
    /**
     * The request, or what it asks for, is over a limit: send less.
     */
    CORTENSOR_STATUS_TOO_LARGE = 7,
    /**
     * The router is at one of its bounds: retry after the time given.
     */
    CORTENSOR_STATUS_OVERLOADED = 8,
    /**
     * Nothing is there to do the work at present: retry after the time given.
     */
    CORTENSOR_STATUS_UNAVAILABLE = 9,
    /**
     * The deadline passed: a task that goes on can be polled by its ids.
     */
    CORTENSOR_STATUS_TIMEOUT = 10,
    /**
     * Somebody cancelled the task: nothing is to be done.
     */
    CORTENSOR_STATUS_CANCELLED = 11,
    /**
     * Every miner that was tried failed: read the message, which is the last one's.
     */
    CORTENSOR_STATUS_MINER_FAILED = 12,
    /**
     * The router is shut down or draining, the job was answered, or the stream is over: begin a new one.
     */
    CORTENSOR_STATUS_CLOSED = 13,
    /**
     * A defect of the router itself: report it with its message.
     */
    CORTENSOR_STATUS_INTERNAL = 14,
    /**
     * The call waits for something that this very thread has to do first: make it from outside of a callback.
     */
    CORTENSOR_STATUS_WOULD_DEADLOCK = 15,
    /**
     * Code of the router, or of a miner in Rust, panicked: report it; the handle may be unusable.
     */
    CORTENSOR_STATUS_PANIC = 16,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cortensor_status cortensor_status;
#else
typedef int32_t cortensor_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * The kinds of events.
 */
enum cortensor_event_kind
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * A piece of the text: `data`. `seq` is its number, one more than that of the event before it. The first piece has
     * number 1; each later start of the store adds 2^32 to the first number.
     */
    CORTENSOR_EVENT_KIND_TOKEN = 1,
    /**
     * A restart mark: all pieces before it are void, and the text begins again. `seq` is the number of the mark. It
     * comes if another miner or a later start of the router begins the answer again, if the number to resume from does
     * not belong to this text, or if the pieces of an ended task are no longer kept.
     */
    CORTENSOR_EVENT_KIND_RESTART = 2,
    /**
     * The end of the stream: the completion as JSON in `data`, or an `error` that is not NULL. Every stream has
     * exactly one end, as its last event.
     */
    CORTENSOR_EVENT_KIND_END = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum cortensor_event_kind cortensor_event_kind;
#else
typedef int32_t cortensor_event_kind;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Text that the library gives to its caller: UTF-8, most often JSON. A piece of an HTTP body may be any bytes.
 */
typedef struct cortensor_bytes cortensor_bytes;

/**
 * The vectors of texts, in the order of the texts. Any thread may use the handle.
 */
typedef struct cortensor_embeddings cortensor_embeddings;

/**
 * The error of a call: its status, its code, and how to mend it.
 */
typedef struct cortensor_error cortensor_error;

/**
 * Answers HTTP requests of the host's own server like the listener, with equal routes, tokens and limits. Any thread
 * may use the handler.
 */
typedef struct cortensor_http_handler cortensor_http_handler;

/**
 * A response: its head, then its body piece by piece. Only one thread may read it at a time. Freeing it before its end
 * tells the router that the client has gone, which cancels the work.
 */
typedef struct cortensor_http_response cortensor_http_response;

/**
 * One attempt of a task at a miner, which `on_job` gets. Any thread may use it. The miner answers it exactly once, by
 * finish, fail or reject. Every further answer is refused with `CORTENSOR_STATUS_CLOSED`. An answer after the shutdown
 * of the router has no effect.
 */
typedef struct cortensor_job cortensor_job;

/**
 * A running listener. Any thread may use the handle.
 */
typedef struct cortensor_listener cortensor_listener;

/**
 * A miner of the host program that was added. Any thread may use the handle.
 */
typedef struct cortensor_miner cortensor_miner;

/**
 * A miner of this program that dials in to a remote router. Any thread may use the handle.
 */
typedef struct cortensor_miner_client cortensor_miner_client;

/**
 * A router. Any thread may use the handle at any time.
 */
typedef struct cortensor_router cortensor_router;

/**
 * The tokens of a task, as they come. Only one thread may read a stream at a time. A stream counts as a handle of its
 * task.
 */
typedef struct cortensor_stream cortensor_stream;

/**
 * A handle of a subscription.
 */
typedef struct cortensor_subscription cortensor_subscription;

/**
 * A submitted task. Any thread may use the handle. Freeing the last handle of a task cancels the task, unless it has
 * ended or is detached. Streams count as handles, too.
 */
typedef struct cortensor_task cortensor_task;

/**
 * The receiver of a router's log records. Calls come one at a time, from a thread of the router that may block.
 */
typedef struct cortensor_log_callbacks {
    /**
     * `sizeof(cortensor_log_callbacks)`.
     */
    size_t struct_size;
    /**
     * The pointer that every call gets.
     */
    void *user;
    /**
     * Takes a record: the time in milliseconds since the Unix epoch; the level, which is `"error"`, `"warn"`,
     * `"info"`,
     * `"debug"` or `"trace"`; the part of the router that writes; the text. The texts end with a NUL and are valid
     * during the call.
     */
    void (*on_record)(void *user, uint64_t time_ms, const char *level, const char *target, const char *message);
    /**
     * Called once, after the last record; may be NULL.
     */
    void (*drop)(void *user);
} cortensor_log_callbacks;

/**
 * One event of a stream.
 */
typedef struct cortensor_event {
    /**
     * `sizeof(cortensor_event)`. The program that makes the struct must set it.
     */
    size_t struct_size;
    /**
     * The kind of the event.
     */
    cortensor_event_kind kind;
    /**
     * The number of the piece or mark; 0 for the end.
     */
    uint64_t seq;
    /**
     * The text: complete characters of UTF-8, without a NUL at the end.
     */
    const char *data;
    /**
     * The number of bytes at `data`.
     */
    size_t len;
    /**
     * The error of a failed task, or NULL. It belongs to the event, so the host must not free it.
     */
    const struct cortensor_error *error;
} cortensor_event;

/**
 * The receiver of the events of one stream. Calls come one after the other, from threads of the router that may
 * block.
 */
typedef struct cortensor_stream_callbacks {
    /**
     * `sizeof(cortensor_stream_callbacks)`.
     */
    size_t struct_size;
    /**
     * The pointer that every call gets.
     */
    void *user;
    /**
     * Takes an event, whose data is valid during the call.
     */
    void (*on_event)(void *user, const struct cortensor_event *event);
    /**
     * Called once, after the last event or after the subscription was closed; may be NULL.
     */
    void (*drop)(void *user);
} cortensor_stream_callbacks;

/**
 * The code of a miner.
 */
typedef struct cortensor_miner_callbacks {
    /**
     * `sizeof(cortensor_miner_callbacks)`.
     */
    size_t struct_size;
    /**
     * The pointer that every call gets.
     */
    void *user;
    /**
     * Takes a job, which the host owns from now on. The host must answer it exactly once, here or later and from any
     * thread, and must free it. Calls come from threads of the router that may block, several at once up to the
     * miner's capacity.
     */
    void (*on_job)(void *user, struct cortensor_job *job);
    /**
     * Called once, after the last call of `on_job` has ended; may be NULL.
     */
    void (*drop)(void *user);
    /**
     * 0, or `CORTENSOR_MINER_QUICK`.
     */
    uint64_t flags;
} cortensor_miner_callbacks;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library, for example `"1.2.3"`. `CORTENSOR_VERSION` is the version of the header.
 */
const char *cortensor_version(void);

/**
 * The number of the library's ABI. A program that was built with another `CORTENSOR_ABI_VERSION` must not use the
 * library.
 */
uint32_t cortensor_abi_version(void);

/**
 * The name of a status, for example `"not_found"`; `"unknown"` for another number. The text is valid for ever.
 */
const char *cortensor_status_name(int32_t status);

/**
 * The status of the error; `CORTENSOR_STATUS_OK` for NULL.
 */
cortensor_status cortensor_error_status(const struct cortensor_error *error);

/**
 * The code of the error, which is finer than the status, for example `"session_not_found"`. The text is valid as long
 * as the error; NULL for NULL.
 */
const char *cortensor_error_code(const struct cortensor_error *error);

/**
 * The problem and how to mend it, as one English sentence. The text is valid as long as the error; NULL for NULL.
 */
const char *cortensor_error_message(const struct cortensor_error *error);

/**
 * The whole error as JSON: `{"kind","code","message","retryable","param","retry_after_ms","session_id","task_id"}`.
 * The text is valid as long as the error; NULL for NULL.
 */
const char *cortensor_error_details(const struct cortensor_error *error);

/**
 * Makes a copy of an error, for example of one that belongs to an event. The caller must free the copy; NULL for NULL.
 */
struct cortensor_error *cortensor_error_clone(const struct cortensor_error *error);

/**
 * Frees an error.
 */
void cortensor_error_free(struct cortensor_error *error);

/**
 * The text, followed by a NUL that `cortensor_bytes_len` does not count. It is valid as long as the bytes; NULL for
 * NULL.
 */
const char *cortensor_bytes_data(const struct cortensor_bytes *bytes);

/**
 * The number of bytes of the text; 0 for NULL.
 */
size_t cortensor_bytes_len(const struct cortensor_bytes *bytes);

/**
 * Frees bytes.
 */
void cortensor_bytes_free(struct cortensor_bytes *bytes);

/**
 * Opens a router. `config` is JSON in the form of docs/configuration.md, `{"storage": {"data_dir": "data"}}`; empty
 * text means the defaults, which keep everything in memory. `log` may be NULL. Blocks until the store is ready.
 *
 * The library takes over the `user` of `log` in any case: its `drop` is also called if the call fails.
 *
 * `config` has `config_len` bytes; `log` has as many as it says.
 */
cortensor_status cortensor_router_open(const char *config,
                                       size_t config_len,
                                       const struct cortensor_log_callbacks *log,
                                       struct cortensor_router **out,
                                       struct cortensor_error **err);

/**
 * Takes no new tasks and waits until the present ones have ended, at most for `timeout_ms`; a negative time is no
 * limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some tasks have not ended.
 */
cortensor_status cortensor_router_drain(const struct cortensor_router *router,
                                        int64_t timeout_ms,
                                        struct cortensor_error **err);

/**
 * Ends the router: stops the listeners, cancels running tasks and closes the store. After it has returned
 * `CORTENSOR_STATUS_OK`, no callback runs or starts. Blocks, at most for `timeout_ms`; a negative time is no limit.
 * `CORTENSOR_STATUS_TIMEOUT`: the router is closed, but some of its work has not ended; call again to continue the
 * wait. `CORTENSOR_STATUS_WOULD_DEADLOCK` inside a callback. After it has succeeded, further calls do nothing. The
 * program must still free this handle and all handles that came from it; other calls with them return
 * `CORTENSOR_STATUS_CLOSED`.
 */
cortensor_status cortensor_router_shutdown(const struct cortensor_router *router,
                                           int64_t timeout_ms,
                                           struct cortensor_error **err);

/**
 * Frees the handle. Other handles of this router stay valid and keep it open. A router that was not shut down is
 * closed in the background when its last handle is freed, and its callbacks may still run for a short time. A program
 * whose callbacks need its own state must therefore shut the router down first. Does not block.
 */
void cortensor_router_free(struct cortensor_router *router);

/**
 * The configuration with every default, as JSON without secrets.
 */
cortensor_status cortensor_router_config(const struct cortensor_router *router,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * The router's identity and abilities, as JSON: the record of `GET /api/v1/info`.
 */
cortensor_status cortensor_router_info(const struct cortensor_router *router,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * The router's present state, as JSON: the record of `GET /api/v1/status`.
 */
cortensor_status cortensor_router_status(const struct cortensor_router *router,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * All metrics in Prometheus' text format.
 */
cortensor_status cortensor_router_metrics(const struct cortensor_router *router,
                                          struct cortensor_bytes **out,
                                          struct cortensor_error **err);

/**
 * The miners, as `{"count","miners":[...]}`.
 */
cortensor_status cortensor_router_miners(const struct cortensor_router *router,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * The models that clients can ask for, as `{"count","models":[{"id","created","owned_by","miners","embeddings"}]}`.
 */
cortensor_status cortensor_router_models(const struct cortensor_router *router,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * Opens a session and gives its id and its record. `spec` is JSON, the body of `POST /api/v1/sessions`, for example
 * `{"name": "chat", "model": "tiny"}`; only `name` is required. `session_id` and `out` may be NULL. Session 0 always
 * exists. Blocks until the session is durable.
 *
 * `spec` has `spec_len` bytes.
 */
cortensor_status cortensor_router_create_session(const struct cortensor_router *router,
                                                 const char *spec,
                                                 size_t spec_len,
                                                 uint64_t *session_id,
                                                 struct cortensor_bytes **out,
                                                 struct cortensor_error **err);

/**
 * The record of a session.
 */
cortensor_status cortensor_router_session(const struct cortensor_router *router,
                                          uint64_t session_id,
                                          struct cortensor_bytes **out,
                                          struct cortensor_error **err);

/**
 * A page of sessions, as `{"count","sessions":[...]}`. `query` is `{"state","limit","offset"}`, each optional.
 *
 * `query` has `query_len` bytes.
 */
cortensor_status cortensor_router_sessions(const struct cortensor_router *router,
                                           const char *query,
                                           size_t query_len,
                                           struct cortensor_bytes **out,
                                           struct cortensor_error **err);

/**
 * Changes a session and gives its record. `patch` is the body of `PATCH /api/v1/sessions/{id}`. Blocks until the
 * change is durable.
 *
 * `patch` has `patch_len` bytes.
 */
cortensor_status cortensor_router_update_session(const struct cortensor_router *router,
                                                 uint64_t session_id,
                                                 const char *patch,
                                                 size_t patch_len,
                                                 struct cortensor_bytes **out,
                                                 struct cortensor_error **err);

/**
 * Closes a session and gives its record. New tasks are refused; present ones finish. Blocks until the change is
 * durable.
 */
cortensor_status cortensor_router_close_session(const struct cortensor_router *router,
                                                uint64_t session_id,
                                                struct cortensor_bytes **out,
                                                struct cortensor_error **err);

/**
 * Submits a task. `request` is JSON, the body of `POST /api/v1/completions` with `prompt`, or `messages` for a chat,
 * or `input` for an embedding; it may also have `idempotency_key` and `detach`. Blocks until the task is durable.
 *
 * `request` has `request_len` bytes.
 */
cortensor_status cortensor_router_submit(const struct cortensor_router *router,
                                         uint64_t session_id,
                                         const char *request,
                                         size_t request_len,
                                         struct cortensor_task **out,
                                         struct cortensor_error **err);

/**
 * Submits a task like `cortensor_router_submit`, but does not block: `on_submitted` gets the task when it is durable,
 * or the error; the other one is NULL. The host must free what it gets. The call of `on_submitted` comes at once, or
 * on a thread of the router. It must neither block nor call the library.
 *
 * `on_submitted` is called exactly once in any case; except if it is NULL, which alone is refused.
 *
 * `request` has `request_len` bytes.
 */
cortensor_status cortensor_router_submit_start(const struct cortensor_router *router,
                                               uint64_t session_id,
                                               const char *request,
                                               size_t request_len,
                                               void (*on_submitted)(void *user,
                                                                    struct cortensor_task *task,
                                                                    struct cortensor_error *error),
                                               void *user,
                                               struct cortensor_error **err);

/**
 * Submits a task, waits for its end, and gives the completion like `cortensor_task_result`. `request` is as for
 * `cortensor_router_submit`; its `timeout`, in seconds, bounds the time. Blocks. After a failure, the status is that
 * of the submission or of the task.
 *
 * `request` has `request_len` bytes.
 */
cortensor_status cortensor_router_complete(const struct cortensor_router *router,
                                           uint64_t session_id,
                                           const char *request,
                                           size_t request_len,
                                           struct cortensor_bytes **out,
                                           struct cortensor_error **err);

/**
 * Joins a task by its ids. The task may be running or have ended. Blocks while the store is read.
 */
cortensor_status cortensor_router_attach(const struct cortensor_router *router,
                                         uint64_t session_id,
                                         uint64_t task_id,
                                         struct cortensor_task **out,
                                         struct cortensor_error **err);

/**
 * The record of a task by its ids. Blocks while the store is read.
 */
cortensor_status cortensor_router_task(const struct cortensor_router *router,
                                       uint64_t session_id,
                                       uint64_t task_id,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * A page of a session's tasks, as `{"count","tasks":[...],"corrupt":[ids]}`. `query` is
 * `{"state","key","limit","offset","order"}`, each optional. Without `offset` and `order`, the page has the newest
 * tasks, oldest first. `offset` or `order: "asc"` counts from the oldest task, `order: "desc"` from the newest one back.
 * Blocks while the store is read.
 *
 * `query` has `query_len` bytes.
 */
cortensor_status cortensor_router_tasks(const struct cortensor_router *router,
                                        uint64_t session_id,
                                        const char *query,
                                        size_t query_len,
                                        struct cortensor_bytes **out,
                                        struct cortensor_error **err);

/**
 * Cancels a task by its ids and gives its record. Blocks until the cancellation is durable.
 */
cortensor_status cortensor_router_cancel(const struct cortensor_router *router,
                                         uint64_t session_id,
                                         uint64_t task_id,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * The id of the task's session; 0 for NULL.
 */
uint64_t cortensor_task_session_id(const struct cortensor_task *task);

/**
 * The id of the task within its session, from 1; 0 for NULL.
 */
uint64_t cortensor_task_id(const struct cortensor_task *task);

/**
 * The id of the task among all tasks of the router; 0 for NULL.
 */
uint64_t cortensor_task_gid(const struct cortensor_task *task);

/**
 * Whether the idempotency key led to a task that existed already; false for NULL.
 */
bool cortensor_task_joined(const struct cortensor_task *task);

/**
 * The present record of the task.
 */
cortensor_status cortensor_task_record(const struct cortensor_task *task,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Waits for the end of the task, at most for `timeout_ms`, and gives the completion as JSON; the text is
 * `choices[0].text`. A negative time is no limit. Blocks. If the task failed, the status is that of the failure, for
 * example `CORTENSOR_STATUS_CANCELLED` or `CORTENSOR_STATUS_MINER_FAILED`. `CORTENSOR_STATUS_TIMEOUT` with the code
 * `wait_timeout` means that the task has not ended yet.
 */
cortensor_status cortensor_task_result(const struct cortensor_task *task,
                                       int64_t timeout_ms,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Cancels the task, even if other callers wait for it. Does not block.
 */
cortensor_status cortensor_task_cancel(const struct cortensor_task *task, struct cortensor_error **err);

/**
 * Detaches the task: from now on, it continues even if all of its handles are freed.
 */
cortensor_status cortensor_task_detach(const struct cortensor_task *task, struct cortensor_error **err);

/**
 * Frees a handle of a task.
 */
void cortensor_task_free(struct cortensor_task *task);

/**
 * Submits a prompt, which may be any text. `options` is JSON with fields of `POST /api/v1/completions`, for example
 * `{"max_tokens": 64, "temperature": 0.5}`, or empty. An unknown name is refused, with the name that was probably
 * meant; fields that only the miner understands go into `extra`, an object. Blocks until the task is durable.
 *
 * `prompt` has `prompt_len` bytes, `options` has `options_len`.
 */
cortensor_status cortensor_router_submit_prompt(const struct cortensor_router *router,
                                                uint64_t session_id,
                                                const char *prompt,
                                                size_t prompt_len,
                                                const char *options,
                                                size_t options_len,
                                                struct cortensor_task **out,
                                                struct cortensor_error **err);

/**
 * Waits for the end of the task, at most for `timeout_ms`, and gives the text of the answer, which is
 * `choices[0].text` of `cortensor_task_result`. A negative time is no limit. Blocks. If the task failed, the status is
 * that of the failure.
 */
cortensor_status cortensor_task_text(const struct cortensor_task *task,
                                     int64_t timeout_ms,
                                     struct cortensor_bytes **out,
                                     struct cortensor_error **err);

/**
 * Converts a text to a JSON string with quotes, for programs that write JSON by hand.
 *
 * `value` has `value_len` bytes.
 */
cortensor_status cortensor_json_escape(const char *value,
                                       size_t value_len,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Makes the vector of a text; or, if `input` is empty, the vectors of the list `input` in `options`. `options` is
 * JSON, for example `{"model": "embedder", "timeout": 30}`, or empty; unknown names are refused. Blocks. After a
 * failure, the status is that of the submission or of the task.
 *
 * `input` has `input_len` bytes, `options` has `options_len`.
 */
cortensor_status cortensor_router_embed(const struct cortensor_router *router,
                                        uint64_t session_id,
                                        const char *input,
                                        size_t input_len,
                                        const char *options,
                                        size_t options_len,
                                        struct cortensor_embeddings **out,
                                        struct cortensor_error **err);

/**
 * Waits for the end of a task that was submitted with `input`, at most for `timeout_ms`, and gives its vectors. A
 * negative time is no limit. Blocks. If the task failed, the status is that of the failure.
 */
cortensor_status cortensor_task_embeddings(const struct cortensor_task *task,
                                           int64_t timeout_ms,
                                           struct cortensor_embeddings **out,
                                           struct cortensor_error **err);

/**
 * The number of vectors; 0 for NULL.
 */
size_t cortensor_embeddings_count(const struct cortensor_embeddings *embeddings);

/**
 * Lends the vector at `index`, counted from 0: `len` numbers, which are valid as long as the embeddings.
 */
cortensor_status cortensor_embeddings_vector(const struct cortensor_embeddings *embeddings,
                                             size_t index,
                                             const double **out,
                                             size_t *len,
                                             struct cortensor_error **err);

/**
 * The whole answer as JSON: the record of `POST /v1/embeddings` with `session_id`, `task_id`, `gid` and
 * `miner_address`.
 */
cortensor_status cortensor_embeddings_record(const struct cortensor_embeddings *embeddings,
                                             struct cortensor_bytes **out,
                                             struct cortensor_error **err);

/**
 * Frees embeddings.
 */
void cortensor_embeddings_free(struct cortensor_embeddings *embeddings);

/**
 * Opens a stream of the task's tokens after the one with number `seq`; 0: from the first on. The task may have ended.
 */
cortensor_status cortensor_task_stream(const struct cortensor_task *task,
                                       uint64_t seq,
                                       struct cortensor_stream **out,
                                       struct cortensor_error **err);

/**
 * Waits for the next event, at most for `timeout_ms`; a negative time is no limit. Blocks. `event->struct_size` must
 * be set. The event's data is valid until the next call for this stream. `CORTENSOR_STATUS_TIMEOUT`: no event came;
 * `CORTENSOR_STATUS_CLOSED` with the code `stream_over`: the end was given already. A failed task is not a failure of
 * this call: the event `CORTENSOR_EVENT_KIND_END` carries the error.
 *
 * `event` is NULL or has as many bytes as it says.
 */
cortensor_status cortensor_stream_next(const struct cortensor_stream *stream,
                                       int64_t timeout_ms,
                                       struct cortensor_event *event,
                                       struct cortensor_error **err);

/**
 * Frees a stream. The task continues while another handle of it exists.
 */
void cortensor_stream_free(struct cortensor_stream *stream);

/**
 * Gives every further event of the stream to `callbacks`; the last one is `CORTENSOR_EVENT_KIND_END`. The stream
 * cannot be read any more, but must still be freed, at any time. `out` may be NULL if the program never closes the
 * subscription.
 *
 * The library takes over `user` in any case: `drop` is also called if the call fails.
 *
 * `callbacks` is NULL or has as many bytes as it says.
 */
cortensor_status cortensor_stream_subscribe(const struct cortensor_stream *stream,
                                            const struct cortensor_stream_callbacks *callbacks,
                                            struct cortensor_subscription **out,
                                            struct cortensor_error **err);

/**
 * Ends a subscription: no further event is pushed. Waits for the running call, at most for `timeout_ms`; a negative
 * time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: the call has not ended; `CORTENSOR_STATUS_WOULD_DEADLOCK`
 * inside a callback.
 */
cortensor_status cortensor_subscription_close(const struct cortensor_subscription *subscription,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Frees the handle. Events continue until the end or until a close.
 */
void cortensor_subscription_free(struct cortensor_subscription *subscription);

/**
 * Adds a miner of the host program. `spec` is JSON: `{"name": "local", "models": ["tiny"], "capacity": 4}`. `out`
 * may be NULL if the handle is not needed.
 *
 * The library takes over `user` in any case: `drop` is also called if the call fails.
 *
 * `spec` has `spec_len` bytes; `callbacks` is NULL or has as many as it says.
 */
cortensor_status cortensor_router_add_miner(const struct cortensor_router *router,
                                            const char *spec,
                                            size_t spec_len,
                                            const struct cortensor_miner_callbacks *callbacks,
                                            struct cortensor_miner **out,
                                            struct cortensor_error **err);

/**
 * Adds an OpenAI-compatible server as a miner. `upstream` is JSON, one `upstream` of docs/configuration.md:
 * `{"url": "http://127.0.0.1:8080/v1"}`.
 *
 * `upstream` has `upstream_len` bytes.
 */
cortensor_status cortensor_router_add_upstream(const struct cortensor_router *router,
                                               const char *upstream,
                                               size_t upstream_len,
                                               struct cortensor_error **err);

/**
 * Removes the miner of this name, of any kind. Other miners take over its tasks. Does not wait for running callbacks.
 *
 * `name` has `name_len` bytes.
 */
cortensor_status cortensor_router_remove_miner(const struct cortensor_router *router,
                                               const char *name,
                                               size_t name_len,
                                               struct cortensor_error **err);

/**
 * Drains the miner: it gets no new jobs and finishes its present ones.
 */
cortensor_status cortensor_miner_drain(const struct cortensor_miner *miner, struct cortensor_error **err);

/**
 * Sets the maximum number of concurrent jobs of the miner.
 */
cortensor_status cortensor_miner_set_capacity(const struct cortensor_miner *miner,
                                              uint32_t capacity,
                                              struct cortensor_error **err);

/**
 * Removes the miner. Other miners take over its tasks, and no further call of `on_job` starts. Waits for the running
 * calls, at most for `timeout_ms`; a negative time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some calls have
 * not ended; `CORTENSOR_STATUS_WOULD_DEADLOCK` inside a callback.
 */
cortensor_status cortensor_miner_remove(const struct cortensor_miner *miner,
                                        int64_t timeout_ms,
                                        struct cortensor_error **err);

/**
 * Frees the handle. The miner continues.
 */
void cortensor_miner_free(struct cortensor_miner *miner);

/**
 * The job as JSON: `{"gid","session_id","task_id","model","prompt","stream","deadline_ms","request"}`, with
 * `"traceparent","tracestate"` if the caller sent them, and `"partial"` if the answer must go on behind that text.
 * `request` is the caller's request; `deadline_ms` is in milliseconds since the Unix epoch.
 */
cortensor_status cortensor_job_info(const struct cortensor_job *job,
                                    struct cortensor_bytes **out,
                                    struct cortensor_error **err);

/**
 * The whole text that the model must read.
 */
cortensor_status cortensor_job_prompt(const struct cortensor_job *job,
                                      struct cortensor_bytes **out,
                                      struct cortensor_error **err);

/**
 * Gives the next piece of the answer, as UTF-8. The last character may be incomplete if the next piece begins with the
 * rest of it. Never blocks. `CORTENSOR_STATUS_CANCELLED`: the job was cancelled; stop working and free the job. `full`
 * may be NULL; true means that the router has the piece but the reader is slow: call `cortensor_job_wait_writable`
 * before the next piece.
 *
 * `piece` has `piece_len` bytes.
 */
cortensor_status cortensor_job_emit(const struct cortensor_job *job,
                                    const char *piece,
                                    size_t piece_len,
                                    bool *full,
                                    struct cortensor_error **err);

/**
 * Gives the next piece of the answer with its other parts, as JSON: `{"text","reasoning","tool_calls"}`, each
 * optional. `tool_calls` are in OpenAI's form. A call without an `index` begins a new call if it names its tool, and
 * otherwise continues the last one. The results are those of `cortensor_job_emit`.
 *
 * `parts` has `parts_len` bytes.
 */
cortensor_status cortensor_job_emit_parts(const struct cortensor_job *job,
                                          const char *parts,
                                          size_t parts_len,
                                          bool *full,
                                          struct cortensor_error **err);

/**
 * Ends the job with success. `answer` is empty or JSON,
 * `{"text","reasoning","tool_calls","finish_reason","usage","model","embedding"}`, each optional; `embedding` is a
 * vector or a list of vectors. If pieces were emitted, they are the text. Missing usage is estimated. If `answer` is
 * wrong, the job can still be answered. If there is no content at all, not even an empty `text`, the job fails and the
 * call returns `CORTENSOR_STATUS_INVALID_ARGUMENT` with the code `no_answer`.
 *
 * `answer` has `answer_len` bytes.
 */
cortensor_status cortensor_job_finish(const struct cortensor_job *job,
                                      const char *answer,
                                      size_t answer_len,
                                      struct cortensor_error **err);

/**
 * Ends the job with a failure. `code` is `overloaded`, `context`, `invalid`, `model`, `refused`, `credentials`,
 * `unreadable`, `internal`, `unreachable` or `cancelled`; `message` reaches the caller.
 *
 * `code` has `code_len` bytes, `message` has `message_len`.
 */
cortensor_status cortensor_job_fail(const struct cortensor_job *job,
                                    const char *code,
                                    size_t code_len,
                                    const char *message,
                                    size_t message_len,
                                    struct cortensor_error **err);

/**
 * Gives the job back. The miner is not blamed, and another one is tried.
 *
 * `reason` has `reason_len` bytes.
 */
cortensor_status cortensor_job_reject(const struct cortensor_job *job,
                                      const char *reason,
                                      size_t reason_len,
                                      struct cortensor_error **err);

/**
 * Whether the job was cancelled or answered; true for NULL.
 */
bool cortensor_job_is_cancelled(const struct cortensor_job *job);

/**
 * Whether the job was answered; true for NULL.
 */
bool cortensor_job_is_answered(const struct cortensor_job *job);

/**
 * Waits until a slow reader has caught up, or until the job is cancelled or answered, at most for `timeout_ms`; a
 * negative time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: the time has passed.
 */
cortensor_status cortensor_job_wait_writable(const struct cortensor_job *job,
                                             int64_t timeout_ms,
                                             struct cortensor_error **err);

/**
 * Waits until the job is cancelled, at most for `timeout_ms`; a negative time is no limit. Blocks.
 * `CORTENSOR_STATUS_TIMEOUT`: the time has passed; `CORTENSOR_STATUS_CLOSED`: the job was answered.
 */
cortensor_status cortensor_job_wait_cancelled(const struct cortensor_job *job,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Frees a job. A job that was not answered fails with `internal` and `dropped`.
 */
void cortensor_job_free(struct cortensor_job *job);

/**
 * Starts an HTTP listener. `config` is JSON, the `listen` section of docs/configuration.md, for example `{"port": 0}`
 * for any free port. An empty text means the router's own settings. Blocks until the listener is ready.
 *
 * `config` has `config_len` bytes.
 */
cortensor_status cortensor_router_listen(const struct cortensor_router *router,
                                         const char *config,
                                         size_t config_len,
                                         struct cortensor_listener **out,
                                         struct cortensor_error **err);

/**
 * The address of the listener, for example `127.0.0.1:5010`.
 */
cortensor_status cortensor_listener_address(const struct cortensor_listener *listener,
                                            struct cortensor_bytes **out,
                                            struct cortensor_error **err);

/**
 * The open surfaces and how each one is protected, one line each.
 */
cortensor_status cortensor_listener_posture(const struct cortensor_listener *listener,
                                            struct cortensor_bytes **out,
                                            struct cortensor_error **err);

/**
 * Takes no new connections and waits until running requests have ended, at most for `timeout_ms`; a negative time is
 * no limit except `listen.drain_timeout_ms`. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some requests have not ended.
 */
cortensor_status cortensor_listener_stop(const struct cortensor_listener *listener,
                                         int64_t timeout_ms,
                                         struct cortensor_error **err);

/**
 * Waits until the listener has ended for any reason, at most for `timeout_ms`; a negative time is no limit. Blocks.
 * `CORTENSOR_STATUS_TIMEOUT`: the listener still serves.
 */
cortensor_status cortensor_listener_wait(const struct cortensor_listener *listener,
                                         int64_t timeout_ms,
                                         struct cortensor_error **err);

/**
 * Frees the handle. The listener continues until it is stopped or its router is shut down.
 */
void cortensor_listener_free(struct cortensor_listener *listener);

/**
 * The REST API and OpenAI's API without a socket, for a program that has its own HTTP server. `config` is JSON, the
 * `listen` section of docs/configuration.md, of which tokens and limits apply but addresses do not. An empty text
 * means the router's own settings.
 *
 * `config` has `config_len` bytes.
 */
cortensor_status cortensor_router_http_handler(const struct cortensor_router *router,
                                               const char *config,
                                               size_t config_len,
                                               struct cortensor_http_handler **out,
                                               struct cortensor_error **err);

/**
 * The maximum size of a request's body, in bytes. A larger body is answered with 413, so a server need not read it to
 * the end. 0 for NULL, and after the shutdown.
 */
uint64_t cortensor_http_handler_max_body_bytes(const struct cortensor_http_handler *handler);

/**
 * Starts to answer a request. Does not block. `head` is as on the wire: the request line, at most 100 header lines,
 * and the empty line at their end, `"GET /api/v1/info HTTP/1.1\r\nAuthorization: Bearer ...\r\n\r\n"`. `body` is the
 * whole body without its transfer coding, or empty. `peer` is the sender's IP address with or without its port; empty:
 * unknown. The development token is accepted only from senders on this machine. A request that the API refuses gets a
 * response; `CORTENSOR_STATUS_INVALID_ARGUMENT` means that `head` is not the head of a request.
 *
 * `head` has `head_len` bytes, `body` has `body_len`, `peer` has `peer_len`.
 */
cortensor_status cortensor_http_handler_handle(const struct cortensor_http_handler *handler,
                                               const char *head,
                                               size_t head_len,
                                               const char *body,
                                               size_t body_len,
                                               const char *peer,
                                               size_t peer_len,
                                               struct cortensor_http_response **out,
                                               struct cortensor_error **err);

/**
 * Frees the handler. Unfinished responses continue.
 */
void cortensor_http_handler_free(struct cortensor_http_handler *handler);

/**
 * Waits for the head of the response, at most for `timeout_ms`; a negative time is no limit. Blocks. Gives the status,
 * for example 200, and the header lines as on the wire without the empty line at their end,
 * `"content-type: application/json\r\n"`. Both places may be NULL. The call may be repeated.
 * `CORTENSOR_STATUS_TIMEOUT`: the head has not come yet.
 */
cortensor_status cortensor_http_response_head(const struct cortensor_http_response *response,
                                              int64_t timeout_ms,
                                              uint16_t *http_status,
                                              struct cortensor_bytes **headers,
                                              struct cortensor_error **err);

/**
 * Waits for the next piece of the body, at most for `timeout_ms`; a negative time is no limit. Blocks. A piece is
 * never empty. The server must send it on at once, because it may be an event for which the client waits.
 * `CORTENSOR_STATUS_TIMEOUT`: no piece came; `CORTENSOR_STATUS_CLOSED` with the code `body_over`: the last piece was
 * given already.
 */
cortensor_status cortensor_http_response_next(const struct cortensor_http_response *response,
                                              int64_t timeout_ms,
                                              struct cortensor_bytes **out,
                                              struct cortensor_error **err);

/**
 * Frees a response. Before its end, this tells the router that the client has gone: the task is cancelled, unless it
 * is detached. Does not block.
 */
void cortensor_http_response_free(struct cortensor_http_response *response);

/**
 * Makes an API key for listeners and gives `{"id","name","scopes","sessions","created_at","expires_at","token"}`.
 * The token cannot be read again later. `spec` is the body of `POST /api/v1/keys`; only `name` is required. Blocks
 * until the key is durable.
 *
 * `spec` has `spec_len` bytes.
 */
cortensor_status cortensor_router_create_key(const struct cortensor_router *router,
                                             const char *spec,
                                             size_t spec_len,
                                             struct cortensor_bytes **out,
                                             struct cortensor_error **err);

/**
 * The API keys, as `{"count","keys":[...]}`. Blocks while the store is read.
 */
cortensor_status cortensor_router_keys(const struct cortensor_router *router,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Gives the usage, as the answer of `GET /api/v1/usage`. `query` is
 * `{"by","from","to","key","session","model","miner","limit","offset"}`, each optional; a blank text means this month by
 * day. Blocks while the store is read.
 *
 * `query` has `query_len` bytes.
 */
cortensor_status cortensor_router_usage(const struct cortensor_router *router,
                                        const char *query,
                                        size_t query_len,
                                        struct cortensor_bytes **out,
                                        struct cortensor_error **err);

/**
 * Revokes an API key by its id. Listeners refuse the key from now on and end its open requests. Blocks until the
 * revocation is durable.
 *
 * `id` has `id_len` bytes.
 */
cortensor_status cortensor_router_delete_key(const struct cortensor_router *router,
                                             const char *id,
                                             size_t id_len,
                                             struct cortensor_error **err);

/**
 * Calls `wake` once when the task has ended, so that `cortensor_task_result` returns at once. The call comes at once,
 * or on a thread of the router. `wake` must neither block nor call the library. Until the task has ended, this counts
 * as waiting for it, until the handle is freed: then `wake` is called, too.
 *
 * `wake` is called exactly once in any case, also if the call fails; except if `wake` is NULL, which is refused. A
 * later call for this handle calls the `wake` of the earlier one.
 */
cortensor_status cortensor_task_notify(const struct cortensor_task *task,
                                       void (*wake)(void *user),
                                       void *user,
                                       struct cortensor_error **err);

/**
 * Calls `wake` once when `cortensor_stream_next` returns at once with an event or with the end. The call comes at once,
 * or on the thread that produces the event. `wake` must neither block nor call the library.
 *
 * `wake` is called exactly once in any case, also if the call fails or the stream is freed; except if `wake` is NULL,
 * which is refused. A later call for this stream, or a read of it, may call the `wake` of the earlier one too early:
 * read again with a timeout of 0 after every `wake`.
 */
cortensor_status cortensor_stream_notify(const struct cortensor_stream *stream,
                                         void (*wake)(void *user),
                                         void *user,
                                         struct cortensor_error **err);

/**
 * Calls `wake` once when the job is cancelled or answered. The call comes at once, or on the thread that cancels or
 * answers. `wake` must neither block nor call the library.
 *
 * `wake` is called exactly once in any case, also if the call fails or the job is freed; except if `wake` is NULL,
 * which is refused.
 */
cortensor_status cortensor_job_notify_cancelled(const struct cortensor_job *job,
                                                void (*wake)(void *user),
                                                void *user,
                                                struct cortensor_error **err);

/**
 * Calls `wake` once when a slow reader has caught up, or when the job is cancelled or answered. The call comes at once,
 * or on the thread of the reader. `wake` must neither block nor call the library.
 *
 * `wake` is called exactly once in any case, also if the call fails or the job is freed; except if `wake` is NULL,
 * which is refused.
 */
cortensor_status cortensor_job_notify_writable(const struct cortensor_job *job,
                                               void (*wake)(void *user),
                                               void *user,
                                               struct cortensor_error **err);

/**
 * Starts a miner that dials in to a remote router. The miner reconnects if the connection breaks, and loses no
 * finished answer. `config` is JSON: `{"routers": ["ws://127.0.0.1:5010"], "name": "worker", "token": "...", "models":
 * ["tiny"], "capacity": 4}`. `log` may be NULL. Does not wait for the connection.
 *
 * The library takes over both `user` in any case: `drop` is also called if the call fails.
 *
 * `config` has `config_len` bytes; `callbacks` and `log` are NULL or have as many as they say.
 */
cortensor_status cortensor_miner_client_start(const char *config,
                                              size_t config_len,
                                              const struct cortensor_miner_callbacks *callbacks,
                                              const struct cortensor_log_callbacks *log,
                                              struct cortensor_miner_client **out,
                                              struct cortensor_error **err);

/**
 * The miner's counts and the state of its connection, as JSON: `connected`, `router`, `last_error`, `in_flight`,
 * `finished`, `committed` and others.
 */
cortensor_status cortensor_miner_client_stats(const struct cortensor_miner_client *client,
                                              struct cortensor_bytes **out,
                                              struct cortensor_error **err);

/**
 * Sets the maximum number of concurrent jobs, from 0 to the `capacity` of the configuration.
 */
cortensor_status cortensor_miner_client_set_capacity(const struct cortensor_miner_client *client,
                                                     uint32_t capacity,
                                                     struct cortensor_error **err);

/**
 * Takes no new jobs, finishes the present ones, and closes, at the latest after `timeout_ms`; a negative time is no
 * limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some jobs were not finished, or the router does not have their answers.
 */
cortensor_status cortensor_miner_client_drain(const struct cortensor_miner_client *client,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Ends the miner: closes the connection and cancels the work. After it has returned `CORTENSOR_STATUS_OK`, no callback
 * runs or starts. Blocks, at most for `timeout_ms`; a negative time is no limit. `CORTENSOR_STATUS_TIMEOUT`: the miner
 * has not ended yet; call again to continue the wait. `CORTENSOR_STATUS_WOULD_DEADLOCK` inside a callback. After it
 * has succeeded, further calls do nothing.
 */
cortensor_status cortensor_miner_client_close(const struct cortensor_miner_client *client,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Frees the handle. A miner that was not closed ends in the background, and its callbacks may still run for a short
 * time. Does not block.
 */
void cortensor_miner_client_free(struct cortensor_miner_client *client);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CORTENSOR_ROUTER_H */
