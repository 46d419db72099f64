//! What a node finds out before it joins a ring: whether it may.

use std::collections::BTreeMap;

use anyhow::bail;
use heeler_ringpop::Discovery;
use heeler_ringpop::channel::Channel;
use tokio::task::JoinSet;

use super::settings::{Asked, Settings, Told, ask};

/// Looks whether the ring that this node will find names the same owners.
///
/// # Errors
/// It does not, or another node there has this one's name.
pub(super) async fn check(
    channel: &Channel,
    seeds: Option<Discovery>,
    mine: &Settings,
) -> anyhow::Result<()> {
    let Some(seeds) = seeds else {
        return Ok(());
    };
    // Joining says what is wrong with them.
    let Ok(mut addresses) = seeds.seeds().await else {
        return Ok(());
    };
    addresses.retain(|address| address != channel.host_port());
    let told = ask_all(channel, addresses).await;
    for (address, told) in &told {
        may_join(mine, address, told)?;
    }
    has_its_name_alone(channel, mine, &told).await
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
    use crate::peer::Keeping;
    use crate::route::Terms;

    #[test]
    fn a_ring_places_keys_by_one_hash_function_wherever_it_has_it_from() {
        let none = Settings::new(Terms::default(), &Keeping::default(), None);
        let with = |hash: &str| Settings {
            hash: Some(hash.to_owned()),
            ..none.clone()
        };
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
