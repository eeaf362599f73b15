//! What a pod must not have beside the operating system that it is for.
//!
//! `spec.os` is known since 1.24 without a feature gate of one's own: `IdentifyPodOS` is beta and on there, and stable since 1.25.

use serde_json::Value;

use super::Refusal;
use crate::api::apparmor;
use crate::api::core::Pod;
use crate::version::Version;

/// A field that a pod for Windows must not have.
struct Field {
    /// Its path, below `spec` or below a container.
    path: &'static [&'static str],
    /// What of it is refused.
    refused: Refused,
    /// The first release that looks at it and keeps it until then, with the feature gates that are on by default.
    since: Version,
}

/// When a field counts as one that the pod has.
#[derive(Clone, Copy)]
enum Refused {
    /// Whatever its value is, an empty list or object included.
    Set,
    /// If it is true.
    True,
    /// If it is a list that is not empty.
    NotEmpty,
}

const fn set(path: &'static [&'static str], since: Version) -> Field {
    Field {
        path,
        refused: Refused::Set,
        since,
    }
}

const fn only(path: &'static [&'static str], refused: Refused) -> Field {
    Field {
        path,
        refused,
        since: FIRST,
    }
}

const FIRST: Version = Version::new(1, 24);
/// `UserNamespacesSupport` and `SELinuxChangePolicy` are on by default from here on, and so is `SupplementalGroupsPolicy`; without
/// the gate the API server takes the field out before it looks.
const GATES: Version = Version::new(1, 33);

/// Of the pod, in the order in which the API server of 1.24 names them.
///
/// `appArmorProfile` since 1.30, `hostUsers` since 1.25 (in effect 1.33), `supplementalGroupsPolicy` since 1.31 and
/// `seLinuxChangePolicy` since 1.32 (both in effect 1.33).
/// `hostNetwork`, `runAsNonRoot` and `runtimeClassName` are not among them.
const OF_POD: [Field; 15] = [
    set(&["securityContext", apparmor::FIELD], apparmor::FIELD_SINCE),
    set(&["securityContext", "seLinuxOptions"], FIRST),
    set(&["hostUsers"], GATES),
    only(&["hostPID"], Refused::True),
    only(&["hostIPC"], Refused::True),
    set(&["securityContext", "seccompProfile"], FIRST),
    set(&["securityContext", "fsGroup"], FIRST),
    set(&["securityContext", "fsGroupChangePolicy"], FIRST),
    only(&["securityContext", "sysctls"], Refused::NotEmpty),
    set(&["shareProcessNamespace"], FIRST),
    set(&["securityContext", "runAsUser"], FIRST),
    set(&["securityContext", "runAsGroup"], FIRST),
    set(&["securityContext", "supplementalGroups"], FIRST),
    set(&["securityContext", "supplementalGroupsPolicy"], GATES),
    set(&["securityContext", "seLinuxChangePolicy"], GATES),
];

/// Of each container, the members of its security context; `runAsNonRoot` is not among them.
const OF_CONTAINER: [(&str, Version); 10] = [
    (apparmor::FIELD, apparmor::FIELD_SINCE),
    ("seLinuxOptions", FIRST),
    ("seccompProfile", FIRST),
    ("capabilities", FIRST),
    ("readOnlyRootFilesystem", FIRST),
    ("privileged", FIRST),
    ("allowPrivilegeEscalation", FIRST),
    ("procMount", FIRST),
    ("runAsUser", FIRST),
    ("runAsGroup", FIRST),
];

/// What is for Windows alone.
const WINDOWS_OPTIONS: &str = "windowsOptions";

/// Returns the first field that does not go with `spec.os.name`.
///
/// Kubernetes 1.24 to 1.37, `pkg/apis/core/validation/validation.go`: `validateWindows` and `validateLinux`.
pub(super) fn refusal(pod: &Pod, kubernetes: Version) -> Option<Refusal> {
    match pod.get(&["spec", "os", "name"])?.as_str()? {
        "windows" => beside_windows(pod, kubernetes),
        "linux" => beside_linux(pod),
        _ => None,
    }
}

fn beside_windows(pod: &Pod, kubernetes: Version) -> Option<Refusal> {
    let spec = pod.get(&["spec"])?;
    let value = |it: &Field| {
        let mut path = it.path.iter();
        path.try_fold(spec, |value, key| value.get(key))
    };
    let is_refused = |it: &&Field| {
        it.since <= kubernetes
            && match (value(it), it.refused) {
                (None | Some(Value::Null), _) => false,
                (Some(_), Refused::Set) => true,
                (Some(value), Refused::True) => value == &Value::Bool(true),
                (Some(value), Refused::NotEmpty) => {
                    value.as_array().is_some_and(|it| !it.is_empty())
                }
            }
    };
    let of_pod = OF_POD.iter().find(is_refused);
    let of_pod = of_pod.map(|it| format!("spec.{}", it.path.join(".")));
    let of_containers = || {
        pod.containers().find_map(|container| {
            let mut keys = OF_CONTAINER.iter().filter(|it| it.1 <= kubernetes);
            let (key, _) = keys.find(|it| container.own(it.0).is_some())?;
            Some(container.security_path(key))
        })
    };
    let path = of_pod.or_else(of_containers)?;
    Some(Refusal::forbidden(path, "cannot be set for a windows pod"))
}

fn beside_linux(pod: &Pod) -> Option<Refusal> {
    let of_pod = pod.security(WINDOWS_OPTIONS);
    let of_pod = of_pod.map(|_| format!("spec.securityContext.{WINDOWS_OPTIONS}"));
    let of_containers = || {
        let mut containers = pod.containers();
        let container = containers.find(|it| it.own(WINDOWS_OPTIONS).is_some())?;
        Some(container.security_path(WINDOWS_OPTIONS))
    };
    let detail = "windows options cannot be set for a linux pod";
    Some(Refusal::forbidden(of_pod.or_else(of_containers)?, detail))
}
