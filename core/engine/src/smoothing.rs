//! Smooths measurements, so that one of them alone changes little.

/// How much a new measurement weighs.
const SMOOTHING: f64 = 0.2;

/// The mean after one more measurement; a mean of 0 is not known yet.
pub(super) fn smooth(old: f64, new: f64) -> f64 {
    if old <= 0.0 { new } else { old + SMOOTHING * (new - old) }
}
