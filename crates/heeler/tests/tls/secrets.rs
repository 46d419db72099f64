//! Passwords from files and the environment, which nothing shows.

use std::fs;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::proxy::{Proxy, pool};
use crate::servers::{Client, ConfigFile, Heeler, PATIENCE, RedisServer, Value, free_port};

const SECRET: &str = "hunter2-and-more";

fn write_secret(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// All that a running proxy tells of itself.
fn told_by(proxy: &Proxy, client: &mut Client) -> Vec<String> {
    let mut told: Vec<String> = ["/v1/pools", "/metrics", "/readyz", "/nothing"]
        .map(|path| proxy.ask("GET", path).1)
        .into();
    for command in [
        "CONFIG GET *",
        "INFO everything",
        "CLIENT LIST",
        "COMMAND DOCS auth",
    ] {
        client.send(format!("{command}\r\n").as_bytes());
        told.push(String::from_utf8_lossy(&client.read_raw_reply()).into_owned());
    }
    told
}

#[test]
fn a_password_is_in_no_output() {
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    write_secret(&path, &format!("{SECRET}\n"));
    let from_file = format!("redis_auth_file: {}", path.display());
    for line in [
        &format!("redis_auth: {SECRET}"),
        &from_file,
        "redis_auth_env: HEELER_TEST_PASSWORD",
    ] {
        let port = free_port();
        let text = pool("herd", port, &[line.into()], &[server.address()]);
        let variables = [("HEELER_TEST_PASSWORD", SECRET)];
        let proxy = Proxy::start_in(port, &text, &["--log", "trace"], &variables);
        let mut client = Client::connect(("127.0.0.1", port));
        let refused = Value::Error("NOAUTH Authentication required".into());
        assert_eq!(client.run("GET k"), refused);
        assert_eq!(client.run(&format!("AUTH {SECRET}")), Value::ok());
        assert_eq!(client.run("SET k v"), Value::ok());
        let mut told = told_by(&proxy, &mut client);
        // A file that is wrong in other ways, one in this key's, and one that changes it.
        for wrong in [
            "hash: md6",
            "redis_auth:\n    - x",
            "redis_db: 1",
            "tls_cert: /x",
        ] {
            let lines = [line.into(), wrong.into()];
            let (_, answer) = proxy.reload(&pool("herd", port, &lines, &[server.address()]));
            told.push(answer.to_string());
        }
        let file = ConfigFile::new(&text);
        for args in [
            &["-t"][..],
            &["-t", "--log", "trace"],
            &["--explain", "k"],
            &["-D"],
        ] {
            let all = [&["proxy", "-c", file.path()], args].concat();
            let program = env!("CARGO_BIN_EXE_heeler");
            let process = crate::servers::Process::spawn_in(program, "", &all, &variables);
            let stopped = process.wait();
            assert_eq!(stopped.code, Some(0), "{args:?} {}", stopped.stderr);
            told.extend([stopped.stdout, stopped.stderr]);
        }
        let stopped = proxy.process.stop();
        told.extend([stopped.stdout, stopped.stderr]);
        for text in told {
            assert!(!text.contains("hunter2"), "{line}: {text}");
        }
    }
}

#[test]
fn a_password_file_is_read_anew() {
    let server = RedisServer::start_with(&["--requirepass", "first"]);
    let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
    let path = dir.path().join("password");
    write_secret(&path, "first\n");
    let line = format!("redis_auth_file: {}", path.display());
    let text = pool("herd", port, &[line], &[server.address()]);
    let proxy = Proxy::start(port, &text, &[]);
    let mut client = Client::connect(("127.0.0.1", port));
    assert_eq!(client.run("AUTH first"), Value::ok());
    assert_eq!(client.run("SET k v"), Value::ok());
    let mut direct = server.client();
    assert_eq!(direct.run("AUTH first"), Value::ok());
    assert_eq!(direct.run("CONFIG SET requirepass second"), Value::ok());
    // By a rename, and noticed.
    write_secret(&dir.path().join("next"), "second\n");
    fs::rename(dir.path().join("next"), &path).unwrap();
    proxy.logs(0, "password has changed");
    proxy.logs(0, ": redis_auth\n");
    assert_eq!(
        client.run("GET k"),
        Value::bulk("v"),
        "who has logged in stays so"
    );
    let mut new = Client::connect(("127.0.0.1", port));
    assert!(matches!(new.run("AUTH first"), Value::Error(_)));
    assert_eq!(new.run("AUTH second"), Value::ok());
    assert_eq!(new.run("GET k"), Value::bulk("v"));
    fs::remove_file(&path).unwrap();
    let (status, told) = proxy.ask("POST", "/v1/reload");
    assert!(status == 422 && told.contains("redis_auth_file"), "{told}");
    assert_eq!(new.run("GET k"), Value::bulk("v"));
    fs::write(&path, "second").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    proxy.logs(0, "every user of this machine can read it; run chmod o= ");
}

#[test]
fn a_daemon_has_the_variables_of_who_started_it() {
    let server = RedisServer::start_with(&["--requirepass", SECRET]);
    let port = free_port();
    let line = "redis_auth_env: HEELER_TEST_PASSWORD".to_owned();
    let file = ConfigFile::new(&pool("herd", port, &[line], &[server.address()]));
    let stats = free_port().to_string();
    let pid = Path::new(file.path()).with_extension("pid");
    let pid = pid.to_str().unwrap();
    let all = [
        "proxy",
        "-c",
        file.path(),
        "-d",
        "-p",
        pid,
        "-a",
        "127.0.0.1",
        "-s",
        &stats,
    ];
    let program = env!("CARGO_BIN_EXE_heeler");
    let variables = [("HEELER_TEST_PASSWORD", SECRET)];
    let started = crate::servers::Process::spawn_in(program, "", &all, &variables).wait();
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    let daemon = fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    let daemon = rustix::process::Pid::from_raw(daemon).unwrap();
    let mut client = Client::connect(("127.0.0.1", port));
    let taken = client.run(&format!("AUTH {SECRET}"));
    let stored = client.run("SET k v");
    rustix::process::kill_process(daemon, rustix::process::Signal::TERM).unwrap();
    assert_eq!((taken, stored), (Value::ok(), Value::ok()));
    let mut rest = TcpStream::connect(("127.0.0.1", port)).ok();
    if let Some(stream) = &mut rest {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let _ = stream.read(&mut [0; 1]);
    }
    let missing = Heeler::spawn(&["proxy", "-c", file.path(), "-t"]).wait();
    let told = "the environment variable HEELER_TEST_PASSWORD is not set";
    assert!(missing.stderr.contains(told), "{}", missing.stderr);
}
