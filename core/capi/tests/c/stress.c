/* Cycles, routers and threads: the memory stays flat, no call hangs, and every token comes.
 * stress [CYCLES [ROUTERS [THREADS [TASKS-A-THREAD]]]] */
#include "check.h"
#include <pthread.h>
#include <unistd.h>

/* The maximum bytes of ended tasks that the routers keep, which is small so that memory stays flat. */
#define CONFIG "{\"retention\": {\"max_memory_bytes\": 65536, \"interval_secs\": 1}, \"limits\": {\"recent_tasks\": 16}, \"runtime\": {\"worker_threads\": 2}}"

/* The number of cycles below which memory is not checked; for routers it is a hundredth. Runs under valgrind, which
 * has its own check, stay below it. */
enum { FEW = 1000 };

/* Memory is not flat under the sanitizers, which keep freed memory in order to find uses of it. */
#ifdef __SANITIZE_ADDRESS__
#define CHECK_FLAT(condition) ((void)(condition))
#else
#define CHECK_FLAT(condition) CHECK(condition)
#endif

static long resident_kib(void)
{
    long pages = 0, size = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &size, &pages) != 2) {
        return 0;
    }
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void one_task(cortensor_router *router, uint64_t session, int number)
{
    cortensor_task *task = NULL;
    cortensor_stream *stream = NULL;
    cortensor_event event = {.struct_size = sizeof event};
    char request[64];
    int length = snprintf(request, sizeof request, "{\"prompt\": \"p%d\"}", number), tokens = 0;
    MUST(cortensor_router_submit(router, session, request, (size_t)length, &task, &error));
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    for (;;) {
        MUST(cortensor_stream_next(stream, 60000, &event, &error));
        if (event.kind == CORTENSOR_EVENT_KIND_END) {
            break;
        }
        CHECK(event.kind == CORTENSOR_EVENT_KIND_TOKEN && event.len == (size_t)length - 14 && event.data[0] == 'p');
        tokens++;
    }
    CHECK(event.error == NULL && tokens == 1);
    cortensor_stream_free(stream);
    cortensor_task_free(task);
}

static void cycles(int count)
{
    cortensor_router *router = open_router(CONFIG);
    long warm = 0, after;
    add_miner(router, "{\"name\": \"m\", \"capacity\": 4}", give_back, NULL);
    for (int i = 0; i < count; i++) {
        if (i == count / 2) {
            warm = resident_kib(); /* half of them fill what is kept on purpose */
        }
        one_task(router, 0, i);
    }
    after = resident_kib();
    printf("cycles: %d of submit, stream, free; resident %ld KiB after half of them, %ld KiB at the end\n", count, warm, after);
    /* A leak of 100 bytes per cycle shows from 100 000 cycles on. Allocators and retention vary by a few MiB. */
    CHECK_FLAT(count < FEW || after - warm < 8 * 1024);
    close_router(router);
}

static void routers(int count)
{
    long warm = 0, after;
    for (int i = 0; i < count; i++) {
        cortensor_router *router = open_router(CONFIG);
        add_miner(router, "{\"name\": \"m\"}", give_back, NULL);
        one_task(router, 0, i);
        close_router(router);
        if (i == count / 2) {
            warm = resident_kib();
        }
    }
    after = resident_kib();
    printf("routers: %d opened and freed; resident %ld KiB after half of them, %ld KiB at the end\n", count, warm, after);
    CHECK_FLAT(count < FEW / 100 || after - warm < 16 * 1024);
}

struct worker {
    pthread_t thread;
    cortensor_router *router;
    int number, tasks;
};

static void *work(void *user)
{
    struct worker *worker = user;
    uint64_t session = 0;
    char name[32];
    snprintf(name, sizeof name, "{\"name\": \"s%d\"}", worker->number);
    MUST(cortensor_router_create_session(worker->router, CORTENSOR_STR(name), &session, NULL, &error));
    CHECK(session > 0);
    for (int i = 0; i < worker->tasks; i++) {
        cortensor_bytes *bytes = NULL;
        one_task(worker->router, session, i);
        MUST(cortensor_router_status(worker->router, &bytes, &error));
        cortensor_bytes_free(bytes);
        REFUSED(CORTENSOR_STATUS_NOT_FOUND, "task_not_found", cortensor_router_task(worker->router, session, 999999999, &bytes, &error));
    }
    return NULL;
}

static void threads(int count, int tasks)
{
    cortensor_router *router = open_router(CONFIG);
    struct worker *workers = calloc((size_t)count, sizeof *workers);
    CHECK(workers != NULL);
    add_miner(router, "{\"name\": \"a\", \"capacity\": 8}", give_back, NULL);
    add_miner(router, "{\"name\": \"b\", \"capacity\": 8}", give_back, NULL);
    for (int i = 0; i < count; i++) {
        workers[i].router = router;
        workers[i].number = i;
        workers[i].tasks = tasks;
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < count; i++) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
    }
    printf("threads: %d at once, %d tasks each\n", count, tasks);
    free(workers);
    close_router(router);
}

int main(int argc, char **argv)
{
    cycles(argc > 1 ? atoi(argv[1]) : 2000);
    routers(argc > 2 ? atoi(argv[2]) : 20);
    threads(argc > 3 ? atoi(argv[3]) : 32, argc > 4 ? atoi(argv[4]) : 20);
    return EXIT_SUCCESS;
}
