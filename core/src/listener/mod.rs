//! The HTTP listener.
mod openai;
