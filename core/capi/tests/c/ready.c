/* Waiting without a thread: every function that a call takes over is called exactly once, whatever becomes of the call. */
#include "check.h"
#include "hand.h"

/* Counts the calls, and wakes who waits for the first one. */
struct bell {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int rings;
};

#define BELL {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static void ring(void *user)
{
    struct bell *bell = user;
    pthread_mutex_lock(&bell->lock);
    bell->rings++;
    pthread_cond_broadcast(&bell->changed);
    pthread_mutex_unlock(&bell->lock);
}

static int rings(struct bell *bell)
{
    int rings;
    pthread_mutex_lock(&bell->lock);
    rings = bell->rings;
    pthread_mutex_unlock(&bell->lock);
    return rings;
}

static void await_ring(struct bell *bell)
{
    pthread_mutex_lock(&bell->lock);
    while (bell->rings == 0) {
        pthread_cond_wait(&bell->changed, &bell->lock);
    }
    pthread_mutex_unlock(&bell->lock);
}

/* The answer to a submission. */
struct place {
    struct bell bell;
    cortensor_task *task;
    cortensor_error *error;
};

static void on_submitted(void *user, cortensor_task *task, cortensor_error *error)
{
    struct place *place = user;
    place->task = task;
    place->error = error;
    ring(&place->bell);
}

static cortensor_task *started(cortensor_router *router, const char *request)
{
    struct place place = {.bell = BELL};
    MUST(cortensor_router_submit_start(router, 0, CORTENSOR_STR(request), on_submitted, &place, &error));
    await_ring(&place.bell);
    CHECK(place.bell.rings == 1 && place.task != NULL && place.error == NULL);
    return place.task;
}

static void refused(const cortensor_router *router, const char *request, cortensor_status status)
{
    struct place place = {.bell = BELL};
    MUST(cortensor_router_submit_start(router, 0, CORTENSOR_STR(request), on_submitted, &place, &error));
    await_ring(&place.bell);
    CHECK(place.bell.rings == 1 && place.task == NULL && cortensor_error_status(place.error) == status);
    cortensor_error_free(place.error);
}

/* A task and its stream, of which the host is told. */
static void tasks(cortensor_router *router, struct hand *hand)
{
    struct bell ended = BELL, first = BELL, second = BELL;
    cortensor_task *task = started(router, "{\"prompt\": \"x\"}");
    cortensor_job *job = take(hand);
    cortensor_stream *stream = NULL;
    cortensor_event event = {.struct_size = sizeof event};
    cortensor_bytes *completion = NULL;
    MUST(cortensor_task_notify(task, ring, &ended, &error));
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_stream_next(stream, 0, &event, &error));
    MUST(cortensor_stream_notify(stream, ring, &first, &error));
    CHECK(rings(&first) == 0 && rings(&ended) == 0);
    MUST(cortensor_job_emit(job, CORTENSOR_STR("a"), NULL, &error));
    await_ring(&first);
    MUST(cortensor_stream_next(stream, 0, &event, &error));
    CHECK(event.kind == CORTENSOR_EVENT_KIND_TOKEN);
    MUST(cortensor_job_finish(job, CORTENSOR_EMPTY, &error));
    cortensor_job_free(job);
    await_ring(&ended);
    MUST(cortensor_task_result(task, CORTENSOR_FOREVER, &completion, &error));
    cortensor_bytes_free(completion);
    /* After the end, the call comes at once. */
    MUST(cortensor_task_notify(task, ring, &second, &error));
    await_ring(&second);
    cortensor_stream_free(stream);
    cortensor_task_free(task);
    CHECK(rings(&first) == 1 && rings(&ended) == 1 && rings(&second) == 1);
}

/* Handles that are freed before anything happens wake the host, too; and the task is cancelled as if nobody waited. */
static void freed(cortensor_router *router, struct hand *hand)
{
    struct bell ended = BELL, event = BELL, cancelled = BELL, writable = BELL;
    cortensor_task *task = started(router, "{\"prompt\": \"x\"}");
    cortensor_job *job = take(hand);
    cortensor_stream *stream = NULL;
    MUST(cortensor_task_notify(task, ring, &ended, &error));
    MUST(cortensor_job_notify_cancelled(job, ring, &cancelled, &error));
    MUST(cortensor_job_notify_writable(job, ring, &writable, &error));
    await_ring(&writable); /* nobody is slow */
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    MUST(cortensor_stream_notify(stream, ring, &event, &error));
    CHECK(rings(&ended) == 0 && rings(&event) == 0 && rings(&cancelled) == 0);
    cortensor_stream_free(stream);
    await_ring(&event);
    cortensor_task_free(task);
    await_ring(&ended);
    await_ring(&cancelled);
    CHECK(cortensor_job_is_cancelled(job));
    cortensor_job_free(job);
    CHECK(rings(&ended) == 1 && rings(&event) == 1 && rings(&cancelled) == 1 && rings(&writable) == 1);
}

/* An answered job tells whoever waits for its cancellation. */
static void answered(cortensor_router *router, struct hand *hand)
{
    struct bell cancelled = BELL, late = BELL;
    cortensor_task *task = started(router, "{\"prompt\": \"x\"}");
    cortensor_job *job = take(hand);
    MUST(cortensor_job_notify_cancelled(job, ring, &cancelled, &error));
    MUST(cortensor_job_finish(job, CORTENSOR_STR("{\"text\": \"\"}"), &error));
    await_ring(&cancelled);
    MUST(cortensor_job_notify_writable(job, ring, &late, &error));
    await_ring(&late);
    cortensor_job_free(job);
    cortensor_task_free(task);
    CHECK(rings(&cancelled) == 1 && rings(&late) == 1);
}

static void vectors(cortensor_router *router, struct hand *hand)
{
    cortensor_task *task = started(router, "{\"input\": [\"a\", \"b\"], \"model\": \"embedder\"}");
    cortensor_job *job = take(hand);
    cortensor_embeddings *embeddings = NULL;
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_task_embeddings(task, 0, &embeddings, &error));
    MUST(cortensor_job_finish(job, CORTENSOR_STR("{\"embedding\": [[1, 2], [3, 4]]}"), &error));
    cortensor_job_free(job);
    MUST(cortensor_task_embeddings(task, CORTENSOR_FOREVER, &embeddings, &error));
    CHECK(cortensor_embeddings_count(embeddings) == 2);
    cortensor_embeddings_free(embeddings);
    cortensor_task_free(task);
}

static void misuse(const cortensor_router *router)
{
    struct bell bell = BELL;
    REFUSED(INVALID, "null_pointer", cortensor_task_notify(NULL, ring, &bell, &error));
    REFUSED(INVALID, "null_pointer", cortensor_stream_notify(NULL, ring, &bell, &error));
    REFUSED(INVALID, "null_pointer", cortensor_job_notify_cancelled(NULL, ring, &bell, &error));
    REFUSED(INVALID, "null_pointer", cortensor_job_notify_writable(NULL, ring, &bell, &error));
    CHECK(rings(&bell) == 4);
    REFUSED(INVALID, "null_pointer", cortensor_task_notify(NULL, NULL, &bell, &error));
    REFUSED(INVALID, "null_pointer", cortensor_router_submit_start(router, 0, CORTENSOR_EMPTY, NULL, NULL, &error));
    refused(NULL, "{\"prompt\": \"x\"}", INVALID);
    refused(router, "{", INVALID);
}

int main(void)
{
    struct hand hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    cortensor_router *router = open_router("");
    add_miner(router, "{\"name\": \"hand\"}", keep, &hand);
    tasks(router, &hand);
    freed(router, &hand);
    answered(router, &hand);
    MUST(cortensor_router_remove_miner(router, CORTENSOR_STR("hand"), &error));
    add_miner(router, "{\"name\": \"embedder\", \"models\": [\"embedder\"], \"embeddings\": true}", keep, &hand);
    vectors(router, &hand);
    misuse(router);
    MUST(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error));
    refused(router, "{\"prompt\": \"x\"}", CORTENSOR_STATUS_CLOSED);
    cortensor_router_free(router);
    return EXIT_SUCCESS;
}
