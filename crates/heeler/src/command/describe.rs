//! `COMMAND` and its subcommands: what the table says, as a reply.

use super::arguments::arguments;
use super::deprecated::{deprecated, is_of_system};
use super::key_spec::{Begin, Find, KeySpec, KeyUse};
use super::pattern::matches;
use super::{Command, Flags, Id, Keys, Reply, Spec, TABLE, find_subcommand, resolve, subcommands};

/// The reply to `COMMAND` or one of its subcommands. `served` tells which lines this door serves:
/// only those exist for the client. A container exists if one of its subcommands does.
pub fn describe(command: &Command<'_>, served: impl Fn(&Spec) -> bool) -> Reply {
    let door = Door(&served);
    match command.spec.id {
        Id::Command => Reply::Array(door.commands().map(|s| info(s, &door)).collect()),
        Id::CommandCount => Reply::Int(door.commands().count() as i64),
        Id::CommandDocs => docs(command, &door),
        Id::CommandGetkeys => getkeys(command, &door, |key, _| Reply::bulk(key)),
        Id::CommandGetkeysandflags => getkeys(command, &door, |key, uses| {
            Reply::Array(vec![Reply::bulk(key), statuses(uses.names())])
        }),
        Id::CommandHelp => Reply::Array(HELP.iter().copied().map(Reply::Status).collect()),
        Id::CommandInfo => infos(command, &door),
        Id::CommandList => list(command, &door),
        _ => command.unknown(served),
    }
}

/// The lines that a door serves.
struct Door<'a>(&'a dyn Fn(&Spec) -> bool);

impl Door<'_> {
    fn shows(&self, spec: &Spec) -> bool {
        !spec.flags.has(Flags::HIDDEN) && spec.is_shown(self.0)
    }

    /// All commands, without their subcommands.
    fn commands(&self) -> impl Iterator<Item = &'static Spec> {
        self.lines().filter(|s| !s.is_subcommand())
    }

    /// All commands and subcommands.
    fn lines(&self) -> impl Iterator<Item = &'static Spec> {
        TABLE.iter().filter(|s| self.shows(s))
    }

    fn subcommands(&self, spec: &Spec) -> impl Iterator<Item = &'static Spec> {
        subcommands(spec).iter().filter(|s| self.shows(s))
    }

    /// The line of a name; a subcommand's is written `container|subcommand`.
    fn named(&self, name: &[u8]) -> Option<&'static Spec> {
        let mut words = name.splitn(2, |&b| b == b'|');
        let spec = super::find(words.next()?)?;
        let spec = match words.next() {
            Some(word) => find_subcommand(spec, word)?,
            None => spec,
        };
        self.shows(spec).then_some(spec)
    }
}

/// `COMMAND INFO [name …]`: null for a name that is none.
fn infos(command: &Command<'_>, door: &Door<'_>) -> Reply {
    if command.len() == 2 {
        return Reply::Array(door.commands().map(|s| info(s, door)).collect());
    }
    let named = |name| door.named(name).map_or(Reply::Null, |s| info(s, door));
    Reply::Array(command.args(2).map(named).collect())
}

/// The ten elements of one command.
fn info(spec: &Spec, door: &Door<'_>) -> Reply {
    let (first, last, step) = legacy_range(spec.keys);
    let movable = (!matches!(spec.keys, Keys::Keyless | Keys::Range(..))).then_some("movablekeys");
    let parts: Vec<Reply> = door.subcommands(spec).map(|s| info(s, door)).collect();
    Reply::Array(vec![
        Reply::bulk(spec.name),
        Reply::Int(spec.arity.into()),
        statuses(spec.flags.names().chain(movable)),
        Reply::Int(first),
        Reply::Int(last),
        Reply::Int(step),
        statuses(spec.categories().names()),
        Reply::Set(spec.tips().map(Reply::bulk).collect()),
        Reply::Set(spec.key_specs().map(key_spec).collect()),
        if parts.is_empty() {
            Reply::Set(parts)
        } else {
            Reply::Array(parts)
        },
    ])
}

fn statuses(names: impl Iterator<Item = &'static str>) -> Reply {
    Reply::Set(names.map(Reply::Status).collect())
}

/// First, last and step as they were before there were key specifications: the part of the keys
/// that they can tell.
fn legacy_range(keys: Keys) -> (i64, i64, i64) {
    match keys {
        Keys::Range(first, last, step) => (first.into(), last.into(), step.into()),
        Keys::DestCounted(_) | Keys::Sort | Keys::GeoRadius => (1, 1, 1),
        Keys::Migrate => (3, 3, 1),
        Keys::Keyless | Keys::Counted(_) | Keys::Streams => (0, 0, 0),
    }
}

fn key_spec(spec: KeySpec) -> Reply {
    let (begin, begin_spec) = match spec.begin {
        Begin::Index(index) => ("index", vec![("index", Reply::Int(index))]),
        Begin::Keyword(word, from) => (
            "keyword",
            vec![
                ("keyword", Reply::bulk(word)),
                ("startfrom", Reply::Int(from)),
            ],
        ),
        Begin::Unknown => ("unknown", vec![]),
    };
    let (find, find_spec) = match spec.find {
        Find::Range { last, step, limit } => (
            "range",
            vec![
                ("lastkey", Reply::Int(last)),
                ("keystep", Reply::Int(step)),
                ("limit", Reply::Int(limit)),
            ],
        ),
        Find::Counted => (
            "keynum",
            vec![
                ("keynumidx", Reply::Int(0)),
                ("firstkey", Reply::Int(1)),
                ("keystep", Reply::Int(1)),
            ],
        ),
        Find::Unknown => ("unknown", vec![]),
    };
    let typed = |kind: &str, spec| map([("type", Reply::bulk(kind)), ("spec", map(spec))]);
    let notes = spec.notes.map(|notes| ("notes", Reply::bulk(notes)));
    map(notes.into_iter().chain([
        ("flags", statuses(spec.uses.names())),
        ("begin_search", typed(begin, begin_spec)),
        ("find_keys", typed(find, find_spec)),
    ]))
}

fn map(pairs: impl IntoIterator<Item = (&'static str, Reply)>) -> Reply {
    Reply::Map(
        pairs
            .into_iter()
            .map(|(name, value)| (Reply::bulk(name), value))
            .collect(),
    )
}

/// `COMMAND DOCS [name …]`: names that are none are left out.
fn docs(command: &Command<'_>, door: &Door<'_>) -> Reply {
    if command.len() == 2 {
        return map(door.commands().map(|s| (s.name, doc(s, door))));
    }
    map(command
        .args(2)
        .filter_map(|name| door.named(name))
        .map(|s| (s.name, doc(s, door))))
}

fn doc(spec: &Spec, door: &Door<'_>) -> Reply {
    let doc = spec.id.doc();
    let complexity = (!doc.complexity.is_empty()).then_some(("complexity", doc.complexity));
    let lines = [
        ("summary", doc.summary),
        ("since", doc.since),
        ("group", spec.group.name()),
    ];
    let lines = lines
        .into_iter()
        .chain(complexity)
        .map(|(name, text)| (name, Reply::bulk(text)));
    let lines = lines.chain(advice(spec.id)).chain(
        arguments(spec.name)
            .into_iter()
            .map(|them| ("arguments", them)),
    );
    let mut parts = door
        .subcommands(spec)
        .map(|s| (s.name, self::doc(s, door)))
        .peekable();
    if parts.peek().is_none() {
        return map(lines);
    }
    map(lines.chain([("subcommands", map(parts))]))
}

/// What a command's flags in its documentation say.
fn advice(id: Id) -> impl Iterator<Item = (&'static str, Reply)> {
    let flags = |flag| ("doc_flags", statuses([flag].into_iter()));
    match deprecated(id) {
        Some((since, better)) => vec![
            flags("deprecated"),
            ("deprecated_since", Reply::bulk(since)),
            ("replaced_by", Reply::bulk(better)),
        ],
        None if is_of_system(id) => vec![flags("syscmd")],
        None => Vec::new(),
    }
    .into_iter()
}

/// `COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN pattern]`. No command comes from
/// a module.
fn list(command: &Command<'_>, door: &Door<'_>) -> Reply {
    let names = |keep: &dyn Fn(&Spec) -> bool| {
        let names = door
            .lines()
            .filter(|s| keep(s))
            .map(|s| Reply::bulk(s.name));
        Reply::Array(names.collect())
    };
    if command.len() == 2 {
        return names(&|_| true);
    }
    if command.len() != 5 || !command.arg(2).eq_ignore_ascii_case(b"filterby") {
        return Reply::error("ERR syntax error");
    }
    let wanted = command.arg(4);
    match command.arg(3).to_ascii_lowercase().as_slice() {
        b"module" => names(&|_| false),
        b"aclcat" => names(&|spec| {
            let mut categories = spec.categories().names();
            categories.any(|c| c.as_bytes()[1..].eq_ignore_ascii_case(wanted))
        }),
        b"pattern" => names(&|spec| matches(wanted, spec.name.as_bytes(), true)),
        _ => Reply::error("ERR syntax error"),
    }
}

/// `COMMAND GETKEYS name argument …`, with an element of the reply made for each key.
fn getkeys(
    command: &Command<'_>,
    door: &Door<'_>,
    element: impl Fn(&[u8], KeyUse) -> Reply,
) -> Reply {
    let spec = match resolve(command.arg(2), command.args(3).next()) {
        Ok(spec) if door.shows(spec) => spec,
        _ => return Reply::error("ERR Invalid command specified"),
    };
    if spec.keys == Keys::Keyless || spec.uses == [KeyUse::NOT_KEY] {
        return Reply::error("ERR The command has no key arguments");
    }
    let line = command.tail(2, spec);
    if !spec.accepts(line.len()) {
        return Reply::error("ERR Invalid number of arguments specified for command");
    }
    match line.keys() {
        Ok(keys) if keys.is_empty() && !spec.flags.has(Flags::NO_MANDATORY_KEYS) => {
            Reply::error("ERR Invalid arguments specified for command")
        }
        Ok(keys) => {
            let elements = line
                .key_uses(keys)
                .map(|(at, uses)| element(line.arg(at), uses));
            Reply::Array(elements.collect())
        }
        Err(text) => Reply::error(text),
    }
}

const HELP: &[&str] = &[
    "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "(no subcommand)",
    "    Describe all commands of this server.",
    "COUNT",
    "    Return how many commands this server has.",
    "LIST [FILTERBY (MODULE <name>|ACLCAT <category>|PATTERN <pattern>)]",
    "    Return the names of commands and subcommands.",
    "INFO [<command-name> ...]",
    "    Describe the given commands, or all.",
    "DOCS [<command-name> ...]",
    "    Describe the given commands, or all, in words.",
    "GETKEYS <full-command>",
    "    Return the keys of a whole command line.",
    "GETKEYSANDFLAGS <full-command>",
    "    Return the keys of a whole command line and how they are used.",
    "HELP",
    "    Print this help.",
];
