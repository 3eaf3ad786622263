/* A miner with a worker thread of its own: the callback only passes jobs on, the worker answers them. */
#include <cortensor_router.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAPACITY = 4 };

/* The jobs that wait. The router never offers more than the miner's capacity, so they always have room. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    cortensor_job *jobs[CAPACITY];
    size_t count;
    int closed;
};

static void must(cortensor_status status, cortensor_error **error)
{
    if (status != CORTENSOR_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", cortensor_status_name(status), cortensor_error_message(*error));
        exit(EXIT_FAILURE);
    }
}

static void on_job(void *user, cortensor_job *job)
{
    struct queue *queue = user;
    pthread_mutex_lock(&queue->lock);
    if (queue->count < CAPACITY) {
        queue->jobs[queue->count++] = job;
        job = NULL;
        pthread_cond_signal(&queue->changed);
    }
    pthread_mutex_unlock(&queue->lock);
    if (job != NULL) {
        cortensor_job_reject(job, CORTENSOR_STR("the queue is full"), NULL);
        cortensor_job_free(job);
    }
}

/* The router lets go of the miner: no job comes any more. */
static void on_drop(void *user)
{
    struct queue *queue = user;
    pthread_mutex_lock(&queue->lock);
    queue->closed = 1;
    pthread_cond_signal(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}

static cortensor_job *next_job(struct queue *queue)
{
    cortensor_job *job = NULL;
    pthread_mutex_lock(&queue->lock);
    while (queue->count == 0 && !queue->closed) {
        pthread_cond_wait(&queue->changed, &queue->lock);
    }
    if (queue->count > 0) {
        job = queue->jobs[0];
        queue->count--;
        memmove(queue->jobs, queue->jobs + 1, queue->count * sizeof queue->jobs[0]);
    }
    pthread_mutex_unlock(&queue->lock);
    return job;
}

/* The model: says the words of the prompt in reverse order. */
static void answer(cortensor_job *job)
{
    cortensor_bytes *prompt;
    const char *text;
    size_t end;
    if (cortensor_job_prompt(job, &prompt, NULL) != CORTENSOR_STATUS_OK) {
        return; /* a job that is freed without an answer fails */
    }
    text = cortensor_bytes_data(prompt);
    end = cortensor_bytes_len(prompt);
    while (end > 0) {
        size_t start = end;
        bool full = false;
        while (start > 0 && text[start - 1] != ' ') {
            start--;
        }
        if (cortensor_job_emit(job, text + start, end - start, &full, NULL) != CORTENSOR_STATUS_OK) {
            break; /* the caller has gone: stop working */
        }
        if (full) {
            cortensor_job_wait_writable(job, CORTENSOR_FOREVER, NULL);
        }
        end = start > 0 ? start - 1 : 0;
        if (end > 0) {
            cortensor_job_emit(job, CORTENSOR_STR(" "), NULL, NULL);
        }
    }
    cortensor_job_finish(job, CORTENSOR_STR("{\"finish_reason\": \"stop\"}"), NULL);
    cortensor_bytes_free(prompt);
}

static void *work(void *user)
{
    cortensor_job *job;
    while ((job = next_job(user)) != NULL) {
        answer(job);
        cortensor_job_free(job);
    }
    return NULL;
}

int main(void)
{
    cortensor_error *error = NULL;
    cortensor_router *router;
    cortensor_task *task;
    cortensor_stream *stream;
    cortensor_event event = {.struct_size = sizeof event};
    struct queue queue = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    /* `on_job` neither blocks nor calls for long, so it may run on the thread that dispatches. */
    cortensor_miner_callbacks miner = {.struct_size = sizeof miner,
                                       .user = &queue,
                                       .on_job = on_job,
                                       .drop = on_drop,
                                       .flags = CORTENSOR_MINER_QUICK};
    pthread_t worker;

    must(cortensor_router_open(CORTENSOR_EMPTY, NULL, &router, &error), &error);
    must(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"reverse\", \"capacity\": 4}"), &miner, NULL, &error), &error);
    if (pthread_create(&worker, NULL, work, &queue) != 0) {
        return EXIT_FAILURE;
    }

    must(cortensor_router_submit_prompt(router, 0, CORTENSOR_STR("one two three"), CORTENSOR_EMPTY, &task, &error), &error);
    must(cortensor_task_stream(task, 0, &stream, &error), &error);
    while (cortensor_stream_next(stream, CORTENSOR_FOREVER, &event, NULL) == CORTENSOR_STATUS_OK) {
        if (event.kind == CORTENSOR_EVENT_KIND_TOKEN) {
            printf("%.*s", (int)event.len, event.data);
        }
    }
    printf("\n");
    cortensor_stream_free(stream);
    cortensor_task_free(task);

    /* After this no callback runs any more, and `drop` has told the worker to end. */
    must(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error), &error);
    cortensor_router_free(router);
    pthread_join(worker, NULL);
    return EXIT_SUCCESS;
}
