//! Where Gatekeeper is not asked, or asked too often.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::asked::Asked;
use super::losses::{ANYWHERE, EVERYWHERE, Reach};
use super::mutators::{Mutator, Namespaces};
use super::usage::{Identity, Usage, subject_text};
use super::witness;
use crate::admission::{AdmissionRequest, Operation};
use crate::api::validation::OF_PSP;
use crate::input::Inventory;
use crate::loss::{Direction, Loss};
use crate::psp::strategy::keeps_proc_mount;
use crate::rbac::{AUTHENTICATED, SERVICE_ACCOUNTS, SubjectKey};
use crate::resolve::Grant;
use crate::version::Version;

/// The label of namespaces that Gatekeeper's webhooks leave alone.
const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";

/// The namespace of Gatekeeper itself, which its webhooks leave alone.
pub(super) const OWN_NAMESPACE: &str = "gatekeeper-system";

/// What stands for everybody, and for all PSPs, in a loss.
const EVERYBODY: &str = "*";

/// The service account of Gatekeeper, whose requests its webhooks let pass.
const OWN_ACCOUNT: &str = "system:serviceaccount:gatekeeper-system:gatekeeper-admin";

/// The namespaces of the input that Gatekeeper's webhooks leave alone, as they come with its chart.
pub(super) fn ignored_namespaces(inventory: &Inventory) -> impl Iterator<Item = &str> {
    let is_ignored = |(name, labels): &(&String, &BTreeMap<String, String>)| {
        *name == OWN_NAMESPACE || labels.contains_key(IGNORE_LABEL)
    };
    let namespaces = inventory.namespaces.iter().filter(is_ignored);
    namespaces.map(|(name, _)| name.as_str())
}

/// Whether this is Gatekeeper itself.
pub(super) fn is_gatekeeper(username: &str) -> bool {
    username == OWN_ACCOUNT
}

/// Tells of new pods that Gatekeeper's webhooks let pass as they are.
pub(super) fn unasked(inventory: &Inventory, grants: &[Grant], usage: &Usage<'_>) -> Vec<Loss> {
    let asked = Asked::new(OF_PSP);
    let ignored: Vec<&str> = ignored_namespaces(inventory).collect();
    let mut subjects: BTreeSet<&SubjectKey> = grants.iter().map(|it| &it.subject).collect();
    let everybody = SubjectKey::Group(AUTHENTICATED.to_owned());
    subjects.insert(&everybody);
    let there = ignored.iter().flat_map(|namespace| {
        let of_subject = |it: &&SubjectKey| (Identity::of(it, namespace), *namespace);
        subjects.iter().map(of_subject).collect::<Vec<_>>()
    });
    let own = SubjectKey::User(OWN_ACCOUNT.to_owned());
    let own_group = SubjectKey::Group(format!("{SERVICE_ACCOUNTS}:{OWN_NAMESPACE}"));
    let by_itself = std::iter::once(ANYWHERE)
        .chain(usage.bound())
        .filter(|it| {
            !ignored.contains(it) && [&own, &own_group].iter().any(|it| subjects.contains(it))
        })
        .map(|namespace| (Identity::of(&own, namespace), namespace));
    let mut res = Vec::new();
    for (name, field, namespaces, subject, why, tried) in [
        (
            "namespace-ignored",
            format!("metadata.labels[{IGNORE_LABEL}]"),
            ignored.iter().map(ToString::to_string).collect(),
            EVERYBODY.to_owned(),
            "the webhooks of Gatekeeper leave the namespace alone, by its label or because it is their own",
            there.collect::<Vec<_>>(),
        ),
        (
            "own-request",
            "request.userInfo.username".to_owned(),
            vec![EVERYWHERE.to_owned()],
            subject_text(&own),
            "the webhooks of Gatekeeper let pass what its own service account asks for",
            by_itself.collect(),
        ),
    ] {
        let loss = |suffix, direction, then, witness| Loss {
            name: format!("gatekeeper/{name}{suffix}"),
            direction,
            psp: EVERYBODY.to_owned(),
            alike: Vec::new(),
            field: field.clone(),
            namespaces: Vec::clone(&namespaces),
            subjects: vec![subject.clone()],
            why: format!("{why}, so {then}"),
            witness,
        };
        let looser = tried.iter().find_map(|it| forbidden(usage, &asked, it));
        let admitted = "every such pod is admitted";
        res.extend(looser.map(|it| loss("", Direction::Looser, admitted, it)));
        let differs = tried.iter().find_map(|it| filled_in(usage, &asked, it));
        let untouched = "no such pod gets the defaults that the plugin filled in";
        res.extend(differs.map(|it| loss("-default", Direction::Differs, untouched, it)));
    }
    res
}

/// The request for a pod that no policy of theirs admits.
fn forbidden(
    usage: &Usage<'_>,
    asked: &Asked,
    (identity, namespace): &(Identity, &str),
) -> Option<AdmissionRequest> {
    let usable = usage.usable(identity, namespace);
    let mut pod = witness::modest();
    let demand = json!({ "spec": {
        "hostPID": true,
        "containers": [{ "securityContext": { "privileged": true } }],
    } });
    witness::give(&mut pod, &demand);
    let is_forbidden = asked.choice(&usable, &pod).is_none();
    is_forbidden.then(|| witness::request(identity, namespace, pod))
}

/// The request for a pod that the plugin admits with defaults.
fn filled_in(
    usage: &Usage<'_>,
    asked: &Asked,
    (identity, namespace): &(Identity, &str),
) -> Option<AdmissionRequest> {
    let usable = usage.usable(identity, namespace);
    let mut pods = usable.iter().filter_map(|it| witness::pods(it).next());
    let pod = pods.find(|pod| matches!(asked.choice(&usable, pod), Some((_, true))))?;
    Some(witness::request(identity, namespace, pod))
}

/// Tells of new pods that the API server takes something out of before a constraint sees them, and that the plugin saw with it.
pub(super) fn reset(
    inventory: &Inventory,
    grants: &[Grant],
    usage: &Usage<'_>,
    mutators: &[Mutator],
    kubernetes: Version,
) -> Option<Loss> {
    if keeps_proc_mount(inventory.keeps_proc_mount(), kubernetes) {
        return None;
    }
    let asked = Asked::new(kubernetes);
    let witness = grants.iter().find_map(|it| {
        let namespace = it.namespace.as_deref().unwrap_or(ANYWHERE);
        let identity = Identity::of(&it.subject, namespace);
        let usable = usage.usable(&identity, namespace);
        if usage.is_exempt(&identity, namespace) {
            return None;
        }
        usable.iter().find_map(|psp| {
            let mut pod = witness::admitted(psp, &witness::pods(psp).next()?);
            let here = mutators
                .iter()
                .filter(|it| it.namespaces.contains(namespace));
            let mutated = witness::mutated(&pod, here.map(|it| &it.mutation));
            if !asked.accept(&usable, &mutated) {
                return None;
            }
            let container = json!({ "securityContext": { "procMount": "Unmasked" } });
            witness::give(&mut pod, &json!({ "spec": { "containers": [container] } }));
            Some(witness::request(&identity, namespace, pod))
        })
    })?;
    Some(Loss {
        name: "proc-mount/reset-by-api-server".to_owned(),
        direction: Direction::Harmless,
        psp: EVERYBODY.to_owned(),
        alike: Vec::new(),
        field: "spec.allowedProcMountTypes".to_owned(),
        namespaces: vec![EVERYWHERE.to_owned()],
        subjects: vec![EVERYBODY.to_owned()],
        why: "the API server resets the proc mount type before a constraint sees it, so a pod that asks for `Unmasked` is admitted and stored with `Default`".to_owned(),
        witness,
    })
}

/// Tells what becomes of pods that are there already, where mutators cannot be kept to new ones.
pub(super) fn updates(mutators: &[Mutator]) -> Vec<Loss> {
    let mut fields = BTreeMap::<_, (Option<&Mutator>, Reach)>::new();
    for mutator in mutators {
        let key = (mutator.control, mutator.field, &mutator.labels);
        let (first, reach) = fields.entry(key).or_default();
        first.get_or_insert(mutator);
        match &mutator.namespaces {
            Namespaces::Only(names) => {
                for it in names {
                    reach.add(it);
                }
            }
            Namespaces::AllBut(names) => reach.add_others(names),
        }
    }
    let mut res = Vec::new();
    for ((control, field, labels), (mutator, reach)) in fields {
        let (Some(mutator), Some(namespace)) = (mutator, reach.tried.first()) else {
            continue;
        };
        let mut names = reach.names;
        if names.contains(EVERYWHERE) {
            names = BTreeSet::from([EVERYWHERE.to_owned()]);
        }
        let everybody = SubjectKey::Group(AUTHENTICATED.to_owned());
        let identity = Identity::of(&everybody, namespace);
        let mut pod = witness::modest();
        if let Some(labels) = labels {
            witness::give(&mut pod, &labels.pod());
        }
        let mut witness = witness::request(&identity, namespace, pod);
        let mut old_pod = witness.pod.clone();
        old_pod.set(&["metadata", "finalizers"], json!(["example.com/hold"]));
        witness.operation = Operation::Update;
        witness.old_pod = Some(old_pod);
        res.push(Loss {
            name: format!("{control}/default-on-update"),
            direction: Direction::Stricter,
            psp: mutator.policies.first().cloned().unwrap_or_default(),
            alike: Vec::new(),
            field: field.to_owned(),
            namespaces: names.into_iter().collect(),
            subjects: vec![EVERYBODY.to_owned()],
            why: "mutators act on updates too before Gatekeeper 3.23, and the API server lets nobody change an old pod that lacks the default, not even to remove a finalizer".to_owned(),
            witness,
        });
    }
    res
}
