//! OpenAI's routes over real sockets, with miners of the host program and with an upstream.

mod local;
mod passing;
mod refusals;
mod server;
mod upstream;
