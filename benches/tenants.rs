//! Clusters with a policy for each tenant, and dumps of the pods that run in them: as large as one likes, always the same.
//!
//! `cargo run --example tenants` writes them to files.

use std::io;

use serde_json::{Map, Value, json};

/// How many containers a workload may have.
const MOST_CONTAINERS: usize = 3;

/// The sizes to measure; a small one alone where the benchmarks are only tried out, with `--test`.
pub(crate) fn sizes(all: &[usize]) -> Vec<usize> {
    if std::env::args().any(|it| it == "--test") {
        vec![10]
    } else {
        all.to_vec()
    }
}

/// The name of a tenant, and of its namespace, its policy, its role and its binding.
fn tenant(number: usize) -> String {
    format!("tenant-{number:05}")
}

/// The user and group of a tenant's containers.
fn id(number: usize) -> usize {
    20_000 + number
}

/// A cluster of tenants, each with a PodSecurityPolicy that differs from the others' in an id and in a path.
///
/// A tenant's policy may be used by the service accounts of its namespace and by the tenant's group.
/// Besides there is a policy for system pods, and a group of administrators, who may use all policies.
pub(crate) fn cluster(tenants: usize) -> String {
    let mut res = String::new();
    let mut add = |object: Value| res.extend(["---\n", &object.to_string(), "\n"]);
    let any = json!({ "rule": "RunAsAny" });
    add(json!({
        "apiVersion": "policy/v1beta1",
        "kind": "PodSecurityPolicy",
        "metadata": { "name": "system" },
        "spec": {
            "privileged": true,
            "hostNetwork": true,
            "hostPID": true,
            "hostPorts": [{ "min": 1, "max": 65535 }],
            "allowedCapabilities": ["*"],
            "volumes": ["*"],
            "runAsUser": any, "fsGroup": any, "supplementalGroups": any, "seLinux": any,
        },
    }));
    add(cluster_role("use-system", &["system"]));
    let of_group = |name: &str| json!([{ "kind": "Group", "apiGroup": RBAC, "name": name }]);
    let system = of_group("system:serviceaccounts:kube-system");
    add(role_binding(
        "kube-system",
        "pods",
        "ClusterRole",
        "use-system",
        &system,
    ));
    add(json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRoleBinding",
        "metadata": { "name": "operators" },
        "roleRef": { "apiGroup": RBAC, "kind": "ClusterRole", "name": "cluster-admin" },
        "subjects": of_group("operators"),
    }));
    for number in 0..tenants {
        let name = tenant(number);
        let only =
            json!({ "rule": "MustRunAs", "ranges": [{ "min": id(number), "max": id(number) }] });
        add(json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": { "name": name },
        }));
        add(json!({
            "apiVersion": "policy/v1beta1",
            "kind": "PodSecurityPolicy",
            "metadata": { "name": name },
            "spec": {
                "allowPrivilegeEscalation": false,
                "allowedHostPaths": [{ "pathPrefix": format!("/data/{name}"), "readOnly": true }],
                "requiredDropCapabilities": ["ALL"],
                "volumes": ["configMap", "emptyDir", "hostPath", "projected", "secret"],
                "runAsUser": only, "runAsGroup": only, "fsGroup": only,
                "supplementalGroups": any, "seLinux": any,
            },
        }));
        add(json!({
            "apiVersion": format!("{RBAC}/v1"),
            "kind": "Role",
            "metadata": { "name": name, "namespace": name },
            "rules": [rule(&[&name])],
        }));
        let accounts = of_group(&format!("system:serviceaccounts:{name}"));
        add(role_binding(&name, "pods", "Role", &name, &accounts));
        add(role_binding(
            &name,
            "people",
            "Role",
            &name,
            &of_group(&name),
        ));
    }
    res
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// To use policies by name.
fn rule(policies: &[&str]) -> Value {
    json!({
        "apiGroups": ["policy"],
        "resources": ["podsecuritypolicies"],
        "resourceNames": policies,
        "verbs": ["use"],
    })
}

fn cluster_role(name: &str, policies: &[&str]) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "ClusterRole",
        "metadata": { "name": name },
        "rules": [rule(policies)],
    })
}

fn role_binding(namespace: &str, name: &str, kind: &str, role: &str, subjects: &Value) -> Value {
    json!({
        "apiVersion": format!("{RBAC}/v1"),
        "kind": "RoleBinding",
        "metadata": { "name": name, "namespace": namespace },
        "roleRef": { "apiGroup": RBAC, "kind": kind, "name": role },
        "subjects": subjects,
    })
}

/// Writes a List with the pods of so many workloads, as `kubectl get pods -A -o json` does, one pod a line.
///
/// The pods of a workload differ in what a cluster makes up anew for each: name, uid, node, address, the volume of its token.
/// Every third workload leaves the user open, every fifth asks for one that its policy forbids.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(crate) fn pods(
    out: &mut dyn io::Write,
    pods: usize,
    workloads: usize,
    tenants: usize,
) -> io::Result<()> {
    writeln!(out, r#"{{"apiVersion": "v1", "kind": "List", "items": ["#)?;
    for number in 0..pods {
        let end = if number + 1 == pods { "" } else { "," };
        writeln!(out, "{}{end}", pod(number, number % workloads, tenants))?;
    }
    writeln!(out, "]}}")
}

/// Writes requests to create pods, one a line, in the form of `conformance/README.md`: by the ReplicaSet controller, or by somebody
/// who may use all policies.
///
/// # Errors
///
/// When `out` cannot be written to.
pub(crate) fn requests(
    out: &mut dyn io::Write,
    requests: usize,
    tenants: usize,
    by_operator: bool,
) -> io::Result<()> {
    let user = if by_operator {
        json!({ "username": "operator", "groups": ["operators", "system:authenticated"] })
    } else {
        json!({
            "username": "system:serviceaccount:kube-system:replicaset-controller",
            "groups": ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"],
        })
    };
    for number in 0..requests {
        // Far from each other, so that they are of different tenants.
        let pod = pod(number, number * 31, tenants);
        let namespace = pod.pointer("/metadata/namespace");
        let request = json!({
            "id": number.to_string(),
            "operation": "CREATE",
            "namespace": namespace,
            "user": user,
            "object": pod,
        });
        writeln!(out, "{request}")?;
    }
    Ok(())
}

fn pod(number: usize, workload: usize, tenants: usize) -> Value {
    let owner = workload % tenants;
    let namespace = tenant(owner);
    let user = match workload {
        it if it.is_multiple_of(3) => None,
        it if it.is_multiple_of(5) => Some(0),
        _ => Some(id(owner)),
    };
    let mut context = Map::from_iter([
        ("allowPrivilegeEscalation".to_owned(), false.into()),
        ("capabilities".to_owned(), json!({ "drop": ["ALL"] })),
        ("runAsGroup".to_owned(), id(owner).into()),
    ]);
    context.extend(user.map(|it| ("runAsUser".to_owned(), it.into())));
    let token = format!("kube-api-access-{number:05x}");
    let containers: Vec<Value> = (0..=workload % MOST_CONTAINERS)
        .map(|it| {
            json!({
                "name": format!("app-{it}"),
                "image": format!("registry.example/app-{workload}:1.{it}"),
                "env": [{ "name": "WORKLOAD", "value": workload.to_string() }],
                "ports": [{ "containerPort": 8080 + it, "protocol": "TCP" }],
                "resources": { "requests": { "cpu": "100m", "memory": "128Mi" } },
                "securityContext": context,
                "volumeMounts": [
                    { "name": "config", "mountPath": "/etc/app" },
                    { "name": token, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": true },
                ],
            })
        })
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": format!("app-{workload}-5d4f8c7b9-{number:05x}"),
            "generateName": format!("app-{workload}-5d4f8c7b9-"),
            "namespace": namespace,
            "uid": format!("00000000-0000-4000-8000-{number:012x}"),
            "labels": { "app": format!("app-{workload}") },
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": format!("app-{workload}-5d4f8c7b9"),
                "uid": format!("00000000-0000-4000-9000-{workload:012x}"), "controller": true,
            }],
        },
        "spec": {
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "nodeName": format!("node-{}", number % 500),
            "securityContext": { "fsGroup": id(owner) },
            "containers": containers,
            "volumes": [
                { "name": "config", "configMap": { "name": "config", "defaultMode": 420 } },
                { "name": token, "projected": { "defaultMode": 420, "sources": [
                    { "serviceAccountToken": { "expirationSeconds": 3607, "path": "token" } },
                ] } },
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": format!("10.{}.{}.{}", number >> 16, (number >> 8) % 256, number % 256),
        },
    })
}
