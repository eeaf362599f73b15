//! Control aspects of a PodSecurityPolicy, one file each.

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

use translate::Translate;

/// All controls.
pub const CONTROLS: &[&dyn Translate] = &[
    &privileged::Privileged,
    &host_namespaces::HostNamespaces,
    &host_network::HostNetwork,
    &volumes::Volumes,
    &host_paths::HostPaths,
    &flex_volumes::FlexVolumes,
    &csi_drivers::CsiDrivers,
    &run_as_user::RunAsUser,
    &groups::Groups,
    &read_only_root_filesystem::ReadOnlyRootFilesystem,
    &privilege_escalation::PrivilegeEscalation,
    &capabilities::Capabilities,
    &selinux::SeLinux,
    &proc_mount::ProcMount,
    &apparmor::AppArmor,
    &seccomp::Seccomp,
    &sysctls::Sysctls,
    &runtime_class::RuntimeClass,
];
