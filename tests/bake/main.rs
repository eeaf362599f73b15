//! What `bake` makes explicit in workloads, and how it writes that into manifests.
//!
//! Patches and edited texts are written by hand, from what the admission plugin fills in.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests read files and may panic"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

#[path = "../support/mod.rs"]
mod support;

mod golden;
mod manifests;

/// What a policy says where a test does not care.
const RUN_AS_USER: &str = "runAsUser: {rule: RunAsAny}";
const SE_LINUX: &str = "seLinux: {rule: RunAsAny}";
const SUPPLEMENTAL_GROUPS: &str = "supplementalGroups: {rule: RunAsAny}";
const FS_GROUP: &str = "fsGroup: {rule: RunAsAny}";

/// The policy `restricted`, with these lines of its annotations and of its spec, and all the world that may use it.
fn cluster(annotations: &str, spec: &str) -> String {
    let mut lines = vec!["volumes: ['*']".to_owned()];
    lines.extend((!spec.is_empty()).then(|| spec.to_owned()));
    for default in [RUN_AS_USER, SE_LINUX, SUPPLEMENTAL_GROUPS, FS_GROUP] {
        let field = default.split(':').next().unwrap_or_default();
        if !spec.contains(&format!("{field}:")) {
            lines.push(default.to_owned());
        }
    }
    format!(
        "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: restricted, annotations: {{{annotations}}}}}
spec: {{{}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: psp}}
rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [restricted], verbs: [use]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: psp}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: psp}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:authenticated'}}]
",
        lines.join(", ")
    )
}

/// A policy that drops `NET_RAW`.
fn drops_net_raw() -> String {
    cluster("", "requiredDropCapabilities: [NET_RAW]")
}

/// A Deployment with an init container and a container, without a word about security.
const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: shop, name: web}
spec:
  template:
    spec:
      initContainers: [{name: init, image: i}]
      containers: [{name: web, image: w}]
";

/// A folder with the policies in `cluster.yaml` and the workloads in `app.yaml`.
struct Place {
    folder: TempDir,
}

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Place {
    fn new(cluster: &str, app: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let res = Self { folder };
        res.write("cluster.yaml", cluster);
        res.write("app.yaml", app);
        res
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("it can be written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("it can be read")
    }

    /// Bakes `app.yaml`.
    fn bake(&self, more: &[&str]) -> Run {
        self.bake_files(&["app.yaml"], more)
    }

    fn bake_files(&self, names: &[&str], more: &[&str]) -> Run {
        let pods = names.iter().flat_map(|it| ["--pods", it]);
        let arguments = ["bake", "-f", "cluster.yaml"];
        psp2gatekeeper(
            self.folder.path(),
            arguments
                .into_iter()
                .chain(pods)
                .chain(more.iter().copied()),
        )
    }

    fn bake_json(&self, more: &[&str]) -> Value {
        let run = self.bake(&[&["-o", "json"], more].concat());
        assert!(run.code < 2, "{}", run.stderr);
        serde_json::from_str(&run.stdout).expect("it is JSON")
    }
}

fn psp2gatekeeper<'a>(folder: &Path, arguments: impl Iterator<Item = &'a str>) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("it is text");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Checks what is added to the template of [`WEB`].
#[track_caller]
fn check(annotations: &str, spec: &str, more: &[&str], added: &Value) {
    let place = Place::new(&cluster(annotations, spec), WEB);
    let report = place.bake_json(more);
    let workload = &report["workloads"][0];
    let expected = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "namespace": "shop", "name": "web" },
        "spec": { "template": added },
    });
    assert_eq!(workload["patch"], expected, "{workload}");
    assert_eq!(workload["policy"], "restricted");
}

/// The same addition to the security context of both containers.
fn in_containers(context: &Value) -> Value {
    let container = |name: &str| json!([{ "name": name, "securityContext": context }]);
    json!({ "spec": { "initContainers": container("init"), "containers": container("web") } })
}

#[test]
fn every_default_of_a_container_becomes_explicit() {
    for (spec, context) in [
        (
            "readOnlyRootFilesystem: true".to_owned(),
            json!({ "readOnlyRootFilesystem": true }),
        ),
        (
            "allowPrivilegeEscalation: false".to_owned(),
            json!({ "allowPrivilegeEscalation": false }),
        ),
        (
            "defaultAllowPrivilegeEscalation: true".to_owned(),
            json!({ "allowPrivilegeEscalation": true }),
        ),
        (
            "requiredDropCapabilities: [NET_RAW, KILL]".to_owned(),
            json!({ "capabilities": { "drop": ["KILL", "NET_RAW"] } }),
        ),
        (
            "defaultAddCapabilities: [CHOWN]".to_owned(),
            json!({ "capabilities": { "add": ["CHOWN"] } }),
        ),
    ] {
        check("", &spec, &[], &in_containers(&context));
    }
}

#[test]
fn every_default_of_a_pod_becomes_explicit() {
    let range = "{rule: MustRunAs, ranges: [{min: 5, max: 9}, {min: 1, max: 2}]}";
    // PSP sets users of containers. A mutator writes one for all of them.
    for (spec, added) in [
        (
            format!("runAsUser: {range}"),
            json!({ "securityContext": { "runAsUser": 5 } }),
        ),
        (
            "runAsUser: {rule: MustRunAsNonRoot}".to_owned(),
            json!({ "securityContext": { "runAsNonRoot": true } }),
        ),
        (
            format!("runAsGroup: {range}"),
            json!({ "securityContext": { "runAsGroup": 5 } }),
        ),
        (
            format!("supplementalGroups: {range}"),
            json!({ "securityContext": { "supplementalGroups": [5] } }),
        ),
        (
            format!("fsGroup: {range}"),
            json!({ "securityContext": { "fsGroup": 5 } }),
        ),
        (
            "runtimeClass: {allowedRuntimeClassNames: [slow], defaultRuntimeClassName: slow}"
                .to_owned(),
            json!({ "runtimeClassName": "slow" }),
        ),
    ] {
        check("", &spec, &[], &json!({ "spec": added }));
    }
    // SELinux options are of the pod first, and its containers have them from there.
    let options = "seLinux: {rule: MustRunAs, seLinuxOptions: {level: 's0:c1'}}";
    let added = json!({ "securityContext": { "seLinuxOptions": { "level": "s0:c1" } } });
    check("", options, &[], &json!({ "spec": added }));
}

#[test]
fn a_seccomp_profile_is_written_as_annotation_and_as_field() {
    let annotations = "seccomp.security.alpha.kubernetes.io/defaultProfileName: runtime/default, \
        seccomp.security.alpha.kubernetes.io/allowedProfileNames: runtime/default";
    let added = json!({
        "metadata": { "annotations": { "seccomp.security.alpha.kubernetes.io/pod": "runtime/default" } },
        "spec": { "securityContext": { "seccompProfile": { "type": "RuntimeDefault" } } },
    });
    check(annotations, "", &[], &added);
    check(annotations, "", &["--kubernetes-version", "1.30"], &added);
}

#[test]
fn an_app_armor_profile_is_a_field_too_where_there_is_one() {
    let annotations = "apparmor.security.beta.kubernetes.io/defaultProfileName: localhost/web";
    let metadata = json!({ "annotations": {
        "container.apparmor.security.beta.kubernetes.io/init": "localhost/web",
        "container.apparmor.security.beta.kubernetes.io/web": "localhost/web",
    } });
    check(
        annotations,
        "",
        &["--kubernetes-version", "1.29"],
        &json!({ "metadata": metadata }),
    );
    let field = json!({ "type": "Localhost", "localhostProfile": "web" });
    // Where the mutator writes it, for all containers.
    let pod = json!({ "securityContext": { "appArmorProfile": field } });
    let added = json!({ "metadata": metadata, "spec": pod });
    check(annotations, "", &["--kubernetes-version", "1.30"], &added);
}

#[test]
fn the_app_armor_profile_that_a_container_has_without_one_is_written_where_it_is_demanded() {
    let annotations = "apparmor.security.beta.kubernetes.io/defaultProfileName: runtime/default, \
        apparmor.security.beta.kubernetes.io/allowedProfileNames: runtime/default";
    let named = |names: &[&str]| {
        let key = |it: &&str| format!("container.apparmor.security.beta.kubernetes.io/{it}");
        let pairs = names.iter().map(|it| (key(it), json!("runtime/default")));
        json!({ "metadata": { "annotations": Value::Object(pairs.collect()) } })
    };
    check(
        annotations,
        "",
        &["--strict-apparmor"],
        &named(&["init", "web"]),
    );
    let place = Place::new(&cluster(annotations, ""), WEB);
    let report = place.bake_json(&["--kubernetes-version", "1.30"]);
    assert_eq!(report["workloads"][0]["result"], "complete");
    // Without a profile a privileged container may be unconfined.
    let app = WEB.replace("image: w", "image: w, securityContext: {privileged: true}");
    let place = Place::new(&cluster(annotations, "privileged: true"), &app);
    let report = place.bake_json(&[]);
    assert_eq!(
        report["workloads"][0]["patch"]["spec"]["template"],
        named(&["web"])
    );
    // And what else is filled in stays.
    let place = Place::new(
        &cluster(annotations, "requiredDropCapabilities: [KILL]"),
        WEB,
    );
    let report = place.bake_json(&[]);
    let template = &report["workloads"][0]["patch"]["spec"]["template"];
    assert_eq!(report["workloads"][0]["result"], "patched");
    assert!(template["metadata"].is_null(), "{template}");
}

#[test]
#[ignore = "KILL is dropped as well, so that `another` admits the pod as it is"]
fn the_app_armor_profile_is_written_where_another_policy_would_decide_without_it() {
    let seccomp = "seccomp.security.alpha.kubernetes.io";
    let allowed = format!("{seccomp}/allowedProfileNames: runtime/default");
    let annotations = format!(
        "{allowed}, {seccomp}/defaultProfileName: runtime/default, \
         apparmor.security.beta.kubernetes.io/defaultProfileName: runtime/default"
    );
    // It refuses the pod until that has a profile of seccomp, and comes first by name.
    let another = cluster(&allowed, "requiredDropCapabilities: [KILL]")
        .replace("name: restricted", "name: another");
    let another = another.split("---\n").next().unwrap_or_default();
    let both = cluster(&annotations, "").replace("[restricted]", "[another, restricted]");
    let report = Place::new(&format!("{another}---\n{both}"), WEB).bake_json(&[]);
    let workload = &report["workloads"][0];
    assert_eq!(workload["policy"], "restricted");
    assert_eq!(workload["result"], "patched", "{workload}");
    let written = &workload["patch"]["spec"]["template"]["metadata"]["annotations"];
    let key = "container.apparmor.security.beta.kubernetes.io/web";
    assert_eq!(written[key], "runtime/default", "{written}");
}

#[test]
fn workloads_that_are_refused_today_are_told_with_the_reason() {
    let app = format!(
        "{WEB}---
apiVersion: v1
kind: Pod
metadata: {{name: root, namespace: shop}}
spec: {{containers: [{{name: c, securityContext: {{privileged: true}}}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: twins, namespace: shop}}
spec: {{containers: [{{name: c}}, {{name: c}}]}}
---
apiVersion: v1
kind: Pod
metadata: {{name: nobody, namespace: shop}}
spec: {{containers: [{{image: c}}]}}
"
    );
    let run = Place::new(&drops_net_raw(), &app).bake(&[]);
    assert_eq!(run.code, 1);
    assert_eq!(run.stdout.matches("---\n").count(), 1, "{}", run.stdout);
    for line in [
        "app.yaml:10:1: Pod shop/root: refused by PodSecurityPolicy:\n  restricted: spec.containers[0].securityContext.privileged: Invalid value: true: Privileged containers are not allowed\n",
        "app.yaml:15:1: Pod shop/twins: refused by the API server:\n  spec.containers[1].name: Duplicate value: \"c\"\n",
        "Pod shop/nobody: refused by the API server:\n  spec.containers[0].name: Required value\n",
        "bake: 4 workloads: 1 patched, 0 complete already, 1 refused by PodSecurityPolicy, 0 refused without defaults, 2 refused by the API server, 0 not written",
    ] {
        assert!(run.stderr.contains(line), "{}", run.stderr);
    }
}

#[test]
fn a_field_that_psp_does_not_know_may_stand_against_its_default() {
    // PSP reads annotations alone; Kubernetes 1.30 refuses a pod whose annotation and field differ.
    let annotations = "apparmor.security.beta.kubernetes.io/defaultProfileName: runtime/default, \
        apparmor.security.beta.kubernetes.io/allowedProfileNames: runtime/default";
    let context = "securityContext: {appArmorProfile: {type: Unconfined}}";
    let app = WEB.replace("image: w", &format!("image: w, {context}"));
    let place = Place::new(&cluster(annotations, ""), &app);
    let run = place.bake(&["--kubernetes-version", "1.30"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    let line = "Deployment shop/web: refused without defaults:\n  spec.containers[0].securityContext.appArmorProfile is not the default `runtime/default`";
    assert!(run.stderr.contains(line), "{}", run.stderr);
}

#[test]
fn what_cannot_be_changed_in_place_has_a_note() {
    let spec = "spec: {template: {spec: {containers: [{name: c}]}}}";
    let app = format!(
        "{WEB}---
apiVersion: batch/v1
kind: Job
metadata: {{name: once, namespace: shop}}
{spec}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: nightly, namespace: shop}}
spec: {{jobTemplate: {{{spec}}}}}
---
apiVersion: v1
kind: Pod
metadata: {{name: bare, namespace: shop}}
spec: {{containers: [{{name: c}}]}}
"
    );
    let of_job = "spec.template of a Job is immutable: delete and create it again";
    let of_pod = "spec of a Pod is immutable: delete and create it again";
    let place = Place::new(&drops_net_raw(), &app);
    let run = place.bake(&[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(run.stderr.matches("immutable").count(), 2, "{}", run.stderr);
    for (kind, name, note) in [("Job", "once", of_job), ("Pod", "bare", of_pod)] {
        let line = format!("{kind} shop/{name}: patched:\n  note: {note}\n");
        assert!(run.stderr.contains(&line), "{}", run.stderr);
        let start = format!("---\n# {note}\napiVersion:");
        assert!(run.stdout.contains(&start), "{}", run.stdout);
    }
    assert_eq!(run.stdout.matches("# ").count(), 2, "{}", run.stdout);

    let report = place.bake_json(&["--out-dir", "out"]);
    let workloads = report["workloads"].as_array().expect("it is a list");
    let notes: Vec<&Value> = workloads.iter().map(|it| &it["note"]).collect();
    assert_eq!(json!(notes), json!([null, of_job, null, of_pod]));
    let first_line = |name: &str| {
        let text = place.read(&format!("out/shop/{name}.yaml"));
        text.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(first_line("job-once"), format!("# {of_job}"));
    assert_eq!(first_line("pod-bare"), format!("# {of_pod}"));
    assert_eq!(first_line("cronjob-nightly"), "apiVersion: batch/v1");
}

#[test]
fn what_belongs_to_a_workload_is_left_to_it() {
    let app = "\
apiVersion: apps/v1
kind: ReplicaSet
metadata: {namespace: shop, name: web-1, ownerReferences: [{kind: Deployment, name: web, controller: true}]}
spec: {template: {spec: {containers: [{name: web}]}}}
";
    let place = Place::new(&format!("{}---\n{WEB}", drops_net_raw()), app);
    let report = place.bake_json(&[]);
    assert_eq!(report["workloads"], json!([]));
    let other = Place::new(&drops_net_raw(), app).bake_json(&[]);
    assert_eq!(other["summary"]["patched"], 1);
}

#[test]
fn a_manifest_without_a_namespace_counts_where_it_is_said_to_go() {
    let app = WEB.replace("namespace: shop, ", "");
    let only_in_shop = drops_net_raw().replace(
        "kind: ClusterRoleBinding\nmetadata: {name: psp}",
        "kind: RoleBinding\nmetadata: {name: psp, namespace: shop}",
    );
    let place = Place::new(&only_in_shop, &app);
    let run = place.bake(&[]);
    assert!(
        run.stderr.contains("1 refused by PodSecurityPolicy"),
        "{}",
        run.stderr
    );
    let run = place.bake(&["-n", "shop"]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(
        run.stdout.contains("metadata:\n  name: web\nspec:"),
        "{}",
        run.stdout
    );
}
