//! What an API server refuses, in the words of the one of Kubernetes 1.24.17.

use super::{errors, loaded, policy};

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
     must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SYSCTL: &str = "must have at most 253 characters and match regex \
     ([a-z0-9]([-_a-z0-9]*[a-z0-9])?\\.)*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]";
const VOLUMES: &str = "supported values: \"*\", \"awsElasticBlockStore\", \"azureDisk\", \"azureFile\", \"cephFS\", \"cinder\", \
     \"configMap\", \"csi\", \"downwardAPI\", \"emptyDir\", \"ephemeral\", \"fc\", \"flexVolume\", \"flocker\", \
     \"gcePersistentDisk\", \"gitRepo\", \"glusterfs\", \"hostPath\", \"iscsi\", \"nfs\", \"persistentVolumeClaim\", \
     \"photonPersistentDisk\", \"portworxVolume\", \"projected\", \"quobyte\", \"rbd\", \"scaleIO\", \"secret\", \"storageos\", \
     \"vsphereVolume\"";

/// Lines for `spec` are given, and what the server says, each with the column in the one line of the object that matters.
#[track_caller]
fn check_text(text: &str, expected: &[String]) {
    let expected: Vec<String> = expected
        .iter()
        .map(|it| {
            let (place, reason) = it.split_once(' ').expect("a place and a reason");
            format!("{place}: PodSecurityPolicy p is invalid: {reason}")
        })
        .collect();
    if expected.is_empty() {
        loaded(text);
    } else {
        assert_eq!(errors(text), expected, "{text}");
    }
}

/// Adds a line to the spec of a valid policy, in line 10.
#[track_caller]
fn check(line: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
    check_text(&policy(&format!("  {line}\n")), &expected);
}

/// Replaces the rule and the ranges of a strategy that every policy has.
#[track_caller]
fn check_strategy(field: &str, value: &str, expected: &[&str]) {
    let expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
    let old = format!("  {field}: {{rule: RunAsAny}}");
    check_text(
        &policy("").replace(&old, &format!("  {field}: {value}")),
        &expected,
    );
}

/// Adds a line to the metadata, in line 5.
#[track_caller]
fn check_metadata(line: &str, expected: &[String]) {
    let text = policy("").replace("  name: p\n", &format!("  name: p\n  {line}\n"));
    check_text(&text, expected);
}

#[test]
fn rules() {
    let user = "Unsupported value: \"MayRunAs\": supported values: \"MustRunAs\", \"MustRunAsNonRoot\", \"RunAsAny\"";
    let group = "supported values: \"MayRunAs\", \"MustRunAs\", \"RunAsAny\"";
    let se_linux = "Unsupported value: \"MayRunAs\": supported values: \"MustRunAs\", \"RunAsAny\"";
    check_strategy(
        "runAsUser",
        "{rule: MayRunAs}",
        &[&format!("6:21 spec.runAsUser.rule: {user}")],
    );
    check_strategy(
        "seLinux",
        "{rule: MayRunAs}",
        &[&format!("7:19 spec.seLinux.rule: {se_linux}")],
    );
    check_strategy(
        "fsGroup",
        "{rule: runAsAny}",
        &[&format!(
            "8:19 spec.fsGroup.rule: Unsupported value: \"runAsAny\": {group}"
        )],
    );
    check_strategy(
        "supplementalGroups",
        "{}",
        &[&format!(
            "9:3 spec.supplementalGroups.rule: Unsupported value: \"\": {group}"
        )],
    );
    check_strategy(
        "supplementalGroups",
        "{rule: ~}",
        &[&format!(
            "9:24 spec.supplementalGroups.rule: Unsupported value: \"\": {group}"
        )],
    );
    check_strategy(
        "fsGroup",
        "~",
        &[&format!(
            "8:3 spec.fsGroup.rule: Unsupported value: \"\": {group}"
        )],
    );
    check(
        "runAsGroup: {rule: x}",
        &[
            "10:22 spec.runAsGroup.rule: Unsupported value: \"x\": supported values: \"MustRunAs\", \"RunAsAny\", \"MayRunAs\"",
        ],
    );
    check(
        "runAsGroup: {}",
        &[
            "10:3 spec.runAsGroup.rule: Unsupported value: \"\": supported values: \"MustRunAs\", \"RunAsAny\", \"MayRunAs\"",
        ],
    );
}

#[test]
fn a_policy_without_a_spec_lacks_all_rules() {
    let text = "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: p}\n";
    let group = "rule: Unsupported value: \"\": supported values: \"MayRunAs\", \"MustRunAs\", \"RunAsAny\"";
    check_text(
        text,
        &[
            "2:7 spec.runAsUser.rule: Unsupported value: \"\": supported values: \"MustRunAs\", \"MustRunAsNonRoot\", \"RunAsAny\"".to_owned(),
            "2:7 spec.seLinux.rule: Unsupported value: \"\": supported values: \"MustRunAs\", \"RunAsAny\"".to_owned(),
            format!("2:7 spec.supplementalGroups.{group}"),
            format!("2:7 spec.fsGroup.{group}"),
        ],
    );
}

#[test]
fn ranges() {
    for rule in ["RunAsAny", "MustRunAs"] {
        check_strategy(
            "fsGroup",
            &format!(
                "{{ranges: [{{min: 1, max: 4294967296}}, {{min: -1, max: -2}}, {{min: 2, max: 1}}], rule: {rule}}}"
            ),
            &[
                "8:55 spec.fsGroup.ranges[1].min: Invalid value: -1: min cannot be negative",
                "8:55 spec.fsGroup.ranges[1].min: Invalid value: -1: min cannot be greater than max",
                "8:64 spec.fsGroup.ranges[1].max: Invalid value: -2: max cannot be negative",
                "8:75 spec.fsGroup.ranges[2].min: Invalid value: 2: min cannot be greater than max",
            ],
        );
    }
    check_strategy(
        "runAsUser",
        "{rule: RunAsAny, ranges: [{min: 1}]}",
        &["6:46 spec.runAsUser.ranges[0].min: Invalid value: 1: min cannot be greater than max"],
    );
    check(
        "runAsGroup: {rule: MayRunAs, ranges: [{min: 1}]}",
        &["10:47 spec.runAsGroup.ranges[0].min: Invalid value: 1: min cannot be greater than max"],
    );
    check(
        "runAsGroup: {rule: MustRunAs}",
        &[
            "10:3 spec.runAsGroup.ranges: Invalid value: []policy.IDRange(nil): must provide at least one range",
        ],
    );
    check(
        "runAsGroup: {rule: MayRunAs, ranges: []}",
        &[
            "10:32 spec.runAsGroup.ranges: Invalid value: []policy.IDRange{}: must provide at least one range",
        ],
    );
    check(
        "runAsGroup: {rule: RunAsAny, ranges: [{min: 1, max: 2}]}",
        &[
            "10:32 spec.runAsGroup.ranges: Invalid value: []policy.IDRange{policy.IDRange{Min:1, Max:2}}: Ranges must be empty",
        ],
    );
    check("hostPorts: [{min: -5, max: -7}]", &[]);
}

#[test]
fn volumes() {
    check("volumes: ['*', ephemeral, storageos]", &[]);
    check(
        "volumes: [secret, none]",
        &[&format!(
            "10:21 spec.volumes: Unsupported value: \"none\": {VOLUMES}"
        )],
    );
}

#[test]
fn capabilities() {
    check(
        "requiredDropCapabilities: [ALL]\n  allowedCapabilities: ['*']",
        &[
            "10:3 requiredDropCapabilities: Invalid value: []core.Capability{\"ALL\"}: must be empty when all capabilities are \
           allowed by a wildcard",
        ],
    );
    check(
        "requiredDropCapabilities: [A, B]\n  defaultAddCapabilities: [C, B]\n  allowedCapabilities: [A]",
        &[
            "11:31 defaultAddCapabilities: Invalid value: \"B\": capability is listed in defaultAddCapabilities and \
             requiredDropCapabilities",
            "12:25 allowedCapabilities: Invalid value: \"A\": capability is listed in allowedCapabilities and \
             requiredDropCapabilities",
        ],
    );
    check(
        "requiredDropCapabilities: []\n  allowedCapabilities: ['*']",
        &[],
    );
    check(
        "requiredDropCapabilities: [ALL]\n  allowedCapabilities: [A]",
        &[],
    );
}

#[test]
fn privilege_escalation() {
    check(
        "defaultAllowPrivilegeEscalation: true\n  allowPrivilegeEscalation: false",
        &[
            "10:36 spec.defaultAllowPrivilegeEscalation: Invalid value: true: Cannot set DefaultAllowPrivilegeEscalation to true \
           without also setting AllowPrivilegeEscalation to true",
        ],
    );
    check("defaultAllowPrivilegeEscalation: true", &[]);
    check(
        "defaultAllowPrivilegeEscalation: false\n  allowPrivilegeEscalation: false",
        &[],
    );
}

#[test]
fn host_paths() {
    check("allowedHostPaths: [{pathPrefix: /..a/b..}]", &[]);
    check(
        "allowedHostPaths: [{pathPrefix: /a/../../b}, {readOnly: true}, {pathPrefix: ..}]",
        &[
            "10:35 spec.allowedHostPaths[0]: Invalid value: \"/a/../../b\": must not contain '..'",
            "10:49 spec.allowedHostPaths[1]: Required value: is required",
        ],
    );
}

#[test]
fn flex_volumes() {
    check(
        "allowedFlexVolumes: [{driver: a}, {driver: ''}]",
        &[
            "10:46 spec.allowedFlexVolumes.allowedFlexVolumes[1].driver: Required value: must specify a driver",
        ],
    );
}

#[test]
fn csi_drivers() {
    check("allowedCSIDrivers: [{name: A.b.C}]", &[]);
    check(
        "allowedCSIDrivers: [{name: ''}, {name: a_b}]",
        &[
            "10:30 spec.allowedCSIDrivers.allowedCSIDriver[0].name: Required value",
            &format!(
                "10:30 spec.allowedCSIDrivers.allowedCSIDriver[0].name: Invalid value: \"\": {SUBDOMAIN}"
            ),
            &format!(
                "10:42 spec.allowedCSIDrivers.allowedCSIDriver[1].name: Invalid value: \"a_b\": {SUBDOMAIN}"
            ),
        ],
    );
    let long = "a".repeat(64);
    check(
        &format!("allowedCSIDrivers: [{{name: {long}}}]"),
        &[
            "10:30 spec.allowedCSIDrivers.allowedCSIDriver[0].name: Too long: must have at most 63 bytes",
        ],
    );
}

#[test]
fn sysctls() {
    check("allowedUnsafeSysctls: ['*']", &[]);
    check(
        "allowedUnsafeSysctls: [a.b-c_d.e, kernel.*, kernel.sh*, a.b1]",
        &[],
    );
    check(
        "forbiddenSysctls: ['']",
        &["10:22 spec.forbiddenSysctls[0]: Invalid value: \"\": empty sysctl not allowed"],
    );
    let long = "a".repeat(254);
    for sysctl in [
        "A", "a..b", "a.", ".a", "-a", "a-", "a*.b", "net/ipv4", "a-.b", &long,
    ] {
        check(
            &format!("forbiddenSysctls: ['{sysctl}']"),
            &[&format!(
                "10:22 spec.forbiddenSysctls[0]: Invalid value: \"{sysctl}\": {SYSCTL}"
            )],
        );
    }
    check(
        "allowedUnsafeSysctls: ['*', a.b]",
        &[
            "10:3 spec.allowedUnsafeSysctls.items: Forbidden: if '*' is present, must not specify other sysctls",
        ],
    );
}

#[test]
fn sysctl_lists_must_not_overlap() {
    let overlap = |allowed: &str, forbidden: &str, expected: &[&str]| {
        check(
            &format!("allowedUnsafeSysctls: ['{allowed}']\n  forbiddenSysctls: ['{forbidden}']"),
            expected,
        );
    };
    let allowed = |value: &str, by: &str| {
        format!(
            "10:26 spec.allowedUnsafeSysctls[0]: Invalid value: \"{value}\": sysctl overlaps with {by}"
        )
    };
    let forbidden = |value: &str, by: &str| {
        format!(
            "11:22 spec.forbiddenSysctls[0]: Invalid value: \"{value}\": sysctl overlaps with {by}"
        )
    };
    overlap("a.b", "a.c", &[]);
    overlap("a.*", "b.*", &[]);
    overlap("a.b", "a.b", &[&allowed("a.b", "a.b")]);
    overlap("a.b", "a.*", &[&allowed("a.b", "a.*")]);
    overlap("a.*", "a.b", &[&forbidden("a.b", "a.*")]);
    overlap("a.*", "*", &[&allowed("a.*", "*")]);
    overlap("*", "a.*", &[&forbidden("a.*", "*")]);
    overlap("a.*", "a.*", &[&allowed("a.*", "a.*")]);
}

#[test]
fn runtime_classes() {
    check(
        "runtimeClass: {allowedRuntimeClassNames: ['*'], defaultRuntimeClassName: a}",
        &[],
    );
    check(
        "runtimeClass: {allowedRuntimeClassNames: [A, b, b]}",
        &[
            &format!(
                "10:45 spec.runtimeClass.allowedRuntimeClassNames[0]: Invalid value: \"A\": {SUBDOMAIN}"
            ),
            "10:51 spec.runtimeClass.allowedRuntimeClassNames[2]: Duplicate value: \"b\"",
        ],
    );
    check(
        "runtimeClass: {allowedRuntimeClassNames: [a], defaultRuntimeClassName: b}",
        &[
            "10:18 spec.runtimeClass.allowedRuntimeClassNames: Required value: default \"b\" must be allowed",
        ],
    );
    check(
        "runtimeClass: {allowedRuntimeClassNames: ['*', a]}",
        &[
            "10:18 spec.runtimeClass.allowedRuntimeClassNames: Invalid value: []string{\"*\", \"a\"}: if '*' is present, must not \
           specify other RuntimeClass names",
        ],
    );
    check(
        "runtimeClass: {allowedRuntimeClassNames: ['*'], defaultRuntimeClassName: ''}",
        &[&format!(
            "10:76 spec.runtimeClass.defaultRuntimeClassName: Invalid value: \"\": {SUBDOMAIN}"
        )],
    );
}

#[test]
fn apparmor_annotations() {
    let annotation = |name: &str, value: &str, expected: &[String]| {
        check_metadata(
            &format!("annotations: {{apparmor.security.beta.kubernetes.io/{name}: '{value}'}}"),
            expected,
        );
    };
    let refused = |name: &str, value: &str, profile: &str| {
        let column = 17 + "apparmor.security.beta.kubernetes.io/".len() + name.len() + 2;
        format!(
            "5:{column} metadata.annotations[apparmor.security.beta.kubernetes.io/{name}]: Invalid value: \"{value}\": invalid \
             AppArmor profile name: \"{profile}\""
        )
    };
    let (allowed, default) = ("allowedProfileNames", "defaultProfileName");
    for value in [
        "",
        "runtime/default",
        "unconfined",
        "localhost/",
        "localhost/a,b",
    ] {
        annotation(default, value, &[]);
    }
    for value in ["", "runtime/default,unconfined,,localhost/a"] {
        annotation(allowed, value, &[]);
    }
    annotation(
        default,
        "docker/default",
        &[refused(default, "docker/default", "docker/default")],
    );
    annotation(
        default,
        "runtime/default,unconfined",
        &[refused(
            default,
            "runtime/default,unconfined",
            "runtime/default,unconfined",
        )],
    );
    annotation(allowed, "*", &[refused(allowed, "*", "*")]);
    annotation(
        allowed,
        "unconfined, localhost/a,x",
        &[
            refused(allowed, "unconfined, localhost/a,x", " localhost/a"),
            refused(allowed, "unconfined, localhost/a,x", "x"),
        ],
    );
}

#[test]
fn seccomp_annotations() {
    let annotation = |name: &str, value: &str, expected: &[(&str, &str)]| {
        let column = 17 + "seccomp.security.alpha.kubernetes.io/".len() + name.len() + 2;
        let reason = |(value, detail): &(&str, &str)| {
            format!(
                "5:{column} metadata.annotations[seccomp.security.alpha.kubernetes.io/{name}]: Invalid value: \"{value}\": {detail}"
            )
        };
        let expected: Vec<String> = expected.iter().map(reason).collect();
        check_metadata(
            &format!("annotations: {{seccomp.security.alpha.kubernetes.io/{name}: '{value}'}}"),
            &expected,
        );
    };
    let (allowed, default) = ("allowedProfileNames", "defaultProfileName");
    let malformed = "must be a valid seccomp profile";
    for value in [
        "",
        "runtime/default",
        "docker/default",
        "unconfined",
        "localhost/",
        "localhost/a/b",
    ] {
        annotation(default, value, &[]);
    }
    annotation(allowed, "*", &[]);
    annotation(allowed, "runtime/default,*,localhost/x", &[]);
    annotation(default, "*", &[("*", malformed)]);
    annotation(
        allowed,
        "runtime/default, unconfined,",
        &[(" unconfined", malformed), ("", malformed)],
    );
    annotation(
        default,
        "localhost//a/..",
        &[
            ("/a/..", "must be a relative path"),
            ("/a/..", "must not contain '..'"),
        ],
    );
}

#[test]
fn names() {
    for name in ["a_b", "A", "-a", "a..b", "a."] {
        let text = policy("").replace("name: p", &format!("name: {name}"));
        let expected = format!(
            "4:9: PodSecurityPolicy {name} is invalid: metadata.name: Invalid value: \"{name}\": {SUBDOMAIN}"
        );
        assert_eq!(errors(&text), [expected]);
    }
    let long = "a".repeat(254);
    let text = policy("").replace("name: p", &format!("name: {long}"));
    assert!(errors(&text)[0].ends_with("\": must be no more than 253 characters"));
    loaded(&policy("").replace("name: p", &format!("name: {}", &long[1..])));
    let text = policy("").replace("  name: p\n", "");
    assert!(errors(&text)[0].contains(": PodSecurityPolicy is invalid: metadata.name: Required value: name or generateName is required"), "{:?}", errors(&text));
}

#[test]
fn labels_and_annotations() {
    check_metadata("labels: {a: '', b/c: D-e_f.g}", &[]);
    check_metadata(
        "labels: {-a: b}",
        &[format!(
            "5:16 metadata.labels: Invalid value: \"-a\": name part {QUALIFIED}"
        )],
    );
    check_metadata(
        "labels: {A/b: c}",
        &[format!(
            "5:17 metadata.labels: Invalid value: \"A/b\": prefix part {SUBDOMAIN}"
        )],
    );
    check_metadata(
        "labels: {/a: b}",
        &["5:16 metadata.labels: Invalid value: \"/a\": prefix part must be non-empty".to_owned()],
    );
    check_metadata(
        "labels: {a/b/c: d}",
        &[format!(
            "5:19 metadata.labels: Invalid value: \"a/b/c\": a qualified name {QUALIFIED} with an optional DNS subdomain prefix \
             and '/' (e.g. 'example.com/MyName')"
        )],
    );
    check_metadata(
        "labels: {a: b c}",
        &["5:15 metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric \
           characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  \
           or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
            .to_owned()],
    );
    let long = "a".repeat(64);
    check_metadata(
        &format!("labels: {{{long}: {long}}}"),
        &[
            format!(
                "5:78 metadata.labels: Invalid value: \"{long}\": name part must be no more than 63 characters"
            ),
            format!(
                "5:78 metadata.labels: Invalid value: \"{long}\": must be no more than 63 characters"
            ),
        ],
    );
    check_metadata(&format!("labels: {{{0}: {0}}}", &long[1..]), &[]);
    check_metadata("annotations: {A.b/C: any thing}", &[]);
    check_metadata(
        "annotations: {a b: c}",
        &[format!(
            "5:22 metadata.annotations: Invalid value: \"a b\": name part {QUALIFIED}"
        )],
    );
    check_metadata(
        &format!("annotations: {{a: {}}}", "x".repeat(256 * 1024)),
        &["5:3 metadata.annotations: Too long: must have at most 262144 bytes".to_owned()],
    );
}

#[test]
fn other_metadata() {
    check_metadata(
        "generation: -1",
        &[
            "5:15 metadata.generation: Invalid value: -1: must be greater than or equal to 0"
                .to_owned(),
        ],
    );
    check_metadata("finalizers: [kubernetes, a/b]", &[]);
    check_metadata(
        "finalizers: [a]",
        &["5:16 metadata.finalizers[0]: Invalid value: \"a\": name is neither a standard finalizer name nor is it fully \
           qualified"
            .to_owned()],
    );
    check_metadata(
        "finalizers: [orphan, foregroundDeletion]",
        &["5:3 metadata.finalizers: Invalid value: []string{\"orphan\", \"foregroundDeletion\"}: finalizer foregroundDeletion \
           and orphan cannot be both set"
            .to_owned()],
    );
    let owner =
        |name: &str| format!("{{apiVersion: v1, kind: K, name: {name}, uid: u, controller: true}}");
    check_metadata(&format!("ownerReferences: [{}]", owner("a")), &[]);
    check_metadata(
        &format!("ownerReferences: [{}, {}]", owner("a"), owner("b")),
        &["5:138 metadata.ownerReferences: Invalid value: true: Only one reference can have Controller set to true. Found \
           \"true\" in references for a and b"
            .to_owned()],
    );
    check_metadata(
        "ownerReferences: [{apiVersion: v1, kind: K, name: x}]",
        &[
            "5:44 metadata.ownerReferences.uid: Invalid value: \"\": uid must not be empty"
                .to_owned(),
        ],
    );
}
