//! Control aspects of a PodSecurityPolicy, one file each.
//!
//! A control knows how the PodSecurityPolicy admission plugin treated its fields ([`Semantics`]), and how Gatekeeper is asked for
//! the same ([`Translate`]).
//! The two halves live in one file and share no predicate, or a comparison of both would compare a thing with itself.

use std::fmt;

use crate::api::core::{Container, ContainerRef, Pod, Volume};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

use defaults::Place;
use probe::Probe;
use translate::Translate;

pub mod apparmor;
pub mod capabilities;
pub mod csi_drivers;
pub mod defaults;
pub mod flex_volumes;
pub mod groups;
pub mod host_namespaces;
pub mod host_network;
pub mod host_paths;
pub mod privilege_escalation;
pub mod privileged;
pub mod probe;
pub mod proc_mount;
pub mod read_only_root_filesystem;
pub mod run_as_user;
pub mod runtime_class;
pub mod seccomp;
pub mod selinux;
pub mod sysctls;
pub mod translate;
pub mod volumes;

/// How the PodSecurityPolicy admission plugin treated one control aspect.
///
/// Each check adds to `acc` what is wrong, in the plugin's order and words, and nothing where all is well.
/// A control that has nothing to say at a level keeps the empty default.
pub trait Semantics {
    /// Fills in what the pod leaves open, outside of its containers.
    fn mutate_pod(&self, _psp: &PodSecurityPolicy, _pod: &mut Pod) {}

    /// Fills in what the container at `at` leaves open, after [`Semantics::mutate_pod`] of all controls.
    ///
    /// The pod comes with it, because a container inherits from its pod and its AppArmor profile is an annotation there.
    fn mutate_container(&self, _psp: &PodSecurityPolicy, _pod: &mut Pod, _at: ContainerRef) {}

    /// Checks the pod, outside of its volumes and containers.
    fn validate_pod(&self, _acc: &mut Vec<FieldError>, _psp: &PodSecurityPolicy, _pod: &Pod) {}

    /// Checks one volume of the pod.
    fn validate_volume(
        &self,
        _acc: &mut Vec<FieldError>,
        _psp: &PodSecurityPolicy,
        _pod: &Pod,
        _volume: &Volume<'_>,
    ) {
    }

    /// Checks one container by its effective security context.
    fn validate_container(
        &self,
        _acc: &mut Vec<FieldError>,
        _psp: &PodSecurityPolicy,
        _container: &Container<'_>,
    ) {
    }

    /// The pod with all that the control fills in.
    fn mutate(&self, psp: &PodSecurityPolicy, pod: &Pod) -> Pod {
        let mut res = pod.clone();
        self.mutate_pod(psp, &mut res);
        for at in res.container_refs() {
            self.mutate_container(psp, &mut res, at);
        }
        res
    }

    /// Checks the pod with its volumes and containers; returns what is wrong, in the plugin's order.
    fn validate(&self, psp: &PodSecurityPolicy, pod: &Pod) -> Vec<FieldError> {
        let mut acc = Vec::new();
        self.validate_pod(&mut acc, psp, pod);
        for volume in pod.volumes() {
            self.validate_volume(&mut acc, psp, pod, &volume);
        }
        for container in pod.containers() {
            self.validate_container(&mut acc, psp, &container);
        }
        acc
    }
}

/// A control aspect of a PodSecurityPolicy, with both its halves.
pub trait Control: Semantics + Translate + Sync {
    /// The name, in kebab-case.
    fn name(&self) -> &'static str;

    /// The fields of `PodSecurityPolicySpec` that it owns; `seccomp` and `appArmor` stand for their annotations.
    fn fields(&self) -> &'static [&'static str];

    /// Pods on both sides of every boundary that a policy draws here, as changes to a pod that the policy accepts.
    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe>;

    /// Where the control sets defaults.
    fn places(&self) -> &'static [Place] {
        &[]
    }

    /// The members of a pod, and the beginnings of its annotations, that the control fills in.
    fn fills_in(&self) -> &'static [&'static str] {
        &[]
    }
}

/// All controls, in the order in which the admission plugin asks them about a container, and then about the rest.
///
/// Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
/// About the pod itself it asks in an order that this one cannot express; `psp` names it.
pub const CONTROLS: &[&dyn Control] = &[
    &run_as_user::RunAsUser,
    &groups::Groups,
    &selinux::SeLinux,
    &apparmor::AppArmor,
    &seccomp::Seccomp,
    &privileged::Privileged,
    &proc_mount::ProcMount,
    &capabilities::Capabilities,
    &host_network::HostNetwork,
    &read_only_root_filesystem::ReadOnlyRootFilesystem,
    &privilege_escalation::PrivilegeEscalation,
    &host_namespaces::HostNamespaces,
    &sysctls::Sysctls,
    &volumes::Volumes,
    &host_paths::HostPaths,
    &flex_volumes::FlexVolumes,
    &csi_drivers::CsiDrivers,
    &runtime_class::RuntimeClass,
];

/// The source text of each control, by its name, sorted.
const SOURCES: &[(&str, &str)] = &[
    ("apparmor", include_str!("controls/apparmor.rs")),
    ("capabilities", include_str!("controls/capabilities.rs")),
    ("csi-drivers", include_str!("controls/csi_drivers.rs")),
    ("flex-volumes", include_str!("controls/flex_volumes.rs")),
    ("groups", include_str!("controls/groups.rs")),
    (
        "host-namespaces",
        include_str!("controls/host_namespaces.rs"),
    ),
    ("host-network", include_str!("controls/host_network.rs")),
    ("host-paths", include_str!("controls/host_paths.rs")),
    (
        "privilege-escalation",
        include_str!("controls/privilege_escalation.rs"),
    ),
    ("privileged", include_str!("controls/privileged.rs")),
    ("proc-mount", include_str!("controls/proc_mount.rs")),
    (
        "read-only-root-filesystem",
        include_str!("controls/read_only_root_filesystem.rs"),
    ),
    ("run-as-user", include_str!("controls/run_as_user.rs")),
    ("runtime-class", include_str!("controls/runtime_class.rs")),
    ("seccomp", include_str!("controls/seccomp.rs")),
    ("selinux", include_str!("controls/selinux.rs")),
    ("sysctls", include_str!("controls/sysctls.rs")),
    ("volumes", include_str!("controls/volumes.rs")),
];

/// Returns the page of a control in Markdown, which is the documentation of its module.
///
/// Nothing for a name that no control has.
pub fn page(name: &str) -> Option<String> {
    let (_, source) = SOURCES.iter().find(|(it, _)| *it == name)?;
    let lines = source.lines().map_while(|it| it.strip_prefix("//!"));
    let lines: Vec<&str> = lines.map(|it| it.strip_prefix(' ').unwrap_or(it)).collect();
    Some(format!("# {name}\n\n{}\n", lines.join("\n")))
}

/// Something that a policy does not accept, worded as the API server words it.
///
/// Kubernetes 1.24, `k8s.io/apimachinery/pkg/util/validation/field/errors.go`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// The path of the field, as the plugin writes it.
    pub field: String,
    /// What is wrong with it, value included.
    pub problem: String,
}

impl FieldError {
    /// A value that is not accepted, printed as Go prints it; see [`quoted`] for strings.
    pub fn invalid(field: impl Into<String>, value: impl fmt::Display, detail: &str) -> Self {
        Self::new(field, &format!("Invalid value: {value}"), detail)
    }

    /// Something that may not be there.
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(field, "Forbidden", detail)
    }

    /// Something that must be there.
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(field, "Required value", detail)
    }

    fn new(field: impl Into<String>, kind: &str, detail: &str) -> Self {
        let separator = if detail.is_empty() { "" } else { ": " };
        Self {
            field: field.into(),
            problem: format!("{kind}{separator}{detail}"),
        }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// How the plugin prints a value that is absent.
const NULL: &str = "\"null\"";

/// Returns the string as Go quotes it.
pub fn quoted(text: &str) -> String {
    use fmt::Write as _;

    let mut res = String::from("\"");
    for it in text.chars() {
        let code = u32::from(it);
        let printable = it == ' ' || !(it.is_control() || it.is_whitespace());
        // Writing to a string cannot fail.
        let _ = match it {
            '"' => write!(res, "\\\""),
            '\\' => write!(res, "\\\\"),
            '\x07' => write!(res, "\\a"),
            '\x08' => write!(res, "\\b"),
            '\x0c' => write!(res, "\\f"),
            '\n' => write!(res, "\\n"),
            '\r' => write!(res, "\\r"),
            '\t' => write!(res, "\\t"),
            '\x0b' => write!(res, "\\v"),
            _ if printable => write!(res, "{it}"),
            _ if code < 0x80 => write!(res, "\\x{code:02x}"),
            _ if code < 0x1_0000 => write!(res, "\\u{code:04x}"),
            _ => write!(res, "\\U{code:08x}"),
        };
    }
    res.push('"');
    res
}

/// Returns the items between the brackets of a list as Go prints it.
fn list_of<T: fmt::Display>(items: impl IntoIterator<Item = T>, separator: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|it| it.to_string()).collect();
    items.join(separator)
}

/// What the tests of the controls share.
#[cfg(test)]
pub(crate) mod testing {
    use serde_json::{Value, json};

    use super::defaults::{DefaultValue, Mutation};
    use super::translate::Translate;
    use super::{Control, FieldError, Semantics};
    use crate::api::core::Pod;
    use crate::api::policy::{
        ALL, GroupStrategy, IdRange, IdRanges, PodSecurityPolicy, PodSecurityPolicySpec,
        ProfileStrategy, RunAsUserStrategy, SeLinuxStrategy,
    };
    use crate::version::Version;

    /// A policy that allows everything and defaults nothing, changed by `change`.
    pub(crate) fn policy(change: impl FnOnce(&mut PodSecurityPolicySpec)) -> PodSecurityPolicy {
        let mut spec = PodSecurityPolicySpec {
            privileged: true,
            host_network: true,
            host_pid: true,
            host_ipc: true,
            host_ports: vec![crate::api::policy::HostPortRange { min: 1, max: 65535 }],
            volumes: vec![ALL.to_owned()],
            allowed_host_paths: Vec::new(),
            allowed_flex_volumes: Vec::new(),
            allowed_csi_drivers: Vec::new(),
            run_as_user: RunAsUserStrategy::RunAsAny,
            run_as_group: GroupStrategy::RunAsAny,
            supplemental_groups: GroupStrategy::RunAsAny,
            fs_group: GroupStrategy::RunAsAny,
            read_only_root_filesystem: false,
            allow_privilege_escalation: true,
            default_allow_privilege_escalation: None,
            allowed_capabilities: vec![ALL.to_owned()],
            default_add_capabilities: Vec::new(),
            required_drop_capabilities: Vec::new(),
            se_linux: SeLinuxStrategy::RunAsAny,
            allowed_proc_mount_types: vec!["Default".to_owned()],
            allowed_unsafe_sysctls: vec![ALL.to_owned()],
            forbidden_sysctls: Vec::new(),
            runtime_class: None,
            seccomp: ProfileStrategy {
                allowed: Some(ALL.to_owned()),
                default: String::new(),
            },
            app_armor: ProfileStrategy::default(),
        };
        change(&mut spec);
        PodSecurityPolicy {
            name: "a".to_owned(),
            spec,
        }
    }

    pub(crate) fn ranges(ends: &[(i64, i64)]) -> IdRanges {
        let ranges: Vec<_> = ends
            .iter()
            .map(|(min, max)| IdRange {
                min: *min,
                max: *max,
            })
            .collect();
        IdRanges::new(&ranges).unwrap()
    }

    pub(crate) fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|it| (*it).to_owned()).collect()
    }

    pub(crate) fn pod(value: Value) -> Pod {
        serde_json::from_value(value).unwrap()
    }

    /// A pod of this security context with one container of that one; null stands for none.
    pub(crate) fn contexts(pod: &Value, container: &Value) -> Value {
        json!({ "spec": {
            "securityContext": pod,
            "containers": [{ "name": "app", "securityContext": container }],
        } })
    }

    /// Checks what the control finds wrong with a pod.
    #[track_caller]
    pub(crate) fn check(
        control: &dyn Semantics,
        psp: &PodSecurityPolicy,
        pod: Value,
        expected: &[&str],
    ) {
        let pod = self::pod(pod);
        let errors = control.validate(psp, &pod);
        let actual: Vec<String> = errors.iter().map(FieldError::to_string).collect();
        assert_eq!(actual, expected);
    }

    /// Checks what the control makes of a pod.
    #[track_caller]
    pub(crate) fn check_mutation(
        control: &dyn Semantics,
        psp: &PodSecurityPolicy,
        before: Value,
        after: Value,
    ) {
        assert_eq!(control.mutate(psp, &pod(before)), pod(after));
    }

    /// Checks whether `wide` is found to accept all that `narrow` accepts as it stands; the probes must say the same.
    #[track_caller]
    pub(crate) fn check_covers(
        control: &dyn Control,
        wide: &PodSecurityPolicy,
        narrow: &PodSecurityPolicy,
        expected: bool,
    ) {
        let accepts = |psp: &PodSecurityPolicy, pod: &Pod| {
            control.mutate(psp, pod) == *pod && control.validate(psp, pod).is_empty()
        };
        let bare = pod(json!({ "spec": { "containers": [{ "name": "app" }] } }));
        let probes = [wide, narrow].map(|it| control.probes(&it.spec));
        let witness = probes.iter().flatten().find(|probe| {
            let mut pod = bare.clone();
            for at in bare.container_refs() {
                probe.apply(&mut pod, at);
            }
            accepts(narrow, &pod) && !accepts(wide, &pod)
        });
        let told = (&wide.spec, &narrow.spec);
        assert_eq!(witness.is_none(), expected, "{told:?}: {witness:?}");
        assert_eq!(control.covers(told.0, told.1), expected, "{told:?}");
    }

    /// Checks what is written of a policy for the control's Rego.
    #[track_caller]
    pub(crate) fn check_parameters(
        control: &dyn Translate,
        psp: &PodSecurityPolicy,
        expected: &Value,
    ) {
        assert_eq!(json!(control.parameters(&psp.spec)), *expected);
    }

    /// Checks what a policy fills in: field, place and mutator, with the name, direction and pod of each caveat.
    #[track_caller]
    pub(crate) fn check_defaults(
        control: &dyn Translate,
        psp: &PodSecurityPolicy,
        kubernetes: (u32, u32),
        expected: &[&str],
    ) {
        let kubernetes = Version::new(kubernetes.0, kubernetes.1);
        let defaults = control.defaults(&psp.spec, kubernetes);
        let actual: Vec<String> = defaults.iter().map(default_text).collect();
        assert_eq!(actual, expected);
    }

    #[track_caller]
    fn default_text(it: &DefaultValue) -> String {
        let mutation = it.mutation.as_ref().map(mutation_text);
        let mutation = mutation.as_deref().unwrap_or("nothing");
        format!("{} in {:?}: {mutation}", it.field, it.place)
    }

    #[track_caller]
    fn mutation_text(it: &Mutation) -> String {
        let unless = it.unless.unwrap_or("nothing");
        let caveats = it.caveats.iter().map(|it| {
            let words = it.why.split(' ').count();
            assert!(words > 5 && !it.why.ends_with('.'), "{}", it.why);
            format!("; {} {:?} {}", it.kind, it.kind.direction(), it.pod)
        });
        format!(
            "{:?} on {:?} of {} = {} unless {unless}{}",
            it.kind,
            it.level,
            it.location,
            it.value,
            caveats.collect::<String>()
        )
    }

    /// Checks that the control leaves a pod as it is.
    #[track_caller]
    pub(crate) fn check_unchanged(control: &dyn Semantics, psp: &PodSecurityPolicy, pod: Value) {
        check_mutation(control, psp, pod.clone(), pod);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_quoted_as_in_go() {
        assert_eq!(quoted("a \"b\" \\ ü"), r#""a \"b\" \\ ü""#);
        assert_eq!(
            quoted("\t\u{1b}\u{7f}\u{a0}\u{feff0}"),
            "\"\\t\\x1b\\x7f\\u00a0\u{feff0}\""
        );
    }

    #[test]
    fn field_errors_read_as_those_of_the_api_server() {
        let errors = [
            FieldError::invalid("spec.a", 1, "no"),
            FieldError::invalid("spec.a", quoted("x"), ""),
            FieldError::forbidden("spec.a", "no"),
            FieldError::required("spec.a", ""),
        ];
        let texts = errors.map(|it| it.to_string());
        assert_eq!(
            texts,
            [
                "spec.a: Invalid value: 1: no",
                "spec.a: Invalid value: \"x\"",
                "spec.a: Forbidden: no",
                "spec.a: Required value",
            ]
        );
    }
}
