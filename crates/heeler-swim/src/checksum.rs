//! Membership checksums: Node's form and Go's, by either hash function.

use heeler_ring::RingHash;

use crate::{Labels, Status};

/// How the members are written before they are hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// ringpop-node: in the order of addresses, `;` between members.
    #[default]
    Node,
    /// ringpop-go: in the order of the whole texts, `#` and the labels' checksum after those with
    /// labels, `;` after each member.
    Go,
}

/// The form of a membership checksum.
///
/// Peers of different forms never agree about their checksum, and take each ping of the other for
/// a sign of disagreement. A node that knows the form of each peer keeps the ring quiet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Form {
    /// The hash function.
    pub hash: RingHash,
    /// What is hashed.
    pub style: Style,
}

impl Form {
    /// All four. The last is spoken by no peer in use.
    pub const ALL: [Form; 4] = [
        Form::new(RingHash::Fingerprint32, Style::Node),
        Form::new(RingHash::Hash32V1, Style::Node),
        Form::new(RingHash::Fingerprint32, Style::Go),
        Form::new(RingHash::Hash32V1, Style::Go),
    ];

    /// A form.
    pub const fn new(hash: RingHash, style: Style) -> Form {
        Form { hash, style }
    }

    pub(crate) fn index(self) -> usize {
        let hash = usize::from(self.hash == RingHash::Hash32V1);
        hash + 2 * usize::from(self.style == Style::Go)
    }

    /// The checksum of these members, which are sorted by address. Tombstones are left out.
    ///
    /// ```
    /// use heeler_ring::RingHash;
    /// use heeler_swim::{Form, Status, Style};
    ///
    /// let members = [
    ///     ("127.0.0.1:3100", Status::Alive, 1795163823914, None),
    ///     ("127.0.0.1:3101", Status::Alive, 1795163824419, None),
    ///     ("127.0.0.1:3102", Status::Alive, 1795163824774, None),
    /// ];
    /// let form = Form::new(RingHash::Fingerprint32, Style::Node);
    /// assert_eq!(form.checksum(members), 769642718);
    /// ```
    pub fn checksum<'a>(self, members: impl IntoIterator<Item = Line<'a>>) -> u32 {
        self.hash.hash(self.style.text(members).as_bytes())
    }

    /// The form that gives members the checksum that their sender states. The members need not be
    /// sorted.
    pub fn detect<'a>(members: impl IntoIterator<Item = Line<'a>>, checksum: u32) -> Option<Form> {
        let mut members: Vec<Line<'a>> = members.into_iter().collect();
        members.sort_unstable_by(|a, b| a.0.cmp(b.0));
        let texts = [Style::Node, Style::Go].map(|style| style.text(members.iter().copied()));
        let mut forms = Form::ALL.into_iter();
        forms.find(|form| {
            let text = &texts[usize::from(form.style == Style::Go)];
            form.hash.hash(text.as_bytes()) == checksum
        })
    }
}

/// What a checksum covers of a member: address, status, incarnation number, labels.
pub type Line<'a> = (&'a str, Status, u64, Option<&'a Labels>);

impl Style {
    /// What is hashed.
    fn text<'a>(self, members: impl IntoIterator<Item = Line<'a>>) -> String {
        let members = members.into_iter();
        let members = members.filter(|(_, status, ..)| *status != Status::Tombstone);
        match self {
            Style::Node => {
                let mut text = String::with_capacity(members.size_hint().0 * 40);
                for (i, (address, status, incarnation, _)) in members.enumerate() {
                    if i > 0 {
                        text.push(';');
                    }
                    push(&mut text, address, status, incarnation);
                }
                text
            }
            Style::Go => {
                let mut lines: Vec<String> = members.map(go_line).collect();
                lines.sort_unstable();
                lines.iter().flat_map(|line| [line.as_str(), ";"]).collect()
            }
        }
    }
}

fn go_line((address, status, incarnation, labels): Line<'_>) -> String {
    let mut line = String::with_capacity(address.len() + 24);
    push(&mut line, address, status, incarnation);
    let sum = labels.map_or(0, Labels::checksum);
    if sum != 0 {
        line.push('#');
        line.push_str(itoa::Buffer::new().format(sum));
    }
    line
}

fn push(text: &mut String, address: &str, status: Status, incarnation: u64) {
    text.push_str(address);
    text.push_str(status.name());
    text.push_str(itoa::Buffer::new().format(incarnation));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(address: &str) -> Line<'_> {
        (address, Status::Alive, 1, None)
    }

    #[test]
    fn node_joins_by_address_and_go_ends_each_whole_text() {
        let members = [line("1.2.3.4:300"), line("1.2.3.4:3000")];
        assert_eq!(
            Style::Node.text(members),
            "1.2.3.4:300alive1;1.2.3.4:3000alive1"
        );
        assert_eq!(
            Style::Go.text(members),
            "1.2.3.4:3000alive1;1.2.3.4:300alive1;"
        );
        assert_eq!(Style::Node.text([]), "");
        assert_eq!(Form::default().checksum([]), 3_696_677_242);
        let hash32v1 = Form::new(RingHash::Hash32V1, Style::Node);
        assert_eq!(hash32v1.checksum([]), 12_864_499);
    }

    #[test]
    fn tombstones_are_left_out() {
        let gone = ("b:1", Status::Tombstone, 1, None);
        for style in [Style::Node, Style::Go] {
            assert_eq!(style.text([line("a:1"), gone]), style.text([line("a:1")]));
        }
    }

    #[test]
    fn go_adds_the_checksum_of_labels() {
        let mut labels = Labels::default();
        labels.set("key", "value").unwrap();
        let member = [("a:1", Status::Alive, 1, Some(&labels))];
        assert_eq!(
            Style::Go.text(member),
            format!("a:1alive1#{};", labels.checksum())
        );
        assert_eq!(Style::Node.text(member), "a:1alive1");
    }

    #[test]
    fn a_form_is_known_by_a_list_and_its_checksum() {
        let members = [
            line("b:1"),
            line("a:1"),
            ("c:1", Status::Tombstone, 1, None),
        ];
        for form in Form::ALL {
            let checksum = form.checksum([line("a:1"), line("b:1")]);
            assert_eq!(Form::detect(members, checksum), Some(form));
            assert_eq!(Form::ALL[form.index()], form);
        }
        assert_eq!(Form::detect(members, 1), None);
    }
}
