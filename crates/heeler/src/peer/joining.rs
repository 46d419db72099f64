//! What a node finds out before it joins a ring: whether it may.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use heeler_ringpop::Discovery;
use heeler_ringpop::channel::Channel;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Options;
use super::calling_back::{Callable, Found};
use super::settings::{Asked, Settings, Told, ask};
use crate::limits;

/// A node that is to join.
pub(super) struct Joining {
    /// Where the first members are found.
    seeds: Option<Discovery>,
    /// What it was started with.
    settings: Settings,
    /// As whom others find it.
    pub(super) callable: Arc<Callable>,
    /// Whether the address that it tells is another than the one to listen on.
    advertises: bool,
}

impl Joining {
    pub(super) fn new(options: &Options, settings: &Settings, callable: &Arc<Callable>) -> Joining {
        Joining {
            seeds: options.seeds.clone(),
            settings: settings.clone(),
            callable: callable.clone(),
            advertises: options.advertise.is_some(),
        }
    }

    /// Looks whether the ring that this node will find names the same owners, and whether the
    /// others can call it.
    ///
    /// # Errors
    /// They do not or cannot, or another node there has this one's name.
    pub(super) async fn check(&self, channel: &Channel) -> anyhow::Result<()> {
        let (mine, own) = (&self.settings, channel.host_port());
        // Joining says what is wrong with them.
        let mut addresses = match &self.seeds {
            Some(seeds) => seeds.seeds().await.unwrap_or_default(),
            None => Vec::new(),
        };
        addresses.retain(|address| address != own);
        let told = ask_all(channel, addresses).await;
        for (address, told) in &told {
            may_join(mine, address, told)?;
        }
        has_its_name_alone(channel, mine, &told).await?;
        let asked: Vec<&str> = told.keys().map(String::as_str).collect();
        match can_be_called(&self.callable, channel, &asked).await {
            Called::Once => Ok(()),
            Called::Never(why) => bail!(why),
            Called::Unknown if self.advertises => {
                match self.callable.look_at_itself(channel).await {
                    Found::Another => bail!(cannot_be_called(own, &[(own, Found::Another)])),
                    // From within it may look different than from outside.
                    _ => Ok(()),
                }
            }
            Called::Unknown => Ok(()),
        }
    }
}

/// Whether others can call this node.
#[derive(Debug, PartialEq)]
pub(super) enum Called {
    /// One of them has.
    Once,
    /// None of them can: who, and what to do.
    Never(String),
    /// There is none that says so.
    Unknown,
}

/// Asks some nodes to call this one, and again while none of them can.
pub(super) async fn can_be_called(
    callable: &Arc<Callable>,
    channel: &Channel,
    nodes: &[&str],
) -> Called {
    let began = Instant::now();
    loop {
        let mut asked = JoinSet::new();
        for &node in nodes.iter().take(limits::ASKED_TO_CALL_BACK) {
            let (callable, channel) = (callable.clone(), channel.clone());
            let node = node.to_owned();
            asked.spawn(async move { (callable.ask(&channel, &node).await, node) });
        }
        let answers = asked.join_all().await;
        let found = answers.iter();
        let mut found: Vec<(&str, Found)> = found
            .filter_map(|(found, node)| Some((node.as_str(), (*found)?)))
            .collect();
        found.sort_by_key(|(node, _)| *node);
        match found.as_slice() {
            [] => return Called::Unknown,
            found if found.iter().any(|(_, found)| *found == Found::Itself) => {
                return Called::Once;
            }
            found if began.elapsed() >= patience(found) => {
                return Called::Never(cannot_be_called(channel.host_port(), found));
            }
            _ => tokio::time::sleep(Duration::from_millis(limits::CALLABLE_PAUSE_MS)).await,
        }
    }
}

/// How long it may take until somebody can call this node, after what was found.
fn patience(found: &[(&str, Found)]) -> Duration {
    let is_silent = |found: &Found| matches!(found, Found::Late | Found::Mute);
    Duration::from_millis(match found.iter().all(|(_, found)| is_silent(found)) {
        true => limits::CALLABLE_LATE_MS,
        false => limits::CALLABLE_MS,
    })
}

/// What is to be told of a node that these cannot call at its address.
fn cannot_be_called(address: &str, found: &[(&str, Found)]) -> String {
    let each = found
        .iter()
        .map(|(node, found)| format!("{node}: {}", found.words()));
    let each: Vec<String> = each.collect();
    let remedy = found.first().map_or("", |(_, found)| found.remedy());
    format!(
        "this node cannot be called at {address}, the address that it tells the others ({}): \
         nobody would reach the keys that it owned. It {remedy}",
        each.join("; ")
    )
}

/// Those that answer.
async fn ask_all(
    channel: &Channel,
    addresses: impl IntoIterator<Item = String>,
) -> BTreeMap<String, Told> {
    let mut asked = JoinSet::new();
    for address in addresses {
        let channel = channel.clone();
        asked.spawn(async move { (ask(&channel, &address).await, address) });
    }
    let answers = asked.join_all().await.into_iter();
    let told = answers.filter_map(|(answer, address)| match answer {
        Asked::Told(told) => Some((address, *told)),
        Asked::Other | Asked::Nobody => None,
    });
    told.collect()
}

/// Whether a node with these settings may join the ring of one that tells this.
fn may_join(mine: &Settings, address: &str, told: &Told) -> anyhow::Result<()> {
    let theirs = &told.settings;
    if !mine.agree_about_owners(theirs) {
        let told = mine.told_of(address, theirs).unwrap_or_default();
        if mine.is_alike(theirs) {
            bail!("this node must not join: {told}");
        }
        bail!(
            "this node would name other owners of keys than the ring that it is to join: {told}. \
             All nodes need the same --num-partitions, --hash-tags and --hash"
        );
    }
    match (&mine.hash, &told.ring_hash) {
        (Some(ours), Some(theirs)) if ours != theirs => bail!(
            "this node would name other owners of keys than the ring that it is to join: that of \
             {address} places them by {theirs}, here --hash {ours}. All nodes need the same \
             --hash; without it a node takes that of the ring"
        ),
        _ => Ok(()),
    }
}

/// Whether no other node that is up has this one's name. One that is gone may be this node, which
/// has come back with another address.
async fn has_its_name_alone(
    channel: &Channel,
    mine: &Settings,
    told: &BTreeMap<String, Told>,
) -> anyhow::Result<()> {
    let Some(name) = &mine.identity else {
        return Ok(());
    };
    let mut named: Vec<String> = told
        .values()
        .filter_map(|told| told.identities.get(name).cloned())
        .filter(|address| address != channel.host_port())
        .collect();
    named.sort();
    named.dedup();
    for (address, told) in ask_all(channel, named).await {
        may_join(mine, &address, &told)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_could_not_call_is_told_and_what_to_do() {
        let found = [("a:1", Found::Refused), ("b:1", Found::Late)];
        assert_eq!(
            cannot_be_called("c:1", &found),
            "this node cannot be called at c:1, the address that it tells the others (a:1: the \
             connection is refused; b:1: nothing comes back in time): nobody would reach the keys \
             that it owned. It has to --advertise HOST:PORT with an address at which they reach \
             it, and firewalls have to let them"
        );
        let told = cannot_be_called("c:1", &[("a:1", Found::Certificate)]);
        assert!(told.contains("--tls-cert"), "{told}");
    }

    #[test]
    fn who_may_only_be_slow_has_more_time() {
        let patience = |found: &[Found]| {
            let found: Vec<(&str, Found)> = found.iter().map(|found| ("a:1", *found)).collect();
            super::patience(&found)
        };
        let (short, long) = (
            Duration::from_millis(limits::CALLABLE_MS),
            Duration::from_millis(limits::CALLABLE_LATE_MS),
        );
        assert_eq!(patience(&[Found::Late, Found::Mute]), long);
        assert_eq!(patience(&[Found::Late, Found::Refused]), short);
        assert_eq!(patience(&[Found::Certificate]), short);
    }

    #[test]
    fn a_ring_places_keys_by_one_hash_function_wherever_it_has_it_from() {
        let none = Settings::of_hash(None);
        let with = |hash| Settings::of_hash(Some(hash));
        let told = |settings: &Settings, ring_hash: Option<&str>| Told {
            settings: settings.clone(),
            ring_hash: ring_hash.map(str::to_owned),
            identities: BTreeMap::new(),
        };
        let mine = with("hash32v1");
        for (told, said) in [
            (told(&none, None), None),
            (told(&none, Some("hash32v1")), None),
            (told(&mine, Some("hash32v1")), None),
            (
                told(&none, Some("fingerprint32")),
                Some("that of a:1 places them by fingerprint32, here --hash hash32v1"),
            ),
            (
                told(&with("fingerprint32"), None),
                Some("was started with --hash fingerprint32, here --hash hash32v1"),
            ),
        ] {
            let refused = may_join(&mine, "a:1", &told).err().map(|e| e.to_string());
            let matches = match (&refused, said) {
                (Some(refused), Some(said)) => refused.contains(said),
                (refused, said) => refused.is_none() && said.is_none(),
            };
            assert!(matches, "{told:?}: {refused:?}");
            assert!(may_join(&none, "a:1", &told).is_ok());
        }
    }
}
