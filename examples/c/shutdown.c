/* A graceful end on SIGINT: what runs may end, what is new is refused, and then all is closed. */
#define _POSIX_C_SOURCE 200809L
#include <cortensor_router.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static void must(cortensor_status status, cortensor_error **error)
{
    if (status != CORTENSOR_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", cortensor_status_name(status), cortensor_error_message(*error));
        exit(EXIT_FAILURE);
    }
}

/* The miner: works for half a second, unless it is told to stop. */
static void work(void *user, cortensor_job *job)
{
    (void)user;
    for (int i = 0; i < 50; i++) {
        if (cortensor_job_emit(job, CORTENSOR_STR("."), NULL, NULL) != CORTENSOR_STATUS_OK ||
            cortensor_job_wait_cancelled(job, 10, NULL) == CORTENSOR_STATUS_OK) {
            cortensor_job_free(job);
            return;
        }
    }
    cortensor_job_finish(job, CORTENSOR_EMPTY, NULL);
    cortensor_job_free(job);
}

int main(void)
{
    cortensor_error *error = NULL;
    cortensor_router *router;
    cortensor_task *task;
    cortensor_bytes *completion;
    cortensor_status status;
    cortensor_miner_callbacks miner = {.struct_size = sizeof miner, .on_job = work};
    sigset_t ending;
    int signal_number;

    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigprocmask(SIG_BLOCK, &ending, NULL);

    must(cortensor_router_open(CORTENSOR_EMPTY, NULL, &router, &error), &error);
    must(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"work\"}"), &miner, NULL, &error), &error);
    must(cortensor_router_submit_prompt(router, 0, CORTENSOR_STR("work"), CORTENSOR_EMPTY, &task, &error), &error);
    printf("working; press Ctrl-C\n");
    fflush(stdout);
    sigwait(&ending, &signal_number);

    /* Ten seconds for what runs; what has not ended then is cancelled by the shutdown. */
    status = cortensor_router_drain(router, 10000, NULL);
    printf("drained: %s\n", cortensor_status_name(status));
    must(cortensor_task_result(task, 0, &completion, &error), &error);
    printf("the task ended: %s\n", cortensor_bytes_data(completion));
    cortensor_bytes_free(completion);
    cortensor_task_free(task);
    must(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error), &error);
    cortensor_router_free(router);
    return EXIT_SUCCESS;
}
