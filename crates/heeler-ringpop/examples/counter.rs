//! Counters over HTTP, each on one of many processes: a sharded application on axum.
//!
//! ```text
//! cargo run -p heeler-ringpop --example counter -- 127.0.0.1:8000 127.0.0.1:3000
//! cargo run -p heeler-ringpop --example counter -- 127.0.0.1:8001 127.0.0.1:3001 127.0.0.1:3000
//! curl -X POST http://127.0.0.1:8000/visits
//! curl -X POST http://127.0.0.1:8001/visits
//! ```
//!
//! The arguments: where to serve HTTP, where to talk to the others, and members to join. Whichever
//! process is asked, the counter is counted by its owner.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use heeler_ringpop::{Discovery, HttpRequest, HttpResponse, Proxied, Ringpop};

/// The largest body of a request, in bytes.
const BODY: usize = 64 * 1024;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let http = args.next().unwrap_or("127.0.0.1:8000".into());
    let listen = args.next().unwrap_or("127.0.0.1:3000".into());
    let seeds: Vec<String> = args.chain([listen.clone()]).collect();

    let counters = Counters::default();
    let forwarded = counters.clone();
    let ringpop = Ringpop::builder("counter")
        .listen(&listen)
        .seeds(Discovery::list(seeds))
        // Requests that other members have sent here, for this one owns their counters.
        .on_http(move |request| {
            let counters = forwarded.clone();
            async move { counters.answer(&request) }
        })
        .bootstrap()
        .await?;

    let app = App {
        ringpop: ringpop.clone(),
        counters,
    };
    let router = Router::new().fallback(handle).with_state(app);
    let listener = tokio::net::TcpListener::bind(&http).await?;
    println!(
        "http://{http}/NAME counts; {} talks to the others",
        ringpop.whoami()
    );
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await?;
    ringpop.shut_down().await;
    Ok(())
}

#[derive(Clone)]
struct App {
    ringpop: Ringpop,
    counters: Counters,
}

/// Answers a client of this process: by itself, or by the owner of the counter.
async fn handle(State(app): State<App>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY).await else {
        return status(StatusCode::PAYLOAD_TOO_LARGE, "a shorter body, please\n").map(Body::from);
    };
    let request = HttpRequest::from_parts(head, body);
    let name = request.uri().path().to_string();
    let answer = match app.ringpop.handle_or_proxy(&name, request).await {
        Ok(Proxied::Here(request)) => app.counters.answer(&request),
        Ok(Proxied::There(answer)) => answer,
        Err(error) => status(StatusCode::BAD_GATEWAY, &format!("{error}\n")),
    };
    answer.map(Body::from)
}

#[derive(Clone, Default)]
struct Counters(Arc<Mutex<HashMap<String, u64>>>);

impl Counters {
    /// POST counts, GET tells.
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let Ok(mut counters) = self.0.lock() else {
            return status(StatusCode::INTERNAL_SERVER_ERROR, "the counters are lost\n");
        };
        let counter = counters
            .entry(request.uri().path().to_string())
            .or_default();
        match *request.method() {
            Method::POST => *counter += 1,
            Method::GET => (),
            _ => return status(StatusCode::METHOD_NOT_ALLOWED, "GET or POST, please\n"),
        }
        status(StatusCode::OK, &format!("{counter}\n"))
    }
}

fn status(status: StatusCode, text: &str) -> HttpResponse {
    let mut response = Response::new(Bytes::from(text.to_string()));
    *response.status_mut() = status;
    response
}
