//! Files that cannot be used are refused before anything starts: which, where, why, and what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::authority::Authority;
use crate::proxy::{Proxy, pool, run};
use crate::servers::free_port;

/// A file whose lines stand from line 5 on, and what `-t` says of it.
fn check(lines: &[String]) -> (bool, String) {
    Proxy::check(&pool(
        "herd",
        free_port(),
        lines,
        &["127.0.0.1:6379".into()],
    ))
}

fn written(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().into()
}

/// A certificate and a key that cannot be used: their files, the key of the pool that names the one
/// at fault, and what is told.
type Broken = (String, String, &'static str, &'static str);

fn broken(authority: &Authority) -> Vec<Broken> {
    let dir = authority.dir();
    let pair = authority.sign("good", &["127.0.0.1"]);
    let other = authority.sign("other", &["127.0.0.1"]);
    let [cert, key] = pair.paths();
    let cert_text = fs::read_to_string(cert).unwrap();
    let key_text = fs::read_to_string(key).unwrap();
    let (half, begin) = (cert_text.len() / 2, "-----BEGIN CERTIFICATE-----\n");
    let empty = written(dir, "empty", "");
    let cut = written(dir, "cut", &cert_text[..half]);
    let garbled = written(dir, "garbled", &cert_text.replace("MII", "M!!"));
    let no_der = format!("{begin}AAAA\n-----END CERTIFICATE-----\n");
    let no_der = written(dir, "no_der", &no_der);
    let garbled_key = written(dir, "garbled_key", &key_text.replace("MIG", "MI!"));
    let locked = dir.join("locked.key");
    let locked = locked.to_str().unwrap();
    let args = ["-in", key, "-out", locked, "-passout", "pass:x"];
    let args = [&["pkcs8", "-topk8"][..], &args].concat();
    let (done, told) = run("openssl", "the Debian package openssl", &args);
    assert!(done, "{told}");
    let no_base64 = "broken PEM: what stands between BEGIN and END is not base64";
    let no_end = "broken PEM: an '-----END …' line is missing";
    let not_its = "the key is not that of the first certificate in";
    let all: &[(&str, &str, &str, &str)] = &[
        (
            "/no/such",
            key,
            "cert",
            "cannot read it: No such file or directory",
        ),
        ("/", key, "cert", "cannot read it: Is a directory"),
        (&empty, key, "cert", "no certificate in it"),
        (key, key, "cert", "no certificate in it"),
        (&cut, key, "cert", no_end),
        (&garbled, key, "cert", no_base64),
        (&no_der, key, "cert", "unusable: "),
        (
            cert,
            "/no/such",
            "key",
            "cannot read it: No such file or directory",
        ),
        (cert, cert, "cert", "no key in it"),
        (cert, &empty, "key", "no key in it"),
        (cert, &garbled_key, "key", no_base64),
        (cert, locked, "key", "the key is locked with a passphrase"),
        (cert, other.paths()[1], "key", not_its),
    ];
    let owned = |&(cert, key, at, words): &(&str, &str, &'static str, &'static str)| {
        (cert.to_owned(), key.to_owned(), at, words)
    };
    all.iter().map(owned).collect()
}

#[test]
fn each_fault_of_a_certificate_and_its_key_has_its_words() {
    let authority = Authority::new();
    for (cert, key, at, words) in broken(&authority) {
        for side in ["", "server_"] {
            let mut lines = vec![
                format!("{side}tls_cert: {cert}"),
                format!("{side}tls_key: {key}"),
            ];
            if side == "server_" {
                lines.push("server_tls: true".into());
            }
            let (taken, told) = check(&lines);
            let head = format!("pool 'herd': key '{side}tls_{at}': ");
            let place = format!("nutcracker.yml:{}:", 5 + usize::from(at == "key"));
            assert!(!taken && told.contains(&head), "{head}: {told}");
            assert!(told.contains(words), "{words}: {told}");
            assert!(told.contains(&place), "{place}: {told}");
            assert!(!told.contains("MIG"), "nothing of a key: {told}");
        }
    }
}

#[test]
fn authorities_that_cannot_be_used_are_refused() {
    let authority = Authority::new();
    let good = authority.sign("good", &["127.0.0.1"]).lines("");
    let no_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let no_der = written(authority.dir(), "no_der", no_der);
    let empty = written(authority.dir(), "empty", "");
    for (ca, words) in [
        ("/no/such", "file of authorities /no/such: cannot read it"),
        (&*empty, "no certificate in it"),
        (&*no_der, "certificate 1 in it cannot be used"),
    ] {
        let of_clients = [&good[..], &[format!("tls_ca: {ca}")]].concat();
        let of_servers = ["server_tls: true".into(), format!("server_tls_ca: {ca}")];
        for lines in [&of_clients[..], &of_servers] {
            let (taken, told) = check(lines);
            assert!(!taken && told.contains(words), "{words}: {told}");
        }
    }
    let (taken, told) = check(&good);
    assert!(taken, "{told}");
}

#[test]
fn what_is_doubtful_is_told_and_taken() {
    let authority = Authority::new();
    let old = authority.expired("old", &["127.0.0.1"]);
    fs::set_permissions(&old.key, fs::Permissions::from_mode(0o644)).unwrap();
    let mut server = old.lines("server_").to_vec();
    server.push("server_tls: true".into());
    for lines in [old.lines("").to_vec(), server] {
        let (taken, told) = check(&lines);
        assert!(taken, "{told}");
        let words = format!("key file {}: every user of this machine", old.key.display());
        assert!(told.contains(&words), "{told}");
        assert!(
            told.contains("the certificate has expired on 2020-02-03 00:00 UTC"),
            "{told}"
        );
        assert!(told.contains("nutcracker.yml:5:"), "{told}");
    }
}

#[test]
fn explaining_needs_no_certificates() {
    let text = pool(
        "herd",
        1,
        &["tls_cert: /no/such".into()],
        &["127.0.0.1:6379".into()],
    );
    let file = crate::servers::ConfigFile::new(&text);
    let args = ["proxy", "-c", file.path(), "--explain", "k"];
    let stopped = crate::servers::Heeler::spawn(&args).wait();
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    assert!(
        stopped.stdout.contains("127.0.0.1:6379"),
        "{}",
        stopped.stdout
    );
}
