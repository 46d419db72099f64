//! `GET /v1/openapi.json`: the door described for machines (OpenAPI 3.1).

use http::StatusCode;
use hyper::Response;

use super::answer::{Body, of_type};

/// What is served, as the door serves it.
pub const DOCUMENT: &str = include_str!("openapi.json");

/// The document.
pub fn answer() -> Response<Body> {
    of_type(
        StatusCode::OK,
        "application/json",
        DOCUMENT.as_bytes().into(),
    )
}
