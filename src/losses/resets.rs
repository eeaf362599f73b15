//! New pods that are admitted although PSP denied them, because what it denied them for is not stored.

use serde_json::json;

use crate::access::{ANYWHERE, Access, Identity};
use crate::admission::{AdmissionRequest, Operation};
use crate::api::core::APPARMOR_CONTAINER_PREFIX;
use crate::api::policy::PodSecurityPolicy;
use crate::controls::apparmor;
use crate::controls::defaults::Place;
use crate::input::Inventory;
use crate::loss::{ALL, Loss, LossKind};
use crate::plan::{Bundle, PlanOptions};
use crate::psp::strategy::keeps_proc_mount;
use crate::witness::memo::Memo;
use crate::witness::{reshape, samples};

/// Returns what the API server resets before a constraint sees it, and the AppArmor profile that need not be there.
pub(super) fn losses(
    inventory: &Inventory,
    access: &Access<'_>,
    bundle: &Bundle,
    options: PlanOptions,
    memo: &Memo,
) -> Vec<Loss> {
    let proc_mount = proc_mount(inventory, access, bundle, options, memo);
    let app_armor = unset_profile(access, bundle, options, memo);
    proc_mount.into_iter().chain(app_armor).collect()
}

fn proc_mount(
    inventory: &Inventory,
    access: &Access<'_>,
    bundle: &Bundle,
    options: PlanOptions,
    memo: &Memo,
) -> Option<Loss> {
    if keeps_proc_mount(inventory.keeps_proc_mount(), options.kubernetes) {
        return None;
    }
    let witness = admitted(access, bundle, memo, |_, _, mut request| {
        let container = json!({ "securityContext": { "procMount": "Unmasked" } });
        reshape::give(
            &mut request.pod,
            &json!({ "spec": { "containers": [container] } }),
        );
        Some(request)
    })?;
    Some(Loss {
        control: "proc-mount",
        kind: LossKind::ResetByApiServer,
        psp: ALL.to_owned(),
        alike: Vec::new(),
        field: "spec.allowedProcMountTypes".to_owned(),
        namespaces: vec![ALL.to_owned()],
        subjects: vec![ALL.to_owned()],
        reaches_creators: true,
        why: "the API server resets the proc mount type before a constraint sees it, so a pod that asks for `Unmasked` is admitted and stored with `Default`".to_owned(),
        causes: Vec::new(),
        witness,
    })
}

/// An update that PSP denies because the pod lacks the annotation that it would set.
fn unset_profile(
    access: &Access<'_>,
    bundle: &Bundle,
    options: PlanOptions,
    memo: &Memo,
) -> Option<Loss> {
    let relaxed = |psp: &&PodSecurityPolicy| apparmor::unset_is_runtime_default(&psp.spec);
    let first = access.policies().find(relaxed)?;
    if options.strict_app_armor {
        return None;
    }
    let witness = admitted(access, bundle, memo, |usable, psp, mut request| {
        let profiles = [Place::Annotations(APPARMOR_CONTAINER_PREFIX)];
        request.pod = reshape::without(psp, request.pod, profiles);
        let others = usable.iter().copied().filter(|it| !relaxed(it));
        let others: Vec<_> = others.collect();
        // None may accept it as it stands without the annotation, or PSP would let the update pass.
        let shows = relaxed(&psp)
            && memo.accept(&[psp], &request.pod)
            && !memo.accept(&others, &request.pod);
        shows.then(|| {
            request.operation = Operation::Update;
            request.old_pod = Some(request.pod.clone());
            reshape::give(
                &mut request.pod,
                &json!({ "metadata": { "labels": { "changed": "yes" } } }),
            );
            request
        })
    })?;
    Some(Loss {
        control: "apparmor",
        kind: LossKind::UnsetProfile,
        psp: ALL.to_owned(),
        alike: Vec::new(),
        field: apparmor::DEFAULT_FIELD.to_owned(),
        namespaces: vec![ALL.to_owned()],
        subjects: vec![ALL.to_owned()],
        reaches_creators: true,
        why: format!(
            "a container that is not privileged may name no AppArmor profile where PSP would have set `runtime/default`, as PodSecurityPolicy {} does: both mean the profile of the runtime",
            first.name
        ),
        causes: Vec::new(),
        witness,
    })
}

/// A request that is made of one for a pod that both admit, given the policies that can be used and the one that accepts it.
fn admitted(
    access: &Access<'_>,
    bundle: &Bundle,
    memo: &Memo,
    make: impl Fn(
        &[&PodSecurityPolicy],
        &PodSecurityPolicy,
        AdmissionRequest,
    ) -> Option<AdmissionRequest>,
) -> Option<AdmissionRequest> {
    access.grants().iter().find_map(|it| {
        let namespace = it.namespace.as_deref().unwrap_or(ANYWHERE);
        let identity = Identity::of(&it.subject, namespace);
        let usable = access.usable(&identity, namespace);
        if access.is_exempt(&identity, namespace) {
            return None;
        }
        let mutators = bundle.mutators.iter();
        let here = mutators.filter(|it| it.namespaces.contains(namespace) && it.pods.is_all());
        let mutations: Vec<_> = here.map(|it| &it.mutation).collect();
        usable.iter().find_map(|psp| {
            let pod = reshape::admitted(psp, &samples::pods(psp).next()?);
            let is_accepted = memo.accept(&usable, &reshape::mutated(&pod, &mutations));
            is_accepted.then(|| make(&usable, psp, reshape::request(&identity, namespace, pod)))?
        })
    })
}
