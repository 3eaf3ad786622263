//! The answer of a store, which comes when the write is durable.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::{Error, Result};

/// A store's answer, which is there at once or after a commit. Dropping it does not undo the call.
#[derive(Debug)]
pub struct Pending<T>(Inner<T>);

#[derive(Debug)]
enum Inner<T> {
    Ready(Option<Result<T>>),
    Waiting(oneshot::Receiver<Result<T>>),
}

/// The half of a [`Pending`] that gives the answer.
pub type Resolver<T> = oneshot::Sender<Result<T>>;

impl<T> Pending<T> {
    /// Makes an answer that is there already.
    pub fn ready(answer: Result<T>) -> Self {
        Self(Inner::Ready(Some(answer)))
    }

    /// Makes an answer that comes later through the resolver.
    pub fn channel() -> (Resolver<T>, Self) {
        let (resolver, receiver) = oneshot::channel();
        (resolver, Self(Inner::Waiting(receiver)))
    }

    /// Takes the answer if it is there already.
    ///
    /// # Errors
    /// The pending answer itself (`Err(self)`) while it is outstanding.
    pub fn try_ready(self) -> Result<Result<T>, Self> {
        match self.0 {
            Inner::Ready(Some(answer)) => Ok(answer),
            other => Err(Self(other)),
        }
    }

    /// Blocks this thread until the answer comes. It must not be called from async code.
    ///
    /// # Errors
    /// The error of the store.
    pub fn wait(self) -> Result<T> {
        match self.0 {
            Inner::Ready(answer) => answer.unwrap_or_else(|| Err(gone())),
            Inner::Waiting(receiver) => receiver.blocking_recv().unwrap_or_else(|_| Err(gone())),
        }
    }
}

impl<T: Unpin> Future for Pending<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Inner::Ready(answer) => Poll::Ready(answer.take().unwrap_or_else(|| Err(gone()))),
            Inner::Waiting(receiver) => {
                Pin::new(receiver).poll(cx).map(|answer| answer.unwrap_or_else(|_| Err(gone())))
            }
        }
    }
}

fn gone() -> Error {
    Error::store("it is closed")
}
