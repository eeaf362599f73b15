//! What the API server refuses counts as refused: `diff`, `review`, `verify` and `bake` say the same of it, and why.
//!
//! The texts are those of Kubernetes 1.24.17, which refused these pods so after its admission plugin had changed them; what later
//! releases say is read in their sources, `pkg/apis/core/validation/validation.go`.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests write files and may panic"
)]

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

/// The service accounts of `shop` can use `hardened`, which sets two fields; administrators can use `wide`, which sets none.
const CLUSTER: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: hardened}
spec:
  readOnlyRootFilesystem: true
  volumes: ['*']
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: MustRunAs, ranges: [{min: 7, max: 9}]}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: wide}
spec:
  privileged: true
  volumes: ['*']
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: hardened}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [hardened], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: hardened, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: hardened}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:serviceaccounts:shop'}]
";

const FOR_WINDOWS: &str =
    "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod";

/// What an administrator adds to `review`.
const AS_ADMINISTRATOR: [&str; 4] = ["--as", "root", "--as-group", "system:masters"];

struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// A folder with a cluster, a Deployment `app.yaml` and a Pod `pod.yaml` of the same specification.
struct Place {
    folder: TempDir,
}

impl Place {
    /// `spec` is the pod's, `annotations` are as well.
    fn new(cluster: &str, annotations: &str, spec: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room");
        let write = |name, text: &str| {
            fs::write(folder.path().join(name), text).expect("it can be written");
        };
        write("cluster.yaml", cluster);
        write(
            "app.yaml",
            &format!(
                "apiVersion: apps/v1
kind: Deployment
metadata: {{namespace: shop, name: web}}
spec:
  template:
    metadata: {{annotations: {{{annotations}}}}}
    spec: {{{spec}}}
"
            ),
        );
        write(
            "pod.yaml",
            &format!(
                "apiVersion: v1
kind: Pod
metadata: {{namespace: shop, name: web, annotations: {{{annotations}}}}}
spec: {{{spec}}}
"
            ),
        );
        Self { folder }
    }

    /// A pod of one container for an operating system.
    fn of(os: &str) -> Self {
        Self::new(
            CLUSTER,
            "",
            &format!("os: {{name: {os}}}, containers: [{{name: c, image: i}}]"),
        )
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .current_dir(self.folder.path())
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

    fn with_input(&self, command: &str, more: &[&str]) -> Run {
        let input = [command, "-f", "cluster.yaml", "-f", "app.yaml"];
        self.run(&[&input, more].concat())
    }

    fn review(&self, more: &[&str]) -> Run {
        let input = ["review", "-f", "cluster.yaml", "--requests", "pod.yaml"];
        self.run(&[&input, more].concat())
    }

    /// What `diff` says of the Deployment.
    fn treatment(&self, more: &[&str]) -> Value {
        let run = self.with_input("diff", &[&["-o", "json"], more].concat());
        let report: Value = serde_json::from_str(&run.stdout).expect(&run.stderr);
        report.pointer("/workloads/0").cloned().unwrap_or_default()
    }

    /// Checks why the Deployment is not judged on a release; without a reason it is.
    #[track_caller]
    fn check(&self, release: &str, why: Option<&str>) {
        let treatment = self.treatment(&["--kubernetes-version", release]);
        assert_eq!(treatment["apiServer"], json!(why), "{release}: {treatment}");
        let is_judged = treatment["fate"] != "notJudged";
        assert_eq!(is_judged, why.is_none(), "{release}: {treatment}");
    }
}

#[track_caller]
fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn nobody_decides_about_a_pod_that_is_refused_with_the_defaults_of_psp() {
    let windows = Place::of("windows");
    windows.check("1.24", Some(FOR_WINDOWS));
    windows.check("1.37", Some(FOR_WINDOWS));
    let run = windows.with_input("diff", &[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    contains(
        &run.stdout,
        &[
            "PSP admits it by PodSecurityPolicy hardened",
            &format!("the API server refuses the pod with these defaults: {FOR_WINDOWS}"),
            "1 workload: 0 same, 0 now forbidden, 0 newly admitted, 0 stored differently, 1 not judged",
        ],
    );
    let run = windows.review(&[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    contains(
        &run.stdout,
        &[
            &format!("The API server refuses what PSP makes of it: {FOR_WINDOWS}"),
            &format!("The API server refuses what Gatekeeper makes of it: {FOR_WINDOWS}"),
            "No disagreement: no policy denies the pod, and the API server refuses it with the defaults of hardened",
        ],
    );
    let run = windows.review(&["-o", "json"]);
    let review: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    for side in ["psp", "gatekeeper"] {
        let expected = json!([true, FOR_WINDOWS]);
        let actual = json!([review[side]["allowed"], review[side]["apiServer"]]);
        assert_eq!(actual, expected, "{side}");
    }
    assert_eq!(review["losses"], json!([]));
    let run = windows.with_input("verify", &[]);
    assert_eq!(run.code, 0, "{}", run.stdout);
    contains(
        &run.stdout,
        &[
            "left out             1  which an API server refuses, as they are sent or with what PSP fills in",
        ],
    );
}

#[test]
fn the_same_pod_for_linux_is_judged() {
    let linux = Place::of("linux");
    linux.check("1.24", None);
    assert_eq!(linux.treatment(&[])["fate"], "same");
    let run = linux.review(&[]);
    assert!(!run.stdout.contains("API server"), "{}", run.stdout);
}

#[test]
fn a_pod_that_mutators_alone_make_refused_is_stricter() {
    // An administrator's pod is admitted as it is, by the policy that sets nothing.
    let run = Place::of("windows").review(&AS_ADMINISTRATOR);
    contains(
        &run.stdout,
        &[
            "PSP admits it by wide",
            &format!("The API server refuses what Gatekeeper makes of it: {FOR_WINDOWS}"),
            "Gatekeeper is stricter",
        ],
    );
    assert!(
        !run.stdout.contains("another pod is stored"),
        "{}",
        run.stdout
    );
    let run = Place::of("linux").review(&AS_ADMINISTRATOR);
    contains(&run.stdout, &["another pod is stored"]);
}

#[test]
fn a_default_may_be_no_id() {
    let cluster = CLUSTER.replace("min: 7, max: 9", "min: 3000000000, max: 3000000001");
    let place = Place::new(&cluster, "", "containers: [{name: c, image: i}]");
    let why = "spec.securityContext.fsGroup: Invalid value: 3000000000: must be between 0 and 2147483647, inclusive";
    place.check("1.24", Some(why));
}

#[test]
fn what_a_later_release_refuses_by_itself_is_not_judged_there() {
    let annotation = "container.apparmor.security.beta.kubernetes.io/c: runtime/default";
    let context = "securityContext: {appArmorProfile: {type: Unconfined}}";
    let spec = format!("containers: [{{name: c, image: i, {context}}}]");
    let place = Place::new(CLUSTER, annotation, &spec);
    place.check("1.29", None);
    let why = "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in annotation and field must match";
    place.check("1.30", Some(why));
    let run = place.with_input("diff", &["--kubernetes-version", "1.30"]);
    let line = format!("the API server refuses such a pod by itself: {why}");
    contains(&run.stdout, &[&line]);

    // What a service account may use without defaults, so that nothing but the field itself is refused.
    let wide = CLUSTER.replace("resourceNames: [hardened]", "resourceNames: [wide]");
    let place = Place::new(&wide, "", &format!("os: {{name: windows}}, {spec}"));
    place.check("1.29", None);
    let why = "spec.containers[0].securityContext.appArmorProfile: Forbidden: cannot be set for a windows pod";
    place.check("1.30", Some(why));
}

#[test]
fn what_psp_made_of_a_pod_was_stored_by_1_24() {
    // The field did not exist there, so that the default did not contradict it.
    let key = "apparmor.security.beta.kubernetes.io/defaultProfileName";
    let cluster = CLUSTER.replace(
        "metadata: {name: hardened}\nspec:\n  readOnly",
        &format!(
            "metadata: {{name: hardened, annotations: {{{key}: localhost/x}}}}\nspec:\n  readOnly"
        ),
    );
    assert!(cluster.contains(key));
    let context = "securityContext: {appArmorProfile: {type: Unconfined}}";
    let spec = format!("containers: [{{name: c, image: i, {context}}}]");
    let place = Place::new(&cluster, "", &spec);
    place.check("1.30", None);
    assert_eq!(
        place.treatment(&["--kubernetes-version", "1.30"])["psp"]["allowed"],
        true
    );
}

#[test]
fn nothing_is_baked_that_is_refused() {
    let windows = Place::of("windows");
    let manifest = fs::read_to_string(windows.folder.path().join("app.yaml"));
    for more in [&[][..], &["--write"], &["--kubernetes-version", "1.37"]] {
        let run = windows.with_input("bake", more);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
        contains(
            &run.stderr,
            &[
                "app.yaml:1:1: Deployment shop/web: refused by the API server:\n  with the defaults of hardened: spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod\n",
                "bake: 1 workload: 0 patched, 0 complete already, 0 refused by PodSecurityPolicy, 0 refused without defaults, 1 refused by the API server, 0 not written",
            ],
        );
    }
    let after = fs::read_to_string(windows.folder.path().join("app.yaml"));
    assert_eq!(after.expect("it is there"), manifest.expect("it was there"));
    let run = windows.with_input("bake", &["-o", "json"]);
    let report: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
    assert_eq!(report["summary"]["notJudged"], 1);
    let workload = &report["workloads"][0];
    assert_eq!(
        json!([workload["result"], workload["patch"], workload["reasons"]]),
        json!([
            "notJudged",
            null,
            [format!("with the defaults of hardened: {FOR_WINDOWS}")]
        ])
    );
}
