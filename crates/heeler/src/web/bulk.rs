//! Many keys in one request: each has a result of its own.

use http::StatusCode;

use super::answer::{Asking, Outcome, Talk, json};
use super::body::{self, Store};
use super::condition::{Condition, Tag};
use super::connection::Guest;
use super::document::{Document, Envelope, Said};
use super::documents::Storing;
use super::duration::GoDuration;
use super::refusal::{Asked, Refusal};
use crate::command::Id;
use crate::json::{self as text, Value};
use crate::{clock, limits};

/// A key that is to be stored.
struct Put {
    key: String,
    store: Store,
    /// Its data as JSON text.
    data: Vec<u8>,
    condition: Condition,
}

impl Put {
    /// What is said to store it.
    fn storing(&self) -> Storing<'_> {
        Storing::new(
            self.key.as_bytes(),
            &self.store,
            &self.data,
            &self.condition,
        )
    }
}

/// What cannot be loaded or stored.
struct Unfit {
    /// Its key, if it has one.
    key: Option<String>,
    refusal: Refusal,
}

impl Unfit {
    fn new(key: Option<String>, refusal: Refusal) -> Unfit {
        Unfit { key, refusal }
    }
}

impl Guest {
    /// Loads keys. One that is wrong is refused alone.
    pub async fn bulk_get(&self, asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let keys = read(asking, "keys")?;
        let keys: Vec<Result<String, Unfit>> = keys.into_iter().enumerate().map(key).collect();
        talk.prove().await?;
        let mut results = Results::new();
        let (mut waiting, mut said) = (keys.iter().flatten(), 0);
        for key in &keys {
            let key = match key {
                Ok(key) => key,
                Err(unfit) => {
                    results.refuse(unfit.key.as_deref(), &unfit.refusal);
                    continue;
                }
            };
            while !talk.conversation.is_full()
                && !results.are_full()
                && let Some(key) = waiting.next()
            {
                let words = [b"document.load", key.as_bytes(), b"json"];
                talk.conversation.say(Id::DocumentLoad, &words).await;
                said += 1;
            }
            // As many have been asked for as have been answered: the rest is not asked for.
            if results.are_full() && said == results.count {
                results.leave(key);
                continue;
            }
            let now = clock::moment().now;
            let result = Resulting {
                key,
                verb: "load",
                accessed: now,
                now,
                life: None,
                data: None,
            };
            result.write(self, talk.conversation.hear().await, &mut results);
        }
        Ok(json(StatusCode::OK, results.end()))
    }

    /// Stores keys, in the order given. An item that is wrong is refused alone.
    pub async fn bulk_put(&self, asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let items = read(asking, "items")?;
        let items: Vec<Result<Put, Unfit>> = items.into_iter().enumerate().map(put).collect();
        let words: Vec<Storing<'_>> = items.iter().flatten().map(Put::storing).collect();
        talk.prove().await?;
        let mut results = Results::new();
        let mut waiting = words.iter();
        for put in &items {
            let put = match put {
                Ok(put) => put,
                Err(unfit) => {
                    results.refuse(unfit.key.as_deref(), &unfit.refusal);
                    continue;
                }
            };
            while !talk.conversation.is_full()
                && let Some(words) = waiting.next()
            {
                talk.conversation
                    .say(Id::DocumentStore, &words.refs())
                    .await;
            }
            let result = Resulting {
                key: &put.key,
                verb: "store",
                accessed: 0,
                now: clock::moment().now,
                life: Some(put.store.life.unwrap_or_default()),
                data: Some(&put.data),
            };
            result.write(self, talk.conversation.hear().await, &mut results);
        }
        Ok(json(StatusCode::OK, results.end()))
    }
}

/// Results as they are written.
struct Results {
    out: Vec<u8>,
    /// How many of them are replies to commands.
    count: usize,
}

impl Results {
    fn new() -> Results {
        Results {
            out: b"{\"results\":[".to_vec(),
            count: 0,
        }
    }

    fn are_full(&self) -> bool {
        self.out.len() >= limits::HTTP_BODY_BYTES
    }

    /// Begins a result.
    fn begin(&mut self, key: Option<&str>, status: StatusCode) {
        if !self.out.ends_with(b"[") {
            self.out.push(b',');
        }
        self.out.extend_from_slice(b"{\"key\":");
        match key {
            Some(key) => text::write_text(key, &mut self.out),
            None => self.out.extend_from_slice(b"null"),
        }
        self.out.extend_from_slice(b",\"status\":");
        self.out.extend_from_slice(status.as_str().as_bytes());
        self.out.push(b',');
    }

    fn refuse(&mut self, key: Option<&str>, refusal: &Refusal) {
        self.begin(key, refusal.status);
        self.out.extend_from_slice(b"\"text\":");
        text::write_text(&refusal.text, &mut self.out);
        if let Some(version) = refusal.version {
            self.out.push(b',');
            self.tag(version);
        }
        self.out.push(b'}');
    }

    /// There is no room for this one.
    fn leave(&mut self, key: &str) {
        let text = "the answer is full: ask for this key in another request";
        let refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text);
        self.refuse(Some(key), &refusal);
    }

    fn tag(&mut self, version: u64) {
        self.out.extend_from_slice(b"\"etag\":");
        text::write_text(&Tag(version).to_string(), &mut self.out);
    }

    fn end(mut self) -> Vec<u8> {
        self.out.extend_from_slice(b"]}\n");
        self.out
    }
}

/// One result to be.
struct Resulting<'a> {
    key: &'a str,
    verb: &'static str,
    accessed: u64,
    now: u64,
    life: Option<GoDuration>,
    data: Option<&'a [u8]>,
}

impl Resulting<'_> {
    fn write(self, guest: &Guest, reply: &[u8], results: &mut Results) {
        results.count += 1;
        let asked = Asked {
            verb: self.verb,
            key: self.key.as_bytes(),
            part: None,
        };
        match Said::read(reply) {
            Said::Document(document) => self.found(guest, &document, results),
            Said::Error(error) => results.refuse(Some(self.key), &asked.refused(error)),
            _ => results.refuse(Some(self.key), &asked.missing()),
        }
    }

    fn found(self, guest: &Guest, document: &Document<'_>, results: &mut Results) {
        results.begin(Some(self.key), StatusCode::OK);
        results.tag(document.version);
        results.out.push(b',');
        let envelope = Envelope {
            action: self.verb,
            document,
            life: self.life,
            accessed: self.accessed,
            now: self.now,
            data: document.data.or(self.data),
            node: guest.site.owner_of(self.key.as_bytes()),
        };
        envelope.write_members(&mut results.out);
        results.out.push(b'}');
    }
}

fn read(asking: &Asking<'_>, name: &'static str) -> Result<Vec<Value>, Refusal> {
    let all = body::list(&asking.body, name).map_err(|bad| Refusal::of_body(&bad))?;
    match all.len() {
        0..=limits::BULK_KEYS => Ok(all),
        _ => {
            let text = format!("a bulk request names {} keys at most", limits::BULK_KEYS);
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text))
        }
    }
}

fn bad(i: usize, told: impl std::fmt::Display) -> Refusal {
    let text = format!("failed to read request body, number {i}: {told}");
    Refusal::new(StatusCode::BAD_REQUEST, text)
}

fn key((i, value): (usize, Value)) -> Result<String, Unfit> {
    match value {
        Value::Text(key) => bounded(key),
        _ => Err(Unfit::new(None, bad(i, "a key is a string"))),
    }
}

fn bounded(key: String) -> Result<String, Unfit> {
    match Refusal::of_key(key.as_bytes()) {
        Ok(()) => Ok(key),
        Err(refusal) => Err(Unfit::new(Some(key), refusal)),
    }
}

fn put((i, item): (usize, Value)) -> Result<Put, Unfit> {
    let key = match header(i, &item, "key") {
        Ok(Some(key)) => bounded(key)?,
        Ok(None) => return Err(Unfit::new(None, bad(i, "it has no key"))),
        Err(refusal) => return Err(Unfit::new(None, refusal)),
    };
    match rest(i, item) {
        Ok((store, condition)) => Ok(Put {
            key,
            data: store.data.to_vec(),
            store,
            condition,
        }),
        Err(refusal) => Err(Unfit::new(Some(key), refusal)),
    }
}

/// All of an item but its key.
fn rest(i: usize, item: Value) -> Result<(Store, Condition), Refusal> {
    let if_match = header(i, &item, "if_match")?;
    let if_none_match = header(i, &item, "if_none_match")?;
    let condition = Condition::read(
        if_match.iter().map(String::as_bytes),
        if_none_match.iter().map(String::as_bytes),
    );
    let store = body::store_of(item).map_err(|told| bad(i, told))?;
    Ok((store, condition))
}

fn header(i: usize, item: &Value, name: &str) -> Result<Option<String>, Refusal> {
    match item.member(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        Some(_) => Err(bad(i, format!("{name} is a string"))),
    }
}
