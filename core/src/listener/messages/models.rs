//! Models as Anthropic's API lists them.

use serde::Serialize;

use crate::ModelInfo;
use crate::model::Timestamp;

/// A model that can be asked for.
#[derive(Serialize)]
pub(in crate::listener) struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
    lifecycle: &'static str,
}

/// All models, on one page.
#[derive(Serialize)]
pub(in crate::listener) struct Models<'a> {
    data: Vec<Model<'a>>,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
    has_more: bool,
}

impl<'a> Model<'a> {
    pub(in crate::listener) fn of(info: &'a ModelInfo) -> Self {
        Self {
            r#type: "model",
            id: &info.id,
            display_name: &info.id,
            created_at: rfc3339(info.created),
            lifecycle: "active",
        }
    }
}

impl<'a> Models<'a> {
    pub(in crate::listener) fn of(models: &'a [ModelInfo]) -> Self {
        let id = |info: Option<&'a ModelInfo>| info.map(|info| info.id.as_str());
        Self {
            data: models.iter().map(Model::of).collect(),
            first_id: id(models.first()),
            last_id: id(models.last()),
            has_more: false,
        }
    }
}

/// A time in seconds since the Unix epoch as RFC 3339 writes it.
pub(in crate::listener) fn rfc3339(secs: u64) -> String {
    Timestamp(secs.saturating_mul(1_000)).rfc3339()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_anthropics_shape() {
        let info = ModelInfo { id: "m".into(), created: 1_700_000_000, ..ModelInfo::default() };
        assert_eq!(
            serde_json::to_string(&Models::of(&[info])).unwrap(),
            r#"{"data":[{"type":"model","id":"m","display_name":"m","created_at":"2023-11-14T22:13:20Z","lifecycle":"active"}],"first_id":"m","last_id":"m","has_more":false}"#
        );
        let empty = serde_json::to_string(&Models::of(&[])).unwrap();
        assert_eq!(empty, r#"{"data":[],"first_id":null,"last_id":null,"has_more":false}"#);
    }
}
