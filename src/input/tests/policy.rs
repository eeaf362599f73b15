use super::{OPTIONS, diagnostics, errors, inventory, loaded, policy, source};
use crate::api::policy::{
    AllowedHostPath, GroupStrategy, HostPortRange, IdRange, IdRanges, PodSecurityPolicySpec,
    ProfileStrategy, RunAsUserStrategy, RuntimeClassStrategy, SeLinuxOptions, SeLinuxStrategy,
};
use crate::input::{LoadOptions, UnusablePolicy, load};

#[track_caller]
fn spec(text: &str) -> PodSecurityPolicySpec {
    let mut policies = inventory(text).policies;
    assert_eq!(policies.len(), 1);
    policies.remove(0).spec
}

fn ranges(ranges: &[(i64, i64)]) -> IdRanges {
    let range = |(min, max): &(i64, i64)| IdRange {
        min: *min,
        max: *max,
    };
    IdRanges::new(&ranges.iter().map(range).collect::<Vec<_>>()).expect("there is a range")
}

#[test]
fn what_a_policy_leaves_out_has_the_server_s_defaults() {
    let expected = PodSecurityPolicySpec {
        privileged: false,
        host_network: false,
        host_pid: false,
        host_ipc: false,
        host_ports: Vec::new(),
        volumes: Vec::new(),
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
        allowed_capabilities: Vec::new(),
        default_add_capabilities: Vec::new(),
        required_drop_capabilities: Vec::new(),
        se_linux: SeLinuxStrategy::RunAsAny,
        allowed_proc_mount_types: vec!["Default".to_owned()],
        allowed_unsafe_sysctls: Vec::new(),
        forbidden_sysctls: Vec::new(),
        runtime_class: None,
        seccomp: ProfileStrategy::default(),
        app_armor: ProfileStrategy::default(),
    };
    assert_eq!(spec(&policy("")), expected);
    let nulls =
        "  privileged: null\n  volumes: null\n  runAsGroup: null\n  allowPrivilegeEscalation: null
  allowedProcMountTypes: []\n  runtimeClass: null\n  hostPorts: ~\n";
    assert_eq!(spec(&policy(nulls)), expected);
}

#[test]
fn every_field_arrives() {
    let text = "
apiVersion: extensions/v1beta1
kind: PodSecurityPolicy
metadata:
  name: full
  namespace: dropped-by-the-server
  annotations:
    seccomp.security.alpha.kubernetes.io/allowedProfileNames: '*'
    seccomp.security.alpha.kubernetes.io/defaultProfileName: runtime/default
    apparmor.security.beta.kubernetes.io/allowedProfileNames: ''
    apparmor.security.beta.kubernetes.io/defaultProfileName: localhost/a
spec:
  privileged: true
  hostNetwork: true
  hostPID: true
  hostIPC: true
  hostPorts: [{min: 1, max: 2}, {min: 9, max: 3}, {max: 4}]
  volumes: [secret, csi]
  allowedHostPaths: [{pathPrefix: /a, readOnly: true}, {pathPrefix: /b}]
  allowedFlexVolumes: [{driver: f/g}]
  allowedCSIDrivers: [{name: c.d}]
  runAsUser: {rule: MustRunAs, ranges: [{min: 3, max: 4}, {min: 1, max: 4294967296}]}
  runAsGroup: {rule: MayRunAs, ranges: [{min: 5, max: 5}]}
  supplementalGroups: {rule: MustRunAs, ranges: [{max: 6}]}
  fsGroup: {rule: MayRunAs, ranges: [{min: 7, max: 7}, {min: 8, max: 8}]}
  seLinux: {rule: MustRunAs, seLinuxOptions: {user: u, role: r, type: t}}
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  defaultAllowPrivilegeEscalation: false
  allowedCapabilities: [A]
  defaultAddCapabilities: [B]
  requiredDropCapabilities: [C]
  allowedUnsafeSysctls: [kernel.*]
  forbiddenSysctls: [net.ipv4.tcp_syncookies]
  runtimeClass: {allowedRuntimeClassNames: ['*'], defaultRuntimeClassName: gvisor}
";
    let strings = |items: &[&str]| items.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    let host_path = |path: &str, read_only| AllowedHostPath {
        path_prefix: path.to_owned(),
        read_only,
    };
    let port = |min, max| HostPortRange { min, max };
    let expected = PodSecurityPolicySpec {
        privileged: true,
        host_network: true,
        host_pid: true,
        host_ipc: true,
        host_ports: vec![port(1, 2), port(9, 3), port(0, 4)],
        volumes: strings(&["secret", "csi"]),
        allowed_host_paths: vec![host_path("/a", true), host_path("/b", false)],
        allowed_flex_volumes: strings(&["f/g"]),
        allowed_csi_drivers: strings(&["c.d"]),
        run_as_user: RunAsUserStrategy::MustRunAs(ranges(&[(3, 4), (1, 4_294_967_296)])),
        run_as_group: GroupStrategy::MayRunAs(ranges(&[(5, 5)])),
        supplemental_groups: GroupStrategy::MustRunAs(ranges(&[(0, 6)])),
        fs_group: GroupStrategy::MayRunAs(ranges(&[(7, 7), (8, 8)])),
        read_only_root_filesystem: true,
        allow_privilege_escalation: false,
        default_allow_privilege_escalation: Some(false),
        allowed_capabilities: strings(&["A"]),
        default_add_capabilities: strings(&["B"]),
        required_drop_capabilities: strings(&["C"]),
        se_linux: SeLinuxStrategy::MustRunAs(SeLinuxOptions {
            user: "u".to_owned(),
            role: "r".to_owned(),
            type_: "t".to_owned(),
            level: String::new(),
        }),
        allowed_proc_mount_types: strings(&["Default"]),
        allowed_unsafe_sysctls: strings(&["kernel.*"]),
        forbidden_sysctls: strings(&["net.ipv4.tcp_syncookies"]),
        runtime_class: Some(RuntimeClassStrategy {
            allowed: strings(&["*"]),
            default: Some("gvisor".to_owned()),
        }),
        seccomp: ProfileStrategy {
            allowed: Some("*".to_owned()),
            default: "runtime/default".to_owned(),
        },
        app_armor: ProfileStrategy {
            allowed: Some(String::new()),
            default: "localhost/a".to_owned(),
        },
    };
    let (inventory, diagnostics) = loaded(text);
    assert_eq!(inventory.policies[0].name, "full");
    assert_eq!(inventory.policies[0].spec, expected);
    assert_eq!(diagnostics, []);
}

#[test]
fn an_empty_runtime_class_strategy_is_one() {
    let expected = RuntimeClassStrategy {
        allowed: Vec::new(),
        default: None,
    };
    assert_eq!(
        spec(&policy("  runtimeClass: {}\n")).runtime_class,
        Some(expected)
    );
}

#[test]
fn policies_are_sorted_by_the_bytes_of_their_names() {
    let named = |name: &str| policy("").replace("name: p", &format!("name: '{name}'"));
    let text = ["b", "a-b", "a.b", "10", "9"].map(named).join("---\n");
    let order: Vec<String> = inventory(&text)
        .policies
        .into_iter()
        .map(|it| it.name)
        .collect();
    assert_eq!(order, ["10", "9", "a-b", "a.b", "b"]);
}

#[test]
fn an_unknown_field_is_a_warning_with_the_nearest_field() {
    let text = policy(
        "  hostPid: true\n  defautlAllowPrivilegeEscalation: false\n  hostPorts: [{mim: 1, max: 2}]\n  zzz: 1\n",
    );
    assert_eq!(
        diagnostics(&text),
        [
            "warning[unknown-field]: a.yaml:10:3: PodSecurityPolicy p: `spec.hostPid`: PodSecurityPolicy has no such field and \
             the API server drops it; the nearest field is `hostPID`",
            "warning[unknown-field]: a.yaml:11:3: PodSecurityPolicy p: `spec.defautlAllowPrivilegeEscalation`: \
             PodSecurityPolicy has no such field and the API server drops it; the nearest field is \
             `defaultAllowPrivilegeEscalation`",
            "warning[unknown-field]: a.yaml:12:16: PodSecurityPolicy p: `spec.hostPorts[0].mim`: PodSecurityPolicy has no such \
             field and the API server drops it; the nearest field is `min`",
            "warning[unknown-field]: a.yaml:13:3: PodSecurityPolicy p: `spec.zzz`: PodSecurityPolicy has no such field and the \
             API server drops it",
        ]
    );
    assert!(!spec(&text).host_pid, "names of fields are case-sensitive");
    let text = policy("").replace("metadata:\n", "status: {}\nmetadata:\n  foo: 1\n");
    let codes: Vec<_> = loaded(&text)
        .1
        .into_iter()
        .map(|it| it.field.expect("a field"))
        .collect();
    assert_eq!(codes, ["status", "metadata.foo"]);
}

#[test]
fn a_misspelled_field_is_named_where_the_right_one_is_missed() {
    let text = policy("").replace("seLinux:", "selinux:");
    assert_eq!(
        errors(&text),
        [
            "5:1: PodSecurityPolicy p is invalid: spec.seLinux.rule: Unsupported value: \"\": supported values: \"MustRunAs\", \
          \"RunAsAny\" (`spec.selinux` is not a field and may be meant)"
        ]
    );
}

#[test]
fn proc_mount_types_are_dropped_where_the_gate_is_closed() {
    let text = policy("  allowedProcMountTypes: [Unmasked, nonsense]\n");
    assert_eq!(
        diagnostics(&text),
        [
            "warning[proc-mount-type-dropped]: a.yaml:10:3: PodSecurityPolicy p: `spec.allowedProcMountTypes`: the API server \
          drops this field unless the feature gate `ProcMountType` is on"
        ]
    );
    assert_eq!(spec(&text).allowed_proc_mount_types, ["Default"]);
    assert_eq!(
        diagnostics(&policy("  allowedProcMountTypes: []\n")),
        [""; 0]
    );
}

#[test]
fn proc_mount_types_are_kept_and_checked_where_the_gate_is_open_or_a_server_has_stored_them() {
    let kept = policy("  allowedProcMountTypes: [Unmasked]\n");
    let refused = policy("  allowedProcMountTypes: [nonsense]\n");
    let stored = |text: &str| text.replace("  name: p\n", "  name: p\n  uid: 2f1c\n");
    assert_eq!(spec(&stored(&kept)).allowed_proc_mount_types, ["Unmasked"]);
    assert_eq!(errors(&stored(&refused)).len(), 1);
    let empty = policy("  allowedProcMountTypes: []\n");
    assert_eq!(spec(&stored(&empty)).allowed_proc_mount_types, ["Default"]);
    let options = LoadOptions {
        proc_mount_type: true,
    };
    let (inventory, diagnostics) = load(&[source(&kept)], options).expect("it is accepted");
    assert_eq!(
        inventory.policies[0].spec.allowed_proc_mount_types,
        ["Unmasked"]
    );
    assert_eq!(diagnostics, []);
    let error = load(&[source(&refused)], options).expect_err("it is refused");
    assert_eq!(
        error.errors[0].message,
        "PodSecurityPolicy p is invalid: spec.allowedProcMountTypes[0]: Unsupported value: \"nonsense\": supported values: \
         \"Default\", \"Unmasked\""
    );
}

#[track_caller]
fn check_unusable(spec: &str, field: &str, reason: &str) {
    let replaced = spec.split(':').next().expect("a field");
    let text = policy("");
    let others: Vec<&str> = text.lines().filter(|it| !it.contains(replaced)).collect();
    let text = format!("{}\n  {spec}\n", others.join("\n"));
    let (inventory, diagnostics) = load(&[source(&text)], OPTIONS).expect("it is accepted");
    let expected = UnusablePolicy {
        name: "p".to_owned(),
        field: field.to_owned(),
        reason: reason.to_owned(),
    };
    assert_eq!(inventory.unusable_policies, [expected]);
    assert_eq!(inventory.policies, []);
    let [warning] = diagnostics.as_slice() else {
        panic!("{diagnostics:?}")
    };
    assert_eq!(
        warning.to_string(),
        format!(
            "warning[unusable-policy]: a.yaml:9:3: PodSecurityPolicy p: `{field}`: {reason}; the API server stores the \
             policy, but the admission plugin skips it"
        )
    );
}

#[test]
fn a_policy_whose_strategies_cannot_be_built_is_set_aside() {
    let no_ranges = "the rule needs at least one range";
    check_unusable("runAsUser: {rule: MustRunAs}", "spec.runAsUser", no_ranges);
    check_unusable("fsGroup: {rule: MustRunAs}", "spec.fsGroup", no_ranges);
    check_unusable(
        "fsGroup: {rule: MayRunAs, ranges: []}",
        "spec.fsGroup",
        no_ranges,
    );
    check_unusable(
        "supplementalGroups: {rule: MustRunAs}",
        "spec.supplementalGroups",
        no_ranges,
    );
    check_unusable(
        "seLinux: {rule: MustRunAs}",
        "spec.seLinux",
        "the rule needs `seLinuxOptions`",
    );
}

#[test]
fn empty_selinux_options_can_be_used() {
    let text = policy("").replace(
        "seLinux: {rule: RunAsAny}",
        "seLinux: {rule: MustRunAs, seLinuxOptions: {}}",
    );
    assert_eq!(
        spec(&text).se_linux,
        SeLinuxStrategy::MustRunAs(SeLinuxOptions::default())
    );
}

#[track_caller]
fn check_mismatch(field: &str, expected: &str) {
    assert_eq!(
        errors(&policy(&format!("  {field}\n"))),
        [expected],
        "{field}"
    );
}

#[test]
fn a_value_of_another_kind_is_an_error() {
    check_mismatch(
        "volumes: [secret, yes]",
        "10:21: PodSecurityPolicy p: spec.volumes[1]: cannot unmarshal bool into a field of type string; put it in quotes to \
         make it one",
    );
    check_mismatch(
        "privileged: 'true'",
        "10:15: PodSecurityPolicy p: spec.privileged: cannot unmarshal string into a field of type bool",
    );
    check_mismatch(
        "hostPorts: [{min: 1, max: 2147483648}]",
        "10:29: PodSecurityPolicy p: spec.hostPorts[0].max: cannot unmarshal number 2147483648 into a field of type int32",
    );
    check_mismatch(
        "hostPorts: {min: 1}",
        "10:3: PodSecurityPolicy p: spec.hostPorts: cannot unmarshal object into a field of type list",
    );
    check_mismatch(
        "runAsGroup: {rule: MustRunAs, ranges: [{min: 1.5, max: 2}]}",
        "10:48: PodSecurityPolicy p: spec.runAsGroup.ranges[0].min: cannot unmarshal number 1.5 into a field of type int64",
    );
    let text = policy("").replace("  name: p\n", "  name: p\n  annotations: {a: yes}\n");
    assert_eq!(
        errors(&text),
        [
            "5:20: PodSecurityPolicy p: metadata.annotations[a]: cannot unmarshal bool into a field of type string; put it in \
          quotes to make it one"
        ]
    );
}

#[test]
fn a_null_in_a_list_is_the_empty_value() {
    assert_eq!(
        errors(&policy(
            "  allowedCapabilities: [~]\n  allowedFlexVolumes: [~]\n"
        )),
        [
            "11:24: PodSecurityPolicy p is invalid: spec.allowedFlexVolumes.allowedFlexVolumes[0].driver: Required value: must \
          specify a driver"
        ]
    );
    assert_eq!(
        spec(&policy("  allowedCapabilities: [~]\n")).allowed_capabilities,
        [""]
    );
}
