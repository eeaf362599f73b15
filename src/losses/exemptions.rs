//! New pods that Gatekeeper's webhooks are not asked about.

use std::collections::BTreeSet;

use serde_json::json;

use crate::access::{
    ANYWHERE, Access, IGNORE_LABEL, Identity, OWN_ACCOUNT, OWN_NAMESPACE, ignored_namespaces,
    subject_text,
};
use crate::admission::AdmissionRequest;
use crate::input::Inventory;
use crate::loss::{ALL, GATEKEEPER, Loss, LossKind};
use crate::rbac::{AUTHENTICATED, SERVICE_ACCOUNTS, SubjectKey};
use crate::witness::memo::Memo;
use crate::witness::{reshape, samples};

/// Tells of new pods that Gatekeeper's webhooks let pass as they are.
pub(super) fn losses(inventory: &Inventory, access: &Access<'_>, memo: &Memo) -> Vec<Loss> {
    let ignored: Vec<&str> = ignored_namespaces(inventory).collect();
    let mut subjects: BTreeSet<&SubjectKey> =
        access.grants().iter().map(|it| &it.subject).collect();
    let everybody = SubjectKey::Group(AUTHENTICATED.to_owned());
    subjects.insert(&everybody);
    let there = ignored.iter().flat_map(|namespace| {
        let of_subject = |it: &&SubjectKey| (Identity::of(it, namespace), *namespace);
        subjects.iter().map(of_subject).collect::<Vec<_>>()
    });
    let own = SubjectKey::User(OWN_ACCOUNT.to_owned());
    let own_group = SubjectKey::Group(format!("{SERVICE_ACCOUNTS}:{OWN_NAMESPACE}"));
    let by_itself = std::iter::once(ANYWHERE)
        .chain(access.bound())
        .filter(|it| {
            !ignored.contains(it) && [&own, &own_group].iter().any(|it| subjects.contains(it))
        })
        .map(|namespace| (Identity::of(&own, namespace), namespace));
    let mut res = Vec::new();
    for (kinds, field, namespaces, subject, why, tried) in [
        (
            [
                LossKind::NamespaceIgnored,
                LossKind::NamespaceIgnoredDefault,
            ],
            format!("metadata.labels[{IGNORE_LABEL}]"),
            ignored.iter().map(ToString::to_string).collect(),
            ALL.to_owned(),
            "the namespace is exempt from the webhooks of Gatekeeper, by its label or because it is their own",
            there.collect::<Vec<_>>(),
        ),
        (
            [LossKind::OwnRequest, LossKind::OwnRequestDefault],
            "request.userInfo.username".to_owned(),
            vec![ALL.to_owned()],
            subject_text(&own),
            "the webhooks of Gatekeeper let pass what its own service account asks for",
            by_itself.collect(),
        ),
    ] {
        let loss = |kind, then, witness| Loss {
            control: GATEKEEPER,
            kind,
            psp: ALL.to_owned(),
            alike: Vec::new(),
            field: field.clone(),
            namespaces: Vec::clone(&namespaces),
            subjects: vec![subject.clone()],
            reaches_creators: true,
            why: format!("{why}, so {then}"),
            causes: Vec::new(),
            witness,
        };
        let [looser_kind, differs_kind] = kinds;
        let looser = tried.iter().find_map(|it| forbidden(access, memo, it));
        let admitted = "every such pod is admitted";
        res.extend(looser.map(|it| loss(looser_kind, admitted, it)));
        let differs = tried.iter().find_map(|it| defaulted(access, memo, it));
        let untouched = "no such pod gets the defaults that PSP set";
        res.extend(differs.map(|it| loss(differs_kind, untouched, it)));
    }
    res
}

/// The request for a pod that no policy of theirs admits.
fn forbidden(
    access: &Access<'_>,
    memo: &Memo,
    (identity, namespace): &(Identity, &str),
) -> Option<AdmissionRequest> {
    let usable = access.usable(identity, namespace);
    let mut pod = samples::modest();
    let demand = json!({ "spec": {
        "hostPID": true,
        "containers": [{ "securityContext": { "privileged": true } }],
    } });
    reshape::give(&mut pod, &demand);
    let is_forbidden = memo.choice(&usable, &pod).is_none();
    is_forbidden.then(|| reshape::request(identity, namespace, pod))
}

/// The request for a pod that the plugin admits with defaults.
fn defaulted(
    access: &Access<'_>,
    memo: &Memo,
    (identity, namespace): &(Identity, &str),
) -> Option<AdmissionRequest> {
    let usable = access.usable(identity, namespace);
    let mut pods = usable.iter().filter_map(|it| samples::pods(it).next());
    let pod = pods.find(|pod| matches!(memo.choice(&usable, pod), Some((_, true))))?;
    Some(reshape::request(identity, namespace, pod))
}
