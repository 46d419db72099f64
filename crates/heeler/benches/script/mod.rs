//! Commands to measure.

use fastrand::Rng;
use heeler::command::{Arg, Command, Spec, find};

/// Commands of equally many words, one after the other as in a read buffer.
pub struct Script {
    spec: &'static Spec,
    words: usize,
    raw: Vec<u8>,
    args: Vec<Arg>,
}

impl Script {
    /// So many commands. In the template `#` stands for the command's number, `?` for a random
    /// number below `bound`; both have twelve digits.
    pub fn new(template: &str, commands: usize, bound: u64) -> Script {
        let words: Vec<&str> = template.split(' ').collect();
        let mut script = Script {
            spec: find(words[0].as_bytes()).expect("a command of the table"),
            words: words.len(),
            raw: Vec::new(),
            args: Vec::new(),
        };
        let mut random = Rng::with_seed(1);
        for number in 0..commands {
            for word in &words {
                let word = word.replace('#', &format!("{number:012}"));
                script.push(&match word.contains('?') {
                    true => word.replace('?', &format!("{:012}", random.u64(..bound))),
                    false => word,
                });
            }
        }
        script
    }

    fn push(&mut self, word: &str) {
        let start = self.raw.len() as u32;
        self.raw.extend_from_slice(word.as_bytes());
        let end = self.raw.len() as u32;
        self.args.push(Arg { start, end });
    }

    /// The commands, in their order.
    pub fn iter(&self) -> impl Iterator<Item = Command<'_>> + Clone {
        let commands = self.args.chunks_exact(self.words);
        commands.map(|args| Command::new(self.spec, &self.raw, args))
    }
}
