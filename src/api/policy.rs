//! PodSecurityPolicies, parsed into strategies that cannot be ill-formed.

/// The API group of PodSecurityPolicies since Kubernetes 1.10.
pub const GROUP: &str = "policy";
/// The API group in which PodSecurityPolicies began, still asked for by the plugin of Kubernetes 1.24.
pub const LEGACY_GROUP: &str = "extensions";
/// The plural under which RBAC names PodSecurityPolicies.
pub const RESOURCE: &str = "podsecuritypolicies";
/// The verb that RBAC must grant on a PodSecurityPolicy.
pub const USE_VERB: &str = "use";
/// Entry of `volumes`, `allowedCapabilities` and others that stands for everything.
pub const ALL: &str = "*";

/// The PSP annotation that lists the seccomp profiles a pod may have.
pub const SECCOMP_ALLOWED: &str = "seccomp.security.alpha.kubernetes.io/allowedProfileNames";
/// The PSP annotation that names the seccomp profile of pods that have none.
pub const SECCOMP_DEFAULT: &str = "seccomp.security.alpha.kubernetes.io/defaultProfileName";
/// The PSP annotation that lists the AppArmor profiles a container may have.
pub const APPARMOR_ALLOWED: &str = "apparmor.security.beta.kubernetes.io/allowedProfileNames";
/// The PSP annotation that names the AppArmor profile of containers that have none.
pub const APPARMOR_DEFAULT: &str = "apparmor.security.beta.kubernetes.io/defaultProfileName";

/// A PodSecurityPolicy that the admission plugin can use, with the API server's defaults applied.
///
/// Lists keep the order of the manifest, because the first range of a list is the default and messages quote lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSecurityPolicy {
    /// `metadata.name`.
    pub name: String,
    /// What it allows and defaults.
    pub spec: PodSecurityPolicySpec,
}

/// What a PodSecurityPolicy allows and defaults, its four annotations included.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the fields are those of Kubernetes"
)]
pub struct PodSecurityPolicySpec {
    /// Whether containers may be privileged.
    pub privileged: bool,
    /// Whether pods may use the host's network.
    pub host_network: bool,
    /// Whether pods may see the host's processes.
    pub host_pid: bool,
    /// Whether pods may use the host's IPC namespace.
    pub host_ipc: bool,
    /// Host ports that containers may use; `min` may exceed `max`, then the range matches nothing.
    pub host_ports: Vec<HostPortRange>,
    /// Volume types that pods may have, or `*`; empty means none.
    pub volumes: Vec<String>,
    /// Host paths that pods may mount; empty means any.
    pub allowed_host_paths: Vec<AllowedHostPath>,
    /// FlexVolume drivers that pods may use; empty means any.
    pub allowed_flex_volumes: Vec<String>,
    /// CSI drivers that pods may use inline; empty means any.
    pub allowed_csi_drivers: Vec<String>,
    /// The user of containers.
    pub run_as_user: RunAsUserStrategy,
    /// The primary group of containers.
    pub run_as_group: GroupStrategy,
    /// The supplemental groups of pods.
    pub supplemental_groups: GroupStrategy,
    /// The group that owns a pod's volumes.
    pub fs_group: GroupStrategy,
    /// Whether the root filesystem of containers must be read-only.
    pub read_only_root_filesystem: bool,
    /// Whether containers may gain privileges; absent in a manifest means true.
    pub allow_privilege_escalation: bool,
    /// What containers get that do not say whether they may gain privileges.
    pub default_allow_privilege_escalation: Option<bool>,
    /// Capabilities that containers may add, or `*`.
    pub allowed_capabilities: Vec<String>,
    /// Capabilities that are added to containers that do not drop them, and that containers may add.
    pub default_add_capabilities: Vec<String>,
    /// Capabilities that are dropped from all containers.
    pub required_drop_capabilities: Vec<String>,
    /// The SELinux context.
    pub se_linux: SeLinuxStrategy,
    /// Proc mount types that containers may have; never empty, an empty list in a manifest means `Default`.
    pub allowed_proc_mount_types: Vec<String>,
    /// Sysctls that pods may set beside the safe ones; a trailing `*` matches any suffix.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Sysctls that pods may not set; a trailing `*` matches any suffix.
    pub forbidden_sysctls: Vec<String>,
    /// Runtime classes that pods may have; absent means any.
    pub runtime_class: Option<RuntimeClassStrategy>,
    /// Seccomp profiles, from annotations.
    pub seccomp: ProfileStrategy,
    /// AppArmor profiles, from annotations.
    pub app_armor: ProfileStrategy,
}

/// A range of host ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPortRange {
    /// The lowest port.
    pub min: i32,
    /// The highest port.
    pub max: i32,
}

/// A range of user or group ids, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdRange {
    /// The lowest id.
    pub min: i64,
    /// The highest id.
    pub max: i64,
}

/// Ranges of ids of which there is at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdRanges {
    /// The range listed first; its lower end is the default of `MustRunAs`.
    pub first: IdRange,
    /// The other ranges, in the order of the manifest.
    pub others: Vec<IdRange>,
}

impl IdRanges {
    /// Returns the ranges in the order of the manifest, or nothing when there is none.
    pub fn new(ranges: &[IdRange]) -> Option<Self> {
        let (first, others) = ranges.split_first()?;
        Some(Self {
            first: *first,
            others: others.to_vec(),
        })
    }

    /// All ranges, in the order of the manifest.
    pub fn iter(&self) -> impl Iterator<Item = IdRange> + '_ {
        std::iter::once(self.first).chain(self.others.iter().copied())
    }
}

/// A host path that pods may mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedHostPath {
    /// The path and all below it.
    pub path_prefix: String,
    /// Whether it may be mounted read-only alone.
    pub read_only: bool,
}

/// How the user of containers is judged and defaulted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunAsUserStrategy {
    /// The user must be in one of the ranges.
    MustRunAs(IdRanges),
    /// The user must not be root.
    MustRunAsNonRoot,
    /// Any user.
    RunAsAny,
}

/// How groups are judged and defaulted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupStrategy {
    /// Groups must be set and in one of the ranges.
    MustRunAs(IdRanges),
    /// Groups must be in one of the ranges if they are set.
    MayRunAs(IdRanges),
    /// Any groups.
    RunAsAny,
}

/// How the SELinux context is judged and defaulted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeLinuxStrategy {
    /// The context must be this one.
    MustRunAs(SeLinuxOptions),
    /// Any context.
    RunAsAny,
}

/// An SELinux context; an absent member reads as the empty string.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct SeLinuxOptions {
    /// The user label.
    pub user: String,
    /// The role label.
    pub role: String,
    /// The type label.
    pub type_: String,
    /// The level label.
    pub level: String,
}

/// Runtime classes that pods may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeClassStrategy {
    /// The names allowed, or `*`; empty means that no class may be set.
    pub allowed: Vec<String>,
    /// The class of pods that name none.
    pub default: Option<String>,
}

/// Profiles of seccomp or AppArmor, as the annotations of a PSP hold them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfileStrategy {
    /// The annotation that lists what is allowed, as it stands; absent and empty differ.
    pub allowed: Option<String>,
    /// The profile of pods or containers that have none; the empty string means no default.
    pub default: String,
}
