//! No text makes us panic, and every error points into the text it is about.

use super::{OPTIONS, policy, source};
use crate::input::{load, render_error};

/// A small generator of numbers (xorshift), so that every run tries the same texts.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).expect("a small number"))
            .expect("a small number")
    }
}

const PIECES: [&str; 36] = [
    "---\n",
    "...\n",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ":",
    "- ",
    "-",
    "? ",
    ",",
    "\n",
    "\r",
    "\t",
    "  ",
    "\"",
    "'",
    "|",
    ">",
    "&a ",
    "*a",
    "<<: ",
    "!!",
    "!",
    "%",
    "#",
    "@",
    "~",
    "\\",
    "\\u",
    "\0",
    "\u{feff}",
    "\u{2028}",
    "é",
    "kind: List\nitems:\n",
];

fn samples() -> Vec<String> {
    let json = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBindingList", "items": [{"metadata":
        {"name": "a\u00e9"}, "subjects": [{"kind": "User", "name": "x"}], "roleRef": {"kind": "Role", "name": "b"}}, null]}"#;
    let merge = "apiVersion: v1\nkind: Pod\nmetadata: &m {name: a, labels: {é: ü}}\nx:\n  <<: [*m, {a: |\n    b\n  }]\n  y: >-\n   z\n";
    vec![
        policy("  hostPorts: [{min: 0, max: 1}]\n  volumes:\n  - 'secret' # ß\n  - \"csi\"\n"),
        format!(
            "{}---\n{json}\n---\n{merge}",
            policy("  allowedUnsafeSysctls: [a.*]\n").replace('\n', "\r\n")
        ),
        json.to_owned(),
        merge.to_owned(),
    ]
}

#[track_caller]
fn check(text: &str) {
    let Err(error) = load(&[source(text)], OPTIONS) else {
        return;
    };
    for error in &error.errors {
        assert!(
            text.get(error.span.clone()).is_some(),
            "{error:?} in {text:?}"
        );
        let rendered = render_error(error, text);
        assert!(
            rendered.starts_with(&format!("error: {}: ", error.location)),
            "{rendered}"
        );
    }
}

#[test]
fn texts_cut_off_anywhere() {
    for sample in samples() {
        for (end, _) in sample.char_indices() {
            check(&sample[..end]);
            check(&sample[end..]);
        }
    }
}

#[test]
fn texts_with_random_changes() {
    let mut numbers = Numbers(1);
    for sample in samples() {
        for _ in 0..1000 {
            let mut chars: Vec<char> = sample.chars().collect();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(chars.len());
                let end = (at + numbers.below(20)).min(chars.len());
                match numbers.below(4) {
                    0 => drop(chars.drain(at..end)),
                    1 => {
                        let copy = chars[at..end].to_vec();
                        let to = numbers.below(chars.len());
                        chars.splice(to..to, copy);
                    }
                    2 if end < chars.len() => chars.swap(at, end),
                    _ => drop(chars.splice(at..at, PIECES[numbers.below(PIECES.len())].chars())),
                }
            }
            check(&chars.into_iter().collect::<String>());
        }
    }
}
