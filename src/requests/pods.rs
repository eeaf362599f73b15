//! The pods that requests are made from, as clients write them.

use serde_json::{Value, json};

use crate::api::core::{ContainerList, ContainerRef, Pod};
use crate::api::policy::PodSecurityPolicy;
use crate::controls::CONTROLS;

const IMAGE: &str = "registry.example.com/app:1";

/// The places in [`roomy`] where a container is changed: an init container, and a container that is not the first.
pub(super) const PLACES: [ContainerRef; 2] = [
    ContainerRef {
        list: ContainerList::Regular,
        index: 1,
    },
    ContainerRef {
        list: ContainerList::Init,
        index: 0,
    },
];

/// A pod that says no more than it must.
pub(super) fn minimal() -> Pod {
    pod(json!({
        "metadata": { "name": "minimal" },
        "spec": { "containers": [{ "name": "app", "image": IMAGE }] },
    }))
}

/// A pod with several containers, none of which says anything, and without a token.
pub(super) fn roomy() -> Pod {
    let container = |name: &str| json!({ "name": name, "image": IMAGE });
    pod(json!({
        "metadata": { "name": "roomy" },
        "spec": {
            "automountServiceAccountToken": false,
            "initContainers": [container("setup")],
            "containers": [container("app"), container("side")],
        },
    }))
}

/// A pod that owns its node.
pub(super) fn boundless() -> Pod {
    pod(json!({
        "metadata": { "name": "boundless" },
        "spec": {
            "hostNetwork": true,
            "hostPID": true,
            "hostIPC": true,
            "containers": [{
                "name": "app",
                "image": IMAGE,
                "securityContext": { "privileged": true, "runAsUser": 0 },
                "volumeMounts": [{ "name": "root", "mountPath": "/host" }],
            }],
            "volumes": [{ "name": "root", "hostPath": { "path": "/" } }],
        },
    }))
}

/// A [`roomy`] pod that the policy accepts as it is, as far as there is one.
pub(super) fn complying(psp: &PodSecurityPolicy) -> Pod {
    let mut res = roomy();
    res.set(&["metadata", "name"], "complying".into());
    res.set(&["spec", "securityContext"], json!({}));
    fill_in(psp, &mut res);
    for control in CONTROLS {
        if control.validate(psp, &res).is_empty() {
            continue;
        }
        // What the policy demands and does not fill in: what it accepts is among the probes.
        let accepted = control.probes(&psp.spec).into_iter().find_map(|probe| {
            let mut pod = res.clone();
            for at in res.container_refs() {
                probe.apply(&mut pod, at);
            }
            control.validate(psp, &pod).is_empty().then_some(pod)
        });
        if let Some(pod) = accepted {
            res = pod;
        }
    }
    fill_in(psp, &mut res);
    res
}

/// Fills in what the policy defaults.
fn fill_in(psp: &PodSecurityPolicy, pod: &mut Pod) {
    for control in CONTROLS {
        control.mutate_pod(psp, pod);
    }
    for at in pod.container_refs() {
        for control in CONTROLS {
            control.mutate_container(psp, pod, at);
        }
    }
}

fn pod(value: Value) -> Pod {
    match value {
        Value::Object(map) => Pod(map),
        _ => Pod::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::policy::{GroupStrategy, RunAsUserStrategy};
    use crate::controls::testing::{owned, policy, ranges};

    #[test]
    fn what_a_policy_demands_is_there() {
        let psp = policy(|it| {
            it.privileged = false;
            it.allow_privilege_escalation = false;
            it.required_drop_capabilities = owned(&["ALL", "KILL"]);
            it.run_as_user = RunAsUserStrategy::MustRunAs(ranges(&[(5, 6)]));
            it.fs_group = GroupStrategy::MustRunAs(ranges(&[(7, 8)]));
            it.read_only_root_filesystem = true;
            it.volumes = Vec::new();
            it.host_ports = Vec::new();
            // Demanded, and not filled in.
            it.seccomp.allowed = Some("localhost/a".to_owned());
            it.app_armor.allowed = Some("localhost/b".to_owned());
        });
        let pod = complying(&psp);
        for control in CONTROLS {
            let errors = control.validate(&psp, &pod);
            assert!(errors.is_empty(), "{}: {pod:?}", control.name());
        }
        let mut filled = pod.clone();
        fill_in(&psp, &mut filled);
        assert_eq!(filled, pod);
    }
}
