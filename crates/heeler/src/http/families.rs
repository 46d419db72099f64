//! Numbers of commands by their family, of pools and of a store.

use std::fmt;

use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

use super::metrics::{About, Waits, family};
use crate::command::Family;
use crate::stats::{CommandTotals, ErrorKind};

/// The commands of a pool, by its name; those of a store have none.
pub(super) type Commands<'a> = (Option<&'a str>, &'a CommandTotals);

/// Requests, errors, waits and bytes.
pub(super) fn of_commands(
    encoder: &mut DescriptorEncoder<'_>,
    all: &[Commands<'_>],
) -> fmt::Result {
    let asked: Vec<(Labels<'_>, &CommandTotals, Family)> = all
        .iter()
        .flat_map(|(pool, totals)| {
            let asked = Family::ALL.into_iter();
            let asked = asked.filter(|f| totals.requests[*f as usize] > 0);
            asked.map(|f| (labels(*pool, [("family", f.name())]), *totals, f))
        })
        .collect();
    let each = asked.iter().map(|(labels, totals, family)| {
        let requests = totals.requests[*family as usize];
        (&labels[..], ConstCounter::new(requests))
    });
    let about = ("command_requests", "Requests of clients", None);
    family(encoder, about, each)?;
    let each = asked
        .iter()
        .map(|(labels, totals, family)| (&labels[..], Waits(&totals.waits[*family as usize])));
    let help = "Time from reading a client's request to writing its reply";
    let about = ("command_latency", help, Some(&Unit::Seconds));
    family(encoder, about, each)?;
    errors(encoder, all)?;
    bytes(encoder, all)
}

type Labels<'a> = Vec<(&'a str, &'a str)>;

fn labels<'a, const N: usize>(pool: Option<&'a str>, more: [(&'a str, &'a str); N]) -> Labels<'a> {
    pool.map(|pool| ("pool", pool))
        .into_iter()
        .chain(more)
        .collect()
}

/// All kinds for each pool, so that alerts find a number from the start; and those that have
/// happened by family.
fn errors(encoder: &mut DescriptorEncoder<'_>, all: &[Commands<'_>]) -> fmt::Result {
    let mut of_kind = Vec::new();
    let mut of_family = Vec::new();
    for (pool, totals) in all {
        for kind in ErrorKind::ALL {
            let label = ("kind", kind.name());
            of_kind.push((labels(*pool, [label]), totals.errors_of(kind)));
            for family in Family::ALL {
                let count = totals.errors[family as usize][kind as usize];
                if count > 0 {
                    let both = [("family", family.name()), label];
                    of_family.push((labels(*pool, both), count));
                }
            }
        }
    }
    let help = "Requests that were answered with an error";
    counters(encoder, ("request_errors", help, None), &of_kind)?;
    let help = "Requests that were answered with an error, by family";
    counters(encoder, ("command_errors", help, None), &of_family)
}

fn bytes(encoder: &mut DescriptorEncoder<'_>, all: &[Commands<'_>]) -> fmt::Result {
    let of = |i: usize| -> Vec<(Labels<'_>, u64)> {
        let pools = all.iter().filter(|(pool, _)| pool.is_some());
        pools
            .map(|(pool, totals)| (labels(*pool, []), totals.bytes[i]))
            .collect()
    };
    let bytes = Some(&Unit::Bytes);
    let about = ("pool_client_received", "Bytes read from clients", bytes);
    counters(encoder, about, &of(0))?;
    let about = ("pool_client_sent", "Bytes written to clients", bytes);
    counters(encoder, about, &of(1))
}

pub(super) fn counters(
    encoder: &mut DescriptorEncoder<'_>,
    about: About<'_>,
    each: &[(Labels<'_>, u64)],
) -> fmt::Result {
    let each = each.iter();
    let each = each.map(|(labels, count)| (&labels[..], ConstCounter::new(*count)));
    family(encoder, about, each)
}
