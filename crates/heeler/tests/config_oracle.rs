//! The real `nutcracker -t` as the judge: what it accepts is accepted, what it refuses is refused.
//! Deliberate differences are listed, and have to be differences.

use std::path::Path;
use std::process::{Command, Stdio};

use heeler::config::pools;

const LISTEN: &str = "  listen: 127.0.0.1:22121\n";
const SERVERS: &str = "  servers:\n   - 127.0.0.1:6379:1\n";

/// Where Heeler does something else, and why.
const DIFFERENCES: [(&str, &str); 13] = [
    ("reuseport: true", "a key of twemproxy's master branch"),
    (
        "timeout: 4294967296",
        "twemproxy's number wraps around to 0",
    ),
    (
        "server 127.0.0.1:6379:4294967297",
        "twemproxy's number wraps around to 1",
    ),
    (
        "listen /tmp/x 40000000777",
        "twemproxy's mode wraps around to 0777",
    ),
    (
        "listen nosuch.invalid:22121",
        "hosts are resolved when the pool is started",
    ),
    (
        "listen nosuch:22121",
        "hosts are resolved when the pool is started",
    ),
    ("a tab on an empty line", "harmless"),
    ("blanks and a tab on an empty line", "harmless"),
    ("a tab before a comment", "harmless"),
    (
        "U+2028 in a comment",
        "a line break in YAML 1.1, a character in YAML 1.2",
    ),
    (
        "U+0085 as a line break",
        "a line break in YAML 1.1, a character in YAML 1.2",
    ),
    (
        "listen fe80::1%nosuch:22121",
        "interfaces are looked up when the pool is started",
    ),
    (
        "a quoted value that goes on at the margin",
        "an error in YAML 1.2, as it looks like a key",
    ),
];

#[test]
fn nutcracker_agrees() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nutcracker.yml");
    let cases = cases();
    let mut accepted = 0;
    let mut wrong = Vec::new();
    for (name, bytes) in &cases {
        std::fs::write(&file, bytes).unwrap();
        let theirs = nutcracker_accepts(&file);
        let ours = pools::read(&file);
        accepted += usize::from(theirs);
        let differs = DIFFERENCES.iter().any(|(case, _)| case == name);
        if (ours.is_ok() != theirs) != differs {
            let ours = ours
                .map(|_| "accepted".to_owned())
                .unwrap_or_else(|e| e.to_string());
            wrong.push(format!(
                "{name}: nutcracker accepts: {theirs}, heeler: {ours}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    for (name, _) in DIFFERENCES {
        assert!(
            cases.iter().any(|(case, _)| case == name),
            "{name} is no case"
        );
    }
    assert!(
        cases.len() >= 200 && accepted >= 80,
        "{} cases, {accepted} accepted",
        cases.len()
    );
}

/// Small damages to a good file, the same ones in every run.
#[test]
fn nutcracker_agrees_on_damaged_files() {
    let good = "alpha:\n  listen: 127.0.0.1:22121\n  hash: md5\n  timeout: 400\n  redis: true\n  \
                servers:\n   - 127.0.0.1:6379:1 a\n   - 127.0.0.1:6380:1 b\nbeta:\n  listen: \
                127.0.0.1:22122\n  servers:\n  - 127.0.0.1:11211:1\n";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nutcracker.yml");
    let mut wrong = Vec::new();
    for at in 0..good.len() {
        let (left, right) = good.split_at(at);
        // One byte taken away, put in or doubled: the same kinds all over the file.
        let put = ["", ":", " ", "\n", "-", "'", "0"][at % 7];
        let skip = usize::from(put.is_empty() || at % 2 == 0);
        let damaged = format!("{left}{put}{}", &right[skip..]);
        std::fs::write(&file, &damaged).unwrap();
        let theirs = nutcracker_accepts(&file);
        let ours = pools::read(&file);
        if ours.is_ok() != theirs && !only_nutcracker_resolves(&ours) {
            wrong.push(format!(
                "nutcracker accepts: {theirs}, heeler: {ours:?}\n{damaged}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// True if a pool listens at what is no address: twemproxy looks it up while it reads the file.
fn only_nutcracker_resolves(file: &Result<pools::File, heeler::config::Invalid>) -> bool {
    file.as_ref().is_ok_and(|file| {
        file.pools.iter().any(|pool| match &pool.listen {
            pools::Listen::Tcp { host, .. } => host.parse::<std::net::IpAddr>().is_err(),
            pools::Listen::Unix { .. } => false,
        })
    })
}

fn nutcracker_accepts(file: &Path) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let status = Command::new("nutcracker")
        .args(["-t", "-c"])
        .arg(file)
        .env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("nutcracker is installed (Debian package nutcracker)");
    status.success()
}

type Case = (String, Vec<u8>);

fn cases() -> Vec<Case> {
    let mut cases = values();
    cases.extend(listens());
    cases.extend(servers());
    cases.extend(structure());
    cases.extend(yaml());
    cases.extend(encodings());
    cases
}

/// A pool with the usual `listen` and `servers`, and these lines between them.
fn pool(lines: &str) -> String {
    format!("a:\n{LISTEN}{lines}{SERVERS}")
}

/// Every key with good and bad values.
fn values() -> Vec<Case> {
    let numbers =
        "0 1 400 0400 2147483647 2147483648 -1 +1 1.5 1e3 0x10 1_000 4294967296 '400' '' ~ x";
    let switches = "true false True TRUE yes no on 1 0 'true' \"false\" '' ~ x";
    let keys = [
        (
            "hash",
            "one_at_a_time md5 crc16 crc32 crc32a fnv1_64 fnv1a_64 fnv1_32 fnv1a_32 hsieh murmur \
             jenkins foo MD5 md5x '' \"md5\"",
        ),
        (
            "hash_tag",
            "\"{}\" $$ ab é a abc '' \"\\x01\\x02\" '''''' {} [] %%",
        ),
        ("distribution", "ketama modula random modulo Ketama ''"),
        ("timeout", numbers),
        ("backlog", "0 512 -1 x ''"),
        ("client_connections", "0 10 -1 x ''"),
        ("tcpkeepalive", "true false True ''"),
        ("reuseport", "true"),
        ("redis", switches),
        ("redis_auth", "secret"),
        ("redis_db", "0 3 -1 x ''"),
        ("preconnect", "true false 1"),
        ("auto_eject_hosts", "true false 1"),
        ("server_connections", "0 1 2 -1 x ''"),
        ("server_retry_timeout", "0 30000 -1 x ''"),
        ("server_failure_limit", "0 2 -1 x ''"),
        ("sentinels", "x"),
        ("Hash", "md5"),
        ("write", "true"),
    ];
    let mut cases = Vec::new();
    for (key, values) in keys {
        for value in values.split(' ') {
            let line = format!("{key}: {value}");
            cases.push((line.clone(), pool(&format!("  {line}\n")).into_bytes()));
        }
    }
    for (name, lines) in [
        ("a number with a blank in quotes", "  timeout: '400 '\n"),
        ("a switch with a blank in quotes", "  redis: 'true '\n"),
        (
            "redis_auth before redis",
            "  redis_auth: x\n  redis: true\n",
        ),
        ("redis_auth after redis", "  redis: true\n  redis_auth: x\n"),
        (
            "redis_auth with redis: false",
            "  redis: false\n  redis_auth: x\n",
        ),
        ("redis_auth empty", "  redis: true\n  redis_auth: ''\n"),
        (
            "redis_auth like a number",
            "  redis: true\n  redis_auth: 012345\n",
        ),
        ("a key twice", "  hash: md5\n  hash: md5\n"),
        ("a number twice", "  timeout: 1\n  timeout: 1\n"),
        ("listen twice", LISTEN),
    ] {
        cases.push((name.to_owned(), pool(lines).into_bytes()));
    }
    cases
}

fn listens() -> Vec<Case> {
    let long = |bytes: usize| format!("/{}", "x".repeat(bytes - 1));
    let values = [
        ":22121",
        "::1:22121",
        "'[::1]:22121'",
        "127.0.0.1:022121",
        "127.0.0.1:0",
        "127.0.0.1:65535",
        "127.0.0.1:65536",
        "127.0.0.1:",
        "127.0.0.1",
        "127.0.0.1:x",
        "127.0.0.1:-1",
        "'127.0.0.1 :22121'",
        "' 127.0.0.1:22121'",
        "'127.0.0.1:22121 '",
        "localhost:22121",
        "'*:22121'",
        "127.1:22121",
        "nosuch.invalid:22121",
        "nosuch:22121",
        "127?0.0.1:22121",
        "127:0.0.1:22121",
        "fe80::1%nosuch:22121",
        "::ffff:127.0.0.1:22121",
        "22121",
        "''",
        "relative/path:22121",
        "/tmp/x abc",
        "/tmp/x 0777",
        "/tmp/x 777",
        "/tmp/x 1000",
        "/tmp/x -1",
        "/tmp/x 8",
        "/tmp/x 0",
        "/tmp/x 0660x",
        "'/tmp/x '",
        "'/tmp/x  0777'",
        "/tmp/x 40000000777",
        "/tmp/x 10000000000000000000000000",
        "/",
        "'/ 0777'",
        "/tmp/a:b",
        "/tmp/é",
    ];
    let mut values: Vec<(String, String)> = values
        .map(|value| (value.to_owned(), value.to_owned()))
        .to_vec();
    values.push(("a path of 107 bytes".to_owned(), long(107)));
    values.push(("a path of 108 bytes".to_owned(), long(108)));
    let cases = values.into_iter().map(|(name, value)| {
        (
            format!("listen {name}"),
            format!("a:\n  listen: {value}\n{SERVERS}").into_bytes(),
        )
    });
    cases.collect()
}

fn servers() -> Vec<Case> {
    let values = [
        "':6379:1'",
        ":6379:1",
        "'127.0.0.1:6379:1 '",
        "' 127.0.0.1:6379:1'",
        "' 127.0.0.1:6379:1 a'",
        "'127.0.0.1:6379:1  a'",
        "127.0.0.1:6379:1  # a",
        "::1:6379:1",
        "'[::1]:6379:1'",
        "[::1]:6379:1",
        "/tmp/x:1",
        "/tmp/x:y:1",
        "/tmp/x y:1 n",
        "/tmp/x y:1",
        "/tmp/x:1 n",
        "/tmp/x",
        "/tmp/x:0",
        "127.0.0.1:6379",
        "127.0.0.1:6379 a",
        "127.0.0.1:6379:0",
        "127.0.0.1:6379:-1",
        "127.0.0.1:6379:1.5",
        "127.0.0.1:6379:4294967297",
        "127.0.0.1:6379:2147483647",
        "127.0.0.1:6379:2147483648",
        "'127.0.0.1:6379:'",
        "127.0.0.1::1",
        "127.0.0.1:0:1",
        "127.0.0.1:65535:1",
        "127.0.0.1:65536:1",
        "127.0.0.1:06379:1",
        "127.0.0.1:x:1",
        "127.0.0.1:6379:1|1:1:m",
        "nosuch.invalid:6379:1",
        "''",
        "",
        "' '",
        "127.0.0.1:6379:1 x#y",
        "127.0.0.1:6379:1 #y",
        "127.0.0.1:6379:1 x[1]",
        "127.0.0.1:6379:1 {a}",
        "127.0.0.1:6379:1 a,b",
        "127.0.0.1:6379:1\tx",
        "127.0.0.1:6379:1: x",
        "127.0.0.1: 6379:1",
        "- 127.0.0.1:6379:1",
        "127.0.0.1:6379:1\n     x",
        "\"127.0.0.1:6379:1\n     x\"",
        "127.0.0.1:6379:1 é",
        "127.0.0.1:6379:1 'a'",
        "localhost",
        "a",
        "127.0.0.1:6379:1 a:b:c",
    ];
    let lists = [
        (
            "a host twice",
            "   - 127.0.0.1:6379:1\n   - 127.0.0.1:6379:2\n",
        ),
        (
            "a host with a zero",
            "   - 127.0.0.1:6379:1\n   - 127.0.0.1:06379:2\n",
        ),
        (
            "a name twice",
            "   - 127.0.0.1:6379:1 x\n   - 127.0.0.1:6380:2 x\n",
        ),
        (
            "a host with two names",
            "   - 127.0.0.1:6379:1 x\n   - 127.0.0.1:6379:2 y\n",
        ),
        (
            "port 11211 twice",
            "   - 127.0.0.1:11211:1\n   - 127.0.0.1:011211:2\n",
        ),
        (
            "a name like a host",
            "   - 127.0.0.1:6379:1\n   - 127.0.0.1:1:1 127.0.0.1:6379\n",
        ),
        (
            "the name of port 11211",
            "   - 127.0.0.1:11211:1\n   - 127.0.0.1:1:1 127.0.0.1\n",
        ),
        (
            "a socket's name",
            "   - /tmp/x:1\n   - 127.0.0.1:1:1 /tmp/x:\n",
        ),
        (
            "a socket's path as a name",
            "   - /tmp/x:1\n   - 127.0.0.1:1:1 /tmp/x\n",
        ),
        ("no indentation", "  - 127.0.0.1:6379:1\n"),
        ("no blank after the dash", "   -127.0.0.1:6379:1\n"),
        ("a tab after the dash", "   -\t127.0.0.1:6379:1\n"),
        (
            "a blank and a tab after the dash",
            "   - \t127.0.0.1:6379:1\n",
        ),
        ("no items", ""),
    ];
    let one = values.map(|value| {
        let text = format!("a:\n{LISTEN}  servers:\n   - {value}\n");
        (format!("server {value}"), text.into_bytes())
    });
    let many = lists.map(|(name, list)| {
        (
            format!("servers: {name}"),
            format!("a:\n{LISTEN}  servers:\n{list}").into_bytes(),
        )
    });
    one.into_iter().chain(many).collect()
}

fn structure() -> Vec<Case> {
    let other = |text: &str| text.replace("a:\n", "b:\n").replace("22121", "22122");
    let good = pool("");
    let cases = [
        ("a pool", good.clone()),
        ("two pools", format!("{good}{}", other(&good))),
        (
            "a pool twice",
            format!("{good}{}", good.replace("22121", "22122")),
        ),
        (
            "an address twice",
            format!("{good}{}", good.replace("a:\n", "b:\n")),
        ),
        (
            "an address spelled twice",
            format!(
                "{good}{}",
                good.replace("a:\n", "b:\n").replace("22121", "022121")
            ),
        ),
        ("nothing", String::new()),
        ("empty lines", "\n\n".to_owned()),
        ("a comment", "# x\n".to_owned()),
        ("a word", "a\n".to_owned()),
        ("a list", "- a\n".to_owned()),
        ("a pool without keys", "a:\n".to_owned()),
        ("a pool with a value", "a: b\n".to_owned()),
        ("a pool with a list", "a:\n - b\n".to_owned()),
        ("a pool without keys before a pool", format!("b:\n{good}")),
        ("a pool without a name", good.replace("a:\n", "\"\":\n")),
        (
            "a pool's name in quotes",
            good.replace("a:\n", "\"a b\":\n"),
        ),
        ("a pool's name in Unicode", good.replace("a:\n", "犬:\n")),
        ("no listen", format!("a:\n{SERVERS}")),
        ("no servers", format!("a:\n{LISTEN}")),
        (
            "servers without a list",
            format!("a:\n{LISTEN}  servers: 127.0.0.1:6379:1\n"),
        ),
        (
            "a list that is not servers",
            format!("a:\n{LISTEN}  servers: 127.0.0.1:6379:1\n  hash:\n   - md5\n"),
        ),
        (
            "a list of two that is not servers",
            format!("a:\n{LISTEN}  servers: 127.0.0.1:6379:1\n  hash:\n   - md5\n   - md5\n"),
        ),
        (
            "servers twice",
            format!("a:\n{LISTEN}  servers: 127.0.0.1:6378:1\n{SERVERS}"),
        ),
        (
            "servers twice, list first",
            format!("{good}  servers: 127.0.0.1:6378:1\n"),
        ),
        (
            "two lists",
            format!("{good}  sentinels:\n   - 127.0.0.1:1:1\n"),
        ),
        (
            "two lists of servers",
            format!("{good}{}", SERVERS.replace("6379", "6378")),
        ),
        ("a key after the list", format!("{good}  hash: md5\n")),
        (
            "a mapping in an item",
            format!("a:\n{LISTEN}  servers:\n   - a: b\n"),
        ),
        ("a mapping in a key", pool("  hash:\n    a: b\n")),
        ("a key in a key", pool("  hash:\n    hash: md5\n")),
        ("a key without a value", pool("  hash:\n")),
        ("a value without a key", pool("  : md5\n")),
        ("an empty key", pool("  '': md5\n")),
        ("a key in quotes", pool("  \"hash\": md5\n")),
        ("an explicit key", pool("  ? hash\n  : md5\n")),
        ("an explicit key without a value", pool("  ? hash\n")),
        ("a blank before the colon", pool("  hash : md5\n")),
        (
            "no blank after the colon",
            pool("  timeout:1000\n  redis: true\n"),
        ),
        (
            "no blank after the colon, last",
            format!("{good}  timeout:1000\n"),
        ),
        (
            "all is indented",
            good.lines().map(|line| format!("  {line}\n")).collect(),
        ),
        (
            "nothing is indented",
            format!("a:\nlisten: 127.0.0.1:22121\n{SERVERS}"),
        ),
        (
            "a line is indented more",
            format!("a:\n{LISTEN}   hash: md5\n{SERVERS}"),
        ),
        (
            "a line is indented less",
            format!("a:\n{LISTEN} hash: md5\n{SERVERS}"),
        ),
        ("comments", format!("# x\na: # y\n{LISTEN}  # z\n{SERVERS}")),
        ("no newline at the end", good.trim_end().to_owned()),
        ("blanks at the ends of lines", good.replace('\n', "  \n")),
    ];
    cases
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .into()
}

fn yaml() -> Vec<Case> {
    let good = pool("");
    let cases = [
        ("---", format!("---\n{good}")),
        ("...", format!("{good}...\n")),
        ("%YAML", format!("%YAML 1.1\n---\n{good}")),
        ("%TAG", format!("%TAG ! x:\n---\n{good}")),
        ("two documents", format!("{good}---\n{good}")),
        (
            "braces",
            "a: {listen: 127.0.0.1:22121, servers: [127.0.0.1:6379:1]}\n".to_owned(),
        ),
        (
            "brackets",
            format!("a:\n{LISTEN}  servers: [127.0.0.1:6379:1]\n"),
        ),
        ("empty brackets", format!("{good}  hash: []\n")),
        ("a key in brackets", pool("  [hash]: md5\n")),
        ("an anchor", pool("  hash: &x md5\n")),
        ("an anchor at a pool", good.replace("a:\n", "a: &x\n")),
        ("an alias", pool("  hash: *x\n")),
        ("a tag", pool("  hash: !!str md5\n")),
        ("a bare tag", pool("  hash: ! md5\n")),
        ("a literal block", pool("  hash: |\n    md5\n")),
        ("a stripped literal block", pool("  hash: |-\n    md5\n")),
        ("a stripped folded block", pool("  hash: >-\n    md5\n")),
        ("an open quote", pool("  hash: \"md5\n")),
        ("text after a quote", pool("  hash: \"md5\" x\n")),
        (
            "a quoted value over two lines",
            pool("  hash: \"md5\n    \"\n"),
        ),
        (
            "a quoted value that goes on at the margin",
            pool("  redis: true\n  redis_auth: 'x\ny'\n"),
        ),
        ("a bad escape", pool("  hash: \"\\q\"\n")),
        ("a back-quote", pool("  hash: `md5`\n")),
        ("an at sign", pool("  hash: @md5\n")),
        ("a percent sign", pool("  hash_tag: %%\n")),
        (
            "a tab as indentation",
            format!("a:\n\tlisten: 127.0.0.1:22121\n{SERVERS}"),
        ),
        ("a tab after the colon", pool("  hash:\tmd5\n")),
        ("a blank and a tab after the colon", pool("  hash: \tmd5\n")),
        ("a tab before the colon", pool("  hash\t: md5\n")),
        ("a tab at the end of a line", pool("  hash: md5\t\n")),
        ("a tab after a quoted value", pool("  hash: \"md5\"\t\n")),
        (
            "a tab before a comment in a line",
            pool("  hash: md5\t# x\n"),
        ),
        ("a tab after a pool's name", good.replace("a:\n", "a:\t\n")),
        ("a tab in a comment", pool("  #\tx\n")),
        ("a tab before a comment", pool("\t# x\n")),
        ("a tab on an empty line", pool("\t\n")),
        ("blanks and a tab on an empty line", pool("  \t\n")),
        (
            "a key of 1100 bytes",
            pool(&format!("  {}: md5\n", "x".repeat(1100))),
        ),
        (
            "a name of 5000 bytes",
            good.replace(":1\n", &format!(":1 {}\n", "x".repeat(5000))),
        ),
    ];
    cases
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .into()
}

fn encodings() -> Vec<Case> {
    let good = pool("");
    let units = |mark: u16| {
        std::iter::once(mark)
            .chain(good.encode_utf16())
            .collect::<Vec<u16>>()
    };
    let little = units(0xfeff)
        .into_iter()
        .flat_map(u16::to_le_bytes)
        .collect();
    let big: Vec<u8> = units(0xfeff)
        .into_iter()
        .flat_map(u16::to_be_bytes)
        .collect();
    let odd = big[..big.len() - 1].to_vec();
    let text = [
        ("a byte-order mark", format!("\u{feff}{good}")),
        ("a byte-order mark in a comment", pool("  # \u{feff}\n")),
        (
            "a byte-order mark between pools",
            format!("{good}\u{feff}b:\n"),
        ),
        ("carriage returns and newlines", good.replace('\n', "\r\n")),
        ("carriage returns", good.replace('\n', "\r")),
        ("U+0085 as a line break", good.replace('\n', "\u{85}")),
        ("U+2028 at the end of a comment", pool("  # x\u{2028}\n")),
        ("U+2028 in a comment", pool("  # x\u{2028}y\n")),
        ("NUL in a comment", pool("  # \0\n")),
        ("NUL at the end", format!("{good}\0")),
        ("text after NUL", format!("{good}\0 x")),
        ("U+0001", pool("  # \u{1}\n")),
        ("U+007F", pool("  # \u{7f}\n")),
        ("U+0080", pool("  # \u{80}\n")),
        ("U+FFFF", pool("  # \u{ffff}\n")),
        ("an emoji", pool("  # 🐕\n")),
    ];
    let mut cases: Vec<Case> = text
        .map(|(name, text)| (name.to_owned(), text.into_bytes()))
        .into();
    cases.push(("UTF-16, little-endian".to_owned(), little));
    cases.push(("UTF-16, big-endian".to_owned(), big));
    cases.push(("UTF-16 with half a character".to_owned(), odd));
    let latin = pool("  # é\n").into_bytes();
    let latin = latin.into_iter().filter(|&byte| byte != 0xc3).collect();
    cases.push(("a byte that is not UTF-8".to_owned(), latin));
    cases
}
