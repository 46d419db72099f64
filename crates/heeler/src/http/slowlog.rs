//! `/v1/slowlog`: the commands that took long, as JSON.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Subject;
use crate::slowlog::{Entry, Whose};

/// What may stand behind the question mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limit {
    /// How many of the newest; all where it is not said.
    limit: Option<usize>,
}

pub(super) async fn latest(State(subject): State<Subject>, Query(limit): Query<Limit>) -> Response {
    let log = &subject.process.slowlog;
    let entries = log.latest(Whose::All, limit.limit.unwrap_or(usize::MAX));
    let entries: Vec<Value> = entries.iter().map(|entry| told(entry)).collect();
    Json(json!({
        "threshold_us": log.threshold(),
        "max_length": log.length(),
        "length": log.len(Whose::All),
        "entries": entries,
    }))
    .into_response()
}

pub(super) async fn reset(State(subject): State<Subject>) -> Response {
    subject.process.slowlog.reset(Whose::All);
    StatusCode::NO_CONTENT.into_response()
}

/// Bytes that are no text are shown as `\u{fffd}`.
fn told(entry: &Entry) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let words: Vec<String> = entry.slow.words.iter().map(|word| text(word)).collect();
    json!({
        "id": entry.id,
        "time_ms": entry.time,
        "duration_us": entry.slow.took,
        "command": words,
        "client": { "address": entry.address, "name": text(&entry.name) },
        "pool": entry.pool,
        "server": entry.server,
        "together": entry.slow.together,
        "failed": entry.slow.failed,
    })
}
