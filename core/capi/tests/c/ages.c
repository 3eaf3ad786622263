/* A host that was built with an older or a newer header works, and the layout of every struct is unchanged. */
#include "check.h"

#define AT(type, field, place) _Static_assert(offsetof(type, field) == (place) * sizeof(void *), #type "." #field " moved")

#if UINTPTR_MAX == UINT64_MAX
AT(cortensor_miner_callbacks, struct_size, 0);
AT(cortensor_miner_callbacks, user, 1);
AT(cortensor_miner_callbacks, on_job, 2);
AT(cortensor_miner_callbacks, drop, 3);
AT(cortensor_miner_callbacks, flags, 4);
AT(cortensor_stream_callbacks, struct_size, 0);
AT(cortensor_stream_callbacks, user, 1);
AT(cortensor_stream_callbacks, on_event, 2);
AT(cortensor_stream_callbacks, drop, 3);
AT(cortensor_log_callbacks, struct_size, 0);
AT(cortensor_log_callbacks, user, 1);
AT(cortensor_log_callbacks, on_record, 2);
AT(cortensor_log_callbacks, drop, 3);
AT(cortensor_event, struct_size, 0);
AT(cortensor_event, kind, 1);
AT(cortensor_event, seq, 2);
AT(cortensor_event, data, 3);
AT(cortensor_event, len, 4);
AT(cortensor_event, error, 5);
#endif
_Static_assert(sizeof(cortensor_status) == 4 && sizeof(cortensor_event_kind) == 4, "an enum is 32 bits wide");

/* The table of the first release, with garbage in the place of later fields. */
struct first_miner_callbacks {
    size_t struct_size;
    void *user;
    void (*on_job)(void *user, cortensor_job *job);
    void (*drop)(void *user);
    unsigned char rubbish[64];
};

/* The table and the event of a possible future release. */
struct later_miner_callbacks {
    cortensor_miner_callbacks now;
    unsigned char more[64];
};
struct later_event {
    cortensor_event now;
    unsigned char more[64];
};

static void run(cortensor_router *router)
{
    cortensor_task *task = submit(router, "{\"prompt\": \"hello\"}");
    cortensor_stream *stream = NULL;
    struct later_event event;
    memset(&event, 0x5a, sizeof event);
    event.now.struct_size = sizeof event;
    MUST(cortensor_task_stream(task, 0, &stream, &error));
    MUST(cortensor_stream_next(stream, CORTENSOR_FOREVER, &event.now, &error));
    CHECK(event.now.struct_size == sizeof event && event.now.kind == CORTENSOR_EVENT_KIND_TOKEN && event.now.seq == 1);
    CHECK(event.now.len == 5 && memcmp(event.now.data, "hello", 5) == 0 && event.now.error == NULL);
    for (size_t i = 0; i < sizeof event.more; i++) {
        CHECK(event.more[i] == 0x5a); /* fields that this library does not know are left alone */
    }
    cortensor_stream_free(stream);
    cortensor_task_free(task);
}

int main(void)
{
    cortensor_router *router = open_router("");
    struct first_miner_callbacks older;
    struct later_miner_callbacks newer;

    memset(&older, 0xff, sizeof older);
    older.struct_size = offsetof(struct first_miner_callbacks, rubbish);
    older.user = NULL;
    older.on_job = give_back;
    older.drop = NULL;
    MUST(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), (const cortensor_miner_callbacks *)(const void *)&older, NULL, &error));
    run(router);
    MUST(cortensor_router_remove_miner(router, CORTENSOR_STR("m"), &error));

    memset(&newer, 0, sizeof newer);
    newer.now.struct_size = sizeof newer;
    newer.now.on_job = give_back;
    MUST(cortensor_router_add_miner(router, CORTENSOR_STR("{\"name\": \"m\"}"), &newer.now, NULL, &error));
    run(router);
    close_router(router);
    printf("ages: hosts of another age work\n");
    return EXIT_SUCCESS;
}
