//! The bodies of `/protocol/*`, read leniently and written as ringpop-node writes them.
//!
//! Reading borrows from the bytes. A field that is missing or null is `None`; what follows from
//! that is up to who asked. Fields that are not known are skipped; one of a wrong kind is an error.
//! Whitespace around the object, such as the line end that ringpop-go adds, is nothing.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::json::{number_field, text, text_field};
use crate::{Labels, Status, limits};

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is too long.
    #[error("the body has {0} bytes, and {max} are allowed", max = limits::BODY_BYTES)]
    TooLong(usize),
    /// It is no JSON object.
    #[error("the body is no JSON object")]
    NoObject,
    /// It is not JSON, or a field is of a wrong kind, or there are too many changes.
    #[error("the body cannot be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// What a member says of another, or of itself.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Change<'a> {
    /// An identifier that nobody needs.
    pub id: Option<Cow<'a, str>>,
    /// Who said so first.
    pub source: Option<Cow<'a, str>>,
    /// The incarnation number that the source had.
    pub source_incarnation: Option<u64>,
    /// Of whom it is said. Empty if the body has none.
    pub address: Cow<'a, str>,
    /// What is said; tombstones are unwrapped. `None` if it is missing or not known.
    pub status: Option<Status>,
    /// Of which of its incarnations.
    pub incarnation: Option<u64>,
    /// What the member says of itself. `None` if the body has none.
    pub labels: Option<Labels>,
    /// Whether labels are beyond [`limits`].
    pub too_many_labels: bool,
}

impl Change<'_> {
    /// Appends the JSON object. Tombstones are wrapped: `faulty` with `"tombstone":true`.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(id) = &self.id {
            text_field(out, "\"id\":", id);
            out.push(b',');
        }
        if let Some(source) = &self.source {
            text_field(out, "\"source\":", source);
            out.push(b',');
        }
        if let Some(incarnation) = self.source_incarnation {
            number_field(out, "\"sourceIncarnationNumber\":", incarnation);
            out.push(b',');
        }
        write_claim(
            out,
            &self.address,
            self.status.unwrap_or(Status::Alive),
            self.incarnation.unwrap_or(0),
            self.labels.as_ref(),
        );
        out.push(b'}');
    }
}

/// Appends the fields of a change that say what is said.
pub(crate) fn write_claim(
    out: &mut Vec<u8>,
    address: &str,
    status: Status,
    incarnation: u64,
    labels: Option<&Labels>,
) {
    text_field(out, "\"address\":", address);
    let tombstone = status == Status::Tombstone;
    let status = if tombstone { Status::Faulty } else { status };
    text_field(out, ",\"status\":", status.name());
    number_field(out, ",\"incarnationNumber\":", incarnation);
    if tombstone {
        out.extend_from_slice(b",\"tombstone\":true");
    }
    if let Some(labels) = labels.filter(|labels| !labels.is_empty()) {
        out.extend_from_slice(b",\"labels\":");
        write_labels(out, labels);
    }
}

pub(crate) fn write_labels(out: &mut Vec<u8>, labels: &Labels) {
    for (i, (key, value)) in labels.iter().enumerate() {
        out.push(if i == 0 { b'{' } else { b',' });
        text(out, key);
        out.push(b':');
        text(out, value);
    }
    if labels.is_empty() {
        out.push(b'{');
    }
    out.push(b'}');
}

/// A struct of fields that may be missing.
macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$attribute:meta])* $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Default, Deserialize)]
        #[serde(default)]
        pub struct $name<'a> { $($(#[$attribute])* pub $field: Option<$type>,)* }

        impl<'a> $name<'a> {
            /// Reads a body.
            pub fn parse(body: &'a [u8]) -> Result<$name<'a>, BodyError> {
                if body.len() > limits::BODY_BYTES {
                    return Err(BodyError::TooLong(body.len()));
                }
                // serde would also take a list of the fields' values.
                if body.trim_ascii_start().first() != Some(&b'{') {
                    return Err(BodyError::NoObject);
                }
                Ok(serde_json::from_slice(body)?)
            }
        }
    )*};
}

bodies! {
    /// `/protocol/join`: who asks for the membership.
    JoinRequest {
        /// The name of the application.
        #[serde(borrow, deserialize_with = "string")]
        app: Cow<'a, str>,
        /// Who asks.
        #[serde(borrow, deserialize_with = "string")]
        source: Cow<'a, str>,
        /// Its incarnation number.
        #[serde(rename = "incarnationNumber", deserialize_with = "whole")]
        incarnation: u64,
    }
    /// The answer to a join: the whole membership.
    JoinResponse {
        /// The name of the application.
        #[serde(borrow, deserialize_with = "string")]
        app: Cow<'a, str>,
        /// Who answers.
        #[serde(borrow, deserialize_with = "string")]
        coordinator: Cow<'a, str>,
        /// The members.
        #[serde(borrow, deserialize_with = "changes")]
        membership: Vec<Change<'a>>,
        /// The checksum in the coordinator's form.
        #[serde(rename = "membershipChecksum", deserialize_with = "whole")]
        checksum: u64,
        /// The coordinator would take the hash function of any peer that knows its own. Ringpop
        /// has no such field: its members know.
        #[serde(rename = "hashIsProvisional")]
        hash_is_provisional: bool,
    }
    /// `/protocol/ping`.
    PingRequest {
        /// The checksum in the caller's form.
        #[serde(deserialize_with = "whole")]
        checksum: u64,
        /// What the caller has to tell.
        #[serde(borrow, deserialize_with = "changes")]
        changes: Vec<Change<'a>>,
        /// Who asks.
        #[serde(borrow, deserialize_with = "string")]
        source: Cow<'a, str>,
        /// Its application.
        #[serde(borrow, deserialize_with = "string")]
        app: Cow<'a, str>,
        /// Its incarnation number.
        #[serde(rename = "sourceIncarnationNumber", deserialize_with = "whole")]
        source_incarnation: u64,
    }
    /// The answer to a ping. ringpop-node's has only changes.
    PingResponse {
        /// What the peer has to tell. A list that is null is empty.
        #[serde(borrow, deserialize_with = "changes_or_none")]
        changes: Vec<Change<'a>>,
        /// The checksum in the peer's form (ringpop-go).
        #[serde(deserialize_with = "whole")]
        checksum: u64,
    }
    /// `/protocol/ping-req`.
    PingReqRequest {
        /// The checksum in the caller's form.
        #[serde(deserialize_with = "whole")]
        checksum: u64,
        /// What the caller has to tell.
        #[serde(borrow, deserialize_with = "changes")]
        changes: Vec<Change<'a>>,
        /// Who asks.
        #[serde(borrow, deserialize_with = "string")]
        source: Cow<'a, str>,
        /// Its incarnation number.
        #[serde(rename = "sourceIncarnationNumber", deserialize_with = "whole")]
        source_incarnation: u64,
        /// Whom to ping.
        #[serde(borrow, deserialize_with = "string")]
        target: Cow<'a, str>,
        /// Its application; Ringpop sends none.
        #[serde(borrow, deserialize_with = "string")]
        app: Cow<'a, str>,
    }
    /// The answer to a ping-req.
    PingReqResponse {
        /// What the peer has to tell. A list that is null is empty.
        #[serde(borrow, deserialize_with = "changes_or_none")]
        changes: Vec<Change<'a>>,
        /// Whether the target answered.
        #[serde(rename = "pingStatus")]
        ping_status: bool,
        /// Who was pinged.
        #[serde(borrow, deserialize_with = "string")]
        target: Cow<'a, str>,
    }
    /// `/protocol/damp-req`.
    DampReqRequest {
        /// Whose scores are wanted.
        #[serde(borrow)]
        flappers: Vec<Cow<'a, str>>,
    }
    /// The answer to a damp-req.
    DampReqResponse {
        /// Addresses and scores of those that are known.
        #[serde(borrow)]
        scores: Vec<Score<'a>>,
    }
}

/// A member's damp score.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Score<'a> {
    /// The member.
    #[serde(borrow)]
    pub member: Cow<'a, str>,
    /// Its score.
    #[serde(rename = "dampScore")]
    pub score: f64,
}

/// The wire's form of [`Change`].
#[derive(Deserialize, Default)]
#[serde(default)]
struct RawChange<'a> {
    #[serde(borrow, deserialize_with = "string")]
    id: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "string")]
    source: Option<Cow<'a, str>>,
    #[serde(rename = "sourceIncarnationNumber", deserialize_with = "whole")]
    source_incarnation: Option<u64>,
    #[serde(borrow, deserialize_with = "string")]
    address: Option<Cow<'a, str>>,
    #[serde(borrow, deserialize_with = "string")]
    status: Option<Cow<'a, str>>,
    #[serde(rename = "incarnationNumber", deserialize_with = "whole")]
    incarnation: Option<u64>,
    tombstone: Option<bool>,
    labels: Option<PeerLabels>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Change<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = RawChange::deserialize(from)?;
        let mut status = raw.status.as_deref().and_then(Status::from_name);
        if status == Some(Status::Faulty) && raw.tombstone == Some(true) {
            status = Some(Status::Tombstone);
        }
        let too_many_labels = raw.labels.as_ref().is_some_and(|labels| labels.too_many);
        Ok(Change {
            id: raw.id,
            source: raw.source,
            source_incarnation: raw.source_incarnation,
            address: raw.address.unwrap_or_default(),
            status,
            incarnation: raw.incarnation,
            labels: raw.labels.map(|labels| labels.labels),
            too_many_labels,
        })
    }
}

/// Labels up to their bounds.
#[derive(Default)]
struct PeerLabels {
    labels: Labels,
    too_many: bool,
}

impl<'de> Deserialize<'de> for PeerLabels {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = PeerLabels;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of strings")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PeerLabels, A::Error> {
                let mut all = PeerLabels::default();
                while let Some((key, value)) = map.next_entry::<Cow<'_, str>, Cow<'_, str>>()? {
                    let long = key.len().max(value.len()) > limits::PEER_LABEL_BYTES;
                    all.too_many |= long || all.labels.iter().len() >= limits::PEER_LABELS;
                    if !all.too_many {
                        all.labels.insert(key.into_owned(), value.into_owned());
                    }
                }
                Ok(all)
            }
        }
        from.deserialize_map(Pairs)
    }
}

/// A string or null, borrowed if it has no escapes.
fn string<'de: 'a, 'a, D>(from: D) -> Result<Option<Cow<'a, str>>, D::Error>
where
    D: Deserializer<'de>,
{
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Text<'a>>::deserialize(from)?.map(|text| text.0))
}

/// A whole number that is not negative, or null. JavaScript may write it with a fraction of 0.
fn whole<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Whole(u64);
    impl<'de> Deserialize<'de> for Whole {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_u64(Number).map(Whole)
        }
    }
    struct Number;
    impl Visitor<'_> for Number {
        type Value = u64;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a whole number from 0")
        }
        fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }
        fn visit_f64<E: de::Error>(self, number: f64) -> Result<u64, E> {
            let whole = number >= 0.0 && number <= limits::INCARNATION as f64;
            if whole && number.fract() == 0.0 {
                return Ok(number as u64);
            }
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }
    Ok(Option::<Whole>::deserialize(from)?.map(|whole| whole.0))
}

/// A list of changes or null.
fn changes<'de: 'a, 'a, D>(from: D) -> Result<Option<Vec<Change<'a>>>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Option::<Changes<'a>>::deserialize(from)?.map(|changes| changes.0))
}

/// A list of changes; null is one without any.
fn changes_or_none<'de: 'a, 'a, D>(from: D) -> Result<Option<Vec<Change<'a>>>, D::Error>
where
    D: Deserializer<'de>,
{
    Ok(Some(changes(from)?.unwrap_or_default()))
}

/// Not more than [`limits::CHANGES`].
struct Changes<'a>(Vec<Change<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Changes<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = Vec<Change<'de>>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {} changes", limits::CHANGES)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    if items.len() == limits::CHANGES {
                        return Err(de::Error::invalid_length(items.len() + 1, &self));
                    }
                    items.push(item);
                }
                Ok(items)
            }
        }
        from.deserialize_seq(Items).map(Changes)
    }
}
