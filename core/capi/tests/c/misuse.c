/* Every misuse that a library can notice returns a status and has no other effect. */
#include "check.h"
#include "hand.h"

#define NULL_POINTER "null_pointer"

static void nothing_is_there(void)
{
    cortensor_bytes *bytes = NULL;
    cortensor_task *task = NULL;
    cortensor_stream *stream = NULL;
    cortensor_subscription *subscription = NULL;
    cortensor_miner *miner = NULL;
    cortensor_listener *listener = NULL;
    cortensor_router *router = NULL;
    cortensor_miner_callbacks miner_callbacks = {.struct_size = sizeof miner_callbacks, .on_job = give_back};
    cortensor_stream_callbacks stream_callbacks = {.struct_size = sizeof stream_callbacks};
    cortensor_event event = {.struct_size = sizeof event};
    bool full = false;
    uint64_t id = 7;

    REFUSED(INVALID, NULL_POINTER, cortensor_router_config(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_info(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_status(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_metrics(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_miners(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_models(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_create_session(NULL, CORTENSOR_EMPTY, &id, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_session(NULL, 0, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_sessions(NULL, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_usage(NULL, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_update_session(NULL, 0, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_close_session(NULL, 0, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_submit(NULL, 0, CORTENSOR_EMPTY, &task, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_complete(NULL, 0, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_attach(NULL, 0, 1, &task, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_task(NULL, 0, 1, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_tasks(NULL, 0, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_cancel(NULL, 0, 1, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_add_miner(NULL, CORTENSOR_EMPTY, &miner_callbacks, &miner, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_add_upstream(NULL, CORTENSOR_EMPTY, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_remove_miner(NULL, CORTENSOR_EMPTY, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_listen(NULL, CORTENSOR_EMPTY, &listener, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_create_key(NULL, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_keys(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_delete_key(NULL, CORTENSOR_EMPTY, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_drain(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_shutdown(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_task_record(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_task_result(NULL, 0, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_task_stream(NULL, 0, &stream, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_task_cancel(NULL, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_task_detach(NULL, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_stream_next(NULL, 0, &event, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_stream_subscribe(NULL, &stream_callbacks, &subscription, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_subscription_close(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_miner_drain(NULL, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_miner_set_capacity(NULL, 1, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_miner_remove(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_info(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_prompt(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_emit(NULL, CORTENSOR_EMPTY, &full, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_finish(NULL, CORTENSOR_EMPTY, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_fail(NULL, CORTENSOR_STR("model"), CORTENSOR_EMPTY, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_reject(NULL, CORTENSOR_EMPTY, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_wait_writable(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_wait_cancelled(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_listener_address(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_listener_posture(NULL, &bytes, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_listener_stop(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_listener_wait(NULL, 0, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_open(CORTENSOR_EMPTY, NULL, NULL, &error));
    CHECK(bytes == NULL && task == NULL && stream == NULL && subscription == NULL && miner == NULL && listener == NULL);
    CHECK(router == NULL && !full && id == 7);

    CHECK(cortensor_task_session_id(NULL) == 0 && cortensor_task_id(NULL) == 0 && cortensor_task_gid(NULL) == 0);
    CHECK(!cortensor_task_joined(NULL) && cortensor_job_is_cancelled(NULL) && cortensor_job_is_answered(NULL));
    CHECK(cortensor_bytes_data(NULL) == NULL && cortensor_bytes_len(NULL) == 0);
    CHECK(cortensor_error_status(NULL) == CORTENSOR_STATUS_OK && cortensor_error_code(NULL) == NULL);
    CHECK(cortensor_error_message(NULL) == NULL && cortensor_error_details(NULL) == NULL && cortensor_error_clone(NULL) == NULL);
    cortensor_bytes_free(NULL);
    cortensor_error_free(NULL);
    cortensor_router_free(NULL);
    cortensor_task_free(NULL);
    cortensor_stream_free(NULL);
    cortensor_subscription_free(NULL);
    cortensor_miner_free(NULL);
    cortensor_job_free(NULL);
    cortensor_listener_free(NULL);
}

static void text_is_wrong(void)
{
    cortensor_router *router = NULL, *real;
    cortensor_task *task = NULL;
    cortensor_bytes *tasks = NULL;

    REFUSED(INVALID, NULL_POINTER, cortensor_router_open(NULL, 5, NULL, &router, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_open("{}", SIZE_MAX, NULL, &router, &error));
    REFUSED(INVALID, "not_utf8", cortensor_router_open(CORTENSOR_STR("\xff{}"), NULL, &router, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_open(CORTENSOR_STR("{"), NULL, &router, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_open(CORTENSOR_STR("{\"limits\": {\"max_sesions\": 1}}"), NULL, &router, &error));
    CHECK(router == NULL);
    /* The place for the error may be NULL. */
    CHECK(cortensor_router_open(CORTENSOR_STR("["), NULL, &router, NULL) == INVALID);

    real = open_router("{\"echo\": true}");
    REFUSED(INVALID, "invalid_argument", cortensor_router_submit(real, 0, CORTENSOR_STR("{\"prompt\": 7}"), &task, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_submit(real, 0, CORTENSOR_EMPTY, &task, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_complete(real, 0, CORTENSOR_STR("{\"prompt\": 7}"), &tasks, &error));
    REFUSED(CORTENSOR_STATUS_NOT_FOUND, "session_not_found", cortensor_router_complete(real, 9, CORTENSOR_STR("{\"prompt\": \"x\"}"), &tasks, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_router_complete(real, 0, CORTENSOR_STR("{\"prompt\": \"x\"}"), NULL, &error));
    REFUSED(CORTENSOR_STATUS_NOT_FOUND, "session_not_found", cortensor_router_submit(real, 9, CORTENSOR_STR("{\"prompt\": \"x\"}"), &task, &error));
    CHECK(task == NULL);
    /* A call whose result could not be returned does nothing. */
    REFUSED(INVALID, NULL_POINTER, cortensor_router_submit(real, 0, CORTENSOR_STR("{\"prompt\": \"x\"}"), NULL, &error));
    MUST(cortensor_router_tasks(real, 0, CORTENSOR_EMPTY, &tasks, &error));
    {
        cortensor_bytes *usage = NULL;
        MUST(cortensor_router_usage(real, CORTENSOR_STR("{\"by\": \"key\"}"), &usage, &error));
        CHECK(strstr(cortensor_bytes_data(usage), "\"by\":\"key\"") != NULL);
        cortensor_bytes_free(usage);
        REFUSED(INVALID, "invalid_argument", cortensor_router_usage(real, CORTENSOR_STR("{\"by\": \"year\"}"), &usage, &error));
    }
    CHECK(strstr(cortensor_bytes_data(tasks), "\"count\":0") != NULL);
    cortensor_bytes_free(tasks);
    {
        cortensor_error *error = NULL, *copy;
        CHECK(cortensor_router_submit(real, 0, CORTENSOR_STR("{\"prompt\": \"x\", \"timeout\": -1}"), &task, &error) == INVALID);
        CHECK(strstr(cortensor_error_details(error), "\"param\":\"timeout\"") != NULL);
        copy = cortensor_error_clone(error);
        cortensor_error_free(error);
        CHECK(strstr(cortensor_error_details(copy), "\"param\":\"timeout\"") != NULL);
        cortensor_error_free(copy);
    }
    close_router(real);
}

static void count_drop(void *user)
{
    ++*(int *)user;
}

static void on_event(void *user, const cortensor_event *event)
{
    (void)user;
    CHECK(event->struct_size == sizeof *event);
}

static void tables_are_wrong(void)
{
    cortensor_router *router = open_router("{\"echo\": true}"), *none = NULL;
    cortensor_task *task = submit(router, "{\"prompt\": \"x\"}");
    cortensor_stream *stream = NULL;
    cortensor_event event = {.struct_size = sizeof event};
    int drops = 0;
    cortensor_miner_callbacks callbacks = {.struct_size = sizeof callbacks, .user = &drops, .on_job = give_back, .drop = count_drop};
    cortensor_stream_callbacks events = {.struct_size = sizeof events, .user = &drops, .drop = count_drop};
    cortensor_log_callbacks log = {.struct_size = sizeof log, .user = &drops, .drop = count_drop};

    REFUSED(INVALID, NULL_POINTER, cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), NULL, NULL, &error));
    callbacks.struct_size = 0;
    REFUSED(INVALID, "invalid_argument", cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), &callbacks, NULL, &error));
    callbacks.struct_size = offsetof(cortensor_miner_callbacks, drop);
    REFUSED(INVALID, "invalid_argument", cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), &callbacks, NULL, &error));
    CHECK(drops == 0); /* such a table was never read */

    callbacks.struct_size = sizeof callbacks;
    callbacks.on_job = NULL;
    REFUSED(INVALID, NULL_POINTER, cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), &callbacks, NULL, &error));
    CHECK(drops == 1); /* `user` is taken in any case */
    callbacks.on_job = give_back;
    callbacks.flags = 64;
    REFUSED(INVALID, "invalid_argument", cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), &callbacks, NULL, &error));
    callbacks.flags = 0;
    REFUSED(INVALID, NULL_POINTER, cortensor_router_add_miner(NULL, CORTENSOR_STR("{\"name\": \"m\"}"), &callbacks, NULL, &error));
    REFUSED(INVALID, "invalid_argument", cortensor_router_add_miner(router, CORTENSOR_STR("{\"nam\": \"m\"}"), &callbacks, NULL, &error));
    CHECK(drops == 4);

    REFUSED(INVALID, NULL_POINTER, cortensor_router_open(CORTENSOR_EMPTY, &log, &none, &error));
    CHECK(drops == 5 && none == NULL);

    MUST(cortensor_task_stream(task, 0, &stream, &error));
    event.struct_size = sizeof event - 1;
    REFUSED(INVALID, "invalid_argument", cortensor_stream_next(stream, 0, &event, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_stream_next(stream, 0, NULL, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_stream_subscribe(stream, &events, NULL, &error));
    CHECK(drops == 6);
    events.on_event = on_event;
    MUST(cortensor_stream_subscribe(stream, &events, NULL, &error));
    event.struct_size = sizeof event;
    REFUSED(CORTENSOR_STATUS_CONFLICT, "stream_in_use", cortensor_stream_next(stream, 0, &event, &error));
    events.user = NULL;
    events.drop = NULL;
    REFUSED(CORTENSOR_STATUS_CONFLICT, "stream_in_use", cortensor_stream_subscribe(stream, &events, NULL, &error));
    cortensor_stream_free(stream);
    cortensor_task_free(task);
    close_router(router);
    CHECK(drops == 7);
}

static void *read_for_ever(void *stream)
{
    cortensor_event event = {.struct_size = sizeof event};
    cortensor_status status;
    /* The other thread may still be reading for a moment. */
    do {
        status = cortensor_stream_next(stream, CORTENSOR_FOREVER, &event, NULL);
    } while (status == CORTENSOR_STATUS_CONFLICT);
    CHECK(status == CORTENSOR_STATUS_OK);
    CHECK(event.kind == CORTENSOR_EVENT_KIND_TOKEN && event.seq == 1 && event.len == 2);
    return NULL;
}

static void jobs_and_streams_are_used_up(void)
{
    struct hand hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    cortensor_router *router = open_router("");
    cortensor_task *task;
    cortensor_stream *stream = NULL;
    cortensor_bytes *bytes = NULL;
    cortensor_job *job;
    cortensor_event event = {.struct_size = sizeof event};
    cortensor_status status;
    pthread_t reader;

    add_miner(router, "{\"name\": \"kept\"}", keep, &hand);
    task = submit(router, "{\"prompt\": \"x\"}");
    job = take(&hand);
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_stream_next(stream, 0, &event, &error));
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_task_result(task, 0, &bytes, &error));
    REFUSED(CORTENSOR_STATUS_TIMEOUT, "wait_timeout", cortensor_job_wait_cancelled(job, 0, &error));

    /* Only one thread may read a stream at a time. */
    CHECK(pthread_create(&reader, NULL, read_for_ever, stream) == 0);
    do {
        cortensor_error *error = NULL;
        status = cortensor_stream_next(stream, 0, &event, &error);
        CHECK(status == CORTENSOR_STATUS_TIMEOUT || strcmp(cortensor_error_code(error), "stream_in_use") == 0);
        cortensor_error_free(error);
    } while (status != CORTENSOR_STATUS_CONFLICT);

    REFUSED(INVALID, "invalid_argument", cortensor_job_emit(job, CORTENSOR_STR("\xff"), NULL, &error));
    REFUSED(INVALID, NULL_POINTER, cortensor_job_emit(job, NULL, 1, NULL, &error));
    MUST(cortensor_job_emit(job, CORTENSOR_STR("\xc3"), NULL, &error)); /* half of a character */
    MUST(cortensor_job_emit(job, CORTENSOR_STR("\xa9"), NULL, &error));
    CHECK(pthread_join(reader, NULL) == 0);
    REFUSED(INVALID, "invalid_argument", cortensor_job_finish(job, CORTENSOR_STR("{\"usage\": 1}"), &error));
    REFUSED(INVALID, "invalid_argument", cortensor_job_fail(job, CORTENSOR_STR("nonsense"), CORTENSOR_EMPTY, &error));
    CHECK(!cortensor_job_is_cancelled(job) && !cortensor_job_is_answered(job));
    MUST(cortensor_job_finish(job, CORTENSOR_EMPTY, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "job_answered", cortensor_job_finish(job, CORTENSOR_EMPTY, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "job_answered", cortensor_job_fail(job, CORTENSOR_STR("model"), CORTENSOR_EMPTY, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "job_answered", cortensor_job_reject(job, CORTENSOR_EMPTY, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "job_answered", cortensor_job_emit(job, CORTENSOR_STR("x"), NULL, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "job_answered", cortensor_job_wait_cancelled(job, CORTENSOR_FOREVER, &error));
    CHECK(cortensor_job_is_cancelled(job) && cortensor_job_is_answered(job));
    cortensor_job_free(job);

    MUST(cortensor_stream_next(stream, CORTENSOR_FOREVER, &event, &error));
    CHECK(event.kind == CORTENSOR_EVENT_KIND_END && event.error == NULL && event.len > 0);
    REFUSED(CORTENSOR_STATUS_CLOSED, "stream_over", cortensor_stream_next(stream, CORTENSOR_FOREVER, &event, &error));
    cortensor_stream_free(stream);
    cortensor_task_free(task);

    /* A job that is freed without an answer fails, and its task gives the reason. */
    task = submit(router, "{\"prompt\": \"y\", \"timeout\": 30}");
    cortensor_job_free(take(&hand));
    cortensor_job_free(take(&hand));
    cortensor_job_free(take(&hand));
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    MUST(cortensor_stream_next(stream, CORTENSOR_FOREVER, &event, &error));
    CHECK(event.kind == CORTENSOR_EVENT_KIND_END && cortensor_error_status(event.error) == CORTENSOR_STATUS_MINER_FAILED);
    CHECK(strstr(cortensor_error_message(event.error), "dropped") != NULL);
    REFUSED(CORTENSOR_STATUS_MINER_FAILED, cortensor_error_code(event.error), cortensor_task_result(task, 0, &bytes, &error));
    cortensor_stream_free(stream);
    cortensor_task_free(task);
    CHECK(bytes == NULL);
    close_router(router);
}

/* A callback that makes calls which wait for callbacks. */
struct inside {
    struct hand hand;
    cortensor_router *router;
    cortensor_miner *miner;
    cortensor_subscription *subscription;
    int done;
};

static void wait_inside(void *user, cortensor_job *job)
{
    struct inside *inside = user;
    cortensor_bytes *record = NULL;
    pthread_mutex_lock(&inside->hand.lock);
    while (inside->miner == NULL) {
        pthread_cond_wait(&inside->hand.changed, &inside->hand.lock);
    }
    pthread_mutex_unlock(&inside->hand.lock);
    REFUSED(CORTENSOR_STATUS_WOULD_DEADLOCK, "would_deadlock", cortensor_router_shutdown(inside->router, CORTENSOR_FOREVER, &error));
    REFUSED(CORTENSOR_STATUS_WOULD_DEADLOCK, "would_deadlock", cortensor_miner_remove(inside->miner, CORTENSOR_FOREVER, &error));
    /* All other calls work, even those that block. */
    MUST(cortensor_router_create_session(inside->router, CORTENSOR_STR("{\"name\": \"inside\"}"), NULL, &record, &error));
    CHECK(strstr(cortensor_bytes_data(record), "\"inside\"") != NULL);
    cortensor_bytes_free(record);
    MUST(cortensor_job_finish(job, CORTENSOR_STR("{\"text\": \"fine\"}"), &error));
    cortensor_job_free(job);
}

static void close_inside(void *user, const cortensor_event *event)
{
    struct inside *inside = user;
    pthread_mutex_lock(&inside->hand.lock);
    while (inside->subscription == NULL) {
        pthread_cond_wait(&inside->hand.changed, &inside->hand.lock);
    }
    pthread_mutex_unlock(&inside->hand.lock);
    REFUSED(CORTENSOR_STATUS_WOULD_DEADLOCK, "would_deadlock", cortensor_subscription_close(inside->subscription, 0, &error));
    if (event->kind == CORTENSOR_EVENT_KIND_END) {
        pthread_mutex_lock(&inside->hand.lock);
        inside->done = 1;
        pthread_cond_signal(&inside->hand.changed);
        pthread_mutex_unlock(&inside->hand.lock);
    }
}

static void waiting_inside_of_a_callback_is_refused(void)
{
    struct inside inside = {.hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};
    cortensor_router *router = open_router("");
    cortensor_miner_callbacks callbacks = {.struct_size = sizeof callbacks, .user = &inside, .on_job = wait_inside};
    cortensor_stream_callbacks events = {.struct_size = sizeof events, .user = &inside, .on_event = close_inside};
    cortensor_miner *miner = NULL;
    cortensor_subscription *subscription = NULL;
    cortensor_stream *stream = NULL;
    cortensor_task *task;
    cortensor_bytes *bytes = NULL;
    cortensor_listener *listener = NULL;
    cortensor_event event = {.struct_size = sizeof event};
    uint64_t id = 0;

    inside.router = router;
    MUST(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"inside\"}"), &callbacks, &miner, &error));
    task = submit(router, "{\"prompt\": \"x\"}");
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    MUST(cortensor_stream_subscribe(stream, &events, &subscription, &error));
    pthread_mutex_lock(&inside.hand.lock);
    inside.miner = miner;
    inside.subscription = subscription;
    pthread_cond_broadcast(&inside.hand.changed);
    while (!inside.done) {
        pthread_cond_wait(&inside.hand.changed, &inside.hand.lock);
    }
    pthread_mutex_unlock(&inside.hand.lock);
    MUST(cortensor_task_result(task, CORTENSOR_FOREVER, &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "\"fine\"") != NULL);
    CHECK(strlen(cortensor_bytes_data(bytes)) == cortensor_bytes_len(bytes));
    cortensor_bytes_free(bytes);
    bytes = NULL;
    MUST(cortensor_subscription_close(subscription, CORTENSOR_FOREVER, &error));
    cortensor_stream_free(stream);
    stream = NULL;

    /* After a shutdown, every call reports it. */
    MUST(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error));
    MUST(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_router_info(router, &bytes, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_router_create_session(router, CORTENSOR_STR("{\"name\": \"x\"}"), &id, NULL, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_router_tasks(router, 0, CORTENSOR_EMPTY, &bytes, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_router_listen(router, CORTENSOR_STR("{\"port\": 0}"), &listener, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_router_drain(router, 0, &error));
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_task_record(task, &bytes, &error));
    callbacks.user = NULL;
    REFUSED(CORTENSOR_STATUS_CLOSED, "closed", cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"late\"}"), &callbacks, NULL, &error));
    MUST(cortensor_miner_remove(miner, CORTENSOR_FOREVER, &error));
    CHECK(bytes == NULL && id == 0 && listener == NULL);

    /* Handles may be freed in any order, and handles that outlive their router work as far as possible. */
    cortensor_router_free(router);
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    MUST(cortensor_stream_next(stream, 10000, &event, &error));
    cortensor_stream_free(stream);
    cortensor_subscription_free(subscription);
    cortensor_task_free(task);
    cortensor_miner_free(miner);
}

int main(void)
{
    CHECK(strcmp(cortensor_version(), CORTENSOR_VERSION) == 0 && cortensor_abi_version() == CORTENSOR_ABI_VERSION);
    CHECK(strcmp(cortensor_status_name(CORTENSOR_STATUS_OK), "ok") == 0);
    CHECK(strcmp(cortensor_status_name(CORTENSOR_STATUS_PANIC), "panic") == 0);
    CHECK(strcmp(cortensor_status_name(-1), "unknown") == 0 && strcmp(cortensor_status_name(1000), "unknown") == 0);
    nothing_is_there();
    text_is_wrong();
    tables_are_wrong();
    jobs_and_streams_are_used_up();
    waiting_inside_of_a_callback_is_refused();
    printf("misuse: every call was refused as it should be\n");
    return EXIT_SUCCESS;
}
