//! Requests about one key.

use http::StatusCode;
use hyper::Response;

use super::answer::{Asking, Body, Outcome, Talk, empty, json, of_type, tag};
use super::body;
use super::condition::{Condition, Versions};
use super::connection::Guest;
use super::document::{DELETED, Document, Envelope, Said};
use super::duration::GoDuration;
use super::negotiation::Form;
use super::path::{Resource, parameter};
use super::refusal::{Asked, Refusal};
use crate::clock;
use crate::command::Id;
use crate::json::Value;

/// What is done to a document, for the answer.
struct Deed<'a> {
    action: &'static str,
    asked: Asked<'a>,
    /// It was read.
    reads: bool,
    life: Option<GoDuration>,
}

impl<'a> Deed<'a> {
    fn load(action: &'static str, key: &'a [u8], part: Option<&'a [u8]>) -> Deed<'a> {
        Deed {
            action,
            asked: Asked {
                verb: "load",
                key,
                part,
            },
            reads: true,
            life: None,
        }
    }

    fn change(action: &'static str, key: &'a [u8], part: Option<&'a [u8]>) -> Deed<'a> {
        let verb = match action {
            "delete" | "delete-index" | "delete-item" => "delete",
            _ => "store",
        };
        Deed {
            action,
            asked: Asked { verb, key, part },
            reads: false,
            life: None,
        }
    }
}

impl Guest {
    /// Answers a request about a key.
    pub async fn document(&self, asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let (Resource::Key(key)
        | Resource::Index(key)
        | Resource::Item(key)
        | Resource::Element(key, _)
        | Resource::Member(key, _)
        | Resource::Append(key)) = asking.resource
        else {
            return Ok(empty(StatusCode::NOT_FOUND));
        };
        Refusal::of_key(key)?;
        let method = asking.method.as_str();
        match (asking.resource, method) {
            (Resource::Key(_), "GET" | "HEAD") => self.load(key, asking, talk).await,
            (Resource::Key(_), "DELETE") => self.delete(key, asking, talk).await,
            (Resource::Key(_), _) => self.store(key, asking, talk).await,
            (Resource::Index(_), _) => {
                let place = body::index(&asking.body).map_err(|bad| Refusal::of_body(&bad))?;
                self.element(key, place, asking, talk).await
            }
            (Resource::Element(_, place), "GET" | "HEAD") => {
                self.element(key, *place, asking, talk).await
            }
            (Resource::Item(_), _) => {
                let item = body::item(&asking.body).map_err(|bad| Refusal::of_body(&bad))?;
                self.item(key, &item, asking, talk).await
            }
            (Resource::Member(_, name), "GET" | "HEAD") => {
                self.member(key, name, asking, talk).await
            }
            _ => self.change(key, asking, talk).await,
        }
    }

    async fn load(&self, key: &[u8], asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let form: &[u8] = match asking.wanted {
            Form::Json => b"json",
            _ => b"raw",
        };
        let words = [b"document.load", key, form];
        let reply = talk.ask(Id::DocumentLoad, &words).await;
        self.show(reply, &Deed::load("load", key, None), asking, None)
    }

    async fn element(
        &self,
        key: &[u8],
        place: u64,
        asking: &Asking<'_>,
        talk: &mut Talk<'_>,
    ) -> Outcome {
        let mut digits = itoa::Buffer::new();
        let part = digits.format(place).as_bytes();
        // No list is longer than that.
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        let mut digits = itoa::Buffer::new();
        let words = [b"document.index", key, digits.format(place).as_bytes()];
        let reply = talk.ask(Id::DocumentIndex, &words).await;
        self.show(reply, &Deed::load("index", key, Some(part)), asking, None)
    }

    async fn item(
        &self,
        key: &[u8],
        item: &Value,
        asking: &Asking<'_>,
        talk: &mut Talk<'_>,
    ) -> Outcome {
        if let Value::Text(name) = item {
            return self.member(key, name.as_bytes(), asking, talk).await;
        }
        // What is wrong with the key is told first.
        let shown = item.printed();
        match self.member(key, b"", asking, talk).await {
            Err(refusal) if refusal.status != StatusCode::INTERNAL_SERVER_ERROR => Err(refusal),
            _ => Err(Refusal::of_item(&shown)),
        }
    }

    async fn member(
        &self,
        key: &[u8],
        name: &[u8],
        asking: &Asking<'_>,
        talk: &mut Talk<'_>,
    ) -> Outcome {
        let words = [b"document.item", key, name];
        let reply = talk.ask(Id::DocumentItem, &words).await;
        self.show(reply, &Deed::load("item", key, Some(name)), asking, None)
    }

    async fn store(&self, key: &[u8], asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let condition = asking.condition();
        let mut deed = Deed::change("store", key, None);
        if asking.sent != Form::Json {
            if asking.sent == Form::Text && std::str::from_utf8(&asking.body).is_err() {
                let text = "failed to read request body, it is not UTF-8";
                return Err(Refusal::new(StatusCode::BAD_REQUEST, text));
            }
            deed.life = life_of_query(asking.query)?;
            let words = Storing::of_text(key, &asking.body, deed.life, &condition);
            let reply = talk.ask(Id::DocumentStore, &words.refs()).await;
            return self.show(reply, &deed, asking, None);
        }
        let store = body::store(&asking.body).map_err(|bad| Refusal::of_body(&bad))?;
        deed.life = store.life;
        let text = store.data.to_vec();
        let words = Storing::new(key, &store, &text, &condition);
        let reply = talk.ask(Id::DocumentStore, &words.refs()).await;
        self.show(reply, &deed, asking, Some(&text))
    }

    async fn delete(&self, key: &[u8], asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let condition = asking.condition();
        let if_match = condition.if_match.to_word();
        let if_none_match = condition.if_none_match.to_word();
        let words = [b"document.delete", key, &if_match, &if_none_match];
        let reply = talk.ask(Id::DocumentDelete, &words).await;
        self.show(reply, &Deed::change("delete", key, None), asking, None)
    }

    /// Changes one element.
    async fn change(&self, key: &[u8], asking: &Asking<'_>, talk: &mut Talk<'_>) -> Outcome {
        let mut digits = itoa::Buffer::new();
        let (op, part): (&'static str, Option<&[u8]>) =
            match (asking.resource, asking.method.as_str()) {
                (Resource::Append(_), _) => ("append", None),
                (Resource::Member(_, name), "PUT") => ("set-item", Some(name)),
                (Resource::Member(_, name), _) => ("delete-item", Some(name)),
                (Resource::Element(_, place), method) => {
                    let op = match method {
                        "PUT" => "set-index",
                        "POST" => "insert-index",
                        _ => "delete-index",
                    };
                    (op, Some(digits.format(*place).as_bytes()))
                }
                _ => return Ok(empty(StatusCode::NOT_FOUND)),
            };
        let mut deed = Deed::change(op, key, part);
        let (mut data, mut life) = (Vec::new(), Vec::new());
        if !op.starts_with("delete") {
            let store = body::store(&asking.body).map_err(|bad| Refusal::of_body(&bad))?;
            data = store.data.to_vec();
            deed.life = store.life;
            life = deed.life.map(millis).unwrap_or_default();
        }
        let condition = asking.condition();
        let if_match = condition.if_match.to_word();
        let if_none_match = condition.if_none_match.to_word();
        let words = [
            b"document.change",
            key,
            op.as_bytes(),
            part.unwrap_or_default(),
            &life,
            &if_match,
            &if_none_match,
            &data,
        ];
        let reply = talk.ask(Id::DocumentChange, &words).await;
        self.show(reply, &deed, asking, None)
    }

    /// The answer that a reply becomes. `data` is shown if the reply has none.
    fn show(
        &self,
        reply: &[u8],
        deed: &Deed<'_>,
        asking: &Asking<'_>,
        data: Option<&[u8]>,
    ) -> Outcome {
        let asked = &deed.asked;
        let document = match Said::read(reply) {
            Said::Document(document) => document,
            Said::Error(error) => return Err(form_refused(asking.wanted, asked.refused(error))),
            // What was changed has no element left, or was deleted.
            Said::Count(_) => DELETED,
            Said::Nothing if !deed.reads => DELETED,
            Said::Nothing => return Err(asked.missing()),
            Said::Other => return Err(asked.refused("ERR the store's reply is faulty")),
        };
        if deed.reads
            && let Some(answer) = conditional(&asking.condition(), &document, asked)?
        {
            return Ok(answer);
        }
        let mut answer = match asking.wanted {
            Form::Json => {
                let now = clock::moment().now;
                let envelope = Envelope {
                    action: deed.action,
                    document: &document,
                    life: deed.life,
                    accessed: if deed.reads { now } else { 0 },
                    now,
                    data: document.data.or(data),
                    node: self.site.owner_of(asked.key),
                };
                json(StatusCode::OK, envelope.to_body())
            }
            form => raw(form, &document, asked)?,
        };
        if document.version > 0 {
            tag(&mut answer, document.version);
        }
        Ok(answer)
    }
}

/// A type that is not shown in the form asked for.
fn form_refused(wanted: Form, mut refusal: Refusal) -> Refusal {
    if wanted != Form::Json && refusal.status == StatusCode::CONFLICT {
        refusal.status = StatusCode::NOT_ACCEPTABLE;
    }
    refusal
}

/// The bytes of a document as they are.
fn raw(form: Form, document: &Document<'_>, asked: &Asked<'_>) -> Outcome {
    let data = document.data.unwrap_or_default();
    if form == Form::Text && std::str::from_utf8(data).is_err() {
        return Err(asked.refused(crate::store::documents::NOT_TEXT));
    }
    let data = bytes::Bytes::copy_from_slice(data);
    Ok(of_type(StatusCode::OK, form.name(), data))
}

/// The answer to a request that depends on the version, if it is not the document.
fn conditional(
    condition: &Condition,
    document: &Document<'_>,
    asked: &Asked<'_>,
) -> Result<Option<Response<Body>>, Refusal> {
    let version = Some(document.version);
    if condition.if_match != Versions::None && !condition.if_match.names(version) {
        let error = format!("CONDITION {}", document.version);
        return Err(asked.refused(&error));
    }
    if !condition.if_none_match.names(version) {
        return Ok(None);
    }
    let mut answer = empty(StatusCode::NOT_MODIFIED);
    tag(&mut answer, document.version);
    Ok(Some(answer))
}

/// The life that a query gives: `?expire_time=10s`.
fn life_of_query(query: &str) -> Result<Option<GoDuration>, Refusal> {
    let Some(text) = parameter(query, "expire_time")? else {
        return Ok(None);
    };
    match GoDuration::parse(&String::from_utf8_lossy(&text)) {
        Ok(life) => Ok(Some(life)),
        Err(bad) => Err(Refusal::new(StatusCode::BAD_REQUEST, bad.to_string())),
    }
}

fn millis(life: GoDuration) -> Vec<u8> {
    let mut digits = itoa::Buffer::new();
    digits.format(life.to_millis()).as_bytes().to_vec()
}

/// The words of `document.store`.
pub struct Storing<'a> {
    key: &'a [u8],
    kind: &'static [u8],
    life: Vec<u8>,
    if_match: Vec<u8>,
    if_none_match: Vec<u8>,
    data: Vec<&'a [u8]>,
}

impl<'a> Storing<'a> {
    /// A JSON value, and its text.
    pub fn new(
        key: &'a [u8],
        store: &'a body::Store,
        text: &'a [u8],
        condition: &Condition,
    ) -> Storing<'a> {
        let (kind, data): (&'static [u8], Vec<&[u8]>) = if let Value::Text(text) = &store.data {
            (b"text", vec![text.as_bytes()])
        } else if let Some(texts) = store.data.as_texts() {
            (b"list", texts.map(str::as_bytes).collect())
        } else if let Some(members) = store.data.as_text_members() {
            let words = members.flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
            (b"hash", words.collect())
        } else {
            (b"json", vec![text])
        };
        Storing {
            kind,
            data,
            ..Storing::of_text(key, b"", store.life, condition)
        }
    }

    /// Bytes as they are.
    pub fn of_text(
        key: &'a [u8],
        text: &'a [u8],
        life: Option<GoDuration>,
        condition: &Condition,
    ) -> Storing<'a> {
        Storing {
            key,
            kind: b"text",
            life: millis(life.unwrap_or_default()),
            if_match: condition.if_match.to_word(),
            if_none_match: condition.if_none_match.to_word(),
            data: vec![text],
        }
    }

    /// The words.
    pub fn refs(&self) -> Vec<&[u8]> {
        let mut words: Vec<&[u8]> = Vec::with_capacity(6 + self.data.len());
        words.extend([
            b"document.store",
            self.key,
            self.kind,
            &self.life,
            &self.if_match,
            &self.if_none_match,
        ]);
        words.extend(&self.data);
        words
    }
}
