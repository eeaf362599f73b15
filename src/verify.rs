//! Asks the PSP plugin and Gatekeeper the same and accounts for every difference.
//!
//! A disagreement is explained by declared losses, or it is a finding.
//! Who answers is the caller's business; see [`Answerers`].

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rayon::prelude::*;

use crate::admission::{AdmissionRequest, Verdict};
use crate::api::core::Pod;
use crate::loss::{Direction, Loss};

mod differences;
mod explain;
mod shrink;

pub use differences::{Difference, differences, taking};
pub use explain::explain;
use shrink::shrink;

/// Both sides, as far as a comparison needs to know them.
pub trait Answerers: Sync {
    /// Why there may be no answer.
    type Error: Send;

    /// Puts a request, as a client sends it, to both; returns nothing where an API server refuses it by itself.
    ///
    /// The pods of the answers are written alike, without the name of the policy that the plugin leaves in them.
    ///
    /// # Errors
    ///
    /// When an answer cannot be known, which is never the same as admitted.
    fn ask(&self, request: &AdmissionRequest) -> Result<Option<Answers>, Self::Error>;

    /// Tells why an API server refuses the request by itself, in its words, as far as that is known; nothing where it does not.
    fn refused_as_sent(&self, request: &AdmissionRequest) -> Option<String>;

    /// Tells what each policy that the plugin tries on the request would fill in and refuse.
    fn tried(&self, request: &AdmissionRequest) -> Vec<Tried>;

    /// Returns the request with what the policy fills in, as far as it is of these controls.
    fn filled_in(
        &self,
        request: &AdmissionRequest,
        policy: &str,
        controls: &BTreeSet<&str>,
    ) -> AdmissionRequest;

    /// Returns the fields of the policy whose defaults PSP sets in the pod of the request, and Gatekeeper's mutators do not set so.
    ///
    /// # Errors
    ///
    /// When that cannot be known.
    fn missing(
        &self,
        request: &AdmissionRequest,
        policy: &str,
    ) -> Result<BTreeSet<&'static str>, Self::Error>;

    /// Returns the pod of the request as Gatekeeper's mutators leave it; nothing where the request is refused with an error.
    ///
    /// # Errors
    ///
    /// When that cannot be known.
    fn mutated(&self, request: &AdmissionRequest) -> Result<Option<Pod>, Self::Error>;

    /// Returns the controls of what Gatekeeper's mutators fill in.
    ///
    /// # Errors
    ///
    /// When that cannot be known.
    fn mutators_fill_in(
        &self,
        request: &AdmissionRequest,
    ) -> Result<BTreeSet<&'static str>, Self::Error>;

    /// Whether Gatekeeper admits what its mutators make of the request, with the values of these controls taken from another pod.
    ///
    /// # Errors
    ///
    /// When that cannot be known.
    fn admits_with(
        &self,
        request: &AdmissionRequest,
        pod: &Pod,
        controls: &BTreeSet<&str>,
    ) -> Result<bool, Self::Error>;

    /// Whether the output that the losses are declared for, if it is another than the one asked, answers the same.
    ///
    /// # Errors
    ///
    /// When its answer cannot be known.
    fn is_as_declared(&self, answers: &Answers) -> Result<bool, Self::Error>;

    /// Returns the control that fills in the value at a path of a pod, as [`Difference`] writes it.
    fn control_of(&self, path: &str) -> Option<&'static str>;
}

/// What both say to a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Answers {
    /// The request as both were asked.
    pub asked: AdmissionRequest,
    /// What the plugin says.
    pub psp: Verdict,
    /// The policy by which the plugin admits the pod, also where the API server then refuses what was filled in; absent where the
    /// plugin forbids it, or did not look at policies.
    pub policy: Option<String>,
    /// What Gatekeeper says.
    pub gatekeeper: Verdict,
    /// Where Gatekeeper admits what PSP denies: whether a policy that can be used accepts the pod as it is stored.
    pub is_stored_pod_accepted: bool,
}

/// A policy that the plugin tries on a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// Its name.
    pub policy: String,
    /// The controls that fill something in.
    pub fills_in: BTreeSet<&'static str>,
    /// The controls that refuse something.
    pub refuses: BTreeSet<&'static str>,
}

impl Answers {
    /// Why the API server refuses what the plugin made of a pod that a policy admits, in its words; absent where it does not.
    ///
    /// Then no policy forbade it, and there is nothing that Gatekeeper could be looser than: the pod is decided by nobody.
    pub fn undecided(&self) -> Option<&str> {
        match &self.psp {
            Verdict::Forbidden { violations } if self.policy.is_some() => {
                let first = violations.first();
                Some(first.map(|it| it.message.as_str()).unwrap_or_default())
            }
            _ => None,
        }
    }

    /// How the two differ, if they do.
    pub fn direction(&self) -> Option<Direction> {
        match (&self.psp, &self.gatekeeper) {
            _ if self.undecided().is_some() => None,
            (Verdict::Forbidden { .. }, Verdict::Admitted { .. }) => {
                Some(if self.is_stored_pod_accepted {
                    Direction::Harmless
                } else {
                    Direction::Looser
                })
            }
            (Verdict::Admitted { .. }, Verdict::Forbidden { .. }) => Some(Direction::Stricter),
            (Verdict::Admitted { pod }, Verdict::Admitted { pod: other }) if pod != other => {
                Some(Direction::Differs)
            }
            _ => None,
        }
    }

    /// The pods that both would store, if both admit.
    pub fn pods(&self) -> Option<(&Pod, &Pod)> {
        match (&self.psp, &self.gatekeeper) {
            (Verdict::Admitted { pod }, Verdict::Admitted { pod: other }) => Some((pod, other)),
            _ => None,
        }
    }
}

/// A disagreement that no loss explains.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which way.
    pub direction: Direction,
    /// Where the request that first showed it came from.
    pub origin: String,
    /// The smallest request that shows it, as a client sends it.
    pub request: AdmissionRequest,
    /// What both say to that.
    pub answers: Answers,
    /// What remains in its pod beside names and images, as paths: where the two look.
    pub fields: Vec<String>,
    /// How many requests showed the like, this one included.
    pub times: usize,
}

/// The ledger of a verification.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verification {
    /// How many requests were put to both, equal ones once.
    pub asked: usize,
    /// How many more were equal to one of them.
    pub repeated: usize,
    /// How many an API server refuses by itself, as they are sent or as the plugin leaves them.
    pub invalid: usize,
    /// To how many both said the same.
    pub agreed: usize,
    /// How many disagreements are explained.
    pub explained: usize,
    /// How many disagreements each loss explains, by its position.
    pub by_loss: BTreeMap<usize, usize>,
    /// How many disagreements no loss explains.
    pub unexplained: usize,
    /// Examples of them, each different; not all where there are many.
    pub findings: Vec<Finding>,
}

/// So many requests are answered at a time, in parallel, so that memory stays bounded.
const BATCH: usize = 2048;
/// So many examples are made smaller and kept.
const MOST_FINDINGS: usize = 20;
/// So many disagreements of one kind are made smaller, in the hope that they turn out to be different.
const MOST_OF_A_KIND: usize = 2;
/// So many disagreements are made smaller in all.
const MOST_SHRUNK: usize = 40;

/// Puts requests to both and keeps the ledger.
#[derive(Debug)]
pub struct Verifier<'a, A> {
    answerers: &'a A,
    losses: &'a [Loss],
    /// Hashes of the requests that were put.
    seen: BTreeSet<u64>,
    batch: Vec<AdmissionRequest>,
    /// How many disagreements of each kind there are, by a summary of the reasons.
    kinds: BTreeMap<String, usize>,
    /// How many disagreements were made smaller.
    shrunk: usize,
    ledger: Verification,
}

/// What came of a request.
enum Outcome {
    Invalid,
    Agreed,
    Explained(Vec<usize>),
    Unexplained(Direction, Box<Answers>),
}

impl<'a, A: Answerers> Verifier<'a, A> {
    /// Starts a ledger.
    pub fn new(answerers: &'a A, losses: &'a [Loss]) -> Self {
        Self {
            answerers,
            losses,
            seen: BTreeSet::new(),
            batch: Vec::with_capacity(BATCH),
            kinds: BTreeMap::new(),
            shrunk: 0,
            ledger: Verification::default(),
        }
    }

    /// Puts one more request, unless an equal one was put before.
    ///
    /// # Errors
    ///
    /// When an answer to it or to an earlier one cannot be known.
    pub fn add(&mut self, request: AdmissionRequest) -> Result<(), A::Error> {
        if !self.seen.insert(hash(&request)) {
            self.ledger.repeated += 1;
            return Ok(());
        }
        self.ledger.asked += 1;
        self.batch.push(request);
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.answer_batch()
    }

    /// How many requests were put so far.
    pub fn asked(&self) -> usize {
        self.ledger.asked
    }

    /// Closes the ledger.
    ///
    /// # Errors
    ///
    /// When an answer cannot be known.
    pub fn finish(mut self) -> Result<Verification, A::Error> {
        self.answer_batch()?;
        Ok(self.ledger)
    }

    fn answer_batch(&mut self) -> Result<(), A::Error> {
        let batch = std::mem::take(&mut self.batch);
        let outcomes: Vec<_> = batch.par_iter().map(|it| self.outcome(it)).collect();
        for (request, outcome) in batch.into_iter().zip(outcomes) {
            match outcome? {
                Outcome::Invalid => self.ledger.invalid += 1,
                Outcome::Agreed => self.ledger.agreed += 1,
                Outcome::Explained(losses) => {
                    self.ledger.explained += 1;
                    for loss in losses {
                        *self.ledger.by_loss.entry(loss).or_default() += 1;
                    }
                }
                Outcome::Unexplained(direction, answers) => {
                    self.ledger.unexplained += 1;
                    self.find(request, direction, *answers)?;
                }
            }
        }
        Ok(())
    }

    fn outcome(&self, request: &AdmissionRequest) -> Result<Outcome, A::Error> {
        let Some(answers) = self.answerers.ask(request)? else {
            return Ok(Outcome::Invalid);
        };
        if answers.undecided().is_some() {
            return Ok(Outcome::Invalid);
        }
        let Some(direction) = answers.direction() else {
            return Ok(Outcome::Agreed);
        };
        let explained = explain(self.answerers, self.losses, request, &answers, direction)?;
        Ok(match explained {
            Some(losses) => Outcome::Explained(losses),
            None => Outcome::Unexplained(direction, Box::new(answers)),
        })
    }

    /// The controls of which the plugin filled something in.
    fn filled_in(&self, request: &AdmissionRequest, answers: &Answers) -> BTreeSet<&'static str> {
        let Some(policy) = &answers.policy else {
            return BTreeSet::new();
        };
        let mut tried = self.answerers.tried(request).into_iter();
        let chosen = tried.find(|it| it.policy == *policy);
        chosen.map(|it| it.fills_in).unwrap_or_default()
    }

    /// Returns the request with all that the plugin fills in, if that is not what Gatekeeper forbids the pod for.
    fn without_defaults(
        &self,
        request: AdmissionRequest,
        direction: Direction,
        answers: Answers,
    ) -> Result<(AdmissionRequest, Answers), A::Error> {
        if let (Direction::Stricter, Some(policy)) = (direction, &answers.policy) {
            let controls = self.filled_in(&request, &answers);
            if !controls.is_empty() {
                let filled_in = self.answerers.filled_in(&request, policy, &controls);
                if let Outcome::Unexplained(Direction::Stricter, answers) =
                    self.outcome(&filled_in)?
                {
                    return Ok((filled_in, *answers));
                }
            }
        }
        Ok((request, answers))
    }

    /// Adds an example, unless there is one like it.
    fn find(
        &mut self,
        request: AdmissionRequest,
        direction: Direction,
        answers: Answers,
    ) -> Result<(), A::Error> {
        let (request, answers) = self.without_defaults(request, direction, answers)?;
        let filled_in = self.filled_in(&request, &answers);
        let kind = kind(direction, &answers, &filled_in);
        let of_kind = self.kinds.entry(kind).or_default();
        *of_kind += 1;
        if *of_kind > MOST_OF_A_KIND
            || self.shrunk == MOST_SHRUNK
            || self.ledger.findings.len() == MOST_FINDINGS
        {
            return Ok(());
        }
        self.shrunk += 1;
        let origin = request.uid.clone();
        let shrunk = shrink(request, |it| {
            Ok(match self.outcome(it)? {
                // What PSP would fill in instead may be another story.
                Outcome::Unexplained(other, answers) if other == direction => {
                    self.filled_in(it, &answers).is_subset(&filled_in)
                }
                _ => false,
            })
        })?;
        let Outcome::Unexplained(_, answers) = self.outcome(&shrunk)? else {
            return Ok(()); // it was unexplained a moment ago
        };
        let fields = shrink::remaining(&shrunk);
        // Of pods that are admitted it matters by whom: a grant may be what is wrong.
        let known = self.ledger.findings.iter_mut().find(|it| {
            it.direction == direction
                && it.fields == fields
                && (direction != Direction::Looser || it.request.user_info == shrunk.user_info)
        });
        match known {
            Some(known) => known.times += 1,
            None => self.ledger.findings.push(Finding {
                direction,
                origin,
                request: shrunk,
                answers: *answers,
                fields,
                times: 1,
            }),
        }
        Ok(())
    }
}

/// What the reasons of disagreements of one kind have in common; the controls are those that fill something in.
fn kind(direction: Direction, answers: &Answers, filled_in: &BTreeSet<&str>) -> String {
    let mut reasons: BTreeSet<String> = BTreeSet::new();
    if let (Direction::Looser, Verdict::Forbidden { violations }) = (direction, &answers.psp) {
        reasons.extend(violations.iter().map(|it| {
            let path = it.message.split(": ").next().unwrap_or_default();
            format!(
                "{} {}",
                it.by,
                path.replace(|it: char| it.is_ascii_digit(), "")
            )
        }));
    }
    if let (Direction::Stricter, Verdict::Forbidden { violations }) =
        (direction, &answers.gatekeeper)
    {
        reasons.extend(violations.iter().map(|it| {
            // Our messages tell the reasons, and then who asked.
            let why = it.message.split(" (").next().unwrap_or_default();
            format!("{} {}", it.by, without_digits(why))
        }));
        reasons.extend(answers.policy.clone());
    }
    if let Some((psp, gatekeeper)) = answers.pods() {
        reasons.extend(differences(psp, gatekeeper).into_iter().map(|it| it.path));
    }
    let operation = answers.asked.operation;
    format!("{direction} {operation:?} {reasons:?} {filled_in:?}")
}

fn without_digits(text: &str) -> String {
    text.replace(|it: char| it.is_ascii_digit(), "")
}

/// The hash of all of a request but its uid.
fn hash(request: &AdmissionRequest) -> u64 {
    let mut hasher = DefaultHasher::new();
    let user = &request.user_info;
    (
        &request.namespace,
        request.operation as u8,
        &request.subresource,
    )
        .hash(&mut hasher);
    (&user.username, &user.groups).hash(&mut hasher);
    request.pod.0.hash(&mut hasher);
    request.old_pod.as_ref().map(|it| &it.0).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
