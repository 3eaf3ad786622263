//! The typed API.
#![allow(missing_docs, clippy::unimplemented, unused_variables, clippy::unused_async)]
use crate::Result;
use crate::config::{Config, UpstreamConfig};
use crate::miner::Miner;
use crate::model::*;
use crate::store::{self, Store};
use bytes::Bytes;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

#[derive(Clone)]
pub struct Router;
pub struct RouterBuilder;
impl RouterBuilder {
    pub fn config(self, config: Config) -> Self {
        unimplemented!()
    }
    pub fn store(self, store: Arc<dyn Store>) -> Self {
        unimplemented!()
    }
    pub fn miner(self, spec: MinerSpec, miner: impl Miner) -> Self {
        unimplemented!()
    }
    pub fn upstream(self, upstream: UpstreamConfig) -> Self {
        unimplemented!()
    }
    pub async fn open(self) -> Result<Router> {
        unimplemented!()
    }
}
#[derive(Debug, Clone, Default)]
pub struct SessionFilter {
    pub state: Option<SessionState>,
    pub limit: u64,
    pub offset: u64,
    pub only: Vec<u64>,
}
#[derive(Debug, Clone, Default)]
pub struct SubmitOptions {
    pub idempotency_key: Option<String>,
    pub scope: String,
    pub detach: bool,
}
#[derive(Debug, Clone, Default)]
pub struct ModelInfo {
    pub id: String,
    pub created: u64,
    pub owned_by: String,
    pub miners: u64,
    pub embeddings: bool,
}
pub struct Metrics;
impl Metrics {
    pub fn encode(&self) -> String {
        unimplemented!()
    }
    pub fn registry(&self, with: impl FnOnce(&mut prometheus_client::registry::Registry)) {
        unimplemented!()
    }
}
pub struct MinerHandle;
impl MinerHandle {
    pub fn remove(&self) {
        unimplemented!()
    }
    pub fn drain(&self) {
        unimplemented!()
    }
    pub fn set_credits(&self, credits: u32) {
        unimplemented!()
    }
    pub fn set_models(&self, models: Vec<String>) {
        unimplemented!()
    }
    pub fn set_up(&self, up: bool) {
        unimplemented!()
    }
}
impl Router {
    pub fn builder() -> RouterBuilder {
        unimplemented!()
    }
    pub async fn open(config: Config) -> Result<Router> {
        unimplemented!()
    }
    pub fn config(&self) -> &Config {
        unimplemented!()
    }
    pub fn store(&self) -> &Arc<dyn Store> {
        unimplemented!()
    }
    pub fn metrics(&self) -> &Metrics {
        unimplemented!()
    }
    pub async fn create_session(&self, spec: SessionSpec) -> Result<Session> {
        unimplemented!()
    }
    pub fn session(&self, id: SessionId) -> Result<Session> {
        unimplemented!()
    }
    pub fn session_by_sid(&self, sid: &str) -> Option<SessionId> {
        unimplemented!()
    }
    pub fn sessions(&self, filter: SessionFilter) -> (Vec<Session>, u64) {
        unimplemented!()
    }
    pub async fn update_session(&self, id: SessionId, patch: SessionPatch) -> Result<Session> {
        unimplemented!()
    }
    pub async fn close_session(&self, id: SessionId) -> Result<Session> {
        unimplemented!()
    }
    pub fn next_completion_session(&self) -> SessionId {
        unimplemented!()
    }
    pub async fn submit(&self, session: SessionId, request: TaskRequest, options: SubmitOptions) -> Result<Submission> {
        unimplemented!()
    }
    pub async fn task(&self, session: SessionId, id: TaskId) -> Result<Task> {
        unimplemented!()
    }
    pub async fn tasks(&self, query: store::TaskQuery) -> Result<store::TaskPage> {
        unimplemented!()
    }
    pub async fn cancel(&self, session: SessionId, id: TaskId) -> Result<Task> {
        unimplemented!()
    }
    pub async fn attach(&self, session: SessionId, id: TaskId) -> Result<Submission> {
        unimplemented!()
    }
    pub fn add_miner(&self, spec: MinerSpec, miner: impl Miner) -> Result<MinerHandle> {
        unimplemented!()
    }
    pub fn add_upstream(&self, upstream: UpstreamConfig) -> Result<()> {
        unimplemented!()
    }
    pub fn miners(&self) -> Vec<MinerInfo> {
        unimplemented!()
    }
    pub fn models(&self) -> Vec<ModelInfo> {
        unimplemented!()
    }
    pub fn info(&self) -> NodeInfo {
        unimplemented!()
    }
    pub fn status(&self) -> NodeStatus {
        unimplemented!()
    }
    pub fn is_ready(&self) -> bool {
        unimplemented!()
    }
    pub fn is_draining(&self) -> bool {
        unimplemented!()
    }
    pub async fn drain(&self, timeout: Duration) -> bool {
        unimplemented!()
    }
    pub async fn close(&self) {
        unimplemented!()
    }
}
pub struct Submission;
impl Submission {
    pub fn session_id(&self) -> SessionId {
        unimplemented!()
    }
    pub fn task_id(&self) -> TaskId {
        unimplemented!()
    }
    pub fn gid(&self) -> Gid {
        unimplemented!()
    }
    pub fn created(&self) -> u64 {
        unimplemented!()
    }
    pub fn model(&self) -> String {
        unimplemented!()
    }
    pub fn joined(&self) -> bool {
        unimplemented!()
    }
    pub fn request(&self) -> &Arc<TaskRequest> {
        unimplemented!()
    }
    pub async fn accepted(&self) -> Result<()> {
        unimplemented!()
    }
    pub fn stream(&self) -> TokenStream {
        unimplemented!()
    }
    pub fn stream_after(&self, seq: u64) -> TokenStream {
        unimplemented!()
    }
    pub async fn result(&self) -> Result<Completion> {
        unimplemented!()
    }
    pub async fn state(&self) -> Task {
        unimplemented!()
    }
    pub fn cancel(&self) {
        unimplemented!()
    }
    pub fn detach(&self) {
        unimplemented!()
    }
}
pub struct TokenStream;
impl TokenStream {
    pub async fn next_batch(&mut self) -> Option<Vec<StreamEvent>> {
        unimplemented!()
    }
    pub fn poll_batch(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<StreamEvent>>> {
        unimplemented!()
    }
}
#[derive(Debug, Clone)]
pub enum StreamEvent {
    Token { seq: u64, text: String, raw: Option<Bytes> },
    Restart { seq: u64 },
    End(Result<Arc<Completion>>),
}
