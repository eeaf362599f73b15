//! Where policies of a kind have the same losses, so that one search is enough for all of them.

use std::collections::BTreeSet;

use super::acting::Acting;
use super::mutators::Mutator;
use super::search::Tried;
use super::usage::Scope;
use crate::api::policy::PodSecurityPolicy;

/// What decides over the pods of those who may use one policy of a kind in one namespace, and no other policy there.
///
/// Where it is the same for two policies, their pods differ in nothing but the values in which the policies do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Circumstances<'a> {
    kind: usize,
    /// Whether Gatekeeper is asked about anybody's pod.
    is_asked: bool,
    /// The names of the mutators that act there.
    acting: Vec<&'a str>,
    /// For each default of the policy, the name of the mutator that fills it in.
    own: Vec<Option<&'a str>>,
}

impl<'a> Circumstances<'a> {
    /// Those of a policy in the scopes where it may be used, given who would ask there; with the namespace.
    ///
    /// There are none where the policy may be used in several scopes, or others beside it.
    pub(super) fn of<'b>(
        kind: usize,
        psp: &PodSecurityPolicy,
        scopes: &BTreeSet<Scope<'b>>,
        mut tried: impl Iterator<Item = Tried<'b>>,
        mutators: &[Acting<'a>],
        own: &[Option<&'a Mutator>],
    ) -> Option<(&'b str, Self)> {
        let mut scopes = scopes.iter().copied();
        let (Some(Some(namespace)), None) = (scopes.next(), scopes.next()) else {
            return None;
        };
        let mut is_asked = false;
        let is_alone = tried.all(|it| {
            is_asked = true;
            it.usable.iter().all(|it| it.name == psp.name)
        });
        let acting = mutators.iter().flat_map(|it| it.of(namespace));
        let acting = acting.map(|it| it.name.as_str()).collect();
        let own = own.iter().map(|it| it.map(|it| it.name.as_str())).collect();
        is_alone.then_some((
            namespace,
            Self {
                kind,
                is_asked,
                acting,
                own,
            },
        ))
    }
}
