//! The records and options that the packages for other languages have beside the REST API's, as they are described.

use utoipa::openapi::schema::{AllOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::answer::{Finish, Piece, PieceOfFunction, Pieces};
use super::embeddings::{Embedding, EmbeddingsRecord};
use super::job::JobRecord;
use super::record::{ErrorDetails, Page, TaskPage, UsageWish};
use crate::miner::FailClass;
use crate::miner::client::{MinerClientConfig, MinerClientStats};
use crate::model::{Function, MinerSpec, ToolCall};
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
        ("MinerClientSettings".into(), client_settings()),
        (FailClass::name(), FailClass::schema()),
        (Finish::name(), Finish::schema()),
        (ToolCall::name(), ToolCall::schema()),
        (<Function as ToSchema>::name(), Function::schema()),
        (Pieces::name(), Pieces::schema()),
        (Piece::name(), Piece::schema()),
        (PieceOfFunction::name(), PieceOfFunction::schema()),
        (JobRecord::name(), JobRecord::schema()),
        (EmbeddingsRecord::name(), EmbeddingsRecord::schema()),
        (Embedding::name(), Embedding::schema()),
        (ErrorDetails::name(), ErrorDetails::schema()),
        (Page::name(), Page::schema()),
        (TaskPage::name(), TaskPage::schema()),
        (UsageWish::name(), UsageWish::schema()),
    ];
    let components = ComponentsBuilder::new().schemas_from_iter(schemas).build();
    let info = InfoBuilder::new().title("cortensor-router packages").version(crate::VERSION).build();
    let document = OpenApiBuilder::new().info(info).components(Some(components)).build();
    document.to_pretty_json().map_or_else(|error| unreachable!("only string keys: {error}"), |json| json + "\n")
}

/// The settings of a miner that dials out, with the threads that the package starts for it.
fn client_settings() -> RefOr<Schema> {
    let runtime = ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some("The threads of the miner, as in the section `runtime` of a router's configuration."));
    AllOfBuilder::new()
        .description(Some("The settings of a miner that works for a distant router."))
        .item(MinerClientConfig::schema())
        .item(ObjectBuilder::new().property("runtime", runtime))
        .into()
}
