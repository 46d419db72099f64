//! Any words as any command: the table finds it or not, and its keys lie among its arguments.
#![no_main]

use heeler::command::{Arg, Command, TABLE, find, find_subcommand, is_container};
use libfuzzer_sys::fuzz_target;

// Two bytes choose a line of the table, each line of input after them is an argument.
fuzz_target!(|input: &[u8]| {
    let Some((number, raw)) = input.split_at_checked(2) else {
        return;
    };
    let args = arguments(raw);
    let word = |arg: &Arg| &raw[arg.start as usize..arg.end as usize];
    if let Some(found) = find(word(&args[0])) {
        assert!(found.name.as_bytes().eq_ignore_ascii_case(word(&args[0])));
    }
    let line = usize::from(u16::from_le_bytes([number[0], number[1]]));
    let spec = &TABLE[line % TABLE.len()];
    if is_container(spec) {
        find_subcommand(spec, word(&args[0]));
    }
    if !spec.accepts(args.len()) {
        return;
    }
    if let Ok(keys) = Command::new(spec, raw, &args).keys() {
        let positions: Vec<usize> = keys.iter().collect();
        assert_eq!(positions.len(), keys.len());
        let places = 1..args.len();
        assert!(
            positions.iter().all(|at| places.contains(at)),
            "{}: {keys:?}",
            spec.name
        );
    }
});

fn arguments(raw: &[u8]) -> Vec<Arg> {
    let mut start = 0;
    let lines = raw.split(|byte| *byte == b'\n').map(|line| {
        let end = start + line.len();
        let place = start as u32..end as u32;
        start = end + 1;
        Arg {
            start: place.start,
            end: place.end,
        }
    });
    lines.collect()
}
