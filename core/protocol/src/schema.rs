//! The JSON schema of all frames, generated from their types.

use serde_json::{Value, json};
use utoipa::OpenApi;

use crate::frame::{MinerFrame, RouterFrame};

#[derive(OpenApi)]
#[openapi(components(schemas(MinerFrame, RouterFrame)))]
struct Frames;

/// The JSON schema (2020-12) of `cortensor-miner.v1`: `docs/miner-protocol.schema.json`. `$defs` has `MinerFrame`,
/// the frames of a miner, `RouterFrame`, the frames of a router, and their parts.
pub fn protocol_schema() -> String {
    let components = Frames::openapi().components.unwrap_or_default();
    let mut definitions = serde_json::to_value(&components.schemas)
        .unwrap_or_else(|error| unreachable!("schemas have only string keys: {error}"));
    point_here(&mut definitions);
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": crate::frame::SUBPROTOCOL,
        "description": "A frame of either side. Unknown fields and types are ignored.",
        "anyOf": [{"$ref": "#/$defs/MinerFrame"}, {"$ref": "#/$defs/RouterFrame"}],
        "$defs": definitions,
    });
    format!("{schema:#}\n")
}

/// Rewrites references into an OpenAPI document as references into this schema.
fn point_here(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref") {
                *target = target.replace("#/components/schemas/", "#/$defs/");
            }
            map.values_mut().for_each(point_here);
        }
        Value::Array(items) => items.iter_mut().for_each(point_here),
        _ => {}
    }
}
