//! Commands about when keys expire, and the times in the options of SET and GETEX.

use super::errors::{Error, Outcome, SYNTAX, invalid_expire_time, shown};
use super::numbers;
use super::slot::Slot;
use super::view::View;
use crate::command::{Command, Reply};

/// How a time is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// EX: seconds from now.
    InSeconds,
    /// PX: milliseconds from now.
    InMillis,
    /// EXAT: seconds since 1970.
    AtSecond,
    /// PXAT: milliseconds since 1970.
    AtMilli,
}

impl Time {
    /// The option of SET and GETEX with that name.
    pub(super) fn option(word: &[u8]) -> Option<Time> {
        const OPTIONS: [(&[u8], Time); 4] = [
            (b"ex", Time::InSeconds),
            (b"px", Time::InMillis),
            (b"exat", Time::AtSecond),
            (b"pxat", Time::AtMilli),
        ];
        let found = OPTIONS.iter().find(|(o, _)| word.eq_ignore_ascii_case(o));
        found.map(|(_, time)| *time)
    }

    /// Whether it is given as a distance from now.
    pub(super) fn is_relative(self) -> bool {
        matches!(self, Time::InSeconds | Time::InMillis)
    }

    /// The time in milliseconds since 1970, or `None` if it does not fit 64 bits.
    fn resolve(self, given: i64, now: u64) -> Option<i64> {
        let millis = match self {
            Time::InSeconds | Time::AtSecond => given.checked_mul(1000)?,
            Time::InMillis | Time::AtMilli => given,
        };
        if self.is_relative() {
            millis.checked_add(i64::try_from(now).ok()?)
        } else {
            Some(millis)
        }
    }

    /// The deadline that an option of SET, SETEX, GETEX gives: it must be positive.
    pub(super) fn positive_deadline(
        self,
        argument: &[u8],
        now: u64,
        command: &Command<'_>,
    ) -> Result<u64, Error> {
        let given = numbers::integer_argument(argument)?;
        let deadline = if given > 0 {
            self.resolve(given, now)
        } else {
            None
        };
        deadline
            .and_then(|at| u64::try_from(at).ok())
            .ok_or_else(|| invalid_expire_time(command))
    }
}

pub(super) fn expire(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_deadline(view, command, Time::InSeconds)
}

pub(super) fn pexpire(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_deadline(view, command, Time::InMillis)
}

pub(super) fn expireat(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_deadline(view, command, Time::AtSecond)
}

pub(super) fn pexpireat(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    set_deadline(view, command, Time::AtMilli)
}

pub(super) fn persist(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    if slot.deadline().is_none() {
        return Ok(Reply::Int(0));
    }
    slot.set_deadline(None);
    Ok(Reply::Int(1))
}

pub(super) fn ttl(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    deadline_reply(view, command, |at, now| {
        (at.saturating_sub(now) + 500) / 1000
    })
}

pub(super) fn pttl(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    deadline_reply(view, command, |at, now| at.saturating_sub(now))
}

pub(super) fn expiretime(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    deadline_reply(view, command, |at, _| (at + 500) / 1000)
}

pub(super) fn pexpiretime(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    deadline_reply(view, command, |at, _| at)
}

/// The deadline in the form asked for; -2 without the key, -1 without a deadline.
fn deadline_reply(
    view: &mut View<'_>,
    command: &Command<'_>,
    form: impl FnOnce(u64, u64) -> u64,
) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let now = slot.now();
    Ok(Reply::Int(match slot.inspect().map(|e| e.deadline()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at)) => form(at, now) as i64,
    }))
}

fn set_deadline(view: &mut View<'_>, command: &Command<'_>, time: Time) -> Outcome {
    let conditions = Conditions::parse(command)?;
    let given = numbers::integer_argument(command.arg(2))?;
    let Some(at) = time.resolve(given, view.now()) else {
        return Err(invalid_expire_time(command));
    };
    let mut slot = view.slot(command.arg(1));
    if !slot.exists() || !conditions.hold(slot.deadline(), at) {
        return Ok(Reply::Int(0));
    }
    set_or_remove(&mut slot, at);
    Ok(Reply::Int(1))
}

/// Sets a deadline that a client may have put into the past: then the key goes at once.
pub(super) fn set_or_remove(slot: &mut Slot<'_, '_>, at: i64) {
    match u64::try_from(at) {
        Ok(at) if at > slot.now() => slot.set_deadline(Some(at)),
        _ => {
            slot.remove();
        }
    }
}

/// When EXPIRE and its kin may change a deadline.
#[derive(Clone, Copy, Debug, Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(command: &Command<'_>) -> Result<Conditions, Error> {
        let mut found = Conditions::default();
        for word in command.args(3) {
            match word {
                w if w.eq_ignore_ascii_case(b"nx") => found.nx = true,
                w if w.eq_ignore_ascii_case(b"xx") => found.xx = true,
                w if w.eq_ignore_ascii_case(b"gt") => found.gt = true,
                w if w.eq_ignore_ascii_case(b"lt") => found.lt = true,
                w => return Err(format!("ERR Unsupported option {}", shown(w)).into()),
            }
        }
        if found.nx && (found.xx || found.gt || found.lt) {
            return Err(
                "ERR NX and XX, GT or LT options at the same time are not compatible".into(),
            );
        }
        if found.gt && found.lt {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(found)
    }

    /// No deadline counts as one that never comes.
    fn hold(self, old: Option<u64>, new: i64) -> bool {
        let Some(old) = old else {
            return !self.xx && !self.gt;
        };
        let (old, new) = (i128::from(old), i128::from(new));
        !self.nx && (!self.gt || new > old) && (!self.lt || new < old)
    }
}

/// The time options of SET and GETEX as they are read one by one: at most one kind of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TimeOption<'a>(Option<(Time, &'a [u8])>);

impl<'a> TimeOption<'a> {
    /// Notes an option with its argument. The same kind may come again; another may not.
    pub(super) fn set(&mut self, time: Time, argument: Option<&'a [u8]>) -> Result<(), Error> {
        match (self.0, argument) {
            (Some((other, _)), _) if other != time => Err(SYNTAX.into()),
            (_, None) => Err(SYNTAX.into()),
            (_, Some(argument)) => {
                self.0 = Some((time, argument));
                Ok(())
            }
        }
    }

    /// Whether none was given.
    pub(super) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// The deadline it stands for, with how it was given; `None` if none was given.
    pub(super) fn deadline(
        &self,
        now: u64,
        command: &Command<'_>,
    ) -> Result<Option<(Time, u64)>, Error> {
        let Some((time, argument)) = self.0 else {
            return Ok(None);
        };
        let deadline = time.positive_deadline(argument, now, command)?;
        Ok(Some((time, deadline)))
    }
}
