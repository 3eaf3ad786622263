/* cortensor-router: a router for AI inference inside your program. docs/c-api.md tells the conventions.
 * Made from core/capi/src; do not edit. Apache-2.0 OR MIT. */

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
/** The ABI that this header describes: `cortensor_abi_version()` must be the same. */
#define CORTENSOR_ABI_VERSION 1

/** A text that ends with a NUL, where a function wants a pointer and a length. `s` is evaluated twice. */
#define CORTENSOR_STR(s) (s), strlen(s)
/** No text, where a function wants a pointer and a length. */
#define CORTENSOR_EMPTY NULL, 0
/** No limit, where a function wants a time. */
#define CORTENSOR_FOREVER (-1)

/**
 * A flag of `cortensor_miner_callbacks`: `on_job` neither blocks nor calls the router, but passes the job on. It
 * then runs at once on the thread that dispatches, which saves a change of threads.
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
     * An argument or a field is missing, of the wrong type or out of its range: correct the one that is named.
     */
    CORTENSOR_STATUS_INVALID_ARGUMENT = 1,
    /**
     * There is no token, or it is not known: send a valid one.
     */
    CORTENSOR_STATUS_UNAUTHENTICATED = 2,
    /**
     * The token does not carry the scope.
     */
    CORTENSOR_STATUS_PERMISSION_DENIED = 3,
    /**
     * No such session, task, miner or model: check the id.
     */
    CORTENSOR_STATUS_NOT_FOUND = 4,
    /**
     * The object is not in a state that allows this: look at its present state first.
     */
    CORTENSOR_STATUS_CONFLICT = 5,
    /**
     * The idempotency key was used before with another request: use a new key.
     */
    CORTENSOR_STATUS_IDEMPOTENCY_MISMATCH = 6,
    /**
     * A limit is exceeded: send less.
     */
    CORTENSOR_STATUS_TOO_LARGE = 7,
    /**
     * The router is at one of its bounds: retry after the time given.
     */
    CORTENSOR_STATUS_OVERLOADED = 8,
    /**
     * No miner is there to do the work, or the store does not answer: retry after the time given.
     */
    CORTENSOR_STATUS_UNAVAILABLE = 9,
    /**
     * The time has passed. A task that goes on can be asked for by its ids.
     */
    CORTENSOR_STATUS_TIMEOUT = 10,
    /**
     * Somebody cancelled it.
     */
    CORTENSOR_STATUS_CANCELLED = 11,
    /**
     * Every miner that was tried failed; the message is the last one's.
     */
    CORTENSOR_STATUS_MINER_FAILED = 12,
    /**
     * The router is shut down or draining, the job was answered, or the stream is over.
     */
    CORTENSOR_STATUS_CLOSED = 13,
    /**
     * A defect of the router: report it with its message.
     */
    CORTENSOR_STATUS_INTERNAL = 14,
    /**
     * The call waits for something that this very thread has to do first: make it from outside of a callback.
     */
    CORTENSOR_STATUS_WOULD_DEADLOCK = 15,
    /**
     * A defect of the router that was stopped at the language's border: report it. The handle may be unusable.
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
     * A piece of the text: `data`. `seq` is its number, one more than that of the event before it; the first is 1, and 2^32 more at each later start of the store.
     */
    CORTENSOR_EVENT_KIND_TOKEN = 1,
    /**
     * A restart mark: all pieces before it are void, and `seq` is the number of this mark. Another miner or a later
     * start of the router begins anew, or the number to resume from does not belong to this text.
     */
    CORTENSOR_EVENT_KIND_RESTART = 2,
    /**
     * The end, exactly one and last: the completion as JSON in `data`, or `error`, which is then not NULL.
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
 * Text that the library gives to its caller: UTF-8, most often JSON. A piece of an HTTP body is given as its bytes.
 */
typedef struct cortensor_bytes cortensor_bytes;

/**
 * Vectors of texts, one for each, in the order of the texts. Any thread may use it.
 */
typedef struct cortensor_embeddings cortensor_embeddings;

/**
 * The error of a call: its status, its code, and how to mend it.
 */
typedef struct cortensor_error cortensor_error;

/**
 * Answers HTTP requests that the host's own server got, as the listener would: the same routes, tokens and limits. Any thread may use it.
 */
typedef struct cortensor_http_handler cortensor_http_handler;

/**
 * An answer on its way: its head, then its body piece by piece. One thread at a time reads it. Freeing it before its
 * end means that the client hung up: its work is cancelled.
 */
typedef struct cortensor_http_response cortensor_http_response;

/**
 * One attempt at a task, given to `on_job`. Any thread may use it. It is answered once, by finish, fail or reject.
 * Every further answer is refused with `CORTENSOR_STATUS_CLOSED`. An answer that comes after the router was shut
 * down changes nothing.
 */
typedef struct cortensor_job cortensor_job;

/**
 * A listener that serves. Any thread may use it.
 */
typedef struct cortensor_listener cortensor_listener;

/**
 * A miner of the host program that was added. Any thread may use it.
 */
typedef struct cortensor_miner cortensor_miner;

/**
 * A miner of this program that dials a router elsewhere and works for it. Any thread may use it.
 */
typedef struct cortensor_miner_client cortensor_miner_client;

/**
 * A router. Any thread may use it at any time.
 */
typedef struct cortensor_router cortensor_router;

/**
 * A task's tokens as they come. One thread at a time reads it. It holds its task as a task's handle does.
 */
typedef struct cortensor_stream cortensor_stream;

/**
 * A subscriber that gets events.
 */
typedef struct cortensor_subscription cortensor_subscription;

/**
 * A submitted task. Any thread may use it. When the last handle of a task is freed, its streams counted, the task is cancelled,
 * unless it has ended or was detached.
 */
typedef struct cortensor_task cortensor_task;

/**
 * The receiver of a router's log. Calls come one at a time, from a thread of the router that may block.
 */
typedef struct cortensor_log_callbacks {
    /**
     * `sizeof(cortensor_log_callbacks)`.
     */
    size_t struct_size;
    /**
     * Given to every call.
     */
    void *user;
    /**
     * Takes a record: milliseconds since the Unix epoch; `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`; the
     * part of the router that writes; the text. The texts end with a NUL and live as long as the call.
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
     * `sizeof(cortensor_event)`, set by the program that makes the struct.
     */
    size_t struct_size;
    /**
     * The kind of the event.
     */
    cortensor_event_kind kind;
    /**
     * The number of the piece.
     */
    uint64_t seq;
    /**
     * UTF-8, no NUL behind it; whole characters.
     */
    const char *data;
    /**
     * Bytes at `data`.
     */
    size_t len;
    /**
     * The error, if there is no completion. It belongs to the event: do not free it.
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
     * Given to every call.
     */
    void *user;
    /**
     * Takes an event. Its data lives as long as the call.
     */
    void (*on_event)(void *user, const struct cortensor_event *event);
    /**
     * Called once, after the last event or after the subscription was closed; may be NULL.
     */
    void (*drop)(void *user);
} cortensor_stream_callbacks;

/**
 * The function that does the work.
 */
typedef struct cortensor_miner_callbacks {
    /**
     * `sizeof(cortensor_miner_callbacks)`.
     */
    size_t struct_size;
    /**
     * Given to every call.
     */
    void *user;
    /**
     * Takes a job, which belongs to the host from now on. The host answers it exactly once, here or later and from
     * any thread, and frees it. Calls come from threads of the router that may block, several at once up to the
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
 * The version of the library, as `"1.2.3"`; compare it with `CORTENSOR_VERSION`, that of the header.
 */
const char *cortensor_version(void);

/**
 * The number of the library's ABI. A program that was built with another `CORTENSOR_ABI_VERSION` must not go on.
 */
uint32_t cortensor_abi_version(void);

/**
 * The name of a status, as `"not_found"`; `"unknown"` for another number. The text lives for ever.
 */
const char *cortensor_status_name(int32_t status);

/**
 * The status that the call returned; `CORTENSOR_STATUS_OK` for NULL.
 */
cortensor_status cortensor_error_status(const struct cortensor_error *error);

/**
 * The finest code of the error, as `"session_not_found"`. Lives as long as the error; NULL for NULL.
 */
const char *cortensor_error_code(const struct cortensor_error *error);

/**
 * The problem and how to mend it, as one English sentence. Lives as long as the error; NULL for NULL.
 */
const char *cortensor_error_message(const struct cortensor_error *error);

/**
 * The whole error as JSON: `{"kind","code","message","retryable","param","retry_after_ms","session_id","task_id"}`.
 * Lives as long as the error; NULL for NULL.
 */
const char *cortensor_error_details(const struct cortensor_error *error);

/**
 * A copy that outlives the error, as for one that belongs to an event. The caller frees it; NULL for NULL.
 */
struct cortensor_error *cortensor_error_clone(const struct cortensor_error *error);

/**
 * Frees an error.
 */
void cortensor_error_free(struct cortensor_error *error);

/**
 * The text. A NUL stands behind it that `cortensor_bytes_len` does not count. Lives as long as the bytes; NULL for NULL.
 */
const char *cortensor_bytes_data(const struct cortensor_bytes *bytes);

/**
 * The number of bytes; 0 for NULL.
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
 * The `user` of `log` is taken in any case: its `drop` is also called if the call fails.
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
 * limit. `CORTENSOR_STATUS_TIMEOUT`: some had not ended. Blocks.
 */
cortensor_status cortensor_router_drain(const struct cortensor_router *router,
                                        int64_t timeout_ms,
                                        struct cortensor_error **err);

/**
 * Ends the router: listeners stop, running tasks are cancelled, the store is closed. When it returns
 * CORTENSOR_STATUS_OK, no callback runs and none is called any more. Blocks, at most for `timeout_ms`; a negative
 * time is no limit. `CORTENSOR_STATUS_TIMEOUT`: the router is closed, but something had not ended; call again to go
 * on waiting. `CORTENSOR_STATUS_WOULD_DEADLOCK` from inside of a callback. A second call does nothing. The handle
 * and those that came from it must still be freed, and answer only `CORTENSOR_STATUS_CLOSED`.
 */
cortensor_status cortensor_router_shutdown(const struct cortensor_router *router,
                                           int64_t timeout_ms,
                                           struct cortensor_error **err);

/**
 * Frees the handle. Other handles of this router stay valid and keep it open. A router that was not shut down is
 * closed in the background when its last handle is freed. Its callbacks may then run a little longer, so a program
 * must shut down first if they depend on it. Does not block.
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
 * The models that can be asked for, as `{"count","models":[{"id","created","owned_by","miners","embeddings"}]}`.
 */
cortensor_status cortensor_router_models(const struct cortensor_router *router,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * Opens a session and gives its id and its record. `spec` is JSON, the body of `POST /api/v1/sessions`; only `name`
 * is needed: `{"name": "chat", "model": "tiny"}`. `session_id` and `out` may be NULL. Session 0 always exists.
 * Blocks until the session is durable.
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
 * A session's record.
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
 * Changes the fields that `patch` names, the body of `PATCH /api/v1/sessions/{id}`, and gives the record. Blocks
 * until that is durable.
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
 * Closes a session and gives its record: it takes no new tasks, running ones end. Blocks until that is durable.
 */
cortensor_status cortensor_router_close_session(const struct cortensor_router *router,
                                                uint64_t session_id,
                                                struct cortensor_bytes **out,
                                                struct cortensor_error **err);

/**
 * Submits a task. `request` is JSON, the body of `POST /api/v1/completions`: `prompt`, or `messages` for a chat, or `input` for an
 * embedding, and beside it `idempotency_key` and `detach`. Blocks until the task is durable.
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
 * Submits a task and waits for its end, in one call, and gives the completion as `cortensor_task_result` does. `request` is as for
 * `cortensor_router_submit`; its `timeout`, in seconds, bounds how long that takes. Blocks. When it fails the status is that of the submit or the task's.
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
 * Joins a task by its ids, running or ended. Blocks for a look into the store.
 */
cortensor_status cortensor_router_attach(const struct cortensor_router *router,
                                         uint64_t session_id,
                                         uint64_t task_id,
                                         struct cortensor_task **out,
                                         struct cortensor_error **err);

/**
 * A task's record by its ids. Blocks for a look into the store.
 */
cortensor_status cortensor_router_task(const struct cortensor_router *router,
                                       uint64_t session_id,
                                       uint64_t task_id,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * A page of a session's tasks as `{"count","tasks":[...]}`. `query` is `{"state","limit","offset","order"}`, each optional. Without `offset`
 * and `order` it is the newest page, oldest first inside it; `offset` or `order: "asc"` counts from the oldest, `order: "desc"` from the newest back.
 * Blocks for a look into the store.
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
 * Cancels a task by its ids and gives its record. Blocks until that is durable.
 */
cortensor_status cortensor_router_cancel(const struct cortensor_router *router,
                                         uint64_t session_id,
                                         uint64_t task_id,
                                         struct cortensor_bytes **out,
                                         struct cortensor_error **err);

/**
 * The session that the task is in; 0 for NULL.
 */
uint64_t cortensor_task_session_id(const struct cortensor_task *task);

/**
 * The task's id in its session, from 1; 0 for NULL.
 */
uint64_t cortensor_task_id(const struct cortensor_task *task);

/**
 * The task's id among all sessions; 0 for NULL.
 */
uint64_t cortensor_task_gid(const struct cortensor_task *task);

/**
 * Whether an idempotency key led to a task that was there already.
 */
bool cortensor_task_joined(const struct cortensor_task *task);

/**
 * The task's record as it stands.
 */
cortensor_status cortensor_task_record(const struct cortensor_task *task,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Waits for the end, at most for `timeout_ms`, and gives the completion as JSON: the text is `choices[0].text`. A negative time is no limit.
 * Blocks. When it fails the status is the task's: `CORTENSOR_STATUS_CANCELLED`, `CORTENSOR_STATUS_MINER_FAILED` ...;
 * `CORTENSOR_STATUS_TIMEOUT` with the code `wait_timeout` says that it has not ended yet.
 */
cortensor_status cortensor_task_result(const struct cortensor_task *task,
                                       int64_t timeout_ms,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Cancels the task, whoever else waits for it. Does not block.
 */
cortensor_status cortensor_task_cancel(const struct cortensor_task *task, struct cortensor_error **err);

/**
 * From now on the task goes on when all of its handles are freed.
 */
cortensor_status cortensor_task_detach(const struct cortensor_task *task, struct cortensor_error **err);

/**
 * Frees a handle of a task.
 */
void cortensor_task_free(struct cortensor_task *task);

/**
 * Submits a prompt, any text. `options` is JSON or empty, `{"max_tokens": 64, "temperature": 0.5}`: the fields of `POST /api/v1/completions`. A name that it
 * does not know is refused with the one that was probably meant; what is for the miner alone goes into `extra`, an object. Blocks until the task is durable.
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
 * Waits for the end, at most for `timeout_ms`, and gives the text of the answer alone: what `cortensor_task_result` has as `choices[0].text`. A negative time is
 * no limit. Blocks. When the task failed the status is the failure's.
 */
cortensor_status cortensor_task_text(const struct cortensor_task *task,
                                     int64_t timeout_ms,
                                     struct cortensor_bytes **out,
                                     struct cortensor_error **err);

/**
 * A text as a JSON string, its quotes included, for programs that write their JSON by hand.
 *
 * `value` has `value_len` bytes.
 */
cortensor_status cortensor_json_escape(const char *value,
                                       size_t value_len,
                                       struct cortensor_bytes **out,
                                       struct cortensor_error **err);

/**
 * Asks for the vector of a text. If `input` is empty, `options` has one or several texts as `input`, a list.
 * `options` is JSON or empty, `{"model": "embedder", "timeout": 30}`, and refuses names that it does not know.
 * Blocks. After a failure the status is that of the submit or the task's.
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
 * The number of vectors; 0 for NULL.
 */
size_t cortensor_embeddings_count(const struct cortensor_embeddings *embeddings);

/**
 * Lends the vector at `index`, from 0: `len` numbers, which live as long as the embeddings.
 */
cortensor_status cortensor_embeddings_vector(const struct cortensor_embeddings *embeddings,
                                             size_t index,
                                             const double **out,
                                             size_t *len,
                                             struct cortensor_error **err);

/**
 * The whole answer as JSON: the record of `POST /v1/embeddings` with `session_id`, `task_id` and `gid`.
 */
cortensor_status cortensor_embeddings_record(const struct cortensor_embeddings *embeddings,
                                             struct cortensor_bytes **out,
                                             struct cortensor_error **err);

/**
 * Frees embeddings.
 */
void cortensor_embeddings_free(struct cortensor_embeddings *embeddings);

/**
 * Opens a stream of the task's tokens after number `seq`; 0: from the first. It also works for a task that has
 * ended.
 */
cortensor_status cortensor_task_stream(const struct cortensor_task *task,
                                       uint64_t seq,
                                       struct cortensor_stream **out,
                                       struct cortensor_error **err);

/**
 * Waits for the next event, at most for `timeout_ms`; a negative time is no limit. Blocks. `event->struct_size` must
 * be set. The event's data lives until the next call for this stream. `CORTENSOR_STATUS_TIMEOUT`: nothing came;
 * `CORTENSOR_STATUS_CLOSED` with the code `stream_over`: the end was given before. A failed task is not a failure of
 * this call: the event `CORTENSOR_EVENT_KIND_END` carries the error.
 *
 * `event` is NULL or has as many bytes as it says.
 */
cortensor_status cortensor_stream_next(const struct cortensor_stream *stream,
                                       int64_t timeout_ms,
                                       struct cortensor_event *event,
                                       struct cortensor_error **err);

/**
 * Frees a stream. Its task goes on while another handle of it exists.
 */
void cortensor_stream_free(struct cortensor_stream *stream);

/**
 * Gives every event of the stream from here on to `callbacks`, and at last one that is `CORTENSOR_EVENT_KIND_END`.
 * The stream must still be freed, at any time, and cannot be read any more. `out` may be NULL if the subscription is
 * never closed before its end.
 *
 * `user` is taken in any case: `drop` is also called if the call fails.
 *
 * `callbacks` is NULL or has as many bytes as it says.
 */
cortensor_status cortensor_stream_subscribe(const struct cortensor_stream *stream,
                                            const struct cortensor_stream_callbacks *callbacks,
                                            struct cortensor_subscription **out,
                                            struct cortensor_error **err);

/**
 * Ends a subscription: no event comes after this. Waits for the call under way, at most for `timeout_ms`; a negative
 * time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: the call had not ended; `CORTENSOR_STATUS_WOULD_DEADLOCK`
 * from inside of a callback.
 */
cortensor_status cortensor_subscription_close(const struct cortensor_subscription *subscription,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Frees the handle; events go on until the end or a close.
 */
void cortensor_subscription_free(struct cortensor_subscription *subscription);

/**
 * Adds a miner of the host program. `spec` is JSON: `{"name": "local", "models": ["tiny"], "capacity": 4}`. `out`
 * may be NULL if the handle is not needed.
 *
 * `user` is taken in any case: `drop` is also called if the call fails.
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
 * Adds an OpenAI-compatible server as a miner. `upstream` is JSON, one `upstream` of docs/configuration.md: `{"url": "http://127.0.0.1:8080/v1"}`.
 *
 * `upstream` has `upstream_len` bytes.
 */
cortensor_status cortensor_router_add_upstream(const struct cortensor_router *router,
                                               const char *upstream,
                                               size_t upstream_len,
                                               struct cortensor_error **err);

/**
 * Removes a miner of any kind by its name: its tasks go to others. Does not wait for a callback that is under way.
 *
 * `name` has `name_len` bytes.
 */
cortensor_status cortensor_router_remove_miner(const struct cortensor_router *router,
                                               const char *name,
                                               size_t name_len,
                                               struct cortensor_error **err);

/**
 * Gives the miner no new jobs from now on; it finishes those that it has.
 */
cortensor_status cortensor_miner_drain(const struct cortensor_miner *miner, struct cortensor_error **err);

/**
 * Sets how many jobs it takes at a time from now on.
 */
cortensor_status cortensor_miner_set_capacity(const struct cortensor_miner *miner,
                                              uint32_t capacity,
                                              struct cortensor_error **err);

/**
 * Removes the miner: its tasks go to others, and `on_job` is called no more. Waits for the calls under way, at most
 * for `timeout_ms`; a negative time is no limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some calls had not ended;
 * `CORTENSOR_STATUS_WOULD_DEADLOCK` from inside of a callback.
 */
cortensor_status cortensor_miner_remove(const struct cortensor_miner *miner,
                                        int64_t timeout_ms,
                                        struct cortensor_error **err);

/**
 * Frees the handle; the miner goes on.
 */
void cortensor_miner_free(struct cortensor_miner *miner);

/**
 * The job as JSON: `{"gid","session_id","task_id","model","prompt","stream","deadline_ms","request"}`. `request` is
 * the caller's request, `deadline_ms` is in milliseconds since the Unix epoch.
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
 * The next piece of the answer, as UTF-8. A character may be cut off at its end; the rest comes with the next piece. Never blocks.
 * `CORTENSOR_STATUS_CANCELLED`: nobody wants it any more; stop working and free the job. `full` may be NULL; it says
 * that the router has the piece but its reader is slow: use `cortensor_job_wait_writable` before the next.
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
 * optional. `tool_calls` are in OpenAI's form; a call without an `index` is whole if it names its tool, and
 * otherwise continues the last one. Answers as `cortensor_job_emit` does.
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
 * vector, or a list of them. Emitted pieces are the text. Usage that is absent is estimated. If `answer` is wrong,
 * the job can still be answered. A job without any answer, not even an empty `text`, has failed:
 * `CORTENSOR_STATUS_INVALID_ARGUMENT` with the code `no_answer`.
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
 * Gives the job back: the miner is not blamed, and another one is tried.
 *
 * `reason` has `reason_len` bytes.
 */
cortensor_status cortensor_job_reject(const struct cortensor_job *job,
                                      const char *reason,
                                      size_t reason_len,
                                      struct cortensor_error **err);

/**
 * Whether nobody wants the work any more, or it was answered; true for NULL.
 */
bool cortensor_job_is_cancelled(const struct cortensor_job *job);

/**
 * Whether it was answered; true for NULL.
 */
bool cortensor_job_is_answered(const struct cortensor_job *job);

/**
 * Waits until a slow reader has caught up, or nobody wants the work any more, at most for `timeout_ms`; a negative time is no limit. Blocks.
 * `CORTENSOR_STATUS_TIMEOUT`: not within the time.
 */
cortensor_status cortensor_job_wait_writable(const struct cortensor_job *job,
                                             int64_t timeout_ms,
                                             struct cortensor_error **err);

/**
 * Waits until nobody wants the work any more, at most for `timeout_ms`; a negative time is no limit. Blocks.
 * `CORTENSOR_STATUS_TIMEOUT`: not within the time; `CORTENSOR_STATUS_CLOSED`: the job was answered, so the wait is
 * pointless.
 */
cortensor_status cortensor_job_wait_cancelled(const struct cortensor_job *job,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Frees a job. One that was not answered fails with `internal` and `dropped`.
 */
void cortensor_job_free(struct cortensor_job *job);

/**
 * Starts the HTTP listener. `config` is JSON, the `listen` section of docs/configuration.md, `{"port": 0}` for any free port; empty text
 * for the router's own settings. Blocks until it listens.
 *
 * `config` has `config_len` bytes.
 */
cortensor_status cortensor_router_listen(const struct cortensor_router *router,
                                         const char *config,
                                         size_t config_len,
                                         struct cortensor_listener **out,
                                         struct cortensor_error **err);

/**
 * The address of the listener, as `127.0.0.1:5010`.
 */
cortensor_status cortensor_listener_address(const struct cortensor_listener *listener,
                                            struct cortensor_bytes **out,
                                            struct cortensor_error **err);

/**
 * Every open surface and how it is protected, one line each.
 */
cortensor_status cortensor_listener_posture(const struct cortensor_listener *listener,
                                            struct cortensor_bytes **out,
                                            struct cortensor_error **err);

/**
 * Takes no new connections and waits until running requests have ended, at most for `timeout_ms`; a negative time is
 * no limit beside `listen.drain_timeout_ms`. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some had not ended.
 */
cortensor_status cortensor_listener_stop(const struct cortensor_listener *listener,
                                         int64_t timeout_ms,
                                         struct cortensor_error **err);

/**
 * Waits until the listener has ended, for whatever reason, at most for `timeout_ms`; a negative time is no limit.
 * Blocks. `CORTENSOR_STATUS_TIMEOUT`: it still serves.
 */
cortensor_status cortensor_listener_wait(const struct cortensor_listener *listener,
                                         int64_t timeout_ms,
                                         struct cortensor_error **err);

/**
 * Frees the handle; the listener goes on until it is stopped or its router is shut down.
 */
void cortensor_listener_free(struct cortensor_listener *listener);

/**
 * The REST API and OpenAI's without a socket, for a program that has an HTTP server already. `config` is JSON, the `listen` section of
 * docs/configuration.md: tokens and limits hold, addresses do not; empty text for the router's own settings.
 *
 * `config` has `config_len` bytes.
 */
cortensor_status cortensor_router_http_handler(const struct cortensor_router *router,
                                               const char *config,
                                               size_t config_len,
                                               struct cortensor_http_handler **out,
                                               struct cortensor_error **err);

/**
 * The size of the largest body that is not answered with 413, in bytes: a server need not read more. 0 for NULL.
 */
uint64_t cortensor_http_handler_max_body_bytes(const struct cortensor_http_handler *handler);

/**
 * Begins to answer a request; does not wait. `head` is as on the wire: the request line, at most 100 header lines, and the empty line that
 * ends them, `"GET /api/v1/info HTTP/1.1\r\nAuthorization: Bearer ...\r\n\r\n"`. `body` is all of the body as it came out of its
 * transfer coding, or nothing. `peer` is the sender's IP address, with its port or without; empty where it is not known: the development token is for
 * senders on this machine only. A request that the API refuses is answered: `CORTENSOR_STATUS_INVALID_ARGUMENT` says that it is no request.
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
 * Frees the handler; answers under way go on.
 */
void cortensor_http_handler_free(struct cortensor_http_handler *handler);

/**
 * Waits for the head, at most for `timeout_ms`; a negative time is no limit. Blocks. Gives the status, as 200, and the header lines as on the
 * wire, `"content-type: application/json\r\n"`, without the empty line. Both may be NULL. Can be called again. `CORTENSOR_STATUS_TIMEOUT`: it had not come.
 */
cortensor_status cortensor_http_response_head(const struct cortensor_http_response *response,
                                              int64_t timeout_ms,
                                              uint16_t *http_status,
                                              struct cortensor_bytes **headers,
                                              struct cortensor_error **err);

/**
 * Waits for the next piece of the body, at most for `timeout_ms`; a negative time is no limit. Blocks. A piece is never empty and is to be passed
 * on at once: an event of a stream waits for its reader. `CORTENSOR_STATUS_TIMEOUT`: none came; `CORTENSOR_STATUS_CLOSED` with the code `body_over`: the
 * last one was given before.
 */
cortensor_status cortensor_http_response_next(const struct cortensor_http_response *response,
                                              int64_t timeout_ms,
                                              struct cortensor_bytes **out,
                                              struct cortensor_error **err);

/**
 * Frees a response. Before its end this means that the client hung up: its task is cancelled, unless it is detached.
 * Does not block.
 */
void cortensor_http_response_free(struct cortensor_http_response *response);

/**
 * Makes an API key for listeners and gives `{"id","name","scopes","sessions","created_at","expires_at","token"}`.
 * The token is shown this once. `spec` is the body of `POST /api/v1/keys`; only `name` is needed. Blocks until the
 * key is durable.
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
 * Revokes an API key by its id: listeners refuse it from now on, and work under it ends. Blocks until that is
 * durable.
 *
 * `id` has `id_len` bytes.
 */
cortensor_status cortensor_router_delete_key(const struct cortensor_router *router,
                                             const char *id,
                                             size_t id_len,
                                             struct cortensor_error **err);

/**
 * Starts a miner that dials a router elsewhere, connects again if the connection breaks, and loses no finished
 * answer. `config` is JSON: `{"routers": ["ws://127.0.0.1:5010"], "name": "worker", "token": "...", "models":
 * ["tiny"], "capacity": 4}`. `log` may be NULL. Does not wait for the connection.
 *
 * Both `user` are taken in any case: `drop` is also called if the call fails.
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
 * Its counts and its connection, as JSON: `connected`, `router`, `last_error`, `in_flight`, `finished`, `committed`
 * and others.
 */
cortensor_status cortensor_miner_client_stats(const struct cortensor_miner_client *client,
                                              struct cortensor_bytes **out,
                                              struct cortensor_error **err);

/**
 * Sets how many jobs it takes at a time from now on, at most the `capacity` that it was started with.
 */
cortensor_status cortensor_miner_client_set_capacity(const struct cortensor_miner_client *client,
                                                     uint32_t capacity,
                                                     struct cortensor_error **err);

/**
 * Takes no new jobs, finishes those that it has, and leaves, at most within `timeout_ms`; a negative time is no
 * limit. Blocks. `CORTENSOR_STATUS_TIMEOUT`: some jobs were not finished, or the router does not have their answers.
 */
cortensor_status cortensor_miner_client_drain(const struct cortensor_miner_client *client,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Ends the miner: the connection is closed and its work cancelled. When this returns `CORTENSOR_STATUS_OK`, no
 * callback runs and none is called any more. Blocks, at most for `timeout_ms`; a negative time is no limit.
 * `CORTENSOR_STATUS_TIMEOUT`: something had not ended; call again to go on waiting.
 * `CORTENSOR_STATUS_WOULD_DEADLOCK` from inside of a callback. A second call does nothing.
 */
cortensor_status cortensor_miner_client_close(const struct cortensor_miner_client *client,
                                              int64_t timeout_ms,
                                              struct cortensor_error **err);

/**
 * Frees the handle. A miner that was not closed ends in the background, and its callbacks may run a little longer.
 * Does not block.
 */
void cortensor_miner_client_free(struct cortensor_miner_client *client);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* CORTENSOR_ROUTER_H */
