//! Tables of pods, one for each control, asked of both: the model of the admission plugin, and the Rego as it is rendered.
//!
//! The rows restate by hand what the plugin's source and its own tests say; each file of `tests/conformance/` names where.
//! A row is about one policy that everybody may use, and one pod that is to be created.
//! What it leaves out of the policy is the most permissive value, so that it shows one control at work.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "tests read files and may panic"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use psp2gatekeeper::admission::{AdmissionRequest, UserInfo};
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{Inventory, LoadOptions, Source, load};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions, plan};
use psp2gatekeeper::psp::{Phase, PspAdmission, strategy};
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::requests::prepare;
use psp2gatekeeper::resolve;
use psp2gatekeeper::version::Version;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A question and its answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Why it is there.
    note: String,
    /// What differs from the most permissive policy: fields of `spec`, and annotations, which have a slash; null takes away.
    #[serde(default)]
    psp: Map<String, Value>,
    /// The `spec` of the pod, and its `annotations`. Without containers it has one, named `app`.
    #[serde(default)]
    pod: Map<String, Value>,
    #[serde(default)]
    admitted: bool,
    forbidden: Option<Vec<String>>,
    stored: Option<Map<String, Value>>,
    /// How many objections the Rego has, where the plugin has more or fewer.
    ///
    /// The Rego tells once, of the pod, what its containers inherit; and it tells what is missing and would be filled in.
    rego_objections: Option<usize>,
}

/// What becomes of the pod.
enum Answer<'a> {
    /// The policy accepts it as it stands.
    Admitted,
    /// The policy does not accept it, whatever is filled in; how the plugin's objections begin, in its order.
    Forbidden(&'a [String]),
    /// The policy accepts it once the plugin has filled in a default, and not as it stands.
    /// What is given here is then in the stored pod.
    Stored(&'a Map<String, Value>),
}

/// What the Rego tells beside its message.
#[derive(Debug, Deserialize)]
struct Details {
    /// Its objections by policy.
    violations: BTreeMap<String, Vec<String>>,
}

fn main() -> ExitCode {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the tables are there")
        .map(|it| it.expect("the folder can be read").path())
        .collect();
    files.sort();
    let trials = files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().expect("a file has a name");
            let name = name.to_string_lossy().into_owned();
            Trial::test(name, move || check(&file))
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn check(file: &Path) -> Result<(), Failed> {
    let rows: Vec<Row> = serde_yaml::from_str(&fs::read_to_string(file)?)?;
    let namespaces: Vec<String> = (1..=rows.len()).map(|it| format!("row-{it}")).collect();
    let inventories = rows
        .iter()
        .zip(&namespaces)
        .map(|(row, name)| inventory(&row.cluster(name)))
        .collect::<Result<Vec<_>, _>>()?;
    let all: Vec<Value> = rows
        .iter()
        .zip(&namespaces)
        .flat_map(|(row, name)| row.cluster(name))
        .collect();
    let gatekeeper = gatekeeper(&inventory(&all)?)?;
    let mut complaints = Vec::new();
    for ((row, namespace), inventory) in rows.iter().zip(&namespaces).zip(&inventories) {
        if let Err(complaint) = row.check(namespace, inventory, &gatekeeper) {
            let why = complaint.message().unwrap_or_default();
            complaints.push(format!("{namespace}, {}: {why}", row.note));
        }
    }
    if rows.len() < 8 {
        complaints.push("fewer than eight rows say little".to_owned());
    }
    match complaints.as_slice() {
        [] => Ok(()),
        _ => Err(complaints.join("\n").into()),
    }
}

fn inventory(objects: &[Value]) -> Result<Inventory, Failed> {
    let source = Source {
        name: "row".to_owned(),
        text: json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string(),
    };
    let options = LoadOptions {
        proc_mount_type: true,
    };
    let (inventory, diagnostics) = load(&[source], options)?;
    if let Some(it) = diagnostics.first() {
        return Err(it.to_string().into());
    }
    Ok(inventory)
}

/// Gatekeeper with what is rendered for the inventory; each row has a namespace of its own in it.
fn gatekeeper(inventory: &Inventory) -> Result<GatekeeperAdmission, Failed> {
    let grants = resolve::grants(inventory);
    let options = PlanOptions {
        enforcement_action: EnforcementAction::Deny,
        mutators: false,
        max_mutators: 100,
        gatekeeper: Version::new(3, 23),
        kubernetes: Version::new(1, 24),
    };
    let manifests = render(&plan(inventory, &grants, options), &environment()?)?;
    Ok(GatekeeperAdmission::from_manifests(
        &manifests,
        &inventory.namespaces,
    )?)
}

impl Row {
    fn answer(&self) -> Result<Answer<'_>, Failed> {
        match (self.admitted, &self.forbidden, &self.stored) {
            (true, None, None) => Ok(Answer::Admitted),
            (false, Some(objections), None) => Ok(Answer::Forbidden(objections)),
            (false, None, Some(stored)) => Ok(Answer::Stored(stored)),
            _ => Err("a row has one answer: admitted, forbidden or stored".into()),
        }
    }

    /// The policy, and what lets everybody use it in the namespace of the same name.
    fn cluster(&self, name: &str) -> Vec<Value> {
        let mut spec = json!({
            "privileged": true,
            "hostNetwork": true,
            "hostPID": true,
            "hostIPC": true,
            "hostPorts": [{"min": 0, "max": 65535}],
            "volumes": ["*"],
            "allowedCapabilities": ["*"],
            "allowedUnsafeSysctls": ["*"],
            "runAsUser": {"rule": "RunAsAny"},
            "seLinux": {"rule": "RunAsAny"},
            "supplementalGroups": {"rule": "RunAsAny"},
            "fsGroup": {"rule": "RunAsAny"},
        });
        let mut annotations =
            json!({"seccomp.security.alpha.kubernetes.io/allowedProfileNames": "*"});
        for (key, value) in &self.psp {
            let place = if key.contains('/') {
                &mut annotations
            } else {
                &mut spec
            };
            let place = place.as_object_mut().expect("it is an object");
            if value.is_null() {
                place.remove(key);
            } else {
                place.insert(key.clone(), value.clone());
            }
        }
        let group = "rbac.authorization.k8s.io";
        let version = format!("{group}/v1");
        let metadata = json!({"namespace": name, "name": name});
        vec![
            json!({
                "apiVersion": "policy/v1beta1",
                "kind": "PodSecurityPolicy",
                "metadata": {"name": name, "annotations": annotations},
                "spec": spec,
            }),
            json!({
                "apiVersion": version,
                "kind": "Role",
                "metadata": metadata,
                "rules": [{
                    "apiGroups": ["policy"],
                    "resources": ["podsecuritypolicies"],
                    "resourceNames": [name],
                    "verbs": ["use"],
                }],
            }),
            json!({
                "apiVersion": version,
                "kind": "RoleBinding",
                "metadata": metadata,
                "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
                "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:serviceaccounts"}],
            }),
        ]
    }

    /// The request that creates the pod.
    fn request(&self, namespace: &str, inventory: &Inventory) -> AdmissionRequest {
        let mut spec = self.pod.clone();
        let annotations = spec.remove("annotations").unwrap_or_else(|| json!({}));
        spec.entry("containers")
            .or_insert_with(|| json!([{"name": "app"}]));
        spec.entry("automountServiceAccountToken")
            .or_insert(false.into());
        let metadata = json!({"namespace": namespace, "name": "pod", "annotations": annotations});
        let request = AdmissionRequest {
            namespace: namespace.to_owned(),
            user_info: UserInfo {
                username: "alice".to_owned(),
                groups: vec!["system:authenticated".to_owned()],
            },
            pod: Pod([
                ("metadata".to_owned(), metadata),
                ("spec".to_owned(), spec.into()),
            ]
            .into_iter()
            .collect()),
            ..AdmissionRequest::default()
        };
        prepare(inventory, request)
    }

    fn check(
        &self,
        namespace: &str,
        inventory: &Inventory,
        gatekeeper: &GatekeeperAdmission,
    ) -> Result<(), Failed> {
        let request = self.request(namespace, inventory);
        let psp = PspAdmission::new(inventory);
        // The gate is open where a policy has what it would drop.
        let proc_mount_type = self.psp.contains_key("allowedProcMountTypes");
        let judge = |request: &AdmissionRequest| -> Result<Vec<String>, Failed> {
            let mut request = request.clone();
            strategy::prepare_for_create(&mut request.pod, proc_mount_type);
            let mut res = Vec::new();
            for violation in gatekeeper.validate(&request)? {
                let details: Details = serde_json::from_str(&violation.details)?;
                res.extend(details.violations.into_values().flatten());
            }
            Ok(res)
        };
        let review = psp.review(&request);
        let as_it_stands = psp.validate_only(&request);
        let violations = judge(&request)?;
        let answer = self.answer()?;
        let accepted = matches!(answer, Answer::Admitted);
        if as_it_stands.is_allowed() != accepted {
            return Err(format!("the model, of the pod as it stands: {as_it_stands:?}").into());
        }
        if violations.is_empty() != accepted {
            return Err(format!("the Rego: {violations:?}").into());
        }
        match answer {
            Answer::Admitted if review.is_allowed() => Ok(()),
            Answer::Admitted => Err(format!("the model: {:?}", review.admit).into()),
            Answer::Forbidden(expected)
                if violations.len() != self.rego_objections.unwrap_or(expected.len()) =>
            {
                Err(format!("the Rego: {violations:#?}").into())
            }
            Answer::Forbidden(expected) => objections(&review.admit, expected),
            Answer::Stored(expected) => {
                if !review.is_allowed() {
                    return Err(
                        format!("the model: {:?} {:?}", review.admit, review.validate).into(),
                    );
                }
                let stored_at = |path: &[&str]| review.pod.get(path).unwrap_or(&Value::Null);
                let mut expected = Value::Object(expected.clone());
                if let Some(annotations) = expected
                    .as_object_mut()
                    .and_then(|it| it.remove("annotations"))
                {
                    includes(
                        "annotations",
                        stored_at(&["metadata", "annotations"]),
                        &annotations,
                    )?;
                }
                includes("spec", stored_at(&["spec"]), &expected)?;
                let again = AdmissionRequest {
                    pod: review.pod,
                    ..request
                };
                let violations = judge(&again)?;
                if !psp.validate_only(&again).is_allowed() || !violations.is_empty() {
                    return Err(format!("what is stored is not accepted: {violations:?}").into());
                }
                Ok(())
            }
        }
    }
}

/// Compares what the plugin objects to with how its objections are written to begin.
fn objections(phase: &Phase, expected: &[String]) -> Result<(), Failed> {
    let Phase::Refused { violations, .. } = phase else {
        return Err(format!("the model: {phase:?}").into());
    };
    let fit = violations.len() == expected.len()
        && violations
            .iter()
            .zip(expected)
            .all(|(actual, expected)| actual.message.starts_with(expected));
    if fit && !expected.is_empty() {
        return Ok(());
    }
    let messages: Vec<&str> = violations.iter().map(|it| it.message.as_str()).collect();
    Err(format!("the model: {messages:#?}").into())
}

/// Whether a value has all that is expected; lists must have the same length, objects may have more.
fn includes(path: &str, actual: &Value, expected: &Value) -> Result<(), Failed> {
    match (actual, expected) {
        (Value::Object(actual), Value::Object(expected)) => {
            for (key, expected) in expected {
                let actual = actual.get(key).unwrap_or(&Value::Null);
                includes(&format!("{path}.{key}"), actual, expected)?;
            }
            Ok(())
        }
        (Value::Array(actual), Value::Array(expected)) if actual.len() == expected.len() => {
            for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
                includes(&format!("{path}[{index}]"), actual, expected)?;
            }
            Ok(())
        }
        _ if actual == expected => Ok(()),
        _ => Err(format!("stored is {path}: {actual}").into()),
    }
}
