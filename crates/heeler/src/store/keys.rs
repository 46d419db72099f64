//! Commands about keys of any type.

use super::errors::Outcome;
use super::view::View;
use crate::command::{Command, Reply};

pub(super) fn del(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let removed = command
        .args(1)
        .filter(|key| view.slot(key).remove().is_some());
    Ok(Reply::Int(removed.count() as i64))
}

pub(super) fn exists(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let found = command
        .args(1)
        .filter(|key| view.slot(key).inspect().is_some());
    Ok(Reply::Int(found.count() as i64))
}

pub(super) fn touch(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let found = command
        .args(1)
        .filter(|key| view.slot(key).read().is_some());
    Ok(Reply::Int(found.count() as i64))
}

pub(super) fn kind(view: &mut View<'_>, command: &Command<'_>) -> Outcome {
    let mut slot = view.slot(command.arg(1));
    let name = slot.inspect().map_or("none", |entry| entry.kind().name());
    Ok(Reply::Status(name))
}
