//! Smooths measurements, so that one of them alone changes little.

/// The weight of a new measurement.
const SMOOTHING: f64 = 0.2;

/// The smoothed mean after one more measurement. An old mean of 0 is unknown, and the measurement becomes the mean.
pub(super) fn smooth(old: f64, new: f64) -> f64 {
    if old <= 0.0 { new } else { old + SMOOTHING * (new - old) }
}
