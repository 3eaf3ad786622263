//! Information about a router.

use std::mem::MaybeUninit;

use crate::guard::{give, of};
use crate::{Bytes, Error, Router, Status};

/// The configuration with every default, as JSON without secrets.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_config(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.config())
}

/// The router's identity and abilities, as JSON: the record of `GET /api/v1/info`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_info(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.info())
}

/// The router's present state, as JSON: the record of `GET /api/v1/status`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_status(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.status())
}

/// All metrics in Prometheus' text format.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_metrics(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.metrics())
}

/// The miners, as `{"count","miners":[...]}`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_miners(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.miners())
}

/// The models that clients can ask for, as `{"count","models":[{"id","created","owned_by","miners","embeddings"}]}`.
#[unsafe(no_mangle)]
pub extern "C" fn cortensor_router_models(
    router: Option<&Router>,
    out: Option<&mut MaybeUninit<*mut Bytes>>,
    err: Option<&mut MaybeUninit<*mut Error>>,
) -> Status {
    give(out, err, || of(router, "router")?.0.models())
}
