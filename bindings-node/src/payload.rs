//! The content of an event, and its conversion to a JavaScript value.

use std::sync::Arc;

use bytes::Bytes;
use cortensor_router::embed::{Error, HttpHandler, HttpResponse, Job, Listener, LogRecord, Task, error_json};
use napi::bindgen_prelude::{BufferSlice, Env, Null, ToNapiValue};
use napi::sys;

use crate::bridge::Queue;
use crate::http::{NativeHandler, NativeResponse};
use crate::job::NativeJob;
use crate::listener::NativeListener;
use crate::router::NativeRouter;
use crate::task::NativeTask;

#[expect(clippy::large_enum_variant, reason = "a value is made and taken apart at once, and never kept")]
pub(crate) enum Payload {
    Nothing,
    Flag(bool),
    Text(String),
    /// `None`: null.
    Piece(Option<Bytes>),
    Error(Error),
    Job(Job, Arc<Queue>),
    Record(LogRecord),
    Router(NativeRouter),
    Task(Task, Arc<Queue>),
    Listener(Listener, Arc<Queue>),
    Handler(HttpHandler, Arc<Queue>),
    Response(HttpResponse, Arc<Queue>),
}

impl ToNapiValue for Payload {
    unsafe fn to_napi_value(env: sys::napi_env, payload: Self) -> napi::Result<sys::napi_value> {
        // SAFETY: the caller guarantees that `env` is valid on this thread, where every conversion below is made.
        unsafe {
            match payload {
                Self::Nothing => <()>::to_napi_value(env, ()),
                Self::Flag(flag) => bool::to_napi_value(env, flag),
                Self::Text(text) => String::to_napi_value(env, text),
                Self::Piece(None) => Null::to_napi_value(env, Null),
                Self::Piece(Some(bytes)) => {
                    BufferSlice::to_napi_value(env, BufferSlice::copy_from(&Env::from_raw(env), &bytes)?)
                }
                Self::Error(error) => String::to_napi_value(env, error_json(&error)),
                Self::Job(job, queue) => NativeJob::to_napi_value(env, NativeJob::new(job, queue)),
                Self::Record(record) => Vec::to_napi_value(
                    env,
                    vec![record.time_ms.to_string(), record.level.to_owned(), record.target.to_owned(), record.message],
                ),
                Self::Router(router) => NativeRouter::to_napi_value(env, router),
                Self::Task(task, queue) => NativeTask::to_napi_value(env, NativeTask::new(task, queue)),
                Self::Listener(listener, queue) => {
                    NativeListener::to_napi_value(env, NativeListener { listener, queue })
                }
                Self::Handler(handler, queue) => NativeHandler::to_napi_value(env, NativeHandler { handler, queue }),
                Self::Response(response, queue) => {
                    NativeResponse::to_napi_value(env, NativeResponse::new(response, queue))
                }
            }
        }
    }
}
