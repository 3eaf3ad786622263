//! One connection to the database.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Connection, Row};

/// The parameters of a statement with their types. Naming the types saves the server's answer about them, and with it
/// the named statement that poolers do not carry over.
pub(super) type Params<'a> = &'a [(&'a (dyn ToSql + Sync), Type)];

/// The reason why a statement has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Lost {
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
}

/// A connection, and the task that carries its messages.
#[derive(Debug)]
pub(super) struct Link {
    client: Client,
    driver: JoinHandle<()>,
}

impl Link {
    pub(super) fn of<S, T>(client: Client, connection: Connection<S, T>) -> Self
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
        T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    {
        let driver = tokio::spawn(async move {
            // Every statement that waits is told of the end, too.
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to the database ended");
            }
        });
        Self { client, driver }
    }

    /// Does one statement, and gives its rows.
    pub(super) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, tokio_postgres::Error> {
        self.client.query_typed(sql, params).await
    }

    /// Does statements without parameters and rows.
    pub(super) async fn run(&self, sql: &str) -> Result<(), tokio_postgres::Error> {
        self.client.batch_execute(sql).await
    }

    /// Ends the connection in order.
    pub(super) async fn end(self) {
        drop(self.client);
        // A driver that panicked has reported that itself.
        let _ = self.driver.await;
    }

    /// Ends the connection at once, whatever it waits for.
    pub(super) fn cut(self) {
        self.driver.abort();
    }
}
