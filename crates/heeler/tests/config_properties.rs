//! Whatever a file holds, it is read without a panic, and no password comes out of it.

use std::fmt::Write as _;

use heeler::config::{Diagnostic, pools};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const SECRET: &str = "hunter2hunter2";

/// Good files to damage: a password as a plain, a quoted and a block scalar, and one where its
/// variable should be named.
const GOOD: [&str; 4] = [
    "\
alpha:
  listen: 127.0.0.1:22121
  redis: true
  redis_auth: hunter2hunter2
  hash: md5
  servers:
   - 127.0.0.1:6379:1 a
",
    "\
alpha:
  listen: /tmp/a.sock 0660
  redis_auth: \"hunter2hunter2\"
  redis: true
  timeout: 400
  servers:
   - /tmp/b.sock:1
   - 127.0.0.1:6379:3
beta:
  listen: ::1:1
  servers:
   - 127.0.0.1:11211:1
",
    "\
alpha:
  redis: true
  redis_auth: |-
    hunter2hunter2
  listen: 127.0.0.1:22121
  servers:
   - 127.0.0.1:6379:1 a
",
    "\
alpha:
  redis: true
  redis_auth_env: hunter2hunter2
  tls_cert: /etc/heeler/cert.pem
  server_tls: true
  listen: 127.0.0.1:22121
  servers:
   - 127.0.0.1:6379:1 a
",
];

/// What damages: pieces of YAML, of pools, and bytes that belong in no text.
const PIECES: [&str; 28] = [
    "",
    "",
    "",
    " ",
    "  ",
    "\n",
    "\t",
    ":",
    ": ",
    "-",
    "- ",
    "\"",
    "'",
    "#",
    "|",
    ">",
    "?",
    "&a ",
    "*a",
    "!",
    "{",
    "}",
    "[",
    "---\n",
    "\r",
    "\0",
    "é",
    "hash: md5\n",
];

/// Everything that an operator could be shown of a file.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    let mut add = |found: &Diagnostic| {
        let (render, color) = (found.render(false), found.render(true));
        write!(shown, "{render}{color}{}{found:?}", found.one_line()).unwrap();
        if let Some(place) = &found.place {
            assert!(place.line >= 1 && place.line <= text.split(['\n', '\r']).count());
            assert!(place.column >= 1);
        }
    };
    match pools::parse("f.yml", text) {
        Ok(file) => {
            file.warnings.iter().for_each(&mut add);
            sound(&file);
            write!(shown, "{file:?}").unwrap();
        }
        Err(invalid) => {
            assert!(!invalid.problems.is_empty());
            invalid.problems.iter().for_each(&mut add);
            write!(shown, "{invalid}{invalid:?}").unwrap();
        }
    }
    shown
}

/// What the types promise of an accepted file.
fn sound(file: &pools::File) {
    assert!(!file.pools.is_empty());
    let name = |pool: &pools::Pool| (pool.name.len(), pool.name.clone());
    assert!(file.pools.is_sorted_by_key(name));
    for pool in &file.pools {
        assert!(!pool.name.is_empty() && pool.server_connections >= 1);
        assert!(!pool.servers.is_empty());
        assert!(
            pool.servers
                .is_sorted_by_key(|s| (s.name.len(), s.name.clone()))
        );
        assert!(pool.servers.iter().all(|server| server.weight >= 1));
        assert!(pool.redis || pool.redis_auth.is_none());
    }
}

/// A good file with one or two pieces put in or put over what was there. The password itself and
/// the letters of its key stay whole: what is no key of a password any more is no secret.
fn damaged() -> impl Strategy<Value = String> {
    // No whole key: it would stand between the password and its own key.
    let pieces = prop::sample::select(&PIECES[..PIECES.len() - 1]);
    let damage = (any::<prop::sample::Index>(), pieces, 0..3_usize);
    let damages = prop::collection::vec(damage, 1..3);
    (prop::sample::select(&GOOD[..]), damages).prop_map(|(good, damages)| {
        let mut text = good.to_owned();
        for (at, piece, skip) in damages {
            let at = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((at + skip).min(text.len()));
            let whole = |word: &str| {
                let from = text.find(word).unwrap_or(text.len());
                end <= from || at >= from + word.len()
            };
            if whole(SECRET) && whole("redis_auth") {
                text.replace_range(at..end, piece);
            }
        }
        text
    })
}

proptest! {
    // The same cases in every run: what has been damaged enough may hide a password from its guard.
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(22121),
        ..ProptestConfig::with_cases(1000)
    })]

    #[test]
    fn any_text_is_read(text in any::<String>()) {
        shown(&text);
    }

    #[test]
    fn any_pieces_are_read(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60),
    ) {
        shown(&pieces.concat());
    }

    #[test]
    fn any_value_is_read(key in prop::sample::select(&["listen", "hash_tag", "timeout"][..]),
                         value in "[ -~é]{0,30}", server in "[/ :0-9a-z|é]{0,30}") {
        let pool = format!("a:\n  {key}: {value}\n  servers:\n");
        shown(&format!("{pool}   - {server}\n   - \"{server} {value}\"\n"));
    }

    #[test]
    fn no_password_is_shown(text in damaged()) {
        let shown = shown(&text);
        prop_assert!(!shown.contains(SECRET), "{shown}");
    }

    #[test]
    fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f.yml");
        std::fs::write(&path, bytes).unwrap();
        if let Err(invalid) = pools::read(&path) {
            prop_assert!(invalid.to_string().contains("f.yml"));
        }
    }
}
