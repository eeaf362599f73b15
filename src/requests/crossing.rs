//! Probes and grants, crossed.

use std::collections::BTreeSet;

use serde_json::json;

use super::Foreign;
use super::cast::{Cast, Person, UNKNOWN_NAMESPACE, hands};
use super::pods::{PLACES, boundless, complying, minimal, roomy};
use super::prepare::set_account;
use crate::admission::{AdmissionRequest, Operation};
use crate::api::core::{ContainerRef, Pod};
use crate::api::policy::{
    AllowedHostPath, GroupStrategy, HostPortRange, IdRange, IdRanges, PodSecurityPolicySpec,
    ProfileStrategy, RunAsUserStrategy, RuntimeClassStrategy, SeLinuxOptions, SeLinuxStrategy,
};
use crate::api::seccomp;
use crate::controls::CONTROLS;
use crate::controls::probe::Probe;
use crate::input::Inventory;
use crate::resolve::Grant;

/// With more probes or pairs than this, a part of them is asked, spread evenly.
const MOST: usize = 200_000;
/// With more combinations of people, places and pods than this, a part of them is asked, spread evenly.
const MOST_CROSSED: usize = 10_000;

/// Asks on both sides of every boundary of every policy, in the hands of those who may use it.
pub(super) fn probes(
    inventory: &Inventory,
    cast: &Cast,
    foreign: &Foreign,
) -> impl Iterator<Item = AdmissionRequest> {
    let total = inventory.policies.len() * 500;
    let step = total.div_ceil(MOST).max(1);
    let like_foreign = as_policy(foreign);
    let policies = inventory.policies.iter().enumerate();
    policies.flat_map(move |(number, psp)| {
        let base = complying(psp);
        let mut probes = probes_of(&psp.spec);
        probes.extend(like_foreign.iter().flat_map(probes_of));
        let holders = cast.holders(&psp.name).to_vec();
        let probes = probes.into_iter().enumerate();
        let probes = probes.filter(move |(index, _)| (index + number) % step == 0);
        probes.flat_map(move |(_, (probe, fills_in))| {
            let origin = format!("a probe of PodSecurityPolicy {}: {probe}", psp.name);
            let changed = |base: &Pod, at: ContainerRef| {
                let mut pod = base.clone();
                probe.apply(&mut pod, at);
                pod
            };
            let [regular, init] = PLACES;
            let mut pods = vec![changed(&base, regular)];
            if !probe.is_about_the_pod() {
                pods.push(changed(&base, init));
            }
            if fills_in {
                pods.push(changed(&roomy(), regular));
            }
            let holders = holders.clone();
            pods.into_iter().flat_map(move |pod| {
                let origin = origin.clone();
                let asked = holders.clone().into_iter();
                asked.map(move |(person, namespace)| person.asks(&namespace, &pod, origin.clone()))
            })
        })
    })
}

/// All probes, each with whether its control fills something in.
pub(super) fn probes_of(spec: &PodSecurityPolicySpec) -> Vec<(Probe, bool)> {
    let probes = CONTROLS.iter().flat_map(|control| {
        let fills_in = !control.fills_in().is_empty();
        let probes = control.probes(spec).into_iter();
        probes.map(move |it| (it, fills_in))
    });
    probes.collect()
}

/// Asks for a pod that each granted policy accepts, where and by whom it is granted, and for changes to it.
pub(super) fn grants(
    inventory: &Inventory,
    cast: &Cast,
    grants: &[Grant],
) -> impl Iterator<Item = AdmissionRequest> {
    let namespaces: BTreeSet<String> = cast.namespaces.iter().cloned().collect();
    grants.iter().enumerate().flat_map(move |(number, grant)| {
        let mut policies: Vec<_> = inventory
            .policies
            .iter()
            .filter(|it| grant.policies.contains(&it.name))
            .collect();
        let step = (policies.len() * grants.len()).div_ceil(MOST).max(1);
        if step > 1 {
            let mut index = number;
            policies.retain(|_| {
                index += 1;
                index % step == 0
            });
        }
        let hands = hands(grant, &namespaces);
        policies.into_iter().flat_map(move |psp| {
            let pod = complying(psp);
            let hands = hands.clone().into_iter();
            hands.flat_map(move |(person, namespace)| {
                let origin = format!("PodSecurityPolicy {} as it is granted", psp.name);
                let granted = person.asks(&namespace, &pod, origin);
                let mut elsewhere = granted.clone();
                UNKNOWN_NAMESPACE.clone_into(&mut elsewhere.namespace);
                let mut res = changes(&granted);
                res.extend([granted, elsewhere]);
                res
            })
        })
    })
}

/// Changes to a pod that is there, as clients, controllers and kubelets make them.
pub(super) fn changes(created: &AdmissionRequest) -> Vec<AdmissionRequest> {
    let mut stored = created.pod.clone();
    set_account(&mut stored);
    seccomp::sync(&mut stored);
    let update = |subresource: &str, change: &dyn Fn(&mut Pod)| {
        let mut pod = stored.clone();
        change(&mut pod);
        AdmissionRequest {
            uid: format!("{}, changed", created.uid),
            operation: Operation::Update,
            subresource: subresource.to_owned(),
            old_pod: Some(stored.clone()),
            pod,
            ..created.clone()
        }
    };
    let label = |pod: &mut Pod| pod.set(&["metadata", "labels", "changed"], "yes".into());
    let debug = |pod: &mut Pod| {
        let container = json!([{ "name": "debug", "image": "registry.example.com/debug:1" }]);
        pod.set(&["spec", "ephemeralContainers"], container);
    };
    vec![
        update("", &|_| {}),
        update("", &label),
        update("", &|pod| {
            pod.set(&["metadata", "finalizers"], json!(["example.com/a"]));
        }),
        update("ephemeralcontainers", &debug),
        update("", &|pod| {
            debug(pod);
            label(pod);
        }),
        update("status", &|pod| {
            pod.set(&["status", "phase"], "Running".into());
        }),
    ]
}

/// Asks everybody everywhere for pods that some policy accepts, for one that says nothing and for one that needs everything.
pub(super) fn everybody(
    inventory: &Inventory,
    cast: &Cast,
) -> impl Iterator<Item = AdmissionRequest> {
    let mut pods = vec![
        ("a pod that says nothing".to_owned(), minimal()),
        ("a pod that owns its node".to_owned(), boundless()),
    ];
    let policies = inventory.policies.iter();
    pods.extend(policies.map(|it| {
        (
            format!("a pod for PodSecurityPolicy {}", it.name),
            complying(it),
        )
    }));
    let total = cast.people.len() * cast.namespaces.len() * pods.len();
    let mut step = total.div_ceil(MOST_CROSSED).max(1);
    // A step that shares no factor with the lengths gives every person, place and pod its turn.
    while step > 1 && greatest_common_divisor(step, total) > 1 {
        step += 1;
    }
    (0..total).step_by(step).filter_map(move |index| {
        let (index, person) = (index / cast.people.len(), index % cast.people.len());
        let (index, namespace) = (index / cast.namespaces.len(), index % cast.namespaces.len());
        let person: &Person = cast.people.get(person)?;
        let namespace = cast.namespaces.get(namespace)?;
        let (origin, pod) = pods.get(index)?;
        person
            .can_be_in(namespace)
            .then(|| person.asks(namespace, pod, origin.clone()))
    })
}

fn greatest_common_divisor(left: usize, right: usize) -> usize {
    if right == 0 {
        left
    } else {
        greatest_common_divisor(right, left % right)
    }
}

/// A policy that has the foreign words and numbers wherever one can have them, so that its probes try them all.
fn as_policy(foreign: &Foreign) -> Option<PodSecurityPolicySpec> {
    if *foreign == Foreign::default() {
        return None;
    }
    let words: Vec<String> = foreign.words.iter().cloned().collect();
    let single = |it: &i64| IdRange { min: *it, max: *it };
    let ranges: Vec<IdRange> = foreign.numbers.iter().map(single).collect();
    let groups = IdRanges::new(&ranges).map_or(GroupStrategy::RunAsAny, GroupStrategy::MustRunAs);
    let ports = foreign
        .numbers
        .iter()
        .filter_map(|it| i32::try_from(*it).ok());
    let profiles = ProfileStrategy {
        allowed: Some(words.join(",")),
        default: String::new(),
    };
    let word = words.first().cloned().unwrap_or_default();
    Some(PodSecurityPolicySpec {
        privileged: false,
        host_network: false,
        host_pid: false,
        host_ipc: false,
        host_ports: ports.map(|it| HostPortRange { min: it, max: it }).collect(),
        volumes: Vec::new(),
        allowed_host_paths: words
            .iter()
            .filter(|it| it.starts_with('/'))
            .map(|it| AllowedHostPath {
                path_prefix: it.clone(),
                read_only: false,
            })
            .collect(),
        allowed_flex_volumes: words.clone(),
        allowed_csi_drivers: words.clone(),
        run_as_user: IdRanges::new(&ranges)
            .map_or(RunAsUserStrategy::RunAsAny, RunAsUserStrategy::MustRunAs),
        run_as_group: groups.clone(),
        supplemental_groups: groups.clone(),
        fs_group: groups,
        read_only_root_filesystem: false,
        allow_privilege_escalation: true,
        default_allow_privilege_escalation: None,
        allowed_capabilities: words.clone(),
        default_add_capabilities: Vec::new(),
        required_drop_capabilities: Vec::new(),
        se_linux: SeLinuxStrategy::MustRunAs(SeLinuxOptions {
            user: word.clone(),
            role: word.clone(),
            type_: word.clone(),
            level: word,
        }),
        allowed_proc_mount_types: Vec::new(),
        allowed_unsafe_sysctls: words.clone(),
        forbidden_sysctls: Vec::new(),
        runtime_class: Some(RuntimeClassStrategy {
            allowed: words,
            default: None,
        }),
        seccomp: profiles.clone(),
        app_armor: profiles,
    })
}
