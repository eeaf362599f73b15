//! How policies and pods are made up: every field that a control reads, from values that lie close together.
//!
//! A field that is left out of a policy is the most permissive one, so that most of them do not hide the others.

use proptest::collection::{SizeRange, vec};
use proptest::option::weighted;
use proptest::prelude::{BoxedStrategy, Just, Strategy, any};
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

/// A policy and pods to judge by it, as rows of a table have them.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) psp: Map<String, Value>,
    pub(crate) pods: Vec<Map<String, Value>>,
}

type Values = BoxedStrategy<Value>;
/// A member of an object that may be missing.
type Member = BoxedStrategy<Option<(String, Value)>>;

/// Pods for each policy.
const PODS: usize = 12;
/// How often a policy says something about a field.
const IN_POLICY: f64 = 0.12;
/// How often a pod or a container does.
const IN_POD: f64 = 0.3;

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (policy(), vec(pod(), 1..=PODS)).prop_map(|(psp, pods)| Case { psp, pods })
}

fn policy() -> impl Strategy<Value = Map<String, Value>> {
    let says = |key: &str, value: Values| member(key, IN_POLICY, value);
    let bool_ = || one_of(&[json!(true), json!(false)]);
    let annotation = |key: &str, value: Values| says(key, value);
    object(vec![
        says("privileged", bool_()),
        says("hostNetwork", bool_()),
        says("hostPID", bool_()),
        says("hostIPC", bool_()),
        says("hostPorts", list(range(PORTS), 0..=2)),
        says("volumes", some_of(&volume_types(), 0..=6)),
        says("allowedHostPaths", list(allowed_host_path(), 0..=3)),
        says("allowedFlexVolumes", named("driver", DRIVERS)),
        says("allowedCSIDrivers", named("name", DRIVERS)),
        says(
            "runAsUser",
            strategy(&["MustRunAs"], &["MustRunAsNonRoot", "RunAsAny"]),
        ),
        says(
            "runAsGroup",
            strategy(&["MustRunAs", "MayRunAs"], &["RunAsAny"]),
        ),
        says(
            "supplementalGroups",
            strategy(&["MustRunAs", "MayRunAs"], &["RunAsAny"]),
        ),
        says(
            "fsGroup",
            strategy(&["MustRunAs", "MayRunAs"], &["RunAsAny"]),
        ),
        says("readOnlyRootFilesystem", bool_()),
        says("allowPrivilegeEscalation", bool_()),
        says("defaultAllowPrivilegeEscalation", bool_()),
        says("allowedCapabilities", some_of(CAPABILITIES, 0..=3)),
        says("defaultAddCapabilities", some_of(&CAPABILITIES[1..], 0..=2)),
        says(
            "requiredDropCapabilities",
            some_of(&CAPABILITIES[1..], 0..=2),
        ),
        says(
            "seLinux",
            selinux()
                .prop_map(|it| json!({"rule": "MustRunAs", "seLinuxOptions": it}))
                .boxed(),
        ),
        says("allowedProcMountTypes", some_of(PROC_MOUNTS, 0..=2)),
        says("allowedUnsafeSysctls", some_of(SYSCTL_PATTERNS, 0..=3)),
        says("forbiddenSysctls", some_of(SYSCTL_PATTERNS, 0..=2)),
        says("runtimeClass", runtime_class()),
        annotation(
            "seccomp.security.alpha.kubernetes.io/allowedProfileNames",
            profiles(SECCOMP),
        ),
        annotation(
            "seccomp.security.alpha.kubernetes.io/defaultProfileName",
            text(SECCOMP),
        ),
        annotation(
            "apparmor.security.beta.kubernetes.io/allowedProfileNames",
            profiles(APPARMOR),
        ),
        // More often than others, because what it makes of a container without a profile is looked at by itself.
        member(
            "apparmor.security.beta.kubernetes.io/defaultProfileName",
            3.0 * IN_POLICY,
            proptest::strategy::Union::new_weighted(vec![
                (2, one_of(&[json!("runtime/default")])),
                (1, text(APPARMOR)),
            ])
            .boxed(),
        ),
    ])
}

fn pod() -> impl Strategy<Value = Map<String, Value>> {
    let says = |key: &str, value: Values| member(key, IN_POD, value);
    let rarely = |key: &str, value: Values| member(key, IN_POD / 4.0, value);
    object(vec![
        member("containers", 1.0, containers("c", 1..=2)),
        says("initContainers", containers("i", 1..=1)),
        says("ephemeralContainers", containers("e", 1..=1)),
        says("securityContext", pod_security()),
        says("volumes", volumes()),
        rarely("hostNetwork", one_of(&[json!(true), json!(false)])),
        rarely("hostPID", one_of(&[json!(true), json!(false)])),
        rarely("hostIPC", one_of(&[json!(true), json!(false)])),
        rarely("runtimeClassName", text(&CLASSES[1..])),
        says("annotations", annotations()),
        says("automountServiceAccountToken", one_of(&[json!(true)])),
    ])
}

/// Containers with these names, numbered.
fn containers(prefix: &'static str, size: impl Into<SizeRange>) -> Values {
    let says = |key: &str, value: Values| member(key, IN_POD, value);
    let mut members = vec![
        says("securityContext", container_security()),
        says("volumeMounts", list(mount(), 1..=2)),
    ];
    // An API server takes no ports from a debugger.
    if prefix != "e" {
        members.push(says("ports", list(port(), 1..=2)));
    }
    vec(object(members), size)
        .prop_map(move |containers| {
            let named = containers.into_iter().enumerate().map(|(index, mut it)| {
                it.insert("name".to_owned(), format!("{prefix}{index}").into());
                Value::from(it)
            });
            named.collect()
        })
        .boxed()
}

fn container_security() -> Values {
    let says = |key: &str, value: Values| member(key, IN_POD, value);
    let bool_ = || one_of(&[json!(true), json!(false)]);
    whole(vec![
        says("privileged", bool_()),
        says("allowPrivilegeEscalation", bool_()),
        says("readOnlyRootFilesystem", bool_()),
        says("procMount", text(PROC_MOUNTS)),
        says("runAsUser", id()),
        says("runAsGroup", id()),
        says("runAsNonRoot", bool_()),
        says("capabilities", capabilities()),
        says("seLinuxOptions", selinux()),
        says("seccompProfile", seccomp_profile()),
    ])
}

fn pod_security() -> Values {
    let says = |key: &str, value: Values| member(key, IN_POD, value);
    whole(vec![
        says("runAsUser", id()),
        says("runAsGroup", id()),
        says("runAsNonRoot", one_of(&[json!(true), json!(false)])),
        says("fsGroup", id()),
        says("supplementalGroups", list(id(), 0..=2)),
        says("seLinuxOptions", selinux()),
        says("seccompProfile", seccomp_profile()),
        says("sysctls", sysctls()),
    ])
}

fn annotations() -> Values {
    let mut members = vec![member(
        "seccomp.security.alpha.kubernetes.io/pod",
        IN_POD,
        text(SECCOMP),
    )];
    for name in ["c0", "c1", "i0", "e0"] {
        for (prefix, profiles) in [
            ("container.seccomp.security.alpha.kubernetes.io/", SECCOMP),
            ("container.apparmor.security.beta.kubernetes.io/", APPARMOR),
        ] {
            members.push(member(&format!("{prefix}{name}"), IN_POD, text(profiles)));
        }
    }
    whole(members)
}

const SECCOMP: &[&str] = &[
    "runtime/default",
    "docker/default",
    "unconfined",
    "localhost/a",
    "localhost/a.json",
];
const APPARMOR: &[&str] = &[
    "runtime/default",
    "unconfined",
    "localhost/a",
    "localhost/b",
];
const CAPABILITIES: &[&str] = &["*", "ALL", "CHOWN", "KILL", "NET_RAW"];
const PROC_MOUNTS: &[&str] = &["Default", "Unmasked"];
const CLASSES: &[&str] = &["*", "gvisor", "kata", "kata-qemu"];
const DRIVERS: &[&str] = &["example.com/a", "example.com/b", "example.com/ab"];
const PATHS: &[&str] = &[
    "/",
    "/var",
    "/var/",
    "/var/log",
    "/var/log/",
    "/variable",
    "/etc",
    "",
];
const SYSCTLS: &[&str] = &[
    "kernel.shm_rmid_forced",
    "kernel.msgmax",
    "kernel.msg",
    "net.ipv4.tcp_syncookies",
    "net.core.somaxconn",
];
const SYSCTL_PATTERNS: &[&str] = &[
    "*",
    "kernel.msgmax",
    "kernel.msg*",
    "kernel.*",
    "net.core.*",
    "net.ipv4.tcp_syncookies",
];
const IDS: std::ops::RangeInclusive<i64> = 0..=4;
const PORTS: std::ops::RangeInclusive<i64> = 1..=5;

fn id() -> Values {
    number(IDS)
}

fn number(range: std::ops::RangeInclusive<i64>) -> Values {
    range.prop_map(Value::from).boxed()
}

fn range(ends: std::ops::RangeInclusive<i64>) -> Values {
    (ends.clone(), ends)
        .prop_map(|(one, other)| json!({"min": one.min(other), "max": one.max(other)}))
        .boxed()
}

/// A strategy of rules that need ranges, or of others that may have none.
fn strategy(ranged: &'static [&'static str], others: &'static [&'static str]) -> Values {
    let ranged = (select(ranged), vec(range(IDS), 1..=2))
        .prop_map(|(rule, ranges)| json!({"rule": rule, "ranges": ranges}));
    let others = select(others).prop_map(|rule| json!({"rule": rule}));
    proptest::strategy::Union::new_weighted(vec![(1, others.boxed()), (4, ranged.boxed())]).boxed()
}

fn selinux() -> Values {
    let label = |key: &str, values| member(key, 0.6, text(values));
    whole(vec![
        label("user", &["system_u", "user_u"]),
        label("role", &["system_r", "user_r"]),
        label("type", &["svirt_t", "spc_t"]),
        label("level", &["s0:c1,c2", "s0:c2,c1", "s0:c1", "s0"]),
    ])
}

fn runtime_class() -> Values {
    (
        some_of(CLASSES, 0..=2),
        weighted(0.5, select(&CLASSES[1..])),
    )
        .prop_map(|(mut allowed, default)| {
            let mut res = Map::new();
            if let (Some(default), Some(allowed)) = (default, allowed.as_array_mut()) {
                // An API server wants the default to be allowed.
                if allowed.iter().all(|it| it != "*" && it != default) {
                    allowed.push(default.into());
                }
                res.insert("defaultRuntimeClassName".to_owned(), default.into());
            }
            res.insert("allowedRuntimeClassNames".to_owned(), allowed);
            res.into()
        })
        .boxed()
}

fn profiles(names: &'static [&'static str]) -> Values {
    let some = subsequence(names, 1..=3).prop_map(|it| Value::from(it.join(",")));
    proptest::strategy::Union::new_weighted(vec![(6, some.boxed()), (1, one_of(&[json!("*")]))])
        .boxed()
}

fn seccomp_profile() -> Values {
    one_of(&[
        json!({"type": "RuntimeDefault"}),
        json!({"type": "Unconfined"}),
        json!({"type": "Localhost", "localhostProfile": "a"}),
        json!({"type": "Localhost", "localhostProfile": "a.json"}),
    ])
}

fn capabilities() -> Values {
    whole(vec![
        member("add", 0.6, some_of(&CAPABILITIES[1..], 0..=3)),
        member("drop", 0.6, some_of(&CAPABILITIES[1..], 0..=3)),
    ])
}

fn sysctls() -> Values {
    some_of(SYSCTLS, 1..=2)
        .prop_map(|names| {
            let names = names.as_array().cloned().unwrap_or_default();
            let sysctls = names
                .into_iter()
                .map(|it| json!({"name": it, "value": "1"}));
            sysctls.collect()
        })
        .boxed()
}

fn allowed_host_path() -> Values {
    (
        select(&PATHS[..PATHS.len() - 1]),
        weighted(0.5, any::<bool>()),
    )
        .prop_map(|(prefix, read_only)| match read_only {
            Some(read_only) => json!({"pathPrefix": prefix, "readOnly": read_only}),
            None => json!({"pathPrefix": prefix}),
        })
        .boxed()
}

fn port() -> Values {
    whole(vec![
        member("containerPort", 1.0, number(PORTS)),
        member("hostPort", 0.6, number(PORTS)),
    ])
}

fn mount() -> Values {
    whole(vec![
        member("name", 1.0, text(&["v0", "v1", "v2"])),
        member("mountPath", 1.0, text(&["/mnt"])),
        member("readOnly", 0.5, one_of(&[json!(true), json!(false)])),
    ])
}

/// The types of volumes as a policy spells them, and `*`.
fn volume_types() -> Vec<&'static str> {
    let mut res = vec!["*"];
    res.extend(SOURCES.iter().map(|(it, _)| match *it {
        "cephfs" => "cephFS",
        other => other,
    }));
    res
}

/// Sources of volumes.
const SOURCES: &[(&str, &str)] = &[
    ("emptyDir", "{}"),
    ("secret", r#"{"secretName": "a"}"#),
    ("configMap", r#"{"name": "a"}"#),
    ("projected", r#"{"sources": []}"#),
    ("downwardAPI", "{}"),
    ("persistentVolumeClaim", r#"{"claimName": "a"}"#),
    ("nfs", r#"{"server": "a", "path": "/"}"#),
    ("cephfs", r#"{"monitors": ["a"]}"#),
    ("ephemeral", r#"{"volumeClaimTemplate": {"spec": {}}}"#),
    ("hostPath", r#"{"path": "/var"}"#),
    ("flexVolume", r#"{"driver": "example.com/a"}"#),
    ("csi", r#"{"driver": "example.com/a"}"#),
];

fn volumes() -> Values {
    let plain = select(SOURCES).prop_map(|(key, source)| {
        let source: Value = serde_json::from_str(source).unwrap_or_default();
        json!({key: source})
    });
    let path = select(PATHS).prop_map(|it| json!({"hostPath": {"path": it}}));
    let driver = (select(&["flexVolume", "csi"][..]), select(DRIVERS))
        .prop_map(|(key, driver)| json!({key: {"driver": driver}}));
    let none = Just(json!({}));
    let any_ = proptest::strategy::Union::new_weighted(vec![
        (3, plain.boxed()),
        (4, path.boxed()),
        (2, driver.boxed()),
        (1, none.boxed()),
    ]);
    vec(any_, 1..=3)
        .prop_map(|volumes| {
            let named = volumes.into_iter().enumerate().map(|(index, mut it)| {
                it["name"] = format!("v{index}").into();
                it
            });
            named.collect()
        })
        .boxed()
}

fn named(key: &'static str, names: &'static [&'static str]) -> Values {
    some_of(names, 0..=2)
        .prop_map(move |names| {
            let names = names.as_array().cloned().unwrap_or_default();
            names.into_iter().map(|it| json!({key: it})).collect()
        })
        .boxed()
}

fn text(values: &'static [&'static str]) -> Values {
    select(values).prop_map(Value::from).boxed()
}

fn one_of(values: &[Value]) -> Values {
    select(values.to_vec()).boxed()
}

/// Some of the strings, in their order.
fn some_of(values: &[&'static str], size: impl Into<SizeRange>) -> Values {
    subsequence(values.to_vec(), size)
        .prop_map(Value::from)
        .boxed()
}

fn list(items: Values, size: impl Into<SizeRange>) -> Values {
    vec(items, size).prop_map(Value::from).boxed()
}

fn member(key: &str, share: f64, value: Values) -> Member {
    let key = key.to_owned();
    if share >= 1.0 {
        return value.prop_map(move |it| Some((key.clone(), it))).boxed();
    }
    weighted(share, value)
        .prop_map(move |it| Some((key.clone(), it?)))
        .boxed()
}

fn object(members: Vec<Member>) -> BoxedStrategy<Map<String, Value>> {
    members
        .prop_map(|members| members.into_iter().flatten().collect())
        .boxed()
}

/// An object as a value.
fn whole(members: Vec<Member>) -> Values {
    object(members).prop_map(Value::from).boxed()
}
