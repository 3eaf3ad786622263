/* Calls of the library with a Go handle in the place of a pointer. A handle is a number, which Go may not keep in an
 * unsafe.Pointer. */
#ifndef CORTENSOR_GO_BRIDGE_H
#define CORTENSOR_GO_BRIDGE_H

#include <cortensor_router.h>

cortensor_status cortensor_go_open(const char *config, size_t len, uintptr_t log, cortensor_router **out,
                                   cortensor_error **err);
cortensor_status cortensor_go_add_miner(cortensor_router *router, const char *spec, size_t len, uintptr_t miner,
                                        cortensor_miner **out, cortensor_error **err);
cortensor_status cortensor_go_start_client(const char *config, size_t len, uintptr_t miner, uintptr_t log,
                                           cortensor_miner_client **out, cortensor_error **err);
void cortensor_go_submit(cortensor_router *router, uint64_t session, const char *request, size_t len,
                         uintptr_t submission);
void cortensor_go_task_notify(cortensor_task *task, uintptr_t wake);
void cortensor_go_stream_notify(cortensor_stream *stream, uintptr_t wake);
void cortensor_go_job_cancelled(cortensor_job *job, uintptr_t wake);
void cortensor_go_job_writable(cortensor_job *job, uintptr_t wake);

/* The library's answer to a piece: an error only if the status is not OK. */
typedef struct cortensor_go_emitted {
    cortensor_status status;
    bool full;
    cortensor_error *error;
} cortensor_go_emitted;
cortensor_go_emitted cortensor_go_emit(const cortensor_job *job, const char *piece, size_t len);
cortensor_go_emitted cortensor_go_emit_parts(const cortensor_job *job, const char *parts, size_t len);

/* The next event, if one is there. The error is NULL after CORTENSOR_STATUS_TIMEOUT: making one takes time. */
typedef struct cortensor_go_next {
    cortensor_status status;
    cortensor_error *error;
} cortensor_go_next;
cortensor_go_next cortensor_go_stream_next(cortensor_stream *stream, cortensor_event *event);

#endif
