//! What the nodes of a ring have to be started with alike, and who was not.
//!
//! Two nodes with other [terms](Terms) would name other owners of the same keys: neither executes
//! the other's requests, and a node that finds such a ring does not join it. With another number
//! of replicas or of acknowledgements each owner keeps its own promise, or cannot: that is told,
//! for it is how a ring is while its nodes are started anew with another number, one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use heeler_ringpop::Response;
use heeler_ringpop::Ringpop;
use heeler_ringpop::channel::{Call, Channel, ErrorCode, Request};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::Keeping;
use super::keyspace::SERVICE;
use crate::limits;
use crate::route::Terms;

/// The endpoint of the service `heeler` that tells a node's [`Settings`].
const ENDPOINT: &str = "settings";

/// What the nodes of a ring have to be started with alike.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// `--num-partitions`.
    pub num_partitions: u32,
    /// `--hash-tags`.
    pub hash_tags: bool,
    /// `--replicas`.
    pub replicas: u32,
    /// `--write-acks`.
    pub write_acks: String,
    /// `--hash`: a node that has none takes that of the others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hash: Option<String>,
    /// `--identity`, which no two nodes may have alike.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub identity: Option<String>,
}

/// A flag of the command line as a node has it, if it has.
type Flag = (&'static str, Option<String>);

impl Settings {
    /// Those of a node.
    pub fn new(terms: Terms, keeping: &Keeping, identity: Option<&str>) -> Settings {
        Settings {
            num_partitions: terms.partitions,
            hash_tags: terms.hash_tags,
            replicas: keeping.replicas.max(1),
            write_acks: keeping.write_acks.name().to_owned(),
            hash: terms.hash.map(|hash| hash.name().to_owned()),
            identity: identity.map(str::to_owned),
        }
    }

    fn flags(&self) -> [Flag; 5] {
        let partitions = Some(self.num_partitions).filter(|&count| count > 0);
        [
            (
                "--num-partitions",
                partitions.map(|count| count.to_string()),
            ),
            ("--replicas", Some(self.replicas.to_string())),
            ("--write-acks", Some(self.write_acks.clone())),
            ("--hash-tags", self.hash_tags.then(String::new)),
            ("--hash", self.hash.clone()),
        ]
    }

    /// Those that another node has otherwise: there, and here.
    fn differences(&self, other: &Settings) -> Option<[String; 2]> {
        let (mut there, mut here) = (Vec::new(), Vec::new());
        for (theirs, ours) in other.flags().into_iter().zip(self.flags()) {
            let is_taken_over = ours.0 == "--hash" && self.may_share_hash(other);
            if theirs != ours && !is_taken_over {
                there.push(theirs);
                here.push(ours);
            }
        }
        (!there.is_empty()).then(|| [in_words("with ", &there), in_words("", &here)])
    }

    /// Whether both name the same owner of each key.
    pub(super) fn agree_about_owners(&self, other: &Settings) -> bool {
        self.num_partitions == other.num_partitions
            && self.hash_tags == other.hash_tags
            && self.may_share_hash(other)
            && !self.is_alike(other)
    }

    /// Whether one hash function can be that of both: who was told none takes the other's.
    fn may_share_hash(&self, other: &Settings) -> bool {
        self.hash.is_none() || other.hash.is_none() || self.hash == other.hash
    }

    /// Whether both have one name on the ring, where each needs its own.
    pub(super) fn is_alike(&self, other: &Settings) -> bool {
        self.identity.is_some() && self.identity == other.identity
    }

    /// What is to be told of a node that was started with others.
    pub fn told_of(&self, address: &str, other: &Settings) -> Option<String> {
        let differ = self.differences(other);
        let differ = differ.map(|[there, here]| format!("was started {there}, here {here}"));
        let alike = other.identity.as_ref().filter(|_| self.is_alike(other));
        let alike = alike.map(|name| {
            format!("has --identity {name}, as this node has, where each node needs its own")
        });
        let told: Vec<String> = differ.into_iter().chain(alike).collect();
        (!told.is_empty()).then(|| format!("{address} {}", told.join("; it ")))
    }
}

/// Flags that are there, after `with`, and those that are not.
fn in_words(with: &str, flags: &[Flag]) -> String {
    let told = |(name, value): &Flag| match value.as_deref()? {
        "" => Some((*name).to_owned()),
        value => Some(format!("{name} {value}")),
    };
    let (there, lacking): (Vec<&Flag>, _) = flags.iter().partition(|(_, value)| value.is_some());
    let there: Vec<String> = there.into_iter().filter_map(told).collect();
    let lacking: Vec<&str> = lacking.into_iter().map(|(name, _)| *name).collect();
    let there = (!there.is_empty()).then(|| format!("{with}{}", there.join(" ")));
    let lacking = (!lacking.is_empty()).then(|| format!("without {}", lacking.join(" ")));
    let words: Vec<String> = there.into_iter().chain(lacking).collect();
    words.join(" and ")
}

/// What a node tells whoever asks.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    #[serde(flatten)]
    pub(super) settings: Settings,
    /// The hash function of the ring that it is in, wherever it has it from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) ring_hash: Option<String>,
    /// The addresses of other members that have a name of their own on the ring, by that name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub(super) identities: BTreeMap<String, String>,
}

impl Told {
    fn of(settings: &Settings, ringpop: &Ringpop) -> Told {
        let named = ringpop.members().into_iter().filter_map(|member| {
            let identity = member.labels.as_ref()?.identity()?.to_owned();
            let other = member.status.in_ring() && *member.address != *ringpop.whoami();
            other.then(|| (identity, member.address.to_string()))
        });
        let hash = || ringpop.ring().hash().name().to_owned();
        Told {
            settings: settings.clone(),
            ring_hash: ringpop.is_ready().then(hash),
            identities: named.collect(),
        }
    }
}

/// This node's settings, and those of others that differ.
#[derive(Debug)]
pub(super) struct Alike {
    mine: Settings,
    others: Mutex<BTreeMap<String, Settings>>,
}

impl Alike {
    pub(super) fn new(mine: Settings) -> Alike {
        Alike {
            mine,
            others: Mutex::default(),
        }
    }

    pub(super) fn mine(&self) -> &Settings {
        &self.mine
    }

    /// The nodes that were started with others, whether they are up or not.
    pub(super) fn differing(&self) -> BTreeMap<String, Settings> {
        self.others.lock().clone()
    }

    /// Tells whoever asks.
    pub(super) fn serve(&self, ringpop: &Ringpop) {
        let (mine, channel) = (self.mine.clone(), ringpop.channel().clone());
        let ringpop = ringpop.clone();
        let answer = move |_: Call| {
            let told = serde_json::to_vec(&Told::of(&mine, &ringpop)).unwrap_or_default();
            async move { Ok(Response::json(told)) }
        };
        channel.service(SERVICE).endpoint(ENDPOINT, answer);
    }

    /// Asks a member that is new, or there anew, for its settings, and tells if they differ.
    pub(super) async fn compare(self: Arc<Self>, ringpop: Ringpop, address: String) {
        if address == ringpop.whoami() {
            return;
        }
        for asked in 0..limits::SETTINGS_TRIES {
            match ask(ringpop.channel(), &address).await {
                Asked::Told(told) => return self.note(&address, told.settings),
                // It may be about to offer its services.
                Asked::Other if asked > 2 => return,
                Asked::Other | Asked::Nobody => {}
            }
            tokio::time::sleep(Duration::from_millis(limits::SETTINGS_MS)).await;
        }
    }

    fn note(&self, address: &str, other: Settings) {
        let mut others = self.others.lock();
        let Some(told) = self.mine.told_of(address, &other) else {
            others.remove(address);
            return;
        };
        let before = others.insert(address.to_owned(), other.clone());
        if before.as_ref() == Some(&other) {
            return;
        }
        if self.mine.is_alike(&other) {
            tracing::error!("{told}: each of them takes the other's keys for its own; stop one");
        } else if self.mine.agree_about_owners(&other) {
            tracing::warn!(
                "{told}: writes may fail, or have fewer copies than they should, until all nodes \
                 have the same"
            );
        } else {
            tracing::error!(
                "{told}: the two name different owners of keys. Requests from one to the other \
                 are refused, and no keys are handed over; stop one of them"
            );
        }
    }
}

/// What comes of a question.
pub(super) enum Asked {
    Told(Box<Told>),
    /// It keeps no keys.
    Other,
    /// It does not answer.
    Nobody,
}

pub(super) async fn ask(channel: &Channel, address: &str) -> Asked {
    let request = Request::raw(SERVICE, SERVICE, ENDPOINT, "");
    let timeout = Duration::from_millis(limits::SETTINGS_MS);
    match channel.call(address, request, timeout).await {
        Ok(answer) => match serde_json::from_slice(&answer.arg3) {
            Ok(told) if answer.is_ok() => Asked::Told(Box::new(told)),
            _ => Asked::Other,
        },
        Err(failure) if failure.code == ErrorCode::BadRequest => Asked::Other,
        Err(_) => Asked::Nobody,
    }
}

#[cfg(test)]
impl Settings {
    /// Those of a node that was started with no flag but `--hash`, or without that, too.
    pub(super) fn of_hash(hash: Option<&str>) -> Settings {
        Settings {
            hash: hash.map(str::to_owned),
            ..Settings::new(Terms::default(), &Keeping::default(), None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_as_flags() {
        let mine = Settings::new(Terms::default(), &Keeping::default(), None);
        assert_eq!(mine.told_of("a:1", &mine), None);
        let other = Settings {
            replicas: 3,
            write_acks: "quorum".into(),
            ..mine.clone()
        };
        assert!(mine.agree_about_owners(&other));
        assert_eq!(
            mine.told_of("a:1", &other).unwrap(),
            "a:1 was started with --replicas 3 --write-acks quorum, here --replicas 1 \
             --write-acks 1"
        );
        let tagged = Settings {
            hash_tags: true,
            ..mine.clone()
        };
        assert!(!mine.agree_about_owners(&tagged));
        assert_eq!(
            tagged.told_of("a:1", &mine).unwrap(),
            "a:1 was started without --hash-tags, here --hash-tags"
        );
        let parted = Settings {
            num_partitions: 271,
            ..mine.clone()
        };
        assert_eq!(
            tagged.told_of("a:1", &parted).unwrap(),
            "a:1 was started with --num-partitions 271 and without --hash-tags, here --hash-tags \
             and without --num-partitions"
        );
    }

    #[test]
    fn a_hash_function_is_taken_over_and_a_name_is_one_nodes() {
        let with = |hash| Settings::of_hash(Some(hash));
        let (none, fingerprint) = (Settings::of_hash(None), with("fingerprint32"));
        let hash32v1 = with("hash32v1");
        assert!(none.agree_about_owners(&hash32v1) && hash32v1.agree_about_owners(&none));
        assert_eq!(none.told_of("a:1", &hash32v1), None);
        assert!(!fingerprint.agree_about_owners(&hash32v1));
        assert_eq!(
            fingerprint.told_of("a:1", &hash32v1).unwrap(),
            "a:1 was started with --hash hash32v1, here --hash fingerprint32"
        );
        let named = |name| Settings::new(Terms::default(), &Keeping::default(), Some(name));
        assert!(named("A").agree_about_owners(&named("B")));
        assert_eq!(named("A").told_of("a:1", &none), None);
        assert!(!named("A").agree_about_owners(&named("A")));
        assert_eq!(
            named("A").told_of("a:1", &named("A")).unwrap(),
            "a:1 has --identity A, as this node has, where each node needs its own"
        );
    }
}
