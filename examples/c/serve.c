/* A router that serves the REST API and OpenAI's from a C program, until it is told to end.
 *
 * SIGPIPE is left as C has it: a client that hangs up in the middle of a stream ends its task, and nothing else. */
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

/* The miner: emits `tick` until no client reads, but not for ever. */
static void tick(void *user, cortensor_job *job)
{
    cortensor_status status = CORTENSOR_STATUS_OK;
    (void)user;
    for (int i = 0; i < 100000 && status == CORTENSOR_STATUS_OK; i++) {
        bool full = false;
        status = cortensor_job_emit(job, CORTENSOR_STR("tick "), &full, NULL);
        if (status == CORTENSOR_STATUS_OK && full) {
            cortensor_job_wait_writable(job, CORTENSOR_FOREVER, NULL);
        }
    }
    if (status == CORTENSOR_STATUS_CANCELLED) {
        printf("the client hung up\n");
        fflush(stdout);
    }
    cortensor_job_finish(job, CORTENSOR_EMPTY, NULL);
    cortensor_job_free(job);
}

static void on_record(void *user, uint64_t time_ms, const char *level, const char *target, const char *message)
{
    (void)user;
    fprintf(stderr, "%llu %s %s: %s\n", (unsigned long long)time_ms, level, target, message);
}

int main(int argc, char **argv)
{
    cortensor_error *error = NULL;
    cortensor_router *router;
    cortensor_listener *listener;
    cortensor_bytes *address;
    cortensor_miner_callbacks miner = {.struct_size = sizeof miner, .on_job = tick};
    cortensor_log_callbacks log = {.struct_size = sizeof log, .on_record = on_record};
    /* With an argument: any port that is free. */
    const char *config = argc > 1 ? "{\"port\": 0}" : "{\"port\": 5010}";
    sigset_t ending;
    int signal_number;
    (void)argv;

    /* Blocked before the router has threads, which inherit this: so the signals wait for `sigwait`. */
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, NULL);

    must(cortensor_router_open(CORTENSOR_EMPTY, &log, &router, &error), &error);
    must(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"tick\", \"capacity\": 8}"), &miner, NULL, &error), &error);
    must(cortensor_router_listen(router, CORTENSOR_STR(config), &listener, &error), &error);
    must(cortensor_listener_address(listener, &address, &error), &error);
    printf("listening on http://%s\n", cortensor_bytes_data(address));
    fflush(stdout);
    cortensor_bytes_free(address);

    sigwait(&ending, &signal_number);
    printf("ending\n");
    cortensor_listener_free(listener);
    must(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error), &error);
    cortensor_router_free(router);
    return EXIT_SUCCESS;
}
