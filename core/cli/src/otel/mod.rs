//! The export of spans to a collector of OpenTelemetry, by OTLP over HTTP in JSON.
//!
//! `exporter.rs` has the queue and the task that sends it; `otlp.rs` writes a batch.

mod exporter;
mod otlp;

pub(crate) use exporter::Exporter;
