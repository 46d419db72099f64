//! Passwords that stand in a file of their own or in the environment.

use std::fmt;
use std::fs::File as Opened;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::File;
use super::keys::Fault;
use crate::config::conceal;
use crate::config::diagnostic::{Diagnostic, Invalid, Level};
use crate::config::document::Scalar;
use crate::config::secret::Secret;
use crate::limits;

/// The keys that give a pool its password.
pub(super) const KEYS: [&str; 3] = ["redis_auth", "redis_auth_file", "redis_auth_env"];

/// Where a password is.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// In a file, but for the newline at its end.
    File(PathBuf),
    /// In a variable of the environment.
    Env(String),
}

/// What is wrong, and what to do about it.
type Wrong = (String, Option<String>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => write!(f, "File({path:?})"),
            Source::Env(name) if conceal::is_variable(name) => write!(f, "Env({name})"),
            // It may be a password that stands at the wrong key.
            Source::Env(_) => f.write_str("Env(hidden)"),
        }
    }
}

impl Source {
    /// The variable that a value names.
    pub(super) fn variable(value: &Scalar<'_>) -> Result<Source, Fault> {
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let name = &*value.text;
        match name.chars().all(is_letter) && !name.starts_with(|c: char| c.is_ascii_digit()) {
            true => Ok(Source::Env(name.to_owned())),
            // It may be the password itself, so it is not shown.
            false => Err(Fault::new(
                value.at.clone(),
                "the value is no name of a variable",
            )),
        }
    }

    /// The file, if it is in one.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Source::File(path) => Some(path),
            Source::Env(_) => None,
        }
    }

    /// The password. What is doubtful about its file is logged.
    ///
    /// # Errors
    /// Why it cannot be had, and what to do.
    pub fn secret(&self) -> Result<Secret, String> {
        let shown = |(message, help): Wrong| match help {
            Some(help) => format!("{message}; {help}"),
            None => message,
        };
        let (secret, warning) = self.fetch().map_err(shown)?;
        if let Some(warning) = warning {
            tracing::warn!("{}", shown(warning));
        }
        Ok(secret)
    }

    fn key(&self) -> &'static str {
        match self {
            Source::File(_) => KEYS[1],
            Source::Env(_) => KEYS[2],
        }
    }

    /// The password, and whether others can read it, too.
    fn fetch(&self) -> Result<(Secret, Option<Wrong>), Wrong> {
        match self {
            Source::File(path) => read(path).map_err(|(message, help)| {
                let message = format!("password file {}: {message}", path.display());
                (message, help)
            }),
            Source::Env(name) => variable(name).map(|secret| (secret, None)),
        }
    }
}

fn variable(name: &str) -> Result<Secret, Wrong> {
    let shown = match conceal::is_variable(name) {
        true => format!("the environment variable {name}"),
        false => "the environment variable that it names".to_owned(),
    };
    let help = "set it where the process is started; a running process sees no change of it";
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => Ok(Secret::new(text)),
        Ok(_) => Err((format!("{shown} is empty"), Some(help.into()))),
        Err(std::env::VarError::NotPresent) => {
            Err((format!("{shown} is not set"), Some(help.into())))
        }
        Err(std::env::VarError::NotUnicode(_)) => Err((format!("{shown} is not UTF-8"), None)),
    }
}

fn read(path: &Path) -> Result<(Secret, Option<Wrong>), Wrong> {
    let unreadable = |error: std::io::Error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "create it, or write where it is",
            _ => "let the user who runs the process read it",
        };
        let reason = error.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        (format!("cannot read it: {reason}"), Some(help.to_owned()))
    };
    let file = Opened::open(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    let mut bytes = Vec::new();
    file.take(limits::SECRET_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() > limits::SECRET_BYTES {
        let message = format!("longer than {} bytes", limits::SECRET_BYTES);
        return Err((message, Some("write only the password into it".into())));
    }
    let text = String::from_utf8(bytes).map_err(|_| ("it is not UTF-8".to_owned(), None))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        let help = Some("write the password into it".to_owned());
        return Err(("no password in it".to_owned(), help));
    }
    let warning = (mode & 0o004 != 0).then(|| {
        let shown = path.display();
        let message = format!("password file {shown}: every user of this machine can read it");
        (message, Some(format!("run chmod o= {shown}")))
    });
    Ok((Secret::new(text), warning))
}

impl File {
    /// Fetches the passwords that do not stand in the file.
    ///
    /// # Errors
    /// Those that cannot be had, and why.
    pub fn fetch_passwords(&mut self) -> Result<(), Invalid> {
        let mut problems = Vec::new();
        for i in 0..self.pools.len() {
            let Some(source) = self.pools[i].redis_auth_from.clone() else {
                continue;
            };
            let told = |level, what| -> Diagnostic {
                let is_meant = |key: &str, _: &str| key == source.key();
                self.problem(level, &self.pools[i].name, is_meant, what)
            };
            match source.fetch() {
                Ok((secret, warning)) => {
                    let warning = warning.map(|what| told(Level::Warning, what));
                    self.warnings.extend(warning);
                    self.pools[i].redis_auth = Some(secret);
                }
                Err(what) => problems.push(told(Level::Error, what)),
            }
        }
        match problems.is_empty() {
            true => Ok(()),
            false => Err(Invalid { problems }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::parse;
    use super::*;

    fn fetched(line: &str) -> Result<File, Invalid> {
        let text = format!(
            "a:\n  listen: 127.0.0.1:1\n  timeout: 400\n  redis: true\n  {line}\n  servers:\n   - \
             h:1:1 a\n"
        );
        let mut file = parse("f.yml", &text)?;
        file.fetch_passwords()?;
        Ok(file)
    }

    fn of(file: &File) -> &str {
        file.pools[0].redis_auth.as_ref().unwrap().expose()
    }

    #[test]
    fn one_newline_at_the_end_is_not_of_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let line = format!("redis_auth_file: {}", path.display());
        for (text, password) in [
            ("hunter2", "hunter2"),
            ("hunter2\n", "hunter2"),
            ("hunter2\r\n", "hunter2"),
            (" hunter2 \n\n", " hunter2 \n"),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let file = fetched(&line).unwrap();
            assert_eq!(of(&file), password, "{text:?}");
            assert_eq!(file.warnings, []);
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let warning = fetched(&line).unwrap().warnings[0].one_line();
        assert!(warning.starts_with("f.yml:5:20: pool 'a': key 'redis_auth_file': password file"));
        assert!(warning.contains("every user of this machine can read it; run chmod o= /"));
    }

    #[test]
    fn what_holds_no_password_is_told_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let line = format!("redis_auth_file: {}", path.display());
        let error = |line: &str| fetched(line).unwrap_err().problems[0].one_line();
        let told = error(&line);
        let start = "f.yml:5:20: pool 'a': key 'redis_auth_file': password file /";
        assert!(told.starts_with(start), "{told}");
        assert!(
            told.ends_with(
                "cannot read it: No such file or directory; create it, or write \
             where it is"
            ),
            "{told}"
        );
        for (bytes, reason) in [
            (&b"\n"[..], "no password in it"),
            (b"", "no password in it"),
            (b"\xff\xfe", "it is not UTF-8"),
            (&[b'x'; limits::SECRET_BYTES + 1], "longer than"),
        ] {
            fs::write(&path, bytes).unwrap();
            assert!(error(&line).contains(reason), "{}", error(&line));
        }
    }

    #[test]
    fn a_variable_is_looked_up_and_what_may_be_a_password_is_not_shown() {
        assert_eq!(
            of(&fetched("redis_auth_env: PATH").unwrap()),
            std::env::var("PATH").unwrap()
        );
        let told = fetched("redis_auth_env: HEELER_NO_SUCH").unwrap_err();
        assert!(
            told.to_string()
                .contains("variable HEELER_NO_SUCH is not set"),
            "{told}"
        );
        for line in ["redis_auth_env: hunter2", "redis_auth_env: hunter2!"] {
            let told = fetched(line).unwrap_err().to_string();
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
