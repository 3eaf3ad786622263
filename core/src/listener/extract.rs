//! Takes parameters out of a path and a query. If they cannot be read, the error is one of this API's own.

use std::collections::HashMap;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;

use super::reply::{Failed, Family};
use crate::Error;

/// The parameters of a route's path.
pub(in crate::listener) struct InPath<T>(pub(in crate::listener) T);

impl<S, T> FromRequestParts<S> for InPath<T>
where
    S: Send + Sync,
    Path<T>: FromRequestParts<S, Rejection = PathRejection>,
{
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let family = Family::of(parts.uri.path());
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(found)| Self(found))
            .map_err(|rejection| Failed::new(family, Error::invalid("path", rejection.body_text())))
    }
}

/// The members of a query; if a member comes twice, the last one counts.
pub(in crate::listener) struct InQuery(pub(in crate::listener) HashMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for InQuery {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        let family = Family::of(parts.uri.path());
        let read = Query::<HashMap<String, String>>::from_request_parts(parts, state).await;
        read.map(|Query(found)| Self(found))
            .map_err(|rejection: QueryRejection| Failed::new(family, Error::invalid("query", rejection.body_text())))
    }
}
