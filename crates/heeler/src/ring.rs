//! `heeler ring`: who is in a ring, whether they agree, and who owns a key.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context, bail};
use heeler_ringpop::channel::{Channel, ErrorCode, Request};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::peer::{self, Handover, Question, Shares, Tls};
use crate::run;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// A member: `host:port`.
    pub peer: String,
    /// Whose owners are told.
    pub keys: Vec<String>,
    /// As JSON, for programs.
    pub json: bool,
    /// Again and again, whenever something has changed.
    pub watch: bool,
    /// How long a member may take to answer.
    pub timeout: Duration,
    /// TLS, if members speak it.
    pub tls: Option<Tls>,
}

/// From one look to the next.
const EACH: Duration = Duration::from_secs(1);
/// The name that a request gives to who asks.
const CALLER: &str = "heeler-ring";

/// Asks, and prints.
///
/// # Errors
/// The member does not answer.
pub fn run(options: &Options) -> anyhow::Result<()> {
    run::control(async {
        let mut channel = Channel::builder(CALLER);
        if let Some(tls) = &options.tls {
            channel = channel.tls_client(tls.client()?);
        }
        let channel = channel.start().await?;
        let mut shown = String::new();
        loop {
            let seen = look(&channel, options).await;
            if !options.watch {
                print!("{}", show(&seen?, options.json)?);
                return Ok(());
            }
            let text = match seen {
                Ok(picture) => show(&picture, options.json)?,
                Err(error) => format!("{error:#}\n"),
            };
            if text != shown {
                println!("{text}");
                shown = text;
            }
            tokio::time::sleep(EACH).await;
        }
    })
}

/// A ring as its members see it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Picture {
    peer: String,
    membership_checksum: u32,
    ring_checksum: u32,
    members: Vec<Member>,
    owners: BTreeMap<String, String>,
    /// What the nodes own, if the one that is asked keeps keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    shares: Option<Shares>,
    /// How far the nodes are with what they take over and hand over.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    handovers: BTreeMap<String, Handover>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Member {
    address: String,
    status: String,
    incarnation_number: u64,
    in_ring: bool,
    /// What it says itself; `None` if it does not answer.
    membership_checksum: Option<u32>,
    ring_checksum: Option<u32>,
    agrees: bool,
}

/// What is read of `/admin/stats`.
#[derive(Debug, Deserialize)]
struct Stats {
    membership: Membership,
    ring: Ring,
}

#[derive(Debug, Deserialize)]
struct Membership {
    checksum: Option<u32>,
    members: Vec<Known>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Known {
    address: String,
    status: String,
    incarnation_number: u64,
}

#[derive(Debug, Deserialize)]
struct Ring {
    checksum: Option<u32>,
    servers: Vec<String>,
}

async fn look(channel: &Channel, options: &Options) -> anyhow::Result<Picture> {
    let stats = stats(channel, &options.peer, options.timeout).await?;
    let mut asked = JoinSet::new();
    for member in &stats.membership.members {
        if matches!(member.status.as_str(), "alive" | "suspect") {
            let (channel, address) = (channel.clone(), member.address.clone());
            let timeout = options.timeout;
            asked.spawn(async move {
                let stats = self::stats(&channel, &address, timeout).await;
                (address, stats.ok())
            });
        }
    }
    let said: BTreeMap<String, Option<Stats>> = asked.join_all().await.into_iter().collect();
    let (peer, timeout) = (&options.peer, options.timeout);
    let mut picture = picture(peer, &stats, &said, BTreeMap::new());
    match shares(channel, options).await? {
        Some(shares) => {
            picture.handovers = handovers(channel, &stats, timeout).await;
            let owners = shares.keys.iter();
            picture.owners = owners
                .map(|(key, place)| (key.clone(), place.owner.clone()))
                .collect();
            picture.shares = Some(shares);
        }
        // A member that keeps no keys knows the ring alone.
        None => {
            for key in &options.keys {
                let body = serde_json::json!({ "key": key }).to_string();
                let answer = ask(channel, peer, "/admin/lookup", body, timeout).await?;
                let answer: BTreeMap<String, String> = serde_json::from_slice(&answer)?;
                let owner = answer.get("dest").context("the answer names no owner")?;
                picture.owners.insert(key.clone(), owner.clone());
            }
        }
    }
    Ok(picture)
}

/// How far all are, those included that leave.
async fn handovers(
    channel: &Channel,
    stats: &Stats,
    timeout: Duration,
) -> BTreeMap<String, Handover> {
    let mut asked = JoinSet::new();
    for member in &stats.membership.members {
        if matches!(member.status.as_str(), "alive" | "suspect" | "leave") {
            let (channel, address) = (channel.clone(), member.address.clone());
            asked.spawn(async move {
                let request = Request::raw(peer::SERVICE, CALLER, peer::SHARES, "{}");
                let answer = channel.call(&address, request, timeout).await.ok()?;
                let shares: Shares = serde_json::from_slice(&answer.arg3).ok()?;
                Some((address, shares.handover?))
            });
        }
    }
    asked.join_all().await.into_iter().flatten().collect()
}

/// What the nodes own, if the member that is asked keeps keys.
async fn shares(channel: &Channel, options: &Options) -> anyhow::Result<Option<Shares>> {
    let keys = options.keys.clone();
    let body = serde_json::to_vec(&Question { keys })?;
    let request = Request::raw(peer::SERVICE, CALLER, peer::SHARES, body);
    match channel.call(&options.peer, request, options.timeout).await {
        Ok(answer) if answer.is_ok() => Ok(Some(serde_json::from_slice(&answer.arg3)?)),
        // It has no such service.
        Ok(_) => Ok(None),
        Err(failure) if failure.code == ErrorCode::BadRequest => Ok(None),
        Err(failure) => Err(failure).with_context(|| format!("{} does not answer", options.peer)),
    }
}

fn picture(
    peer: &str,
    stats: &Stats,
    said: &BTreeMap<String, Option<Stats>>,
    owners: BTreeMap<String, String>,
) -> Picture {
    let first = (stats.membership.checksum, stats.ring.checksum);
    let members = stats.membership.members.iter().map(|known| {
        let says = said.get(&known.address).and_then(Option::as_ref);
        let membership_checksum = says.and_then(|says| says.membership.checksum);
        let ring_checksum = says.and_then(|says| says.ring.checksum);
        Member {
            address: known.address.clone(),
            status: known.status.clone(),
            incarnation_number: known.incarnation_number,
            in_ring: stats.ring.servers.contains(&known.address),
            membership_checksum,
            ring_checksum,
            agrees: (membership_checksum, ring_checksum) == first,
        }
    });
    Picture {
        peer: peer.to_string(),
        membership_checksum: first.0.unwrap_or_default(),
        ring_checksum: first.1.unwrap_or_default(),
        members: members.collect(),
        owners,
        shares: None,
        handovers: BTreeMap::new(),
    }
}

async fn stats(channel: &Channel, peer: &str, timeout: Duration) -> anyhow::Result<Stats> {
    let answer = ask(channel, peer, "/admin/stats", String::new(), timeout).await?;
    serde_json::from_slice(&answer).with_context(|| format!("{peer} answers with other statistics"))
}

async fn ask(
    channel: &Channel,
    peer: &str,
    endpoint: &'static str,
    body: String,
    timeout: Duration,
) -> anyhow::Result<bytes::Bytes> {
    let request = Request::raw("ringpop", CALLER, endpoint, body);
    let answer = channel.call(peer, request, timeout).await;
    let answer = answer.with_context(|| format!("{peer} does not answer {endpoint}"))?;
    if !answer.is_ok() {
        bail!(
            "{peer} refuses {endpoint}: {}",
            String::from_utf8_lossy(&answer.arg3)
        );
    }
    Ok(answer.arg3)
}

fn show(picture: &Picture, json: bool) -> anyhow::Result<String> {
    if json {
        return Ok(serde_json::to_string(picture)? + "\n");
    }
    let mut text = format!(
        "{}: {} members, {} in the ring; membership checksum {}, ring checksum {}\n\n",
        picture.peer,
        picture.members.len(),
        picture
            .members
            .iter()
            .filter(|member| member.in_ring)
            .count(),
        picture.membership_checksum,
        picture.ring_checksum,
    );
    let widest = picture
        .members
        .iter()
        .map(|member| member.address.len())
        .max();
    let width = widest.unwrap_or(0).max("member".len());
    let _ = writeln!(
        text,
        "{:width$}  {:<9}  {:<4}  {:>13}  {:>10}  {:>10}",
        "member", "status", "ring", "incarnation", "membership", "ring"
    );
    for member in &picture.members {
        let number = |checksum: Option<u32>| checksum.map_or("-".into(), |c| c.to_string());
        let remark = match (member.membership_checksum, member.agrees) {
            (Some(_), false) => "  differs",
            (None, _) if matches!(member.status.as_str(), "alive" | "suspect") => "  no answer",
            _ => "",
        };
        let _ = writeln!(
            text,
            "{:width$}  {:<9}  {:<4}  {:>13}  {:>10}  {:>10}{remark}",
            member.address,
            member.status,
            if member.in_ring { "yes" } else { "no" },
            member.incarnation_number,
            number(member.membership_checksum),
            number(member.ring_checksum),
        );
    }
    if let Some(shares) = &picture.shares {
        show_shares(shares, &mut text);
    }
    show_handovers(&picture.handovers, &mut text);
    if !picture.owners.is_empty() {
        text.push('\n');
    }
    for (key, owner) in &picture.owners {
        let place = picture
            .shares
            .as_ref()
            .and_then(|shares| shares.keys.get(key));
        let _ = match place.and_then(|place| place.partition) {
            Some(partition) => {
                writeln!(text, "{key} is in partition {partition}, owned by {owner}")
            }
            None => writeln!(text, "{key} is owned by {owner}"),
        };
    }
    Ok(text)
}

fn show_shares(shares: &Shares, text: &mut String) {
    let tags = if shares.hash_tags {
        ", keys placed by their tags"
    } else {
        ""
    };
    let _ = match shares.partitions {
        0 => writeln!(text, "\nno partitions{tags}"),
        count => writeln!(text, "\n{count} partitions{tags}"),
    };
    for (address, share) in &shares.nodes {
        let _ = match share.partitions {
            Some(count) => writeln!(text, "{address} owns {count}, {:.2} %", share.percent),
            None => writeln!(text, "{address} owns {:.2} % of the keys", share.percent),
        };
    }
    let mine = shares.settings.as_ref();
    for (address, other) in &shares.differing {
        if let Some(told) = mine.and_then(|mine| mine.told_of(address, other)) {
            let _ = writeln!(text, "{told} ({})", shares.me);
        }
    }
}

fn show_handovers(handovers: &BTreeMap<String, Handover>, text: &mut String) {
    if !handovers.is_empty() {
        text.push('\n');
    }
    for (address, handover) in handovers {
        let Handover {
            incoming_ranges: takes,
            incoming_copies: copies,
            outgoing_ranges: gives,
            ..
        } = handover;
        let _ = match handover.settled {
            true => writeln!(text, "{address} has all that it holds"),
            false => writeln!(
                text,
                "{address} takes over {takes} ranges and copies of {copies}, hands over {gives} \
                 ({} keys taken, {} given)",
                handover.keys_taken, handover.keys_given,
            ),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_as_a_table() {
        let stats = |checksum| {
            let text = serde_json::json!({
                "membership": {"checksum": checksum, "members": [
                    {"address": "127.0.0.1:3000", "status": "alive", "incarnationNumber": 1},
                    {"address": "127.0.0.1:3001", "status": "alive", "incarnationNumber": 2},
                    {"address": "127.0.0.1:3002", "status": "faulty", "incarnationNumber": 3},
                    {"address": "127.0.0.1:3003", "status": "suspect", "incarnationNumber": 4},
                ]},
                "ring": {"checksum": 7, "servers": ["127.0.0.1:3000", "127.0.0.1:3001"]},
            });
            serde_json::from_value::<Stats>(text).unwrap()
        };
        let said = [
            ("127.0.0.1:3000", Some(stats(5))),
            ("127.0.0.1:3001", Some(stats(6))),
            ("127.0.0.1:3003", None),
        ];
        let said = said
            .map(|(address, stats)| (address.to_string(), stats))
            .into();
        let owners = [("k".to_string(), "127.0.0.1:3001".to_string())].into();
        let picture = picture("127.0.0.1:3000", &stats(5), &said, owners);
        let expected = "\
127.0.0.1:3000: 4 members, 2 in the ring; membership checksum 5, ring checksum 7

member          status     ring    incarnation  membership        ring
127.0.0.1:3000  alive      yes               1           5           7
127.0.0.1:3001  alive      yes               2           6           7  differs
127.0.0.1:3002  faulty     no                3           -           -
127.0.0.1:3003  suspect    no                4           -           -  no answer

k is owned by 127.0.0.1:3001
";
        assert_eq!(show(&picture, false).unwrap(), expected);
        let json: serde_json::Value = serde_json::from_str(&show(&picture, true).unwrap()).unwrap();
        assert_eq!(json["members"][1]["agrees"], false);
        assert_eq!(json["owners"]["k"], "127.0.0.1:3001");
    }
}
