//! up
/// Up.
pub struct UpstreamMiner;
/// x
pub struct UpstreamProbe;
