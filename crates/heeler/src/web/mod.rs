//! The HTTP door of the store: memhashd's API, and more.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /v1/keys` | keys; with `prefix`, `limit`, `cursor` or `scope` page by page |
//! | `GET`, `PUT`, `POST`, `DELETE /v1/keys/{key}` | loads, stores, deletes |
//! | `GET`, `POST /v1/keys/{key}/index`, `.../item` | one element: the body says which |
//! | `GET`, `PUT`, `POST`, `DELETE /v1/keys/{key}/index/{n}` | one element of a list |
//! | `GET`, `PUT`, `DELETE /v1/keys/{key}/item/{name}` | one item of a dictionary |
//! | `POST /v1/keys/{key}/append` | a new last element |
//! | `POST /v1/bulk/get`, `/v1/bulk/put` | many keys in one request |
//! | `GET /v1/watch` | changes, as they happen |
//! | `GET /v1/nodes` | the nodes of the ring |
//! | `GET /v1/openapi.json` | all this, for machines |
//! | `GET /healthz`, `/readyz`, `/metrics` | as at the admin port |
//!
//! hyper reads and writes the bytes; a request enters the walk as a command (`conversation`).

mod answer;
pub mod body;
mod bulk;
pub mod condition;
mod connection;
mod conversation;
pub mod document;
mod documents;
pub mod duration;
mod listing;
mod login;
pub mod negotiation;
pub mod openapi;
pub mod path;
mod progress;
pub mod refusal;
mod site;
pub mod timestamp;
mod watch;

use answer::RETRY_AFTER;
pub use connection::serve;
pub use conversation::FindDoor;
pub use site::Site;

/// The answer to a client for whom there is no room, before it has asked.
pub fn unavailable(text: &str) -> String {
    let mut body = b"{\"text\":".to_vec();
    crate::json::write_text(text, &mut body);
    let body = String::from_utf8_lossy(&body).into_owned() + "}\n";
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
         Retry-After: {RETRY_AFTER}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
