//! The models that can be asked for.

use super::splice::string;
use crate::{Error, ModelInfo, Result, Router};

/// Writes one model.
fn model(info: &ModelInfo, out: &mut Vec<u8>) {
    use std::io::Write as _;
    out.extend_from_slice(b"{\"id\":");
    string(out, &info.id);
    let _ = write!(out, ",\"object\":\"model\",\"created\":{},\"owned_by\":", info.created);
    string(out, &info.owned_by);
    out.push(b'}');
}

/// Writes the list.
fn list_of(models: &[ModelInfo]) -> Vec<u8> {
    let mut out = b"{\"object\":\"list\",\"data\":[".to_vec();
    for (index, info) in models.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        model(info, &mut out);
    }
    out.extend_from_slice(b"]}");
    out
}

fn one(router: &Router, id: &str) -> Result<Vec<u8>> {
    let models = router.models();
    let info = models.iter().find(|info| info.id == id).ok_or_else(|| {
        Error::not_found(format!("no miner serves the model {id:?}: /v1/models lists those that there are"))
            .with_code("model_not_found")
            .with_param("model")
    })?;
    let mut out = Vec::new();
    model(info, &mut out);
    Ok(out)
}
