//! Control aspects of a PodSecurityPolicy, one file each.
//!
//! A control knows how the PodSecurityPolicy admission plugin treated its fields ([`Semantics`]), and how Gatekeeper is asked for
//! the same ([`Translate`]).
//! The two halves live in one file and share no predicate, or a comparison of both would compare a thing with itself.

use std::fmt;

use crate::api::core::{Container, ContainerRef, Pod, Volume};
use crate::api::policy::PodSecurityPolicy;

use translate::Translate;

pub mod apparmor;
pub mod capabilities;
pub mod csi_drivers;
pub mod flex_volumes;
pub mod groups;
pub mod host_namespaces;
pub mod host_network;
pub mod host_paths;
pub mod privilege_escalation;
pub mod privileged;
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
}

/// A control aspect of a PodSecurityPolicy, with both its halves.
pub trait Control: Semantics + Translate + Sync {
    /// The name, in kebab-case.
    fn name(&self) -> &'static str;

    /// The fields of `PodSecurityPolicySpec` that it owns; `seccomp` and `appArmor` stand for their annotations.
    fn fields(&self) -> &'static [&'static str];
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
