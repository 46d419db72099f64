//! Files with their outcome: `pools/refused/*.yml` with the errors in `*.txt`, and
//! `pools/accepted/*.yml` with the pools and warnings. `UPDATE_GOLDEN=1` rewrites the outcomes.

use std::fs;
use std::path::{Path, PathBuf};

use heeler::config::pools;

#[test]
fn refused_files_say_why() {
    let files = golden("refused", |name, text| {
        let invalid = pools::parse(name, text).expect_err(name);
        let mut outcome = invalid.to_string() + "\n\n";
        for problem in &invalid.problems {
            outcome += &(problem.one_line() + "\n");
        }
        assert!(
            !format!("{outcome}{invalid:?}").contains("hunter2"),
            "{name} shows a password"
        );
        outcome
    });
    assert!(files >= 20);
}

#[test]
fn accepted_files_become_pools() {
    let files = golden("accepted", |name, text| {
        let file = pools::parse(name, text).unwrap_or_else(|invalid| panic!("{invalid}"));
        let mut outcome = format!("{:#?}\n", file.pools);
        for warning in &file.warnings {
            outcome += &format!("\n{warning}\n\n{}\n", warning.one_line());
        }
        assert!(
            !format!("{outcome}{file:?}").contains("hunter2"),
            "{name} shows a password"
        );
        outcome
    });
    assert!(files >= 4);
}

/// Compares the outcome of each file of a folder with the golden one. Returns how many.
fn golden(folder: &str, outcome: impl Fn(&str, &str) -> String) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pools")
        .join(folder);
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries
        .filter(|path| path.extension().is_some_and(|end| end == "yml"))
        .collect();
    files.sort();
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let found = outcome(name, &fs::read_to_string(file).unwrap());
        let golden = file.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &found).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(found, expected, "{name}: the outcome has changed");
    }
    files.len()
}
