/* Helpers of the test programs: a check that reports where it failed, and a miner that repeats the prompt. */
#ifndef CHECK_H
#define CHECK_H

#include <cortensor_router.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(EXIT_FAILURE);                                                  \
        }                                                                        \
    } while (0)

/* A call that must succeed. Otherwise the check prints the library's message. */
#define MUST(call)                                                                                        \
    do {                                                                                                  \
        cortensor_error *error = NULL;                                                                    \
        cortensor_status status = (call);                                                                 \
        if (status != CORTENSOR_STATUS_OK) {                                                              \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, cortensor_error_message(error)); \
            exit(EXIT_FAILURE);                                                                           \
        }                                                                                                 \
    } while (0)

/* A call that must fail with this status and this code. The error is in `error`. */
#define REFUSED(wanted, wanted_code, call)                                                    \
    do {                                                                                      \
        cortensor_error *error = NULL;                                                        \
        cortensor_status status = (call);                                                     \
        if (status != (wanted) || cortensor_error_status(error) != (wanted) ||                \
            strcmp(cortensor_error_code(error), (wanted_code)) != 0) {                        \
            fprintf(stderr, "%s:%d: %s: %s, %s\n", __FILE__, __LINE__, #call,                 \
                    cortensor_status_name(status), error == NULL ? "-" : cortensor_error_code(error)); \
            exit(EXIT_FAILURE);                                                               \
        }                                                                                     \
        CHECK(cortensor_error_message(error)[0] != 0 && cortensor_error_details(error)[0] == '{'); \
        cortensor_error_free(error);                                                          \
    } while (0)

#define INVALID CORTENSOR_STATUS_INVALID_ARGUMENT

static inline void give_back(void *user, cortensor_job *job)
{
    cortensor_bytes *prompt = NULL;
    (void)user;
    MUST(cortensor_job_prompt(job, &prompt, &error));
    /* The job may have been cancelled, which does not matter here. */
    cortensor_job_emit(job, cortensor_bytes_data(prompt), cortensor_bytes_len(prompt), NULL, NULL);
    cortensor_job_finish(job, CORTENSOR_EMPTY, NULL);
    cortensor_bytes_free(prompt);
    cortensor_job_free(job);
}

static inline cortensor_router *open_router(const char *config)
{
    cortensor_router *router = NULL;
    MUST(cortensor_router_open(CORTENSOR_STR(config), NULL, &router, &error));
    return router;
}

static inline void add_miner(cortensor_router *router, const char *spec, void (*on_job)(void *, cortensor_job *), void *user)
{
    cortensor_miner_callbacks callbacks = {.struct_size = sizeof callbacks, .user = user, .on_job = on_job};
    MUST(cortensor_router_add_miner(router, CORTENSOR_STR(spec), &callbacks, NULL, &error));
}

static inline cortensor_task *submit(cortensor_router *router, const char *request)
{
    cortensor_task *task = NULL;
    MUST(cortensor_router_submit(router, 0, CORTENSOR_STR(request), &task, &error));
    return task;
}

static inline void close_router(cortensor_router *router)
{
    MUST(cortensor_router_shutdown(router, CORTENSOR_FOREVER, &error));
    cortensor_router_free(router);
}

#endif
