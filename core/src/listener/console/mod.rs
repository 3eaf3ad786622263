//! The console: a page for people at `/`, made of files that are part of the program.
//!
//! The files hold no data and need no token. They ask the routes of the listener as any other client does, with the
//! token that its user has typed into the page, so that the console can do nothing that the token does not allow.

mod answer;
mod files;

pub(in crate::listener) use answer::{PATH, is_wanted, page, routes};
