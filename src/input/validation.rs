//! What an API server demands of a PodSecurityPolicy before it stores it.
//!
//! Kubernetes 1.24, `pkg/apis/policy/validation/validation.go`: the same checks in the same order, with the same slips in
//! the names of fields.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::policy::v1beta1::{
    IDRange, PodSecurityPolicySpec, RuntimeClassStrategyOptions,
};

use crate::api::policy::{
    ALL, APPARMOR_ALLOWED, APPARMOR_DEFAULT, SECCOMP_ALLOWED, SECCOMP_DEFAULT,
};

use super::field_errors::{
    FieldErrors, duplicate, forbidden, go_list, invalid, quoted, required, too_long, unsupported,
};
use super::names;
use super::path::Path;

/// The volume types that Kubernetes 1.24 knows, sorted, with the word for all of them.
const VOLUMES: [&str; 30] = [
    ALL,
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephFS",
    "cinder",
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "hostPath",
    "iscsi",
    "nfs",
    "persistentVolumeClaim",
    "photonPersistentDisk",
    "portworxVolume",
    "projected",
    "quobyte",
    "rbd",
    "scaleIO",
    "secret",
    "storageos",
    "vsphereVolume",
];

pub(super) fn annotations(errors: &mut FieldErrors<'_>, annotations: &BTreeMap<String, String>) {
    let metadata = Path::root("metadata");
    let path = metadata.field("annotations");
    for (key, several) in [(APPARMOR_DEFAULT, false), (APPARMOR_ALLOWED, true)] {
        let value = annotations.get(key).map_or("", String::as_str);
        for profile in profiles(value, several) {
            let fixed = matches!(profile, "" | "runtime/default" | "unconfined");
            if !fixed && !profile.starts_with("localhost/") {
                let reason = format!("invalid AppArmor profile name: {}", quoted(profile));
                errors.add(&path.key(key), invalid(quoted(value), reason));
            }
        }
    }
    for (key, several) in [(SECCOMP_DEFAULT, false), (SECCOMP_ALLOWED, true)] {
        let value = annotations.get(key).map_or("", String::as_str);
        for profile in profiles(value, several) {
            if !(several && profile == ALL) {
                seccomp_profile(errors, &path.key(key), profile);
            }
        }
    }
}

/// What an annotation lists; nothing if it is empty.
fn profiles(value: &str, several: bool) -> Vec<&str> {
    match value {
        "" => Vec::new(),
        _ if several => value.split(',').collect(),
        _ => vec![value],
    }
}

fn seccomp_profile(errors: &mut FieldErrors<'_>, path: &Path<'_>, profile: &str) {
    if matches!(profile, "runtime/default" | "docker/default" | "unconfined") {
        return;
    }
    let Some(file) = profile.strip_prefix("localhost/") else {
        errors.add(
            path,
            invalid(quoted(profile), "must be a valid seccomp profile"),
        );
        return;
    };
    if file.starts_with('/') {
        errors.add(path, invalid(quoted(file), "must be a relative path"));
    }
    if file.split('/').any(|it| it == "..") {
        errors.add(path, invalid(quoted(file), "must not contain '..'"));
    }
}

pub(super) fn spec(errors: &mut FieldErrors<'_>, spec: &PodSecurityPolicySpec) {
    let path = Path::root("spec");
    let user = &spec.run_as_user;
    let user_path = path.field("runAsUser");
    rule(
        errors,
        &user_path,
        &user.rule,
        &["MustRunAs", "MustRunAsNonRoot", "RunAsAny"],
    );
    ranges(errors, &user_path, user.ranges.as_deref());
    run_as_group(errors, &path.field("runAsGroup"), spec);
    rule(
        errors,
        &path.field("seLinux"),
        &spec.se_linux.rule,
        &["MustRunAs", "RunAsAny"],
    );
    let supplemental = &spec.supplemental_groups;
    group(
        errors,
        &path.field("supplementalGroups"),
        supplemental.rule.as_deref(),
        supplemental.ranges.as_deref(),
    );
    group(
        errors,
        &path.field("fsGroup"),
        spec.fs_group.rule.as_deref(),
        spec.fs_group.ranges.as_deref(),
    );
    let volumes_path = path.field("volumes");
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        if !VOLUMES.contains(&volume.as_str()) {
            let reason = unsupported(volume, &VOLUMES);
            errors.add_as(&volumes_path.index(index), volumes_path, reason);
        }
    }
    capabilities(errors, &path, spec);
    if spec.default_allow_privilege_escalation == Some(true)
        && spec.allow_privilege_escalation == Some(false)
    {
        let reason = "Cannot set DefaultAllowPrivilegeEscalation to true without also setting AllowPrivilegeEscalation \
                      to true";
        errors.add(
            &path.field("defaultAllowPrivilegeEscalation"),
            invalid(true, reason),
        );
    }
    let proc_mounts = path.field("allowedProcMountTypes");
    for (index, proc_mount) in spec.allowed_proc_mount_types.iter().flatten().enumerate() {
        if !matches!(proc_mount.as_str(), "Default" | "Unmasked") {
            errors.add(
                &proc_mounts.index(index),
                unsupported(proc_mount, &["Default", "Unmasked"]),
            );
        }
    }
    storage(errors, &path, spec);
    let allowed = &path.field("allowedUnsafeSysctls");
    let forbidden = &path.field("forbiddenSysctls");
    sysctls(
        errors,
        allowed,
        spec.allowed_unsafe_sysctls.as_deref().unwrap_or_default(),
    );
    sysctls(
        errors,
        forbidden,
        spec.forbidden_sysctls.as_deref().unwrap_or_default(),
    );
    for (index, sysctl) in spec.allowed_unsafe_sysctls.iter().flatten().enumerate() {
        for (other_index, other) in spec.forbidden_sysctls.iter().flatten().enumerate() {
            let (at, value, by) = match overlap(sysctl, other) {
                None => continue,
                Some(Covered::First) => (allowed.index(index), sysctl, other),
                Some(Covered::Second) => (forbidden.index(other_index), other, sysctl),
            };
            errors.add(
                &at,
                invalid(quoted(value), format!("sysctl overlaps with {by}")),
            );
        }
    }
    if let Some(classes) = &spec.runtime_class {
        runtime_class(errors, &path.field("runtimeClass"), classes);
    }
}

fn rule(errors: &mut FieldErrors<'_>, path: &Path<'_>, rule: &str, supported: &[&str]) {
    if !supported.contains(&rule) {
        errors.add(&path.field("rule"), unsupported(rule, supported));
    }
}

fn group(
    errors: &mut FieldErrors<'_>,
    path: &Path<'_>,
    group_rule: Option<&str>,
    id_ranges: Option<&[IDRange]>,
) {
    rule(
        errors,
        path,
        group_rule.unwrap_or_default(),
        &["MayRunAs", "MustRunAs", "RunAsAny"],
    );
    ranges(errors, path, id_ranges);
}

/// Unlike the other groups, this one is refused when it has ranges without need or needs ranges that it lacks.
fn run_as_group(errors: &mut FieldErrors<'_>, path: &Path<'_>, spec: &PodSecurityPolicySpec) {
    let Some(group) = &spec.run_as_group else {
        return;
    };
    let id_ranges = group.ranges.as_deref();
    let empty = id_ranges.is_none_or(<[_]>::is_empty);
    match group.rule.as_str() {
        "RunAsAny" if !empty => {
            errors.add(
                &path.field("ranges"),
                invalid(go_ranges(id_ranges), "Ranges must be empty"),
            );
        }
        "RunAsAny" => {}
        "MustRunAs" | "MayRunAs" if empty => {
            errors.add(
                &path.field("ranges"),
                invalid(go_ranges(id_ranges), "must provide at least one range"),
            );
        }
        "MustRunAs" | "MayRunAs" => ranges(errors, path, id_ranges),
        _ => rule(
            errors,
            path,
            &group.rule,
            &["MustRunAs", "RunAsAny", "MayRunAs"],
        ),
    }
}

fn ranges(errors: &mut FieldErrors<'_>, path: &Path<'_>, ranges: Option<&[IDRange]>) {
    let path = path.field("ranges");
    for (index, range) in ranges.unwrap_or_default().iter().enumerate() {
        let path = path.index(index);
        if range.min < 0 {
            errors.add(
                &path.field("min"),
                invalid(range.min, "min cannot be negative"),
            );
        }
        if range.max < 0 {
            errors.add(
                &path.field("max"),
                invalid(range.max, "max cannot be negative"),
            );
        }
        if range.min > range.max {
            errors.add(
                &path.field("min"),
                invalid(range.min, "min cannot be greater than max"),
            );
        }
    }
}

fn go_ranges(ranges: Option<&[IDRange]>) -> String {
    let Some(ranges) = ranges else {
        return "[]policy.IDRange(nil)".to_owned();
    };
    let range = |it: &IDRange| format!("policy.IDRange{{Min:{}, Max:{}}}", it.min, it.max);
    let ranges: Vec<String> = ranges.iter().map(range).collect();
    format!("[]policy.IDRange{{{}}}", ranges.join(", "))
}

fn capabilities(errors: &mut FieldErrors<'_>, path: &Path<'_>, spec: &PodSecurityPolicySpec) {
    let dropped = spec
        .required_drop_capabilities
        .as_deref()
        .unwrap_or_default();
    let allowed = spec.allowed_capabilities.as_deref().unwrap_or_default();
    if !dropped.is_empty() && allowed.iter().any(|it| it == ALL) {
        let value = go_list("core.Capability", dropped);
        let reason = invalid(
            value,
            "must be empty when all capabilities are allowed by a wildcard",
        );
        errors.add_as(
            &path.field("requiredDropCapabilities"),
            "requiredDropCapabilities",
            reason,
        );
    }
    let added = spec.default_add_capabilities.as_deref().unwrap_or_default();
    for (field, capabilities) in [
        ("defaultAddCapabilities", added),
        ("allowedCapabilities", allowed),
    ] {
        for (index, capability) in capabilities.iter().enumerate() {
            if dropped.contains(capability) {
                let detail =
                    format!("capability is listed in {field} and requiredDropCapabilities");
                let at = path.field(field);
                errors.add_as(&at.index(index), field, invalid(quoted(capability), detail));
            }
        }
    }
}

fn storage(errors: &mut FieldErrors<'_>, path: &Path<'_>, spec: &PodSecurityPolicySpec) {
    let host_paths = path.field("allowedHostPaths");
    for (index, host_path) in spec.allowed_host_paths.iter().flatten().enumerate() {
        let item = host_paths.index(index);
        let at = item.field("pathPrefix");
        let prefix = host_path.path_prefix.as_deref().unwrap_or_default();
        if prefix.is_empty() {
            errors.add_as(&at, item, required("is required"));
            break;
        }
        if prefix.split('/').any(|it| it == "..") {
            errors.add_as(&at, item, invalid(quoted(prefix), "must not contain '..'"));
        }
    }
    let flex_volumes = path.field("allowedFlexVolumes");
    for (index, flex_volume) in spec.allowed_flex_volumes.iter().flatten().enumerate() {
        if flex_volume.driver.is_empty() {
            let at = flex_volumes.index(index);
            let name = format!("{flex_volumes}.allowedFlexVolumes[{index}].driver");
            errors.add_as(&at.field("driver"), name, required("must specify a driver"));
        }
    }
    let csi_drivers = path.field("allowedCSIDrivers");
    for (index, csi_driver) in spec.allowed_csi_drivers.iter().flatten().enumerate() {
        let item = csi_drivers.index(index);
        let at = item.field("name");
        let name = format!("{csi_drivers}.allowedCSIDriver[{index}].name");
        let driver = &csi_driver.name;
        if driver.is_empty() {
            errors.add_as(&at, &name, required(""));
        }
        if driver.len() > 63 {
            errors.add_as(&at, &name, too_long(63));
        }
        for fault in names::dns_subdomain(&lowercase(driver)) {
            errors.add_as(&at, &name, invalid(quoted(driver), fault));
        }
    }
}

fn sysctls(errors: &mut FieldErrors<'_>, path: &Path<'_>, sysctls: &[String]) {
    let mut covers_all = false;
    for (index, sysctl) in sysctls.iter().enumerate() {
        let at = path.index(index);
        if sysctl.is_empty() {
            errors.add(&at, invalid(quoted(sysctl), "empty sysctl not allowed"));
        } else if !names::is_sysctl_pattern(sysctl) {
            let detail = format!(
                "must have at most {} characters and match regex {}",
                names::SYSCTL_LENGTH,
                names::SYSCTL_PATTERN
            );
            errors.add(&at, invalid(quoted(sysctl), detail));
        } else if sysctl.starts_with(ALL) {
            covers_all = true;
        }
    }
    if covers_all && sysctls.len() > 1 {
        let reason = forbidden("if '*' is present, must not specify other sysctls");
        errors.add_as(path, path.field("items"), reason);
    }
}

/// Which of two sysctls the other one covers.
#[derive(Debug, PartialEq, Eq)]
enum Covered {
    First,
    Second,
}

/// Whether an entry of one list and an entry of the other name the same sysctl, patterns included.
fn overlap(first: &str, second: &str) -> Option<Covered> {
    match (first.strip_suffix('*'), second.strip_suffix('*')) {
        (Some(prefix), Some(other)) if prefix.starts_with(other) => Some(Covered::First),
        (Some(prefix), Some(other)) => other.starts_with(prefix).then_some(Covered::Second),
        (Some(prefix), None) => second.starts_with(prefix).then_some(Covered::Second),
        (None, Some(other)) => first.starts_with(other).then_some(Covered::First),
        (None, None) => (first == second).then_some(Covered::First),
    }
}

fn runtime_class(
    errors: &mut FieldErrors<'_>,
    path: &Path<'_>,
    classes: &RuntimeClassStrategyOptions,
) {
    let allowed_path = path.field("allowedRuntimeClassNames");
    let names = classes.allowed_runtime_class_names.as_slice();
    let mut allowed = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let at = allowed_path.index(index);
        if name != ALL {
            runtime_class_name(errors, &at, name);
        }
        if !allowed.insert(name.as_str()) {
            errors.add(&at, duplicate(name));
        }
    }
    if let Some(default) = &classes.default_runtime_class_name {
        runtime_class_name(errors, &path.field("defaultRuntimeClassName"), default);
        if !allowed.contains(default.as_str()) && !allowed.contains(ALL) {
            let detail = format!("default {} must be allowed", quoted(default));
            errors.add(&allowed_path, required(&detail));
        }
    }
    if allowed.contains(ALL) && names.len() > 1 {
        let value = go_list("string", names);
        let reason = "if '*' is present, must not specify other RuntimeClass names";
        errors.add(&allowed_path, invalid(value, reason));
    }
}

fn runtime_class_name(errors: &mut FieldErrors<'_>, path: &Path<'_>, name: &str) {
    for fault in names::dns_subdomain(name) {
        errors.add(path, invalid(quoted(name), fault));
    }
}

/// As Go does it, a character for a character.
fn lowercase(text: &str) -> String {
    text.chars()
        .filter_map(|it| it.to_lowercase().next())
        .collect()
}
