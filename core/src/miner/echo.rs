//! echo
/// Echo.
pub struct EchoMiner;
