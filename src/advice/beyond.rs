//! What a policy allows and a Pod Security Standard does not.

use crate::api::policy::{PodSecurityPolicySpec, RunAsUserStrategy};
use crate::standards::{CAPABILITIES, Level, VOLUMES};

/// Returns the fields by which a policy allows what the level forbids, in the order of its own fields.
///
/// Sysctls, SELinux, seccomp, AppArmor and proc mount types are left out: policies and levels draw their lines elsewhere there.
pub(super) fn beyond(level: Level, spec: &PodSecurityPolicySpec) -> Vec<&'static str> {
    let any_volume = |fails: &dyn Fn(&str) -> bool| spec.volumes.iter().any(|it| fails(it));
    let capabilities = || {
        spec.allowed_capabilities
            .iter()
            .chain(&spec.default_add_capabilities)
    };
    let restricted = level == Level::Restricted;
    let drops_all = spec.required_drop_capabilities.iter().any(|it| it == "ALL");
    let may_be_root = match &spec.run_as_user {
        RunAsUserStrategy::RunAsAny => true,
        RunAsUserStrategy::MustRunAsNonRoot => false,
        RunAsUserStrategy::MustRunAs(ranges) => ranges.iter().any(|it| it.min <= 0),
    };
    let fields = [
        ("privileged", spec.privileged),
        ("hostNetwork", spec.host_network),
        ("hostPID", spec.host_pid),
        ("hostIPC", spec.host_ipc),
        ("hostPorts", !spec.host_ports.is_empty()),
        (
            "volumes",
            any_volume(&|it| {
                it == "*" || it == "hostPath" || (restricted && !VOLUMES.contains(&it))
            }),
        ),
        (
            "allowedCapabilities",
            capabilities().any(|it| match level {
                Level::Baseline => !CAPABILITIES.contains(&it.as_str()),
                Level::Restricted => it != "NET_BIND_SERVICE",
            }),
        ),
        ("requiredDropCapabilities", restricted && !drops_all),
        (
            "allowPrivilegeEscalation",
            restricted && spec.allow_privilege_escalation,
        ),
        ("runAsUser", restricted && may_be_root),
    ];
    let fields = fields.into_iter().filter(|(_, allows)| *allows);
    fields.map(|(field, _)| field).collect()
}
