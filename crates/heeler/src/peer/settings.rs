//! What the nodes of a ring have to be started with alike, and who was not.
//!
//! Two nodes with other [terms](Terms) would name other owners of the same keys: neither executes
//! the other's requests, and a node that finds such a ring does not join it. With another number
//! of replicas or of acknowledgements each owner keeps its own promise, or cannot: that is told,
//! for it is how a ring is while its nodes are started anew with another number, one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use heeler_ringpop::Ringpop;
use heeler_ringpop::channel::{Call, Channel, ErrorCode, Request};
use heeler_ringpop::{Discovery, Response};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::keyspace::SERVICE;
use super::{Keeping, Tls};
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
}

impl Settings {
    /// Those of a node.
    pub fn new(terms: Terms, keeping: &Keeping) -> Settings {
        Settings {
            num_partitions: terms.partitions,
            hash_tags: terms.hash_tags,
            replicas: keeping.replicas.max(1),
            write_acks: keeping.write_acks.name().to_owned(),
        }
    }

    /// Those that another node has otherwise, as flags: there, and here.
    fn differences(&self, other: &Settings) -> Option<[String; 2]> {
        let tags = |of: &Settings| match of.hash_tags {
            true => "--hash-tags".to_owned(),
            false => "no --hash-tags".to_owned(),
        };
        let flags: [fn(&Settings) -> String; 3] = [
            |of| format!("--num-partitions {}", of.num_partitions),
            |of| format!("--replicas {}", of.replicas),
            |of| format!("--write-acks {}", of.write_acks),
        ];
        let all = flags.iter().map(|flag| [flag(other), flag(self)]);
        let all = all.chain([[tags(other), tags(self)]]);
        let (mut there, mut here) = (Vec::new(), Vec::new());
        for [theirs, ours] in all.filter(|[theirs, ours]| theirs != ours) {
            there.push(theirs);
            here.push(ours);
        }
        (!there.is_empty()).then(|| [there.join(" "), here.join(" ")])
    }

    /// Whether both name the same owner of each key.
    fn agree_about_owners(&self, other: &Settings) -> bool {
        (self.num_partitions, self.hash_tags) == (other.num_partitions, other.hash_tags)
    }

    /// What is to be told of a node that was started with others.
    pub fn told_of(&self, address: &str, other: &Settings) -> Option<String> {
        let [there, here] = self.differences(other)?;
        Some(format!("{address} was started with {there}, here {here}"))
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
        let told = serde_json::to_vec(&self.mine).unwrap_or_default();
        let answer = move |_: Call| {
            let told = told.clone();
            async move { Ok(Response::json(told)) }
        };
        ringpop
            .channel()
            .service(SERVICE)
            .endpoint(ENDPOINT, answer);
    }

    /// Asks a member that is new, or there anew, for its settings, and tells if they differ.
    pub(super) async fn compare(self: Arc<Self>, ringpop: Ringpop, address: String) {
        if address == ringpop.whoami() {
            return;
        }
        for asked in 0..limits::SETTINGS_TRIES {
            match ask(ringpop.channel(), &address).await {
                Asked::Settings(other) => return self.note(&address, other),
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
        if self.mine.agree_about_owners(&other) {
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
enum Asked {
    Settings(Settings),
    /// It keeps no keys.
    Other,
    /// It does not answer.
    Nobody,
}

async fn ask(channel: &Channel, address: &str) -> Asked {
    let request = Request::raw(SERVICE, SERVICE, ENDPOINT, "");
    let timeout = Duration::from_millis(limits::SETTINGS_MS);
    match channel.call(address, request, timeout).await {
        Ok(answer) => match serde_json::from_slice(&answer.arg3) {
            Ok(settings) if answer.is_ok() => Asked::Settings(settings),
            _ => Asked::Other,
        },
        Err(failure) if failure.code == ErrorCode::BadRequest => Asked::Other,
        Err(_) => Asked::Nobody,
    }
}

/// Looks, before this node joins, whether the ring that it will find names the same owners.
///
/// # Errors
/// It does not.
pub(super) async fn check(
    seeds: Option<Discovery>,
    mine: Settings,
    tls: Option<Tls>,
) -> anyhow::Result<()> {
    let Some(seeds) = seeds else {
        return Ok(());
    };
    // Joining says what is wrong with them.
    let Ok(addresses) = seeds.seeds().await else {
        return Ok(());
    };
    let mut channel = Channel::builder(SERVICE);
    if let Some(tls) = &tls {
        channel = channel.tls_client(tls.client()?);
    }
    let channel = channel.start().await?;
    let mut asked = JoinSet::new();
    for address in addresses {
        let channel = channel.clone();
        asked.spawn(async move { (ask(&channel, &address).await, address) });
    }
    while let Some(answer) = asked.join_next().await {
        let Ok((Asked::Settings(other), address)) = answer else {
            continue;
        };
        if !mine.agree_about_owners(&other) {
            let told = mine.told_of(&address, &other).unwrap_or_default();
            anyhow::bail!(
                "this node would name other owners of keys than the ring that it is to join: \
                 {told}. All nodes need the same --num-partitions and --hash-tags"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_told_as_flags() {
        let mine = Settings::new(Terms::default(), &Keeping::default());
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
            "a:1 was started with no --hash-tags, here --hash-tags"
        );
    }
}
