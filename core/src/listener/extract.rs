//! Reads parameters from a path and a query. If they cannot be read, the error has the shape of this API.

use std::collections::HashMap;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::de::value::{self, MapDeserializer};

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
        let family = Family::of_request(parts.uri.path(), &parts.headers);
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(found)| Self(found))
            .map_err(|rejection| Failed::new(family, Error::invalid("path", rejection.body_text())))
    }
}

/// The members of a query. If a member comes twice, the last one counts. Unknown members are ignored.
pub(in crate::listener) struct InQuery<T>(pub(in crate::listener) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for InQuery<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failed> {
        let wrong = |words: String| {
            Failed::new(Family::of_request(parts.uri.path(), &parts.headers), Error::invalid("query", words))
        };
        let read = Query::<HashMap<String, String>>::try_from_uri(&parts.uri);
        let Query(found) = read.map_err(|rejection| wrong(rejection.body_text()))?;
        Self::of(found).map_err(wrong)
    }
}

impl<T: DeserializeOwned> InQuery<T> {
    /// Reads members that are taken apart already.
    ///
    /// # Errors
    /// The reason why a member cannot be read.
    pub(in crate::listener) fn of(members: HashMap<String, String>) -> Result<Self, String> {
        let members = MapDeserializer::<_, value::Error>::new(members.into_iter());
        T::deserialize(members).map(Self).map_err(|error| error.to_string())
    }
}
