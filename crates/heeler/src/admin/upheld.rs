//! The parameters of CONFIG whose promise a store keeps whatever they say: they are taken as Redis
//! takes them and told again, so that scripts for a Redis run, and change nothing.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::config::{no_answer, out_of_range, said, yes_no};
use crate::command::number::integer;

/// What a parameter may be.
#[derive(Clone, Copy, Debug)]
enum Kind {
    YesNo,
    Within(i64, i64),
}

/// How long a script may run before others are told so. There are no scripts.
const BUSY: Kind = Kind::Within(0, i64::MAX);

/// Their names, what they may be and what they are at first, as in Redis; of two names of one, the
/// second stands for the first.
const PARAMETERS: [(&[&str], Kind, i64); 4] = [
    // What is due is removed by the time, however much it is.
    (&["active-expire-effort"], Kind::Within(1, 10), 1),
    // Tables grow with the commands that need it, a shard at a time.
    (&["activerehashing"], Kind::YesNo, 1),
    (&["busy-reply-threshold", "lua-time-limit"], BUSY, 5000),
    // The background has as much to do for many clients as for few.
    (&["dynamic-hz"], Kind::YesNo, 1),
];

/// Their values.
#[derive(Debug)]
pub(super) struct Upheld([AtomicI64; PARAMETERS.len()]);

impl Default for Upheld {
    fn default() -> Upheld {
        Upheld(PARAMETERS.map(|(_, _, value)| value.into()))
    }
}

/// Which of them has a name.
fn named(name: &str) -> Option<usize> {
    PARAMETERS
        .iter()
        .position(|(names, ..)| names.contains(&name))
}

/// What is wrong with a value for a parameter, if something is; `None` where it is none of them.
pub(super) fn refuses(name: &str, value: &[u8]) -> Option<Option<String>> {
    let (_, kind, _) = PARAMETERS[named(name)?];
    Some(match kind {
        Kind::YesNo => no_answer(value),
        Kind::Within(least, most) => out_of_range(value, least, most),
    })
}

impl Upheld {
    /// The parameters with their values.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'static str, String)> {
        let values = self.0.iter().map(|value| value.load(Relaxed));
        let known = PARAMETERS.into_iter().zip(values);
        known.flat_map(|((names, kind, _), value)| {
            let told = match kind {
                Kind::YesNo => yes_no(value != 0),
                Kind::Within(..) => value.to_string(),
            };
            names.iter().map(move |name| (*name, told.clone()))
        })
    }

    /// Sets one of them to what is not [refused](refuses); whether it is one.
    pub(super) fn set(&self, name: &str, value: &[u8]) -> bool {
        let Some(index) = named(name) else {
            return false;
        };
        let number = match PARAMETERS[index].1 {
            Kind::YesNo => said(value).map(i64::from),
            Kind::Within(..) => integer(value),
        };
        number
            .into_iter()
            .for_each(|number| self.0[index].store(number, Relaxed));
        true
    }
}
