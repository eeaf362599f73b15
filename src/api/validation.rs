//! What an API server refuses of a pod once defaults are in it.
//!
//! Known is what a default of a policy or a mutator can bring about: ids that are no ids, privileges that contradict each other,
//! profiles whose annotation and field differ, and fields that a pod must not have beside its `spec.os.name`.
//! All else is the sender's own, and neither side is asked about it.
//!
//! Kubernetes 1.24 to 1.37, `pkg/apis/core/validation/validation.go`, in the order of its errors: `ValidatePodSpecificAnnotations`,
//! `ValidateSecurityContext` for each container, `ValidatePodSecurityContext` (`validatePodSpecSecurityContext` since 1.28),
//! `validateWindows` and `validateLinux`, then of a new pod alone `validateSeccompAnnotationsAndFields` and
//! `validateAppArmorAnnotationsAndFieldsMatchOnCreate`.
//! Feature gates have the defaults of their release.
//!
//! Nothing there is about `runAsNonRoot`, about users that it contradicts, or about what `seLinuxOptions` and `capabilities` have in
//! them; but for `CAP_SYS_ADMIN`.
//! Left out is what no default writes: `procMount: Unmasked` without a user namespace (refused since 1.33), `privileged` where the
//! server runs without `--allow-privileged`, and ephemeral containers, which no new pod may have at all.

use std::fmt;

use serde_json::Value;

use super::core::{Container, ContainerList, Pod, strings};
use crate::version::Version;

mod os;
mod profiles;

/// The release whose API server stored what the PSP admission controller made of a pod: the last one that has the controller.
pub const OF_PSP: Version = Version::new(1, 24);

/// Who refuses a pod that neither side forbids, where a verdict names who does.
pub const API_SERVER: &str = "API server";

/// Why an API server refuses a pod, printed in its words: `spec.hostPID: Forbidden: cannot be set for a windows pod`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The path of the field.
    pub field: String,
    /// The type of the error, and the value if the server names it and it is no object: `Invalid value: 3000000000`.
    pub what: String,
    /// What is wrong.
    pub detail: String,
}

impl Refusal {
    fn forbidden(field: String, detail: &str) -> Self {
        Self::new(field, FORBIDDEN.to_owned(), detail)
    }

    fn new(field: String, what: String, detail: &str) -> Self {
        Self {
            field,
            what,
            detail: detail.to_owned(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.field, self.what, self.detail)
    }
}

const FORBIDDEN: &str = "Forbidden";
const REQUIRED: &str = "Required value";
const INVALID: &str = "Invalid value";

/// Returns why an API server of that release refuses the new pod: the first reason of those that it would list, if there is any.
///
/// Ask it about the pod as it is about to be stored, after what the API server does to it between the two phases of admission.
///
/// Which release is the right one depends on whose pod it is.
/// What the PSP admission controller made of a pod was stored by an API server of [`OF_PSP`], whatever release the output is for:
/// there the controller lived, and a field that came later did not exist.
/// A pod as it is sent and what mutators make of it meet the release that Gatekeeper runs on.
/// So a pod that a later release refuses for its own fields (`appArmorProfile` beside `os.name: windows`, or against its annotation)
/// is refused as it is sent: it is neither side's decision, because no default could have saved it.
pub fn refusal(pod: &Pod, kubernetes: Version) -> Option<Refusal> {
    profiles::refused_annotation(pod)
        .or_else(|| in_order(pod).find_map(|it| refused_container(&it, kubernetes)))
        .or_else(|| refused_pod(pod, kubernetes))
        .or_else(|| os::refusal(pod, kubernetes))
        .or_else(|| profiles::contradictory_seccomp(pod))
        .or_else(|| profiles::contradictory_app_armor(pod, kubernetes))
}

/// The containers in the order in which they are validated, which is not the order in which all else visits them.
fn in_order(pod: &Pod) -> impl Iterator<Item = Container<'_>> {
    let lists = [
        ContainerList::Regular,
        ContainerList::Init,
        ContainerList::Ephemeral,
    ];
    lists
        .into_iter()
        .flat_map(|list| pod.containers().filter(move |it| it.at.list == list))
}

/// What of a container's security context is refused in any pod.
fn refused_container(container: &Container<'_>, kubernetes: Version) -> Option<Refusal> {
    let profile = |key: &'static str| {
        let profile = container.own(key)?;
        Some((container.security_path(key), profile))
    };
    let ids = ["runAsUser", "runAsGroup"];
    ids.into_iter()
        .find_map(|it| no_id(container.security_path(it), container.own(it)))
        .or_else(|| profiles::ill_formed_seccomp(profile(profiles::SECCOMP)?))
        .or_else(|| gains_privileges(container))
        .or_else(|| profiles::ill_formed_app_armor(profile(profiles::APPARMOR)?, kubernetes))
}

/// What of the pod's own security context is refused in any pod.
fn refused_pod(pod: &Pod, kubernetes: Version) -> Option<Refusal> {
    let path = |key: &str| format!("spec.securityContext.{key}");
    let profile = |key: &'static str| Some((path(key), pod.security(key)?));
    let ids = ["fsGroup", "runAsUser", "runAsGroup"];
    let groups = || {
        let groups = pod.security("supplementalGroups")?.as_array()?;
        let mut groups = groups.iter().enumerate();
        groups
            .find_map(|(index, it)| no_id(path(&format!("supplementalGroups[{index}]")), Some(it)))
    };
    ids.into_iter()
        .find_map(|it| no_id(path(it), pod.security(it)))
        .or_else(groups)
        .or_else(|| profiles::ill_formed_seccomp(profile(profiles::SECCOMP)?))
        .or_else(|| profiles::ill_formed_app_armor(profile(profiles::APPARMOR)?, kubernetes))
}

/// A user or group that Linux has no number for; a policy may have such a one as its default.
fn no_id(field: String, id: Option<&Value>) -> Option<Refusal> {
    let id = id?.as_i64()?;
    let is_id = (0..=i64::from(i32::MAX)).contains(&id);
    (!is_id).then(|| {
        let what = format!("{INVALID}: {id}");
        Refusal::new(field, what, "must be between 0 and 2147483647, inclusive")
    })
}

/// What a container has that may not gain privileges, and that gives it privileges.
fn gains_privileges(container: &Container<'_>) -> Option<Refusal> {
    let is = |key: &str, value: bool| container.own(key).and_then(Value::as_bool) == Some(value);
    if !is("allowPrivilegeEscalation", false) {
        return None;
    }
    let refused = |detail| {
        let path = container.security_path("");
        Some(Refusal::new(path, INVALID.to_owned(), detail))
    };
    if is("privileged", true) {
        return refused("cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
    }
    let added = container.own("capabilities").and_then(|it| it.get("add"));
    // By this name alone.
    if strings(added).contains(&"CAP_SYS_ADMIN") {
        return refused(
            "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN",
        );
    }
    None
}

#[cfg(test)]
mod tests;
