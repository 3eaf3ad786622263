//! The C ABI of cortensor-router. `include/cortensor_router.h` is generated from this crate.
//!
//! The crate holds no logic: every function checks its arguments and calls the facade that all bindings share.
//! `docs/c-api.md` describes the conventions. A handle that C lends is an `Option<&T>`; a handle that C gives away is
//! an `Option<Box<T>>`; a place for a result is an `Option<&mut MaybeUninit<*mut T>>`. Each of them may be NULL, which
//! `guard` checks.

mod bytes;
mod embeddings;
mod error;
mod guard;
mod http;
mod info;
mod job;
mod keys;
mod listener;
mod log;
mod miner;
mod miner_client;
mod prompt;
mod ready;
mod router;
mod session;
mod status;
mod stream;
mod subscription;
mod table;
mod task;
mod text;
mod unwind;
mod version;

pub use self::bytes::{Bytes, cortensor_bytes_data, cortensor_bytes_free, cortensor_bytes_len};
pub use embeddings::{
    Embeddings, cortensor_embeddings_count, cortensor_embeddings_free, cortensor_embeddings_record,
    cortensor_embeddings_vector, cortensor_router_embed, cortensor_task_embeddings,
};
pub use error::{
    Error, cortensor_error_clone, cortensor_error_code, cortensor_error_details, cortensor_error_free,
    cortensor_error_message, cortensor_error_status,
};
pub use http::{
    HttpHandler, HttpResponse, cortensor_http_handler_free, cortensor_http_handler_handle,
    cortensor_http_handler_max_body_bytes, cortensor_http_response_free, cortensor_http_response_head,
    cortensor_http_response_next, cortensor_router_http_handler,
};
pub use info::{
    cortensor_router_config, cortensor_router_info, cortensor_router_metrics, cortensor_router_miners,
    cortensor_router_models, cortensor_router_status,
};
pub use job::{
    Job, cortensor_job_emit, cortensor_job_emit_parts, cortensor_job_fail, cortensor_job_finish, cortensor_job_free,
    cortensor_job_info, cortensor_job_is_answered, cortensor_job_is_cancelled, cortensor_job_prompt,
    cortensor_job_reject, cortensor_job_wait_cancelled, cortensor_job_wait_writable,
};
pub use keys::{
    cortensor_router_create_key, cortensor_router_delete_key, cortensor_router_keys, cortensor_router_usage,
};
pub use listener::{
    Listener, cortensor_listener_address, cortensor_listener_free, cortensor_listener_posture, cortensor_listener_stop,
    cortensor_listener_wait, cortensor_router_listen,
};
pub use log::LogCallbacks;
pub use miner::{
    CORTENSOR_MINER_QUICK, Miner, MinerCallbacks, cortensor_miner_drain, cortensor_miner_free, cortensor_miner_remove,
    cortensor_miner_set_capacity, cortensor_router_add_miner, cortensor_router_add_upstream,
    cortensor_router_remove_miner,
};
pub use miner_client::{
    MinerClient, cortensor_miner_client_close, cortensor_miner_client_drain, cortensor_miner_client_free,
    cortensor_miner_client_set_capacity, cortensor_miner_client_start, cortensor_miner_client_stats,
};
pub use prompt::{cortensor_json_escape, cortensor_router_submit_prompt, cortensor_task_text};
pub use ready::{
    cortensor_job_notify_cancelled, cortensor_job_notify_writable, cortensor_stream_notify, cortensor_task_notify,
};
pub use router::{
    Router, cortensor_router_drain, cortensor_router_free, cortensor_router_open, cortensor_router_shutdown,
};
pub use session::{
    cortensor_router_close_session, cortensor_router_create_session, cortensor_router_session,
    cortensor_router_sessions, cortensor_router_update_session,
};
pub use status::{Status, cortensor_status_name};
pub use stream::{Event, EventKind, Stream, cortensor_stream_free, cortensor_stream_next, cortensor_task_stream};
pub use subscription::{
    StreamCallbacks, Subscription, cortensor_stream_subscribe, cortensor_subscription_close,
    cortensor_subscription_free,
};
pub use task::{
    Task, cortensor_router_attach, cortensor_router_cancel, cortensor_router_complete, cortensor_router_submit,
    cortensor_router_submit_start, cortensor_router_task, cortensor_router_tasks, cortensor_task_cancel,
    cortensor_task_detach, cortensor_task_free, cortensor_task_gid, cortensor_task_id, cortensor_task_joined,
    cortensor_task_record, cortensor_task_result, cortensor_task_session_id,
};
pub use version::{cortensor_abi_version, cortensor_version};
