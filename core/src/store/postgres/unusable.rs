//! The errors for a database that cannot be used: each says its fault and what to do about it, and none shows a secret.

use tokio_postgres::error::{DbError, SqlState};

use super::link::Lost;
use super::target::Target;
use crate::{Error, ErrorKind};

/// The error for a database to which no connection can be made.
pub(super) fn unconnected(error: &tokio_postgres::Error, target: &Target) -> Error {
    let of = target.shown();
    let Some(said) = error.as_db_error() else {
        let mut words = error.to_string();
        let is_tls = words.contains("TLS") || words.contains("certificate");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let cause_words = cause.to_string();
            if !words.contains(&cause_words) {
                words = format!("{words}: {cause_words}");
            }
            source = cause.source();
        }
        let advice = if is_tls {
            "check the server's certificate and storage.ca_file, or turn TLS off with sslmode=disable in storage.url"
        } else {
            "check that PostgreSQL runs there and is reachable"
        };
        return Error::store(format!("the database of storage.url ({of}) cannot be reached ({words}): {advice}"));
    };
    let words = match *said.code() {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION => format!(
            "PostgreSQL refuses the user or the password of storage.url ({of}): correct them, or let the user in \
             ({})",
            said.message()
        ),
        SqlState::INVALID_CATALOG_NAME => {
            format!("{}: create it, or name another in storage.url ({of})", said.message())
        }
        SqlState::TOO_MANY_CONNECTIONS => {
            format!("PostgreSQL ({of}) has no connection left ({}): raise max_connections", said.message())
        }
        _ => format!("PostgreSQL ({of}) refuses the connection: {}", words(said)),
    };
    Error::store(words)
}

/// The error for a statement that was not done.
pub(super) fn lost(error: &Lost) -> Error {
    let Lost::Server(server) = error else { return Error::store(error) };
    let Some(said) = server.as_db_error() else { return Error::store(error) };
    if *said.code() == SqlState::INSUFFICIENT_PRIVILEGE {
        return Error::store(format!(
            "the user of storage.url lacks a right ({}): let that user own the schema of storage.schema, and create it if \
             it does not exist",
            said.message()
        ));
    }
    Error::store(words(said))
}

/// The error for a statement that the server refused, or whose connection was lost.
pub(super) fn told(error: tokio_postgres::Error) -> Error {
    lost(&error.into())
}

/// The server's own words, without the details, which may repeat what a row holds.
fn words(said: &DbError) -> String {
    format!("{} (SQLSTATE {})", said.message(), said.code().code())
}

/// The error for one operation whose values the database does not take, if that is the fault.
pub(super) fn refused_value(error: &Lost) -> Option<Error> {
    let Lost::Server(server) = error else { return None };
    let said = server.as_db_error()?;
    let class = said.code().code().get(..2)?;
    let message = format!("the database does not take a value: {}", words(said));
    // 22: the value itself, for example a text with U+0000; 23: a rule of the table; 54: more than an index can hold.
    matches!(class, "22" | "23" | "54")
        .then(|| Error::new(ErrorKind::InvalidArgument, message).with_code("store_value_refused"))
}
