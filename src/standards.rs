//! The Pod Security Standards: what the levels `baseline` and `restricted` forbid.
//!
//! Kubernetes 1.24, `k8s.io/pod-security-admission`, folder `policy`, at its latest version of the standards.
//! Later releases differ in details, such as pods of Windows (1.25) and more safe sysctls (1.27).
//! Only what a pod says is looked at, as it stands; exemptions of users, namespaces and runtime classes are not known.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::api::core::{Container, Pod, strings};

#[cfg(test)]
mod tests;

/// A level of the standards that forbids something; `privileged` forbids nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Forbids known ways to gain privileges.
    Baseline,
    /// Forbids what `baseline` does and demands hardening.
    Restricted,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        })
    }
}

/// Whether a pod fails a check.
type Check = fn(&Pod) -> bool;

/// What `baseline` checks, by the fields that the check looks at.
const BASELINE: [(&str, Check); 11] = [
    ("appArmorProfile", |pod| app_armor_fails(pod)),
    ("capabilities.add", |pod| {
        let is_default = |it: &&str| CAPABILITIES.contains(it);
        any_container(pod, |it| !capabilities(it, "add").iter().all(is_default))
    }),
    ("hostNetwork, hostPID, hostIPC", |pod| {
        ["hostNetwork", "hostPID", "hostIPC"]
            .iter()
            .any(|it| pod.uses_host(it))
    }),
    ("volumes: hostPath", |pod| {
        pod.volumes().any(|it| it.get(&["hostPath"]).is_some())
    }),
    ("hostPort", |pod| {
        any_container(pod, |it| it.host_ports().any(|port| port != 0))
    }),
    ("privileged", |pod| {
        any_container(pod, |it| is(it.own("privileged"), true))
    }),
    ("procMount", |pod| {
        any_container(pod, |it| {
            it.own("procMount").is_some_and(|it| it != "Default")
        })
    }),
    ("seLinuxOptions", |pod| {
        any_context(pod, "seLinuxOptions", se_linux_fails)
    }),
    ("seccompProfile: Unconfined", |pod| {
        any_context(pod, "seccompProfile", |it| !is_confined(it))
    }),
    ("sysctls", |pod| {
        let sysctls = pod.security("sysctls").and_then(Value::as_array);
        let mut names = sysctls.into_iter().flatten().map(|it| it.get("name"));
        names.any(|it| {
            !it.and_then(Value::as_str)
                .is_some_and(|it| SYSCTLS.contains(&it))
        })
    }),
    ("windowsOptions.hostProcess", |pod| {
        any_context(pod, "windowsOptions", |it| is(it.get("hostProcess"), true))
    }),
];

/// What `restricted` checks beside.
const RESTRICTED: [(&str, Check); 6] = [
    ("allowPrivilegeEscalation: must be false", |pod| {
        any_container(pod, |it| !is(it.own("allowPrivilegeEscalation"), false))
    }),
    (
        "capabilities: must drop ALL and add none but NET_BIND_SERVICE",
        |pod| {
            any_container(pod, |it| {
                !capabilities(it, "drop").contains(&"ALL")
                    || capabilities(it, "add")
                        .iter()
                        .any(|it| *it != "NET_BIND_SERVICE")
            })
        },
    ),
    (
        "volumes: types other than configMap, csi, downwardAPI, emptyDir, ephemeral, persistentVolumeClaim, projected, secret",
        |pod| {
            // One without a source is an emptyDir by default.
            pod.volumes()
                .any(|it| it.sources().any(|source| !VOLUMES.contains(&source)))
        },
    ),
    ("runAsNonRoot: must be true", |pod| {
        is(pod.security("runAsNonRoot"), false)
            || any_container(pod, |it| !is(it.effective("runAsNonRoot"), true))
    }),
    ("runAsUser: 0", |pod| {
        let is_root = |it: &Value| it.as_i64() == Some(0);
        any_context(pod, "runAsUser", is_root)
    }),
    ("seccompProfile: must be set", |pod| {
        let is_set = |it: Option<&Value>| it.is_some_and(is_confined);
        any_container(pod, |it| !is_set(it.effective("seccompProfile")))
            || pod
                .security("seccompProfile")
                .is_some_and(|it| !is_confined(it))
    }),
];

/// Capabilities that `baseline` lets containers add.
pub(crate) const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Sysctls that `baseline` lets pods set.
const SYSCTLS: [&str; 5] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
];
/// Types of SELinux that `baseline` lets containers have.
const SE_LINUX_TYPES: [&str; 4] = ["", "container_init_t", "container_kvm_t", "container_t"];
/// Types of volumes that `restricted` lets pods have.
pub(crate) const VOLUMES: [&str; 8] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
/// What precedes the name of a container in the annotation with its AppArmor profile.
const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";

/// Returns what a level has against a pod, by the fields that the check looks at; empty where the pod may be.
pub fn violations(level: Level, pod: &Pod) -> Vec<&'static str> {
    let restricted = match level {
        Level::Baseline => [].iter(),
        Level::Restricted => RESTRICTED.iter(),
    };
    let checks = BASELINE.iter().chain(restricted);
    checks
        .filter(|(_, fails)| fails(pod))
        .map(|(fields, _)| *fields)
        .collect()
}

fn any_container(pod: &Pod, fails: impl Fn(&Container<'_>) -> bool) -> bool {
    pod.containers().any(|it| fails(&it))
}

/// Whether a member of the security context of the pod or of a container fails; where it is absent it does not.
fn any_context(pod: &Pod, key: &str, fails: fn(&Value) -> bool) -> bool {
    pod.security(key).is_some_and(fails) || any_container(pod, |it| it.own(key).is_some_and(fails))
}

fn is(value: Option<&Value>, wanted: bool) -> bool {
    value.and_then(Value::as_bool) == Some(wanted)
}

fn capabilities<'a>(container: &Container<'a>, key: &str) -> Vec<&'a str> {
    strings(container.own("capabilities").and_then(|it| it.get(key)))
}

/// `check_appArmorProfile.go`: also the annotations of containers that are not there count.
fn app_armor_fails(pod: &Pod) -> bool {
    let annotations = pod
        .get(&["metadata", "annotations"])
        .and_then(Value::as_object);
    annotations
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with(APP_ARMOR))
        .filter_map(|(_, value)| value.as_str())
        .any(|it| !it.is_empty() && it != "runtime/default" && !it.starts_with("localhost/"))
}

fn se_linux_fails(options: &Value) -> bool {
    let member = |key: &str| options.get(key).and_then(Value::as_str).unwrap_or_default();
    !SE_LINUX_TYPES.contains(&member("type"))
        || !member("user").is_empty()
        || !member("role").is_empty()
}

fn is_confined(profile: &Value) -> bool {
    let kind = profile.get("type").and_then(Value::as_str);
    kind.is_some_and(|it| ["Localhost", "RuntimeDefault"].contains(&it))
}
