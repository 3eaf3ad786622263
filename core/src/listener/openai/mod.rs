//! OpenAI's routes.
mod answer;
mod chunk;
pub(in crate::listener) mod failure;
mod request;
mod schema;
mod splice;
