/* In a child of fork, the parent's handles report that they are closed and may be freed, and a new router works. */
#include "check.h"
#include "hand.h"
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKED(call) REFUSED(CORTENSOR_STATUS_CLOSED, "forked", call)

/* The parent's handles, with an unfinished answer, stream and response. */
struct parent {
    struct hand hand;
    cortensor_router *router;
    cortensor_task *task;
    cortensor_stream *stream;
    cortensor_job *job;
    cortensor_http_handler *handler;
    cortensor_http_response *waiting, *response;
    /* The wakes for the task. */
    atomic_int wakes;
};

/* Counts the wakes of a process. */
static void woken(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
}

static void child(struct parent *parent)
{
    cortensor_router *own;
    cortensor_task *task = NULL;
    cortensor_bytes *bytes = NULL;
    cortensor_http_response *response = NULL;
    cortensor_event event = {.struct_size = sizeof event};
    atomic_int refused = 0;

    FORKED(cortensor_router_info(parent->router, &bytes, &error));
    FORKED(cortensor_router_submit(parent->router, 0, CORTENSOR_STR("{\"prompt\": \"x\"}"), &task, &error));
    FORKED(cortensor_router_complete(parent->router, 0, CORTENSOR_STR("{\"prompt\": \"x\"}"), &bytes, &error));
    FORKED(cortensor_router_shutdown(parent->router, CORTENSOR_FOREVER, &error));
    FORKED(cortensor_task_record(parent->task, &bytes, &error));
    FORKED(cortensor_task_result(parent->task, CORTENSOR_FOREVER, &bytes, &error));
    FORKED(cortensor_task_cancel(parent->task, &error));
    FORKED(cortensor_task_notify(parent->task, woken, &refused, &error));
    CHECK(atomic_load(&refused) == 1);
    FORKED(cortensor_stream_next(parent->stream, CORTENSOR_FOREVER, &event, &error));
    FORKED(cortensor_http_handler_handle(parent->handler, CORTENSOR_STR("GET /readyz HTTP/1.1\r\n\r\n"), CORTENSOR_EMPTY, CORTENSOR_EMPTY, &response, &error));
    FORKED(cortensor_http_response_head(parent->waiting, CORTENSOR_FOREVER, NULL, NULL, &error));
    FORKED(cortensor_http_response_next(parent->response, CORTENSOR_FOREVER, &bytes, &error));
    CHECK(bytes == NULL && task == NULL && response == NULL);
    cortensor_http_response_free(parent->waiting);
    cortensor_http_response_free(parent->response);
    cortensor_http_handler_free(parent->handler);
    cortensor_stream_free(parent->stream);
    cortensor_task_free(parent->task);
    /* The wait is the parent's: its work neither runs nor ends here. */
    CHECK(atomic_load(&parent->wakes) == 0);
    cortensor_router_free(parent->router);

    own = open_router("{\"echo\": true}");
    MUST(cortensor_router_complete(own, 0, CORTENSOR_STR("{\"prompt\": \"of my own\"}"), &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "of my own") != NULL);
    cortensor_bytes_free(bytes);
    close_router(own);
}

static cortensor_http_response *ask(cortensor_http_handler *handler, const char *body)
{
    const char *head = "POST /api/v1/completions HTTP/1.1\r\nAuthorization: Bearer default-dev-token\r\nContent-Type: application/json\r\n\r\n";
    cortensor_http_response *response = NULL;
    MUST(cortensor_http_handler_handle(handler, CORTENSOR_STR(head), CORTENSOR_STR(body), CORTENSOR_STR("127.0.0.1"), &response, &error));
    return response;
}

int main(void)
{
    struct parent parent = {.hand = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}};
    cortensor_job *first, *second;
    cortensor_bytes *bytes = NULL;
    int tell[2];
    char word = 0;
    pid_t pid;

    parent.router = open_router("");
    add_miner(parent.router, "{\"name\": \"kept\", \"capacity\": 4}", keep, &parent.hand);
    MUST(cortensor_router_http_handler(parent.router, CORTENSOR_EMPTY, &parent.handler, &error));
    parent.waiting = ask(parent.handler, "{\"prompt\": \"x\"}");
    first = take(&parent.hand);
    parent.response = ask(parent.handler, "{\"prompt\": \"x\", \"stream\": true}");
    second = take(&parent.hand);
    parent.task = submit(parent.router, "{\"prompt\": \"x\"}");
    parent.job = take(&parent.hand);
    MUST(cortensor_task_stream(parent.task, 0, &parent.stream, &error));
    MUST(cortensor_task_notify(parent.task, woken, &parent.wakes, &error));
    MUST(cortensor_job_emit(second, CORTENSOR_STR("a"), NULL, &error));
    MUST(cortensor_http_response_head(parent.response, CORTENSOR_FOREVER, NULL, NULL, &error));

    CHECK(pipe(tell) == 0);
    fflush(NULL);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child(&parent);
        CHECK(write(tell[1], "k", 1) == 1);
        /* SIGKILL skips the check for leaks, because memory of the parent's threads has no owner in the child. */
        raise(SIGKILL);
    }
    close(tell[1]);
    CHECK(read(tell[0], &word, 1) == 1 && word == 'k');
    close(tell[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);

    /* The fork has not affected the parent. */
    MUST(cortensor_job_finish(parent.job, CORTENSOR_STR("{\"text\": \"well\"}"), &error));
    MUST(cortensor_task_result(parent.task, CORTENSOR_FOREVER, &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "\"well\"") != NULL);
    cortensor_bytes_free(bytes);
    CHECK(!cortensor_job_is_cancelled(first) && !cortensor_job_is_cancelled(second));
    MUST(cortensor_job_finish(first, CORTENSOR_STR("{\"text\": \"well\"}"), &error));
    MUST(cortensor_http_response_next(parent.waiting, CORTENSOR_FOREVER, &bytes, &error));
    CHECK(strstr(cortensor_bytes_data(bytes), "\"well\"") != NULL);
    cortensor_bytes_free(bytes);
    MUST(cortensor_job_finish(second, CORTENSOR_EMPTY, &error));
    cortensor_job_free(first);
    cortensor_job_free(second);
    cortensor_job_free(parent.job);
    cortensor_http_response_free(parent.waiting);
    cortensor_http_response_free(parent.response);
    cortensor_http_handler_free(parent.handler);
    cortensor_stream_free(parent.stream);
    cortensor_task_free(parent.task);
    close_router(parent.router);
    CHECK(atomic_load(&parent.wakes) == 1);
    printf("fork: the child was told, the parent went on\n");
    return EXIT_SUCCESS;
}
