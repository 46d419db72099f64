//! The admin port: what orchestrators and people ask a running process, over HTTP.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /healthz` | 200 as long as the process answers |
//! | `GET /readyz` | 200 when clients can be served; 503 with the reason else, and while it stops |
//! | `GET /readyz?writes` | the same, but 503 also where a node of a ring refuses every write |
//! | `GET /v1/pools` | the pools and the state of their servers, as JSON; never a password |
//! | `POST /v1/reload` | takes the file anew: 200 with the changes, or 422 with why it cannot |
//! | `GET /metrics` | numbers for Prometheus, as OpenMetrics text |
//! | `GET /v1/slowlog` | commands that took long, newest first, as JSON: `?limit=10` of them |
//! | `DELETE /v1/slowlog` | forgets them, as `SLOWLOG RESET` does |

mod families;
pub mod host;
mod metrics;
mod places;
mod port;
mod ring;
mod slowlog;

use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::{RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use heeler_ringpop::Ringpop;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

pub use port::AdminPort;

use crate::admin::Process;
use crate::clock;
use crate::cluster::Cluster;
use crate::config::pools::Pool;
use crate::peer::Keyspace;
use crate::stats::{PoolStat, PoolStats, ServerStat};
use crate::store::Store;
use crate::tls::Certificate;

/// Asks for a reload. The answer: what has changed, a line for each pool, or why nothing has.
pub type Asked = oneshot::Sender<Result<Vec<String>, String>>;

/// A pool as it is served now.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What the file says of it.
    pub pool: Pool,
    /// Its servers' health.
    pub cluster: Arc<Cluster>,
    /// What is counted of it.
    pub stats: Arc<PoolStats>,
    /// The certificates that it shows.
    pub certificates: Vec<Certificate>,
}

/// The pools of a process, which a reload replaces.
pub type Pools = Arc<ArcSwap<Vec<Shown>>>;

/// What the port tells of.
#[derive(Clone)]
pub struct Subject {
    /// The process.
    pub process: Arc<Process>,
    /// Its pools; none where it is a store.
    pub pools: Pools,
    /// Its store, where it is one.
    pub store: Option<Arc<Store>>,
    /// The ring that it is a member of, if it is.
    pub ring: Option<Ringpop>,
    /// The keys of that ring, if it keeps any.
    pub keyspace: Option<Arc<Keyspace>>,
    /// Takes the file anew, where there is one.
    pub reload: Option<mpsc::Sender<Asked>>,
}

fn router(subject: Subject) -> Router {
    let mut router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(numbers))
        .route("/v1/slowlog", get(slowlog::latest).delete(slowlog::reset));
    let mut there = "GET /healthz, /readyz, /metrics, /v1/slowlog";
    if subject.reload.is_some() {
        router = router
            .route("/v1/pools", get(pools))
            .route("/v1/reload", post(reload));
        there = "GET /healthz, /readyz, /metrics, /v1/slowlog, /v1/pools or POST /v1/reload";
    }
    let unknown = async move || unknown(there);
    let router = router.fallback(unknown).with_state(subject);
    router.layer(from_fn(for_one_host))
}

async fn for_one_host(request: Request, next: Next) -> Response {
    match host::fault(request.version(), request.headers()) {
        Some(told) => (StatusCode::BAD_REQUEST, Json(json!({ "error": told }))).into_response(),
        None => next.run(request).await,
    }
}

fn unknown(there: &str) -> Response {
    let told = format!("nothing is here; ask {there}");
    (StatusCode::NOT_FOUND, Json(json!({ "error": told }))).into_response()
}

impl Subject {
    /// The answer to `/readyz` with this query: whether clients can be served, and why they cannot.
    ///
    /// A node that refuses writes, because too few others are there, serves reads; and where nodes
    /// are started one after the other, as each is ready, the first must not wait for the second.
    /// So it is ready, and says so, unless it is asked for `writes`.
    pub fn readiness(&self, query: &str) -> (StatusCode, String) {
        let reasons = self.hindrances();
        if !reasons.is_empty() {
            return (StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n");
        }
        let keeper = self.keyspace.as_ref().map(|keyspace| &keyspace.keeper);
        let Some(why) = keeper.and_then(|keeper| keeper.refuses_writes()) else {
            return (StatusCode::OK, "ready\n".to_owned());
        };
        let mut names = query.split('&').map(|pair| pair.split('=').next());
        match names.any(|name| name == Some("writes")) {
            true => (StatusCode::SERVICE_UNAVAILABLE, why + "\n"),
            false => (StatusCode::OK, format!("ready for reads\n{why}\n")),
        }
    }

    fn hindrances(&self) -> Vec<String> {
        let now = clock::now();
        let mut reasons = Vec::new();
        if self.process.clients.is_stopping() {
            reasons.push("the process stops".to_owned());
        }
        if self.ring.as_ref().is_some_and(|ring| !ring.is_ready()) {
            reasons.push("this node is not in its ring".to_owned());
        }
        for Shown { pool, cluster, .. } in &**self.pools.load() {
            if !cluster.has_live(now) {
                reasons.push(format!("pool '{}' has no live server", pool.name));
            }
        }
        reasons
    }

    /// Numbers for Prometheus, as [`METRICS_TYPE`] says.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn metrics(&self) -> Result<String, std::fmt::Error> {
        metrics::text(self)
    }
}

/// The `Content-Type` of the metrics.
pub const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

async fn readyz(State(subject): State<Subject>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    subject.readiness(&query).into_response()
}

async fn pools(State(subject): State<Subject>) -> Json<Value> {
    let pools: Vec<Value> = subject.pools.load().iter().map(described).collect();
    Json(json!({ "pools": pools }))
}

fn described(shown: &Shown) -> Value {
    let Shown {
        pool,
        cluster,
        stats,
        certificates,
    } = shown;
    let totals = stats.totals();
    let server = |(i, server): (usize, &crate::config::pools::Server)| {
        let number = |stat: ServerStat| totals.servers[i][stat as usize];
        let ejected_until = cluster.ejected_until(i);
        json!({
            "name": server.name,
            "address": server.address.to_string(),
            "weight": server.weight,
            "state": if ejected_until.is_some() { "ejected" } else { "live" },
            "ejected_until_ms": ejected_until,
            "connections": number(ServerStat::Connections),
            "queued": {
                "unsent": number(ServerStat::InQueue),
                "unanswered": number(ServerStat::OutQueue),
            },
        })
    };
    let servers: Vec<Value> = pool.servers.iter().enumerate().map(server).collect();
    let certificate = |certificate: &Certificate| {
        json!({
            "file": certificate.file.to_string_lossy(),
            "not_after_ms": certificate.not_after.saturating_mul(1000),
        })
    };
    let certificates: Vec<Value> = certificates.iter().map(certificate).collect();
    let tls = pool.tls.as_ref().map(|tls| {
        json!({
            "min_version": tls.min_version.name(),
            "client_auth": tls.client_auth.name(),
        })
    });
    let server_tls = pool
        .server_tls
        .as_ref()
        .map(|tls| json!({ "min_version": tls.min_version.name(), "name": tls.name }));
    json!({
        "name": pool.name,
        "listen": pool.listen.to_string(),
        "protocol": if pool.redis { "redis" } else { "memcached" },
        "hash": pool.hash.name(),
        "distribution": pool.distribution.name(),
        "timeout_ms": pool.timeout.map(|t| t.as_millis() as u64),
        "tls": tls,
        "server_tls": server_tls,
        "certificates": certificates,
        "clients": totals.pool[PoolStat::ClientConnections as usize],
        "servers": servers,
    })
}

async fn reload(State(subject): State<Subject>) -> Response {
    let (ask, answer) = oneshot::channel();
    let stops = || {
        let told = json!({ "error": "the process stops" });
        (StatusCode::SERVICE_UNAVAILABLE, Json(told)).into_response()
    };
    let Some(reload) = subject.reload else {
        return stops();
    };
    if reload.send(ask).await.is_err() {
        return stops();
    }
    match answer.await {
        Ok(Ok(changes)) => Json(json!({ "changes": changes })).into_response(),
        Ok(Err(reason)) => {
            let told = Json(json!({ "error": reason }));
            (StatusCode::UNPROCESSABLE_ENTITY, told).into_response()
        }
        Err(_) => stops(),
    }
}

async fn numbers(State(subject): State<Subject>) -> Response {
    match subject.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response(),
        Err(error) => {
            let told = Json(json!({ "error": error.to_string() }));
            (StatusCode::INTERNAL_SERVER_ERROR, told).into_response()
        }
    }
}
