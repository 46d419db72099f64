//! The house's style as tests: what may use what, what stays pure, and how long things get.
//!
//! Each rule is a function from a source to its complaints, and is tried on a bad snippet too.

#[path = "tidy/source.rs"]
mod source;

use std::collections::BTreeSet;

use source::{Source, sources, texts};

/// The rooms of the program, and which rooms each may use. ARCHITECTURE.md draws the same.
const ARROWS: &[(&str, &[&str])] = &[
    // The walk, in its order.
    ("command", &["limits"]),
    ("wire", &["command", "limits"]),
    ("session", &["wire", "command", "config", "limits"]),
    ("route", &["wire", "command", "limits"]),
    ("store", &["pubsub", "waiting", "json", "command", "limits"]),
    ("admission", &["holding", "route", "command"]),
    (
        "pool",
        &[
            "wire", "cluster", "config", "socket", "tls", "clock", "stats", "slowlog", "limits",
        ],
    ),
    (
        "deliver",
        &[
            "session",
            "route",
            "admission",
            "store",
            "peer",
            "pool",
            "cluster",
            "admin",
            "wire",
            "command",
            "clock",
            "stats",
            "slowlog",
            "pubsub",
            "waiting",
            "limits",
        ],
    ),
    (
        "net",
        &[
            "wire", "command", "deliver", "admin", "config", "socket", "tls", "clock", "stats",
            "log", "web", "limits",
        ],
    ),
    (
        "web",
        &[
            "deliver", "session", "store", "pubsub", "json", "wire", "command", "admin", "http",
            "cluster", "socket", "slowlog", "clock", "limits",
        ],
    ),
    // Off the path.
    ("json", &["limits"]),
    ("waiting", &["command"]),
    ("pubsub", &["wire", "command", "limits"]),
    ("limits", &[]),
    ("clock", &["limits"]),
    ("stats", &["command", "limits"]),
    ("slowlog", &["wire", "command", "limits"]),
    ("config", &["limits"]),
    ("socket", &["config", "limits"]),
    ("tls", &["socket", "config", "limits"]),
    ("cluster", &["route", "command", "config", "limits"]),
    (
        "health",
        &[
            "cluster", "config", "pool", "tls", "stats", "slowlog", "clock", "limits",
        ],
    ),
    (
        "admin",
        &[
            "session",
            "store",
            "wire",
            "command",
            "config",
            "clock",
            "stats",
            "slowlog",
            "pubsub",
            "waiting",
            "allocator",
            "log",
            "limits",
        ],
    ),
    ("allocator", &[]),
    (
        "http",
        &[
            "admin", "cluster", "config", "command", "store", "peer", "tls", "stats", "slowlog",
            "log", "clock", "limits",
        ],
    ),
    ("holding", &["route", "store", "limits"]),
    ("log", &["limits"]),
    ("signals", &["log"]),
    ("daemon", &[]),
    (
        "nutcracker",
        &[
            "admin", "net", "socket", "config", "stats", "log", "signals", "daemon", "clock",
            "limits",
        ],
    ),
    (
        "peer",
        &[
            "admin",
            "admission",
            "holding",
            "store",
            "route",
            "wire",
            "pool",
            "cluster",
            "socket",
            "command",
            "config",
            "tls",
            "stats",
            "slowlog",
            "clock",
            "pubsub",
            "waiting",
            "limits",
        ],
    ),
    // Compositions.
    ("run", &["limits"]),
    ("live", ALL_ROOMS),
    ("call", &["run", "tls", "config", "limits"]),
    ("serve", ALL_ROOMS),
    ("proxy", ALL_ROOMS),
    ("demo", ALL_ROOMS),
    ("explain", &["proxy", "live", "config"]),
    ("member", ALL_ROOMS),
    ("ring", ALL_ROOMS),
    (
        "cli",
        &[
            "admin",
            "call",
            "log",
            "nutcracker",
            "config",
            "slowlog",
            "peer",
            "holding",
            "member",
            "serve",
            "ring",
            "route",
            "store",
            "limits",
        ],
    ),
    ("malloc", &[]),
    (
        "main",
        &[
            "allocator",
            "malloc",
            "cli",
            "call",
            "log",
            "daemon",
            "nutcracker",
            "serve",
            "proxy",
            "live",
            "http",
            "demo",
            "explain",
            "member",
            "ring",
            "slowlog",
        ],
    ),
];

/// The rooms of the library for applications.
const LIBRARY_ARROWS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("event", &[]),
    ("channel", &["limits"]),
    ("discovery", &["limits"]),
    ("statistics", &["limits"]),
    (
        "gossip",
        &["channel", "discovery", "event", "statistics", "limits"],
    ),
    ("forward", &["ringpop"]),
    ("proxy", &["forward", "gossip", "ringpop"]),
    ("trace", &["event", "gossip", "ringpop", "limits"]),
    (
        "endpoints",
        &["channel", "discovery", "gossip", "proxy", "ringpop"],
    ),
    (
        "ringpop",
        &[
            "builder",
            "channel",
            "event",
            "forward",
            "gossip",
            "proxy",
            "statistics",
            "trace",
            "limits",
        ],
    ),
    (
        "builder",
        &[
            "channel",
            "discovery",
            "endpoints",
            "forward",
            "gossip",
            "proxy",
            "ringpop",
            "statistics",
            "limits",
        ],
    ),
];

/// Where rooms are, what the crate is called, and its arrows.
type House = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
);
const HOUSES: &[House] = &[
    ("crates/heeler/src/", "heeler", ARROWS),
    (
        "crates/heeler-ringpop/src/",
        "heeler_ringpop",
        LIBRARY_ARROWS,
    ),
];

const ALL_ROOMS: &[&str] = &[
    "command",
    "wire",
    "session",
    "route",
    "admission",
    "store",
    "pool",
    "deliver",
    "cluster",
    "config",
    "stats",
    "slowlog",
    "admin",
    "net",
    "socket",
    "tls",
    "clock",
    "limits",
    "health",
    "run",
    "http",
    "json",
    "web",
    "live",
    "serve",
    "proxy",
    "log",
    "signals",
    "daemon",
    "nutcracker",
    "pubsub",
    "waiting",
    "peer",
    "allocator",
    "holding",
];

/// Inputs in, answers out: no socket, no clock, no thread, no file.
const PURE: &[&str] = &[
    "crates/heeler/src/command",
    "crates/heeler/src/holding",
    "crates/heeler/src/json",
    "crates/heeler/src/route",
    "crates/heeler/src/session",
    "crates/heeler/src/store",
    "crates/heeler/src/wire",
    "crates/heeler-ring/src/",
    "crates/heeler-swim/src/",
    "crates/heeler-tchannel/src/",
];
const IMPURE_STD: &[&str] = &["net", "thread", "fs"];

/// Compositions hold no logic, so they are short.
const COMPOSITIONS: &[&str] = &["main.rs", "serve.rs", "proxy.rs"];
const COMPOSITION_LINES: usize = 150;

const COLUMNS: usize = 100;
/// Lists, a line for each thing, however long it is.
const LISTS: &[&str] = &[
    "crates/heeler/src/command/table.rs",
    "crates/heeler/src/command/docs.rs",
];

const FUNCTION_LINES: usize = 70;
/// Functions that are longer: file, name, lines. This list only shrinks.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[
    ("crates/heeler/tests/config_oracle.rs", "servers", 114),
    ("crates/heeler/tests/config_oracle.rs", "structure", 112),
    ("crates/heeler/tests/config_oracle.rs", "yaml", 71),
];

/// Names that say nothing.
const NAMELESS: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "types", "misc", "prelude",
];

const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// Places of one machine. Written in parts, for this file is looked at too.
const PLACES: &[&str] = &[
    concat!("/", "work"),
    concat!("..", "/shared"),
    concat!("/", "root/"),
    concat!(".lib", "rary"),
];

#[test]
fn rooms_use_rooms_in_the_allowed_direction() {
    complain(sources().iter().flat_map(against_the_arrows));
}

#[test]
fn pure_rooms_are_pure() {
    complain(sources().iter().flat_map(impure));
}

#[test]
fn compositions_are_short() {
    complain(sources().iter().filter_map(long_composition));
}

#[test]
fn lines_are_short() {
    complain(sources().iter().flat_map(long_lines));
}

#[test]
fn functions_are_short() {
    complain(long_functions(&sources(), LONG_FUNCTIONS));
}

#[test]
fn every_file_is_somebodys_module() {
    let manifests = texts()
        .into_iter()
        .filter(|s| s.path.ends_with("Cargo.toml"))
        .collect();
    complain(orphans(&sources(), manifests));
}

#[test]
fn modules_have_names() {
    complain(sources().iter().flat_map(nameless));
}

#[test]
fn nothing_is_left_unfinished() {
    complain(sources().iter().flat_map(unfinished));
}

#[test]
fn unsafe_code_says_why_it_is_safe() {
    complain(sources().iter().flat_map(unexplained_unsafe));
}

#[test]
fn no_text_names_a_place_of_one_machine() {
    complain(texts().iter().flat_map(places));
}

fn complain(complaints: impl IntoIterator<Item = String>) {
    let all: Vec<String> = complaints.into_iter().collect();
    assert!(all.is_empty(), "\n{}\n", all.join("\n"));
}

/// The room a source stands in: `deliver` for `src/deliver.rs` and for `src/deliver/x.rs`.
fn room(source: &Source) -> Option<(&'static House, &str)> {
    let house = HOUSES
        .iter()
        .find(|(home, ..)| source.path.starts_with(home))?;
    let inside = source.path.strip_prefix(house.0)?;
    let room = inside.split('/').next()?.trim_end_matches(".rs");
    (room != "lib").then_some((house, room))
}

fn against_the_arrows(source: &Source) -> Vec<String> {
    let Some(((home, name, arrows), room)) = room(source) else {
        return Vec::new();
    };
    let path = &source.path;
    let Some((_, allowed)) = arrows.iter().find(|(name, _)| *name == room) else {
        return vec![format!(
            "{path}: say in the arrows (tests/tidy.rs) where the room {room} stands"
        )];
    };
    let is_room = |name: &str| arrows.iter().any(|(room, _)| *room == name);
    let mut used = source.names_after("crate");
    used.extend(source.names_after(name));
    let mut complaints: Vec<String> = used
        .iter()
        .filter(|(_, name)| is_room(name) && name != room && !allowed.contains(&name.as_str()))
        .map(|(line, name)| format!("{path}:{line}: {room} must not use {name}"))
        .collect();
    complaints.extend(leaves_by_super(source, home));
    complaints
}

/// `super` that climbs out of the room, where the arrows would not see it.
fn leaves_by_super(source: &Source, home: &str) -> Vec<String> {
    let inside = source.path.strip_prefix(home).unwrap_or_default();
    let levels = inside.trim_end_matches("/mod.rs").matches('/').count();
    let mut complaints = Vec::new();
    let mut in_tests = 0;
    for (line, code) in source.code_lines() {
        if code.starts_with("mod ") && code.ends_with('{') {
            in_tests = 1;
        }
        if code.contains(&"super::".repeat(levels + in_tests + 1)) {
            complaints.push(format!(
                "{}:{line}: name the other room by crate::",
                source.path
            ));
        }
    }
    complaints
}

fn impure(source: &Source) -> Vec<String> {
    if !PURE.iter().any(|room| source.path.starts_with(room)) {
        return Vec::new();
    }
    let mut found: Vec<(usize, String)> = Vec::new();
    for word in ["tokio", "Instant::now", "SystemTime"] {
        found.extend(
            source
                .lines_with_word(word)
                .into_iter()
                .map(|line| (line, word.into())),
        );
    }
    let std = source.names_after("std").into_iter();
    found.extend(std.filter(|(_, name)| IMPURE_STD.contains(&name.as_str())));
    let complaint = |(line, what)| format!("{}:{line}: {what} in a pure room", source.path);
    found.into_iter().map(complaint).collect()
}

fn long_composition(source: &Source) -> Option<String> {
    let file = source.path.strip_prefix("crates/heeler/src/")?;
    let lines = source.text.lines().count();
    (COMPOSITIONS.contains(&file) && lines >= COMPOSITION_LINES).then(|| {
        format!(
            "{}: {lines} lines; a composition has fewer than {COMPOSITION_LINES}",
            source.path
        )
    })
}

fn long_lines(source: &Source) -> Vec<String> {
    if LISTS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    lines
        .map(|(i, line)| (i + 1, line.chars().count()))
        .filter(|(_, columns)| *columns > COLUMNS)
        .map(|(line, columns)| format!("{}:{line}: {columns} columns", source.path))
        .collect()
}

fn long_functions(sources: &[Source], known: &[(&str, &str, usize)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut met = BTreeSet::new();
    for source in sources {
        for f in source
            .functions()
            .into_iter()
            .filter(|f| f.lines > FUNCTION_LINES)
        {
            let place = format!(
                "{}:{}: fn {} has {} lines",
                source.path, f.line, f.name, f.lines
            );
            let entry = known
                .iter()
                .find(|(file, name, _)| *file == source.path && *name == f.name);
            match entry {
                None => complaints.push(format!("{place}; {FUNCTION_LINES} are allowed")),
                Some((.., lines)) if f.lines > *lines => {
                    complaints.push(format!("{place}, grown from {lines}"))
                }
                Some((.., lines)) if f.lines < *lines => {
                    complaints.push(format!("{place}: say so in LONG_FUNCTIONS, not {lines}"))
                }
                Some(_) => {}
            }
            met.insert((source.path.clone(), f.name));
        }
    }
    for (file, name, _) in known {
        if !met.contains(&(file.to_string(), name.to_string())) {
            complaints.push(format!(
                "{file}: fn {name} is short now: take it from LONG_FUNCTIONS"
            ));
        }
    }
    complaints
}

/// Sources that no other source declares and no target is made of.
fn orphans(sources: &[Source], manifests: Vec<Source>) -> Vec<String> {
    let declares = |parent: &str, name: &str| {
        sources.iter().filter(|s| s.path == parent).any(|s| {
            let declared = |line: &str| line.trim().ends_with(&format!("mod {name};"));
            s.code.lines().any(declared)
        })
    };
    let mut complaints = Vec::new();
    for source in sources {
        let path = source
            .path
            .trim_end_matches("/mod.rs")
            .trim_end_matches(".rs");
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (above, dir_name) = dir.rsplit_once('/').unwrap_or(("", dir));
        let is_target = match dir_name {
            "src" => ["lib", "main"].contains(&name),
            "tests" | "benches" | "examples" => source.path == format!("{path}.rs"),
            _ => false,
        };
        let in_manifest = manifests.iter().any(|m| {
            let home = m.path.trim_end_matches("Cargo.toml");
            let file = source.path.strip_prefix(home);
            file.is_some_and(|file| m.text.contains(&format!("path = \"{file}\"")))
        });
        let beside = sources.iter().filter(|s| {
            let of_targets = ["tests", "benches"].contains(&dir_name);
            of_targets && s.path.rsplit_once('/').is_some_and(|(home, _)| home == dir)
        });
        let declared = ["mod.rs", "lib.rs", "main.rs"]
            .iter()
            .map(|file| format!("{dir}/{file}"))
            .chain([format!("{above}/{dir_name}.rs")])
            .chain(beside.map(|s| s.path.clone()))
            .any(|parent| declares(&parent, name));
        if !is_target && !in_manifest && !declared {
            complaints.push(format!("{}: nobody declares it as a module", source.path));
        }
    }
    complaints
}

fn nameless(source: &Source) -> Vec<String> {
    let parts = source
        .path
        .trim_end_matches(".rs")
        .split('/')
        .map(|part| (1, part));
    let declared = source.code_lines().filter_map(|(line, code)| {
        let name = code
            .trim()
            .trim_start_matches("pub ")
            .strip_prefix("mod ")?;
        Some((line, name.trim_end_matches([';', '{', ' '])))
    });
    parts
        .chain(declared)
        .filter(|(_, name)| NAMELESS.contains(name))
        .map(|(line, name)| format!("{}:{line}: {name} names nothing", source.path))
        .collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for word in UNFINISHED {
        for line in source.lines_with_word(word) {
            if source
                .code
                .lines()
                .nth(line - 1)
                .unwrap()
                .contains(&format!("{word}!"))
            {
                complaints.push(format!("{}:{line}: {word}!", source.path));
            }
        }
    }
    complaints
}

fn unexplained_unsafe(source: &Source) -> Vec<String> {
    let text: Vec<&str> = source.text.lines().collect();
    let code: Vec<&str> = source.code.lines().collect();
    let explained = |line: usize| {
        let says = |l: &str| l.contains("SAFETY:") || l.contains("# Safety");
        if says(text[line - 1]) {
            return true;
        }
        // Up to where the statement starts, and over the comment above it.
        for above in (0..line - 1).rev() {
            let (text, code) = (text[above], code[above].trim_end());
            if says(text) {
                return true;
            }
            if text.trim().is_empty() || code.ends_with([';', '{', '}', ',']) {
                return false;
            }
        }
        false
    };
    let lines = source.lines_with_word("unsafe").into_iter();
    lines
        .filter(|line| !explained(*line))
        .map(|line| format!("{}:{line}: unsafe without a SAFETY comment", source.path))
        .collect()
}

fn places(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    for (i, line) in source.text.lines().enumerate() {
        for place in PLACES {
            let named = line.match_indices(place).any(|(at, _)| {
                let before = line[..at].chars().next_back();
                let after = line[at + place.len()..].chars().next();
                !before.is_some_and(|c| c.is_alphanumeric() || c == '}')
                    && !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
                    || place.ends_with('/')
            });
            if named {
                complaints.push(format!(
                    "{}:{}: {place} is on one machine",
                    source.path,
                    i + 1
                ));
            }
        }
    }
    complaints
}

/// The rules on snippets that they must see, and on some that they must not.
mod bad_snippets {
    use super::*;

    fn at(path: &str, text: &str) -> Source {
        Source::new(path, text)
    }

    fn in_room(room: &str, text: &str) -> Source {
        at(&format!("crates/heeler/src/{room}.rs"), text)
    }

    #[test]
    fn arrows() {
        let bad = [
            ("wire", "use crate::session::Session;"),
            ("store", "use crate::{command::Command, pool};"),
            ("command/x", "fn f() { crate::store::get() }"),
            ("route", "use super::store;"),
            ("store/map", "use super::super::pool;"),
            ("main", "use heeler::store::Store;"),
            ("main", "use heeler::{\n    serve,\n    net,\n};"),
            ("attic", ""),
        ];
        for (room, text) in bad {
            assert_eq!(
                against_the_arrows(&in_room(room, text)).len(),
                1,
                "{room}: {text}"
            );
        }
        let library = |room, text| at(&format!("crates/heeler-ringpop/src/{room}.rs"), text);
        let bad = [
            ("limits", "use crate::channel::Channel;"),
            ("channel/x", "use super::super::limits;"),
            ("attic", ""),
        ];
        for (room, text) in bad {
            assert_eq!(
                against_the_arrows(&library(room, text)).len(),
                1,
                "{room}: {text}"
            );
        }
        assert_eq!(
            against_the_arrows(&library("channel/x", "use crate::limits;")),
            [""; 0]
        );
        let good = [
            ("session", "use crate::{command::Command, wire::resp};"),
            (
                "store/map",
                "use super::Entry;\n\nmod tests {\n    use super::super::X;\n}",
            ),
            (
                "store",
                "use crate::store::map;\n\nmod tests {\n    use super::*;\n}",
            ),
            ("wire", "// crate::session"),
            ("lib", "pub use crate::store::Store;"),
        ];
        for (room, text) in good {
            assert_eq!(
                against_the_arrows(&in_room(room, text)),
                [""; 0],
                "{room}: {text}"
            );
        }
    }

    #[test]
    fn every_arrow_ends_in_a_room() {
        for (_, _, arrows) in HOUSES {
            for (room, allowed) in *arrows {
                for name in *allowed {
                    let there = arrows.iter().any(|(n, _)| n == name);
                    assert!(there, "{room} uses {name}: no such room");
                }
            }
        }
    }

    #[test]
    fn impurity() {
        let bad = [
            "use tokio::io;",
            "let now = Instant::now();",
            "let now = std::time::SystemTime::now();",
            "use std::{collections::HashMap, net::TcpStream};",
            "std::thread::sleep(x);",
        ];
        for text in bad {
            assert_eq!(impure(&in_room("store/map", text)).len(), 1, "{text}");
            assert_eq!(
                impure(&at("crates/heeler-ring/src/lib.rs", text)).len(),
                1,
                "{text}"
            );
            assert_eq!(impure(&in_room("net", text)).len(), 0, "{text}");
        }
        assert_eq!(
            impure(&in_room("store", "fn f(now: Instant) {} // tokio")),
            [""; 0]
        );
    }

    #[test]
    fn lengths() {
        let composition = "\n".repeat(COMPOSITION_LINES);
        assert!(long_composition(&in_room("serve", &composition)).is_some());
        assert!(long_composition(&in_room("serve", &composition[1..])).is_none());
        assert!(long_composition(&in_room("net", &composition)).is_none());
        assert_eq!(
            long_lines(&in_room("net", &"é".repeat(COLUMNS + 1))).len(),
            1
        );
        assert_eq!(long_lines(&in_room("net", &"é".repeat(COLUMNS))).len(), 0);
        assert_eq!(long_lines(&at(LISTS[0], &"x".repeat(COLUMNS + 1))).len(), 0);
    }

    #[test]
    fn long_functions_and_their_list() {
        let long = format!("fn f() {{\n{}}}\n", "    x;\n".repeat(FUNCTION_LINES - 1));
        let long = [in_room("net", &long)];
        let short = [in_room("net", "fn f() {\n}\n")];
        let path = long[0].path.as_str();
        let lines = FUNCTION_LINES + 1;
        assert_eq!(long_functions(&long, &[]).len(), 1);
        assert_eq!(long_functions(&short, &[]).len(), 0);
        assert_eq!(long_functions(&long, &[(path, "f", lines)]).len(), 0);
        assert_eq!(
            long_functions(&long, &[(path, "f", lines - 1)]).len(),
            1,
            "grown"
        );
        assert_eq!(
            long_functions(&long, &[(path, "f", lines + 1)]).len(),
            1,
            "shrunk"
        );
        assert_eq!(
            long_functions(&short, &[(path, "f", lines)]).len(),
            1,
            "no longer needed"
        );
    }

    #[test]
    fn orphaned_files() {
        let tree = |paths: &[(&str, &str)]| paths.iter().map(|(p, t)| at(p, t)).collect::<Vec<_>>();
        let good = [
            ("c/src/lib.rs", "mod a;\npub(crate) mod b;\n"),
            ("c/src/a.rs", "mod x;"),
            ("c/src/a/x.rs", ""),
            ("c/src/b/mod.rs", "mod y;"),
            ("c/src/b/y.rs", ""),
            ("c/tests/t.rs", "mod servers;"),
            ("c/tests/servers/mod.rs", ""),
            ("fuzz/fuzz_targets/f.rs", ""),
        ];
        let manifest = || vec![at("fuzz/Cargo.toml", "path = \"fuzz_targets/f.rs\"")];
        assert_eq!(orphans(&tree(&good), manifest()), [""; 0]);
        for stray in [
            "c/src/z.rs",
            "c/src/a/z.rs",
            "c/tests/z/mod.rs",
            "fuzz/fuzz_targets/z.rs",
        ] {
            let mut paths = good.to_vec();
            paths.push((stray, "// mod z;"));
            assert_eq!(orphans(&tree(&paths), manifest()).len(), 1, "{stray}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(nameless(&in_room("net/util", "")).len(), 1);
        assert_eq!(
            nameless(&at("crates/heeler/src/common/mod.rs", "")).len(),
            1
        );
        assert_eq!(
            nameless(&in_room("net", "pub mod helpers;\nmod misc {}")).len(),
            1
        );
        assert_eq!(nameless(&in_room("net", "mod prelude {\n}")).len(), 1);
        assert_eq!(nameless(&in_room("net", "mod command; // util")).len(), 0);
    }

    #[test]
    fn unfinished_code() {
        for word in UNFINISHED {
            assert_eq!(
                unfinished(&in_room("net", &format!("fn f() {{ {word}!() }}"))).len(),
                1
            );
            assert_eq!(
                unfinished(&in_room("net", &format!("// {word}!()\nlet {word} = 1;"))).len(),
                0
            );
        }
    }

    #[test]
    fn unsafe_code() {
        let bad = [
            "fn f() {\n    unsafe { x() }\n}",
            "// SAFETY: of another\nlet a = unsafe { x() };\nlet b = unsafe { y() };",
            "unsafe impl Send for X {}",
        ];
        for text in bad {
            assert_eq!(unexplained_unsafe(&in_room("net", text)).len(), 1, "{text}");
        }
        let good = [
            "// SAFETY: x is valid,\n// and y too.\nlet a = unsafe { x() };",
            "// SAFETY: because\nlet a =\n    unsafe { x() };",
            "/// # Safety\n/// Hold the lock.\npub unsafe fn f() {}",
            "#![forbid(unsafe_code)] // unsafe",
        ];
        for text in good {
            assert_eq!(unexplained_unsafe(&in_room("net", text)), [""; 0], "{text}");
        }
    }

    #[test]
    fn places_of_one_machine() {
        for place in PLACES {
            for text in [
                format!("see {place}/x"),
                format!("\"{place}\""),
                place.to_string(),
            ] {
                assert_eq!(places(&at("README.md", &text)).len(), 1, "{text}");
            }
        }
        assert_eq!(
            places(&at("README.md", "net/worker.rs, src/workers, of/work")),
            [""; 0]
        );
    }
}
