//! What `bake` makes explicit in workloads, and how it writes that into manifests.
//!
//! Patches and edited texts are written by hand, from what the admission plugin fills in.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests read files and may panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use psp2gatekeeper::admission::AdmissionRequest;
use psp2gatekeeper::api::seccomp;
use psp2gatekeeper::bake::apply;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions, plan};
use psp2gatekeeper::psp::{PSP_ANNOTATION, PspAdmission};
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::requests::{own_pod, prepare};
use psp2gatekeeper::resolve;
use psp2gatekeeper::version::Version;
use serde_json::{Value, json};
use tempfile::TempDir;

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
    let range = "{rule: MustRunAs, ranges: [{min: 5, max: 9}, {min: 1, max: 2}]}";
    for (spec, context) in [
        (format!("runAsUser: {range}"), json!({ "runAsUser": 5 })),
        (
            "runAsUser: {rule: MustRunAsNonRoot}".to_owned(),
            json!({ "runAsNonRoot": true }),
        ),
        (format!("runAsGroup: {range}"), json!({ "runAsGroup": 5 })),
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
    let range = "{rule: MustRunAs, ranges: [{min: 5, max: 9}]}";
    for (spec, added) in [
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
    let mut added = in_containers(&json!({ "appArmorProfile": field }));
    added["metadata"] = metadata;
    check(annotations, "", &["--kubernetes-version", "1.30"], &added);
}

#[test]
fn patches_are_documents_with_what_is_added_alone() {
    let app = "\
apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: CronJob
    metadata: {name: nightly, labels: {a: b}}
    spec:
      schedule: '@daily'
      jobTemplate: {spec: {template: {spec: {containers: [{name: 'on', image: c}, {name: d, securityContext: {capabilities: {drop: [KILL]}}}]}}}}
  - apiVersion: v1
    kind: Pod
    metadata: {name: done}
    spec: {containers: [{name: c, securityContext: {capabilities: {drop: [NET_RAW]}}}]}
  - apiVersion: v1
    kind: Pod
    metadata: {name: bare, namespace: tools}
    spec: {containers: [{name: c, securityContext: {capabilities: {drop: [NET_RAW]}}}, {name: e}]}
";
    let run = Place::new(&drops_net_raw(), app).bake(&[]);
    let expected = "\
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: 'on'
              securityContext:
                capabilities:
                  drop:
                    - NET_RAW
            - name: d
              securityContext:
                capabilities:
                  drop:
                    - KILL
                    - NET_RAW
---
apiVersion: v1
kind: Pod
metadata:
  name: bare
  namespace: tools
spec:
  containers:
    - name: e
      securityContext:
        capabilities:
          drop:
            - NET_RAW
";
    assert_eq!(run.stdout, expected);
    assert_eq!(run.code, 0);
    assert_eq!(
        run.stderr.lines().last(),
        Some(
            "bake: 3 workloads: 2 patched, 1 complete already, 0 refused by PodSecurityPolicy, \
             0 refused without defaults, 0 not written"
        )
    );
}

#[test]
fn manifests_keep_their_comments_and_order() {
    let before = "\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # the front
spec:
  template:
    spec:
      containers:
      # the web server
      - name: web
        securityContext:
          # it needs to
          capabilities:
            add: [CHOWN]
            drop:
            - KILL # why not
        image: web
      - {name: flow, image: flow} # short
      - name: empty
        securityContext: {}
        command:
        - sh
        - |
          echo

      # What is mounted.
      volumes: []
---
# Nothing to do here.
apiVersion: v1
kind: Service
metadata: {name:   web}
";
    let after = "\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # the front
spec:
  template:
    spec:
      containers:
      # the web server
      - name: web
        securityContext:
          # it needs to
          capabilities:
            add: [CHOWN]
            drop:
            - KILL # why not
            - NET_RAW
        image: web
      - {name: flow, image: flow, securityContext: {capabilities: {drop: [NET_RAW]}}} # short
      - name: empty
        securityContext:
          capabilities:
            drop:
              - NET_RAW
        command:
        - sh
        - |
          echo

      # What is mounted.
      volumes: []
---
# Nothing to do here.
apiVersion: v1
kind: Service
metadata: {name:   web}
";
    let policy = cluster(
        "",
        "requiredDropCapabilities: [NET_RAW], allowedCapabilities: [CHOWN]",
    );
    let place = Place::new(&policy, before);
    let run = place.bake(&["--write"]);
    assert_eq!(place.read("app.yaml"), after);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    // Once is enough.
    let again = place.bake(&["--write"]);
    assert_eq!(place.read("app.yaml"), after);
    assert!(
        again.stderr.contains("0 patched, 1 complete already"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_cannot_be_edited_is_printed_and_left_alone() {
    let shared = "\
apiVersion: v1
kind: Pod
metadata: {name: first}
spec: {containers: [&c {name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: second}
  spec: &spec
    containers:
    - name: d
- apiVersion: v1
  kind: Pod
  metadata: {name: third}
  spec: *spec
";
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "json"}, "spec": {"containers": [{"name": "c"}]}}"#;
    let place = Place::new(&drops_net_raw(), shared);
    place.write("pod.json", json);
    let run = place.bake_files(&["app.yaml", "pod.json"], &["--write"]);
    assert_eq!(run.code, 1);
    assert_eq!(place.read("pod.json"), json);
    let text = place.read("app.yaml");
    // The alias brings what was written for its anchor, so one of the two is enough and neither is certain.
    assert!(
        text.contains("{name: c, image: c, securityContext: {capabilities: {drop: [NET_RAW]}}}"),
        "{text}"
    );
    assert!(
        text.contains("spec: {containers: [{name: c, securityContext"),
        "{text}"
    );
    assert!(text.ends_with("    - name: d\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: third}\n  spec: *spec\n"), "{text}");
    for (name, why) in [
        ("json", "JSON is not edited in place"),
        ("second", "an anchor, an alias or a merge key is in the way"),
        (
            "third",
            "`spec` is written in a way that is not edited in place",
        ),
    ] {
        assert!(
            run.stdout.contains(&format!("  name: {name}\n")),
            "{}",
            run.stdout
        );
        let line = format!("Pod default/{name}: not written:\n  {why}\n");
        assert!(run.stderr.contains(&line), "{}", run.stderr);
    }
    assert!(
        !run.stdout.contains("first") && !run.stdout.contains("plain"),
        "{}",
        run.stdout
    );
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
        "app.yaml:15:1: Pod shop/twins: refused by PodSecurityPolicy:\n  an API server refuses the pod: spec.containers[1].name: Duplicate value: \"c\"\n",
        "Pod shop/nobody: refused by PodSecurityPolicy:\n  an API server refuses the pod: spec.containers[0].name: Required value\n",
        "bake: 4 workloads: 1 patched, 0 complete already, 3 refused by PodSecurityPolicy",
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

#[test]
fn a_component_has_one_file_for_each_patch() {
    let nameless = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {generateName: once-, namespace: shop}\nspec: {template: {spec: {containers: [{name: j}]}}}\n";
    let place = Place::new(&drops_net_raw(), &format!("{WEB}{nameless}"));
    let run = place.bake(&["--out-dir", "baked"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("it has no name that a patch could have"),
        "{}",
        run.stderr
    );
    let expected = "\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - path: shop/deployment-web.yaml
";
    assert_eq!(place.read("baked/kustomization.yaml"), expected);
    assert!(
        place
            .read("baked/shop/deployment-web.yaml")
            .starts_with("apiVersion: apps/v1\nkind: Deployment\n")
    );

    // What an earlier run wrote goes, and what it did not is not touched.
    place.write(
        "app.yaml",
        &WEB.replace("name: web}\nspec", "name: api}\nspec"),
    );
    assert_eq!(place.bake(&["--out-dir", "baked"]).code, 0);
    assert!(place.path("baked/shop/deployment-api.yaml").exists());
    assert!(!place.path("baked/shop/deployment-web.yaml").exists());
    place.write("baked/mine.yaml", "");
    let run = place.bake(&["--out-dir", "baked"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("mine.yaml"), "{}", run.stderr);
}

/// A baked pod is admitted by PSP as it is, and by the constraint with no mutator beside it.
#[test]
fn baked_pods_of_the_golden_cases_pass_without_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut patched = 0;
    for case in sorted(&root).into_iter().filter(|it| it.is_dir()) {
        let (input, pods) = (case.join("input"), case.join("pods"));
        let pods = objects(&sorted(&pods));
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods.values().collect::<Vec<_>>() });
        let folder = tempfile::tempdir().expect("there is room");
        let list_path = folder.path().join("pods.json");
        fs::write(&list_path, list.to_string()).expect("it can be written");
        let list_path = list_path.display().to_string();
        let arguments = "bake -f input -n shop -o json --pods".split(' ');
        let run = psp2gatekeeper(&case, arguments.chain([&*list_path]));
        // What is no cluster, or has no pods, is another test's business.
        let (Some(inventory), true) = (load(&input), run.code < 2) else {
            continue;
        };
        let report: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
        assert_eq!(report["summary"]["insufficient"], 0, "{}", run.stderr);
        if report["summary"]["patched"] == 0 {
            continue;
        }
        let options = PlanOptions {
            enforcement_action: EnforcementAction::Deny,
            mutators: false,
            gatekeeper: Version::new(3, 23),
            kubernetes: Version::new(1, 24),
        };
        let bundle = plan(&inventory, &resolve::grants(&inventory), options);
        let manifests = render(&bundle, &environment().expect("they are ours")).expect("they fit");
        let gatekeeper = GatekeeperAdmission::from_manifests(&manifests, &inventory.namespaces)
            .expect("they are read");
        let psp = PspAdmission::new(&inventory);
        for workload in report["workloads"].as_array().into_iter().flatten() {
            let name = workload["name"].as_str().unwrap_or_default();
            if workload["result"] != "patched" && workload["result"] != "complete" {
                continue;
            }
            let mut object = pods.get(name).expect("it is one of them").clone();
            if workload["result"] == "patched" {
                apply(&mut object, &workload["patch"]);
                patched += 1;
            }
            let mut request = own_pod(&object).expect("it is a pod").request;
            request.namespace = workload["namespace"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let name = format!("{}: {name}", case.display());
            passes(&psp, &gatekeeper, &prepare(&inventory, request), &name);
        }
    }
    assert!(patched > 15, "{patched}");
}

#[track_caller]
fn passes(
    psp: &PspAdmission<'_>,
    gatekeeper: &GatekeeperAdmission,
    asked: &AdmissionRequest,
    name: &str,
) {
    let mut review = psp.review(asked);
    assert!(review.is_allowed(), "{name}: {review:?}");
    let mut alone = asked.pod.clone();
    psp.prepare(asked, &mut alone);
    for pod in [&mut review.pod, &mut alone] {
        pod.remove(&["metadata", "annotations", PSP_ANNOTATION]);
        if pod.get(&["metadata", "annotations"]) == Some(&json!({})) {
            pod.remove(&["metadata", "annotations"]);
        }
    }
    assert_eq!(review.pod, alone, "{name}: PSP changes it");
    let mut asked = asked.clone();
    seccomp::sync(&mut asked.pod);
    let violations = gatekeeper.validate(&asked).expect("it can be known");
    assert!(violations.is_empty(), "{name}: {violations:?}");
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("it is there").path()).collect();
    paths.sort();
    paths
}

fn sources(paths: &[PathBuf]) -> Vec<Source> {
    let source = |it: &PathBuf| Source {
        name: it.display().to_string(),
        text: fs::read_to_string(it).expect("it can be read"),
    };
    paths.iter().map(source).collect()
}

/// The first object of each file, by the name that it is given: that of the file.
fn objects(paths: &[PathBuf]) -> BTreeMap<String, Value> {
    let mut res = BTreeMap::new();
    for path in paths {
        let source = &sources(std::slice::from_ref(path))[0];
        let objects = input::objects(source).unwrap_or_default();
        if let Some(mut object) = objects.into_iter().next() {
            let stem = path.file_stem().unwrap_or_default();
            let name = stem.to_string_lossy().replace('_', "-");
            object["metadata"]["name"] = json!(name);
            res.insert(name, object);
        }
    }
    res
}

fn load(folder: &Path) -> Option<Inventory> {
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(&sources(&sorted(folder)), options).ok()?;
    Some(inventory)
}
