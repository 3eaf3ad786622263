#include "bridge.h"
#include "_cgo_export.h"

static void on_job(void *user, cortensor_job *job)
{
    cortensorGoJob((uintptr_t)user, job);
}

static void on_drop(void *user)
{
    cortensorGoDrop((uintptr_t)user);
}

static void on_record(void *user, uint64_t time_ms, const char *level, const char *target, const char *message)
{
    cortensorGoLog((uintptr_t)user, time_ms, (char *)level, (char *)target, (char *)message);
}

static void on_wake(void *user)
{
    cortensorGoWake((uintptr_t)user);
}

static void on_submitted(void *user, cortensor_task *task, cortensor_error *error)
{
    cortensorGoSubmitted((uintptr_t)user, task, error);
}

static cortensor_log_callbacks log_callbacks(uintptr_t log)
{
    return (cortensor_log_callbacks){
        .struct_size = sizeof(cortensor_log_callbacks), .user = (void *)log, .on_record = on_record, .drop = on_drop};
}

/* The callback only starts a goroutine, so it may run on the thread that dispatches. */
static cortensor_miner_callbacks miner_callbacks(uintptr_t miner)
{
    return (cortensor_miner_callbacks){.struct_size = sizeof(cortensor_miner_callbacks),
                                       .user = (void *)miner,
                                       .on_job = on_job,
                                       .drop = on_drop,
                                       .flags = CORTENSOR_MINER_QUICK};
}

cortensor_status cortensor_go_open(const char *config, size_t len, uintptr_t log, cortensor_router **out,
                                   cortensor_error **err)
{
    cortensor_log_callbacks callbacks = log_callbacks(log);
    return cortensor_router_open(config, len, log == 0 ? NULL : &callbacks, out, err);
}

cortensor_status cortensor_go_add_miner(cortensor_router *router, const char *spec, size_t len, uintptr_t miner,
                                        cortensor_miner **out, cortensor_error **err)
{
    cortensor_miner_callbacks callbacks = miner_callbacks(miner);
    return cortensor_router_add_miner(router, spec, len, &callbacks, out, err);
}

cortensor_status cortensor_go_start_client(const char *config, size_t len, uintptr_t miner, uintptr_t log,
                                           cortensor_miner_client **out, cortensor_error **err)
{
    cortensor_miner_callbacks callbacks = miner_callbacks(miner);
    cortensor_log_callbacks records = log_callbacks(log);
    return cortensor_miner_client_start(config, len, &callbacks, log == 0 ? NULL : &records, out, err);
}

void cortensor_go_submit(cortensor_router *router, uint64_t session, const char *request, size_t len,
                         uintptr_t submission)
{
    cortensor_router_submit_start(router, session, request, len, on_submitted, (void *)submission, NULL);
}

void cortensor_go_task_notify(cortensor_task *task, uintptr_t wake)
{
    cortensor_task_notify(task, on_wake, (void *)wake, NULL);
}

void cortensor_go_stream_notify(cortensor_stream *stream, uintptr_t wake)
{
    cortensor_stream_notify(stream, on_wake, (void *)wake, NULL);
}

void cortensor_go_job_cancelled(cortensor_job *job, uintptr_t wake)
{
    cortensor_job_notify_cancelled(job, on_wake, (void *)wake, NULL);
}

void cortensor_go_job_writable(cortensor_job *job, uintptr_t wake)
{
    cortensor_job_notify_writable(job, on_wake, (void *)wake, NULL);
}

cortensor_go_emitted cortensor_go_emit(const cortensor_job *job, const char *piece, size_t len)
{
    cortensor_go_emitted said = {0};
    said.status = cortensor_job_emit(job, piece, len, &said.full, &said.error);
    return said;
}

cortensor_go_emitted cortensor_go_emit_parts(const cortensor_job *job, const char *parts, size_t len)
{
    cortensor_go_emitted said = {0};
    said.status = cortensor_job_emit_parts(job, parts, len, &said.full, &said.error);
    return said;
}

cortensor_go_next cortensor_go_stream_next(cortensor_stream *stream, cortensor_event *event)
{
    cortensor_go_next got = {0};
    got.status = cortensor_stream_next(stream, 0, event, NULL);
    if (got.status != CORTENSOR_STATUS_OK && got.status != CORTENSOR_STATUS_TIMEOUT) {
        /* The call fails for a reason that lasts, so the second one gives its error. */
        got.status = cortensor_stream_next(stream, 0, event, &got.error);
    }
    return got;
}
