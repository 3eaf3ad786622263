//! The records and options that the packages for other languages have beside the REST API's, as they are described.

use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::embeddings::{Embedding, EmbeddingsRecord};
use super::job::JobRecord;
use super::record::{ErrorDetails, Page, TaskPage};
use crate::miner::client::MinerClientStats;
use crate::model::MinerSpec;
use crate::{ModelInfo, listener};

/// The OpenAPI document of these records and options, `docs/packages.json`. `cargo xtask gen` makes the packages' types
/// of it.
#[doc(hidden)]
pub fn packages_file() -> String {
    let schemas = [
        (MinerSpec::name(), MinerSpec::schema()),
        (ModelInfo::name(), ModelInfo::schema()),
        ("RequestOptions".into(), listener::request_options().into()),
        (MinerClientStats::name(), MinerClientStats::schema()),
        (JobRecord::name(), JobRecord::schema()),
        (EmbeddingsRecord::name(), EmbeddingsRecord::schema()),
        (Embedding::name(), Embedding::schema()),
        (ErrorDetails::name(), ErrorDetails::schema()),
        (Page::name(), Page::schema()),
        (TaskPage::name(), TaskPage::schema()),
    ];
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    let info = InfoBuilder::new().title("cortensor-router packages").version(crate::VERSION).build();
    let document = OpenApiBuilder::new().info(info).components(Some(components)).build();
    document.to_pretty_json().map_or_else(|error| unreachable!("only string keys: {error}"), |json| json + "\n")
}
