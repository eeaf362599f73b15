//! What CI systems are given: test reports in JUnit's XML, and SARIF.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "tests read files and may panic"
)]

use std::fs;
use std::process::Command;

use quick_junit::{NonSuccessKind, Report, TestCaseStatus};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Everybody may use a policy that drops a capability; the first pod does, the second leaves that to the policy, and an API
/// server refuses the third.
const INPUT: &str = "\
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: restricted}
spec:
  requiredDropCapabilities: [NET_RAW]
  volumes: ['*']
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: restricted}
rules:
  - {apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [restricted], verbs: [use]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: restricted}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: restricted}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: system:authenticated}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: as-before}
spec: {containers: [{name: c, image: c, securityContext: {capabilities: {drop: [NET_RAW]}}}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: at-risk}
spec: {containers: [{name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata: {namespace: shop, name: refused}
spec: {hostNetwork: 'true', containers: [{name: c, image: c}]}
";

/// The line of the second pod.
const AT_RISK: usize = 29;

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let res = Self {
            folder: tempfile::tempdir().expect("there is room"),
        };
        fs::write(res.path("my input.yaml"), INPUT).expect("it can be written");
        res
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs a command in the folder; returns its exit code and what it wrote.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .current_dir(self.folder.path())
            .args(arguments)
            .args(["-f", "my input.yaml", "--no-mutators"])
            .output()
            .expect("the program starts");
        let code = output.status.code().expect("it is not killed");
        assert!(code < 2, "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout);
        (code, text.expect("it writes UTF-8"))
    }

    fn junit(&self, arguments: &[&str]) -> (i32, Report) {
        let (code, text) = self.run(&[arguments, &["-o", "junit"]].concat());
        (
            code,
            Report::deserialize_from_str(&text).expect("it is a report"),
        )
    }

    fn sarif(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, text) = self.run(&[arguments, &["-o", "sarif"]].concat());
        (code, serde_json::from_str(&text).expect("it is JSON"))
    }

    /// Writes the output and takes a demand of the policy out of it, so that `verify` finds something.
    fn with_loosened_output(self) -> Self {
        self.run(&[
            "migrate",
            "--enforcement-action",
            "deny",
            "--out-dir",
            "out",
        ]);
        let constraint =
            self.path("out/3-constraints/podsecuritypolicyadmission-pod-security-policies.yaml");
        let text = fs::read_to_string(&constraint).expect("it was written");
        let loosened = text.replace("requiredDropCapabilities: [\"NET_RAW\"]", "");
        assert_ne!(text, loosened);
        fs::write(&constraint, loosened).expect("it can be written");
        self
    }
}

/// The name of each case, and in brackets what came out where it did not pass.
fn cases(report: &Report) -> Vec<String> {
    let suites = report.test_suites.iter();
    let cases = suites.flat_map(|suite| suite.test_cases.iter().map(move |it| (suite, it)));
    let line = |(suite, case): (&quick_junit::TestSuite, &quick_junit::TestCase)| {
        let status = match &case.status {
            TestCaseStatus::Success { .. } => String::new(),
            TestCaseStatus::NonSuccess { kind, ty, .. } => {
                assert_eq!(*kind, NonSuccessKind::Failure);
                format!(" [{}]", ty.as_ref().expect("it says which rule").as_str())
            }
            TestCaseStatus::Skipped { .. } => " [skipped]".to_owned(),
        };
        format!("{}: {}{status}", suite.name.as_str(), case.name.as_str())
    };
    cases.map(line).collect()
}

#[test]
fn each_workload_is_a_test() {
    let (code, report) = Place::new().junit(&["diff"]);
    assert_eq!(code, 1);
    let expected = [
        "workloads: Pod as-before",
        "workloads: Pod at-risk [now-forbidden]",
        "workloads: Pod refused [skipped]",
    ];
    assert_eq!(cases(&report), expected);
    let suite = &report.test_suites[0];
    assert_eq!((suite.tests, suite.failures, suite.errors), (3, 1, 0));
    let case = &suite.test_cases[1];
    let class = case.classname.as_ref().expect("it has one");
    assert_eq!(class.as_str(), "workloads.shop");
    let TestCaseStatus::NonSuccess {
        message,
        description,
        ..
    } = &case.status
    else {
        panic!("{case:?}");
    };
    let message = message.as_ref().expect("it has one");
    assert_eq!(message.as_str(), "Pod shop/at-risk would be forbidden");
    let story = description.as_ref().expect("it has one").as_str();
    assert!(story.contains("must be dropped"), "{story}");
}

#[test]
fn objects_are_tests_where_they_are_compared() {
    let place = Place::new();
    let (_, report) = place.junit(&["diff", "--out-dir", "out"]);
    let expected = [
        "objects: PodSecurityPolicyAdmission pod-security-policies [object-changed]",
        "objects: ConstraintTemplate podsecuritypolicyadmission [object-changed]",
    ];
    assert_eq!(cases(&report)[..2], expected);
    place.run(&["migrate", "--out-dir", "out"]);
    let (_, report) = place.junit(&["diff", "--out-dir", "out"]);
    assert_eq!(
        cases(&report)[0],
        "objects: all objects are what would be written"
    );
}

#[test]
fn a_workload_is_found_in_its_file() {
    let (code, log) = Place::new().sarif(&["diff"]);
    assert_eq!(code, 1);
    let results = log["runs"][0]["results"].as_array().expect("it is a list");
    assert_eq!(results.len(), 1);
    let result = &results[0];
    assert_eq!(result["ruleId"], "now-forbidden");
    let location = json!({
        "artifactLocation": { "uri": "my%20input.yaml" },
        "region": { "startLine": AT_RISK, "startColumn": 1 },
    });
    assert_eq!(result["locations"][0]["physicalLocation"], location);
    assert_sarif(&log);
}

#[test]
fn what_verify_finds_is_a_result() {
    let place = Place::new().with_loosened_output();
    let (code, log) = place.sarif(&["verify", "--manifests", "out"]);
    assert_eq!(code, 1);
    let results = log["runs"][0]["results"].as_array().expect("it is a list");
    let rules: Vec<&Value> = results.iter().map(|it| &it["ruleId"]).collect();
    assert!(rules.contains(&&json!("undeclared-looser")), "{rules:?}");
    let place = &results[0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, "out");
    assert_sarif(&log);
}

#[test]
fn nothing_found_is_a_test_that_passed_and_a_log_without_results() {
    let place = Place::new();
    let (code, report) = place.junit(&["verify"]);
    assert_eq!(code, 0);
    assert_eq!(cases(&report), ["requests: every difference is declared"]);
    let (_, log) = place.sarif(&["verify"]);
    assert_eq!(log["runs"][0]["results"], json!([]));
    assert_sarif(&log);
}

/// Asserts what SARIF 2.1.0 demands of a log, and code scanning of its results.
#[track_caller]
fn assert_sarif(log: &Value) {
    assert_eq!(log["version"], "2.1.0");
    assert!(
        log["$schema"]
            .as_str()
            .is_some_and(|it| it.contains("sarif-2.1.0"))
    );
    let run = &log["runs"][0];
    let driver = &run["tool"]["driver"];
    assert_eq!(driver["name"], "psp2gatekeeper");
    let rules = driver["rules"].as_array().expect("it is a list");
    let ids: Vec<&Value> = rules.iter().map(|it| &it["id"]).collect();
    for result in run["results"].as_array().expect("it is a list") {
        assert!(ids.contains(&&result["ruleId"]), "{result}");
        assert!(
            ["error", "warning", "note"]
                .iter()
                .any(|it| result["level"] == *it)
        );
        assert!(
            result["message"]["text"]
                .as_str()
                .is_some_and(|it| !it.is_empty())
        );
        let place = &result["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"]
            .as_str()
            .expect("it is a text");
        assert!(!uri.contains([' ', '\\']), "{uri}");
        assert!(
            place["region"]["startLine"]
                .as_u64()
                .is_some_and(|it| it > 0)
        );
    }
}
