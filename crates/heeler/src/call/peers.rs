//! Where to call.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail, ensure};

use super::flags::Flags;
use crate::limits;

/// The addresses that are named with `-p`, or else in the file of `-P`.
///
/// # Errors
///
/// There are none, one is no HOST:PORT, or the file cannot be read.
pub fn peers(flags: &Flags) -> anyhow::Result<Vec<String>> {
    let peers = match (flags.peers.as_slice(), &flags.peerlist) {
        ([], None) => bail!("say where to call: -p HOST:PORT, or -P FILE with a list of them"),
        ([], Some(file)) => listed(file).with_context(|| file.display().to_string())?,
        (peers, _) => peers.to_vec(),
    };
    for peer in &peers {
        check(peer).with_context(|| format!("{peer:?} is no peer"))?;
    }
    Ok(peers)
}

fn listed(file: &Path) -> anyhow::Result<Vec<String>> {
    let length = fs::metadata(file)?.len();
    let most = limits::PEERLIST_BYTES;
    ensure!(length <= most, "longer than {most} bytes");
    let peers: Vec<String> = serde_json::from_str(&fs::read_to_string(file)?)
        .context("expected a JSON list of \"HOST:PORT\"")?;
    ensure!(!peers.is_empty(), "the list is empty");
    Ok(peers)
}

fn check(peer: &str) -> anyhow::Result<()> {
    const FORM: &str = "write HOST:PORT, such as 127.0.0.1:3000 or [::1]:3000";
    let (host, port) = peer.rsplit_once(':').context(FORM)?;
    ensure!(!host.is_empty(), "it has no host: {FORM}");
    let in_brackets = host.starts_with('[') && host.ends_with(']');
    ensure!(in_brackets || !host.contains(':'), FORM);
    let port: u16 = port
        .parse()
        .ok()
        .with_context(|| format!("'{port}' is no port: {FORM}"))?;
    ensure!(port > 0, "port 0 cannot be called");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for peer in ["127.0.0.1:3000", "localhost:1", "[::1]:65535", "a.b:80"] {
            assert!(check(peer).is_ok(), "{peer}");
        }
        let cases = [
            ("", "write HOST:PORT"),
            ("3000", "write HOST:PORT"),
            (":3000", "it has no host"),
            ("a:", "'' is no port"),
            ("a:b", "'b' is no port"),
            ("a:65536", "'65536' is no port"),
            ("a:0", "port 0 cannot be called"),
            ("::1:3000", "write HOST:PORT"),
        ];
        for (peer, bad) in cases {
            let found = check(peer).unwrap_err().to_string();
            assert!(found.starts_with(bad), "{peer}: {found}");
        }
    }

    #[test]
    fn lists_in_files() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hosts.json");
        fs::write(&file, r#"["127.0.0.1:1", "a:2"]"#).unwrap();
        assert_eq!(listed(&file).unwrap(), ["127.0.0.1:1", "a:2"]);
        for (text, bad) in [
            ("[]", "the list is empty"),
            ("{}", "expected a JSON list of \"HOST:PORT\""),
            ("[1]", "expected a JSON list of \"HOST:PORT\""),
            ("a:1", "expected a JSON list of \"HOST:PORT\""),
        ] {
            fs::write(&file, text).unwrap();
            assert_eq!(listed(&file).unwrap_err().to_string(), bad, "{text}");
        }
        assert!(listed(&dir.path().join("none")).is_err());
    }
}
