//! PodSecurityPolicies: decoded, defaulted and validated as by an API server, then parsed.

use k8s_openapi::api::policy::v1beta1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::api::meta::ObjectRef;
use crate::api::policy::{
    APPARMOR_ALLOWED, APPARMOR_DEFAULT, AllowedHostPath, GroupStrategy, HostPortRange, IdRange,
    IdRanges, PodSecurityPolicy, PodSecurityPolicySpec, ProfileStrategy, RunAsUserStrategy,
    RuntimeClassStrategy, SECCOMP_ALLOWED, SECCOMP_DEFAULT, SeLinuxOptions, SeLinuxStrategy,
};
use crate::diagnostic::Diagnostic;

use super::decode::{UnknownField, decode};
use super::field_errors::FieldErrors;
use super::node::Node;
use super::path::Path;
use super::report::{Report, called};
use super::{LoadOptions, UnusablePolicy, metadata, names, validation};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PolicyObject {
    #[serde(rename = "apiVersion")]
    _api_version: Option<IgnoredAny>,
    #[serde(rename = "kind")]
    _kind: Option<IgnoredAny>,
    metadata: ObjectMeta,
    spec: v1beta1::PodSecurityPolicySpec,
}

/// Reads a PodSecurityPolicy; nothing comes back if an API server would refuse it, then the report says why.
pub(super) fn read(
    report: &mut Report<'_>,
    node: &Node<'_>,
    object: &ObjectRef,
    options: LoadOptions,
) -> Option<Result<PodSecurityPolicy, UnusablePolicy>> {
    let (policy, unknown) = match decode::<PolicyObject>(node) {
        Ok(decoded) => decoded,
        Err(mismatch) => {
            report.mismatch(object, &node.head(), &mismatch);
            return None;
        }
    };
    let PolicyObject {
        metadata, mut spec, ..
    } = policy;
    let stored = metadata.uid.as_deref().is_some_and(|it| !it.is_empty());
    if !options.proc_mount_type && !stored {
        let dropped = spec.allowed_proc_mount_types.take();
        if dropped.is_some_and(|it| !it.is_empty()) {
            warn_of_dropped_proc_mount_types(report, node, object);
        }
    }
    let mut errors = FieldErrors::new(node);
    metadata::metadata(&mut errors, &metadata, names::dns_subdomain);
    let annotations = metadata.annotations.unwrap_or_default();
    validation::annotations(&mut errors, &annotations);
    validation::spec(&mut errors, &spec);
    if !errors.found.is_empty() {
        for (span, reason) in errors.found {
            let hint = misspelled(&reason, &unknown);
            report.error(
                span,
                format!("{} is invalid: {reason}{hint}", called(object)),
            );
        }
        return None;
    }
    report.unknown_fields(object, unknown);
    let profiles = |allowed: &str, default: &str| ProfileStrategy {
        allowed: annotations.get(allowed).cloned(),
        default: annotations.get(default).cloned().unwrap_or_default(),
    };
    let seccomp = profiles(SECCOMP_ALLOWED, SECCOMP_DEFAULT);
    let app_armor = profiles(APPARMOR_ALLOWED, APPARMOR_DEFAULT);
    let spec = match parse(spec, seccomp, app_armor) {
        Ok(spec) => spec,
        Err(Unbuildable { field, reason }) => {
            let path = Path::root("spec");
            let path = path.field(field);
            let diagnostic = Diagnostic::warning(
                "unusable-policy",
                format!(
                    "{reason}; the API server stores the policy, but the admission plugin skips it"
                ),
            );
            report.diagnostic(
                &node.locate(&path),
                diagnostic.about(object.clone()).field(path.to_string()),
            );
            return Some(Err(UnusablePolicy {
                name: object.name.clone(),
                field: path.to_string(),
                reason: reason.to_owned(),
            }));
        }
    };
    Some(Ok(PodSecurityPolicy {
        name: object.name.clone(),
        spec,
    }))
}

/// A hint where a field is refused because it is missing, and one is there that may be meant.
fn misspelled(reason: &str, unknown: &[UnknownField]) -> String {
    let missing = [": Unsupported value: \"\"", ": Required value"];
    let Some(field) = missing.iter().find_map(|it| Some(reason.split_once(it)?.0)) else {
        return String::new();
    };
    let meant = unknown.iter().find(|it| {
        let parent = it.path.rsplit_once('.').map_or("", |(parent, _)| parent);
        let nearest = it.nearest.map(|it| format!("{parent}.{it}"));
        nearest.is_some_and(|it| field.starts_with(&it))
    });
    let hint = |it: &UnknownField| format!(" (`{}` is not a field and may be meant)", it.path);
    meant.map_or_else(String::new, hint)
}

fn warn_of_dropped_proc_mount_types(report: &mut Report<'_>, node: &Node<'_>, object: &ObjectRef) {
    let path = Path::root("spec");
    let path = path.field("allowedProcMountTypes");
    let diagnostic = Diagnostic::warning(
        "proc-mount-type-dropped",
        "the API server drops this field unless the feature gate `ProcMountType` is on",
    );
    report.diagnostic(
        &node.locate(&path),
        diagnostic.about(object.clone()).field(path.to_string()),
    );
}

/// Why the plugin cannot build a strategy.
struct Unbuildable {
    /// The field under `spec`.
    field: &'static str,
    reason: &'static str,
}

const NO_RANGES: &str = "the rule needs at least one range";

/// Parses a valid spec.
///
/// # Errors
///
/// The first strategy that cannot be built, see `pkg/security/podsecuritypolicy/factory.go`.
fn parse(
    spec: v1beta1::PodSecurityPolicySpec,
    seccomp: ProfileStrategy,
    app_armor: ProfileStrategy,
) -> Result<PodSecurityPolicySpec, Unbuildable> {
    let run_as_group = match spec.run_as_group {
        None => GroupStrategy::RunAsAny,
        Some(group) => group_strategy("runAsGroup", Some(&group.rule), group.ranges.as_deref())?,
    };
    let fs_group = &spec.fs_group;
    let groups = &spec.supplemental_groups;
    Ok(PodSecurityPolicySpec {
        privileged: spec.privileged.unwrap_or_default(),
        host_network: spec.host_network.unwrap_or_default(),
        host_pid: spec.host_pid.unwrap_or_default(),
        host_ipc: spec.host_ipc.unwrap_or_default(),
        run_as_user: run_as_user(&spec.run_as_user)?,
        run_as_group,
        se_linux: se_linux(spec.se_linux)?,
        fs_group: group_strategy(
            "fsGroup",
            fs_group.rule.as_deref(),
            fs_group.ranges.as_deref(),
        )?,
        supplemental_groups: group_strategy(
            "supplementalGroups",
            groups.rule.as_deref(),
            groups.ranges.as_deref(),
        )?,
        host_ports: map(spec.host_ports, |it| HostPortRange {
            min: it.min,
            max: it.max,
        }),
        volumes: spec.volumes.unwrap_or_default(),
        allowed_host_paths: map(spec.allowed_host_paths, |it| AllowedHostPath {
            path_prefix: it.path_prefix.unwrap_or_default(),
            read_only: it.read_only.unwrap_or_default(),
        }),
        allowed_flex_volumes: map(spec.allowed_flex_volumes, |it| it.driver),
        allowed_csi_drivers: map(spec.allowed_csi_drivers, |it| it.name),
        read_only_root_filesystem: spec.read_only_root_filesystem.unwrap_or_default(),
        // The only default that the API server writes: `pkg/apis/policy/v1beta1/defaults.go`.
        allow_privilege_escalation: spec.allow_privilege_escalation.unwrap_or(true),
        default_allow_privilege_escalation: spec.default_allow_privilege_escalation,
        allowed_capabilities: spec.allowed_capabilities.unwrap_or_default(),
        default_add_capabilities: spec.default_add_capabilities.unwrap_or_default(),
        required_drop_capabilities: spec.required_drop_capabilities.unwrap_or_default(),
        allowed_proc_mount_types: spec
            .allowed_proc_mount_types
            .filter(|it| !it.is_empty())
            .unwrap_or_else(|| vec!["Default".to_owned()]),
        allowed_unsafe_sysctls: spec.allowed_unsafe_sysctls.unwrap_or_default(),
        forbidden_sysctls: spec.forbidden_sysctls.unwrap_or_default(),
        runtime_class: spec.runtime_class.map(|it| RuntimeClassStrategy {
            allowed: it.allowed_runtime_class_names,
            default: it.default_runtime_class_name,
        }),
        seccomp,
        app_armor,
    })
}

fn run_as_user(user: &v1beta1::RunAsUserStrategyOptions) -> Result<RunAsUserStrategy, Unbuildable> {
    match user.rule.as_str() {
        "MustRunAs" => Ok(RunAsUserStrategy::MustRunAs(id_ranges(
            "runAsUser",
            user.ranges.as_deref(),
        )?)),
        "MustRunAsNonRoot" => Ok(RunAsUserStrategy::MustRunAsNonRoot),
        _ => Ok(RunAsUserStrategy::RunAsAny),
    }
}

fn group_strategy(
    field: &'static str,
    rule: Option<&str>,
    ranges: Option<&[v1beta1::IDRange]>,
) -> Result<GroupStrategy, Unbuildable> {
    match rule {
        Some("MustRunAs") => Ok(GroupStrategy::MustRunAs(id_ranges(field, ranges)?)),
        Some("MayRunAs") => Ok(GroupStrategy::MayRunAs(id_ranges(field, ranges)?)),
        _ => Ok(GroupStrategy::RunAsAny),
    }
}

fn id_ranges(
    field: &'static str,
    ranges: Option<&[v1beta1::IDRange]>,
) -> Result<IdRanges, Unbuildable> {
    let range = |it: &v1beta1::IDRange| IdRange {
        min: it.min,
        max: it.max,
    };
    let ranges: Vec<IdRange> = ranges.unwrap_or_default().iter().map(range).collect();
    IdRanges::new(&ranges).ok_or(Unbuildable {
        field,
        reason: NO_RANGES,
    })
}

fn se_linux(se_linux: v1beta1::SELinuxStrategyOptions) -> Result<SeLinuxStrategy, Unbuildable> {
    if se_linux.rule != "MustRunAs" {
        return Ok(SeLinuxStrategy::RunAsAny);
    }
    let options = se_linux.se_linux_options.ok_or(Unbuildable {
        field: "seLinux",
        reason: "the rule needs `seLinuxOptions`",
    })?;
    Ok(SeLinuxStrategy::MustRunAs(SeLinuxOptions {
        user: options.user.unwrap_or_default(),
        role: options.role.unwrap_or_default(),
        type_: options.type_.unwrap_or_default(),
        level: options.level.unwrap_or_default(),
    }))
}

fn map<T, U>(items: Option<Vec<T>>, each: impl Fn(T) -> U) -> Vec<U> {
    items.unwrap_or_default().into_iter().map(each).collect()
}
