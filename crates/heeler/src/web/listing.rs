//! `GET /v1/keys`: all keys of this node, or some of them page by page.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::StatusCode;
use hyper::Response;
use tokio::sync::mpsc;

use super::answer::{Asking, Body, Outcome, Talk, json};
use super::connection::Guest;
use super::document::{Said, bulk};
use super::path::parameter;
use super::refusal::{Asked, Refusal};
use crate::command::Id;
use crate::wire::resp::Elements;
use crate::{json as text, limits};

/// What errors speak of.
const ALL: Asked<'static> = Asked {
    verb: "load",
    key: b"any",
    part: None,
};

/// Which keys are asked for.
struct Page {
    prefix: Vec<u8>,
    limit: usize,
    cursor: Vec<u8>,
    /// Those of all nodes.
    of_cluster: bool,
}

impl Guest {
    /// Answers with keys.
    pub async fn keys(&self, asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        if asking.query.is_empty() {
            return self.all_keys(talk).await;
        }
        let page = self.page(asking.query)?;
        let mut out = b"{\"keys\":[".to_vec();
        let cursor = match page.of_cluster {
            true => self.of_cluster(&page, talk, &mut out).await?,
            false => self.of_node(&page, talk, &mut out).await?,
        };
        out.extend_from_slice(b"],\"cursor\":");
        text::write_text(&cursor, &mut out);
        out.extend_from_slice(b"}\n");
        Ok(json(StatusCode::OK, out))
    }

    fn page(&self, query: &str) -> Result<Page, Refusal> {
        let bad = |text: String| Refusal::new(StatusCode::BAD_REQUEST, text);
        let limit = parameter(query, "limit")?;
        let limit = match limit.as_deref() {
            None | Some(b"") => limits::PAGE_KEYS,
            Some(digits) => std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| digits.parse().ok())
                .filter(|limit| (1..=limits::PAGE_MOST_KEYS).contains(limit))
                .ok_or_else(|| bad(format!("limit is from 1 to {}", limits::PAGE_MOST_KEYS)))?,
        };
        let of_cluster = match parameter(query, "scope")?.as_deref() {
            None | Some(b"" | b"node") => false,
            Some(b"cluster") => true,
            Some(_) => return Err(bad("scope is node or cluster".into())),
        };
        let cursor = parameter(query, "cursor")?.unwrap_or_default();
        let prefix = parameter(query, "prefix")?.unwrap_or_default();
        Ok(Page {
            prefix: prefix.into_owned(),
            limit,
            cursor: self.cursor(&cursor, of_cluster).map_err(bad)?,
            of_cluster,
        })
    }

    /// What is in a cursor: it is good for one scope, and for one process.
    fn cursor(&self, cursor: &[u8], of_cluster: bool) -> Result<Vec<u8>, String> {
        if cursor.is_empty() {
            return Ok(Vec::new());
        }
        let read = URL_SAFE_NO_PAD.decode(cursor).ok();
        let mark = self.mark(of_cluster);
        let inside = read
            .as_deref()
            .and_then(|read| read.strip_prefix(mark.as_bytes()));
        let inside = inside.ok_or("the cursor is none that this node has given for this scope");
        inside.map(<[u8]>::to_vec).map_err(Into::into)
    }

    fn mark(&self, of_cluster: bool) -> String {
        match of_cluster {
            true => "c:".into(),
            // Another process spreads its keys over its shards in another way.
            false => format!("n{}:", &self.site.id()[..8]),
        }
    }

    /// Keys of this node; where to go on.
    async fn of_node(
        &self,
        page: &Page,
        talk: &mut Talk<'_>,
        out: &mut Vec<u8>,
    ) -> Result<String, Refusal> {
        let mut cursor = page.cursor.clone();
        let mut count = 0;
        loop {
            let most = (page.limit - count).to_string();
            let words = [b"document.keys", &cursor[..], most.as_bytes(), &page.prefix];
            let (next, keys) = read(talk.ask(Id::DocumentKeys, &words).await)?;
            cursor = next.to_vec();
            keys.for_each(|key| {
                write(key, count == 0, out);
                count += 1;
            });
            if cursor.is_empty() {
                return Ok(String::new());
            }
            if count >= page.limit {
                let mut whole = self.mark(false).into_bytes();
                whole.extend_from_slice(&cursor);
                return Ok(URL_SAFE_NO_PAD.encode(whole));
            }
            // Others have their turn: there may be many keys without the prefix.
            tokio::task::yield_now().await;
        }
    }

    /// Keys of all nodes; where to go on. The nodes are walked through one after the other, so when
    /// one comes or goes keys may have moved from where the walk has not been to where it has. Then
    /// it begins again after its end: a key may come twice, and none is left out.
    async fn of_cluster(
        &self,
        page: &Page,
        talk: &mut Talk<'_>,
        out: &mut Vec<u8>,
    ) -> Result<String, Refusal> {
        let pattern = pattern(&page.prefix);
        let (mut ring, mut cursor) = match page.cursor.as_slice() {
            [] => (self.site.ring(), b"0".to_vec()),
            whole => {
                let faulty = || Refusal::new(StatusCode::BAD_REQUEST, "the cursor is faulty");
                walk(whole).ok_or_else(faulty)?
            }
        };
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        while seen.len() < page.limit {
            let count = (page.limit - seen.len()).to_string();
            let words = [
                b"SCAN",
                &cursor[..],
                b"MATCH",
                &pattern,
                b"COUNT",
                count.as_bytes(),
            ];
            let (next, keys) = read(talk.ask(Id::Scan, &words).await)?;
            cursor = next.to_vec();
            for key in keys {
                if !seen.contains(key) {
                    write(key, seen.is_empty(), out);
                    seen.insert(key.to_vec());
                }
            }
            if cursor == b"0" {
                let now = self.site.ring();
                if now == ring {
                    return Ok(String::new());
                }
                ring = now;
            }
            tokio::task::yield_now().await;
        }
        let mut whole = format!("{}{ring:x}:", self.mark(true)).into_bytes();
        whole.extend_from_slice(&cursor);
        Ok(URL_SAFE_NO_PAD.encode(whole))
    }

    /// All keys of this node. Where they are many they are sent as they are found.
    async fn all_keys(&self, talk: &mut Talk<'_>) -> Outcome {
        let mut out = vec![b'['];
        let mut cursor = Vec::new();
        loop {
            cursor = more(talk, &cursor, &mut out).await?;
            if cursor.is_empty() {
                out.extend_from_slice(b"]\n");
                return Ok(json(StatusCode::OK, out));
            }
            if out.len() >= limits::KEYS_BYTES {
                break;
            }
            tokio::task::yield_now().await;
        }
        let mut talk = talk.fork(self);
        let (sender, pieces) = mpsc::channel(limits::PIECES);
        tokio::task::spawn_local(async move {
            loop {
                let is_over = cursor.is_empty();
                if is_over {
                    out.extend_from_slice(b"]\n");
                }
                if sender
                    .send(Bytes::from(std::mem::take(&mut out)))
                    .await
                    .is_err()
                    || is_over
                {
                    return;
                }
                while !cursor.is_empty() && out.len() < limits::READ_BYTES {
                    // Cut short, the array is no JSON: so the client sees that keys are missing.
                    let Ok(next) = more(&mut talk, &cursor, &mut out).await else {
                        return;
                    };
                    cursor = next;
                }
            }
        });
        let mut answer = Response::new(Body::Pieces(pieces));
        let kind = http::HeaderValue::from_static("application/json");
        answer
            .headers_mut()
            .insert(http::header::CONTENT_TYPE, kind);
        Ok(answer)
    }
}

/// Some more keys of this node; where to go on.
async fn more(talk: &mut Talk<'_>, cursor: &[u8], out: &mut Vec<u8>) -> Result<Vec<u8>, Refusal> {
    let most = limits::PAGE_KEYS.to_string();
    let words = [b"document.keys", cursor, most.as_bytes(), b""];
    let (next, keys) = read(talk.ask(Id::DocumentKeys, &words).await)?;
    keys.for_each(|key| write(key, out == b"[", out));
    Ok(next.to_vec())
}

/// The pattern of all keys with a prefix.
fn pattern(prefix: &[u8]) -> Vec<u8> {
    let mut pattern = Vec::with_capacity(prefix.len() + 1);
    for byte in prefix {
        if b"*?[]\\^-".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.push(b'*');
    pattern
}

/// The ring in which a walk through all nodes began, and SCAN's cursor.
fn walk(whole: &[u8]) -> Option<(u32, Vec<u8>)> {
    let colon = whole.iter().position(|byte| *byte == b':')?;
    let (ring, cursor) = whole.split_at(colon);
    let ring = std::str::from_utf8(ring).ok()?;
    Some((u32::from_str_radix(ring, 16).ok()?, cursor[1..].to_vec()))
}

/// A cursor and keys.
fn read(reply: &[u8]) -> Result<(&[u8], impl Iterator<Item = &[u8]>), Refusal> {
    if let Said::Error(error) = Said::read(reply) {
        return Err(match error {
            "ERR invalid cursor" => Refusal::new(StatusCode::BAD_REQUEST, "the cursor is faulty"),
            _ => ALL.refused(error),
        });
    }
    let faulty = || ALL.refused("ERR the store's reply is faulty");
    let mut parts = Elements::of(reply).ok_or_else(faulty)?;
    let cursor = parts.next().and_then(bulk).ok_or_else(faulty)?;
    let keys = parts.next().and_then(Elements::of).ok_or_else(faulty)?;
    Ok((cursor, keys.filter_map(bulk)))
}

fn write(key: &[u8], is_first: bool, out: &mut Vec<u8>) {
    if !is_first {
        out.push(b',');
    }
    text::write_bytes(key, out);
}
