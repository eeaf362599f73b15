//! What stands in a text and not in another.

use std::collections::BTreeSet;

/// More than this is not a hand's edit but another program's output, of which the first ones do.
const MOST: usize = 200;

/// Words and numbers that stand in the manifests to judge, and not in those that would be written now.
///
/// Nobody can guess which user, path or port was put into an output by hand; these are tried as all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Foreign {
    /// The words.
    pub words: BTreeSet<String>,
    /// The numbers, none negative.
    pub numbers: BTreeSet<i64>,
}

impl Foreign {
    /// Compares two sets of texts, whatever language they are in.
    pub fn new<'a>(
        texts: impl Iterator<Item = &'a str>,
        known: impl Iterator<Item = &'a str>,
    ) -> Self {
        let known: BTreeSet<&str> = known.flat_map(tokens).collect();
        let mut res = Self::default();
        for token in texts.flat_map(tokens).filter(|it| !known.contains(it)) {
            match token.parse::<i64>() {
                Ok(number) if number >= 0 && res.numbers.len() < MOST => {
                    res.numbers.insert(number);
                }
                Err(_) if res.words.len() < MOST => {
                    res.words.insert(token.to_owned());
                }
                _ => {}
            }
        }
        res
    }
}

/// Words between blanks, quotes, commas and brackets, without a colon at their end.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split(|it: char| it.is_whitespace() || "\"'`,[]{}()".contains(it))
        .map(|it| it.trim_end_matches(':'))
        .filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_hand_put_in_is_found() {
        let known = "ranges: [{max: 20, min: 10}]\ngroups: {\"a:b\": [x]}";
        let edited = "ranges: [{max: 25, min: 10}]\ngroups: {\"a:b\": [x], \"c:d\": [x]}";
        let foreign = Foreign::new([edited].into_iter(), [known].into_iter());
        assert_eq!(foreign.numbers, BTreeSet::from([25]));
        assert_eq!(foreign.words, BTreeSet::from(["c:d".to_owned()]));
    }
}
