/* Reads a task's tokens in both ways: pulled one by one, and pushed to a function. */
#include <cortensor_router.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void must(cortensor_status status, cortensor_error **error)
{
    if (status != CORTENSOR_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", cortensor_status_name(status), cortensor_error_message(*error));
        exit(EXIT_FAILURE);
    }
}

static void count(void *user, cortensor_job *job)
{
    (void)user;
    for (int i = 1; i <= 5; i++) {
        char piece[16];
        snprintf(piece, sizeof piece, "%d ", i);
        if (cortensor_job_emit(job, CORTENSOR_STR(piece), NULL, NULL) != CORTENSOR_STATUS_OK) {
            break;
        }
    }
    cortensor_job_finish(job, CORTENSOR_EMPTY, NULL);
    cortensor_job_free(job);
}

/* Where the thread that is pushed to meets the one that waits. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int over;
};

static void on_event(void *user, const cortensor_event *event)
{
    (void)user;
    if (event->kind == CORTENSOR_EVENT_KIND_TOKEN) {
        printf("pushed %.*s\n", (int)event->len, event->data);
    } else if (event->kind == CORTENSOR_EVENT_KIND_END && event->error != NULL) {
        fprintf(stderr, "failed: %s\n", cortensor_error_message(event->error));
    }
}

static void on_drop(void *user)
{
    struct meeting *meeting = user;
    pthread_mutex_lock(&meeting->lock);
    meeting->over = 1;
    pthread_cond_signal(&meeting->changed);
    pthread_mutex_unlock(&meeting->lock);
}

static void pull(cortensor_router *router)
{
    cortensor_error *error = NULL;
    cortensor_task *task;
    cortensor_stream *stream;
    cortensor_event event = {.struct_size = sizeof event};

    must(cortensor_router_submit_prompt(router, 0, CORTENSOR_STR("count"), CORTENSOR_STR("{\"stream\": true}"), &task, &error), &error);
    must(cortensor_task_stream(task, 0, &stream, &error), &error);
    while (cortensor_stream_next(stream, CORTENSOR_FOREVER, &event, NULL) == CORTENSOR_STATUS_OK) {
        switch (event.kind) {
        case CORTENSOR_EVENT_KIND_TOKEN:
            printf("pulled %.*s\n", (int)event.len, event.data);
            break;
        case CORTENSOR_EVENT_KIND_RESTART:
            printf("what came up to %llu is void\n", (unsigned long long)event.seq);
            break;
        case CORTENSOR_EVENT_KIND_END:
            printf("%s\n", event.error == NULL ? "done" : cortensor_error_message(event.error));
            break;
        }
    }
    cortensor_stream_free(stream);
    cortensor_task_free(task);
}

static void push(cortensor_router *router)
{
    cortensor_error *error = NULL;
    cortensor_task *task;
    cortensor_stream *stream;
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};
    cortensor_stream_callbacks callbacks = {
        .struct_size = sizeof callbacks, .user = &meeting, .on_event = on_event, .drop = on_drop};

    must(cortensor_router_submit_prompt(router, 0, CORTENSOR_STR("count"), CORTENSOR_STR("{\"stream\": true}"), &task, &error), &error);
    must(cortensor_task_stream(task, 0, &stream, &error), &error);
    must(cortensor_stream_subscribe(stream, &callbacks, NULL, &error), &error);
    /* The last call of all is the one of `drop`. */
    pthread_mutex_lock(&meeting.lock);
    while (!meeting.over) {
        pthread_cond_wait(&meeting.changed, &meeting.lock);
    }
    pthread_mutex_unlock(&meeting.lock);
    cortensor_stream_free(stream);
    cortensor_task_free(task);
}

int main(void)
{
    cortensor_error *error = NULL;
    cortensor_router *router;
    cortensor_miner_callbacks miner = {.struct_size = sizeof miner, .on_job = count};

    must(cortensor_router_open(CORTENSOR_EMPTY, NULL, &router, &error), &error);
    must(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"count\"}"), &miner, NULL, &error), &error);
    pull(router);
    push(router);
    must(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error), &error);
    cortensor_router_free(router);
    return EXIT_SUCCESS;
}
