//! Rows of the tables in this folder: a policy, a pod and what becomes of it; and how both are asked.

use std::collections::BTreeMap;

use anyhow::bail;
use psp2gatekeeper::admission::{AdmissionRequest, Operation, UserInfo};
use psp2gatekeeper::api::core::Pod;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{Inventory, LoadOptions, Source, load};
use psp2gatekeeper::manifest::Manifest;
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions};
use psp2gatekeeper::psp::strategy;
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::requests::prepare;
use psp2gatekeeper::version::Version;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A question and its answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// Why it is there.
    pub(crate) note: String,
    /// What differs from the most permissive policy: fields of `spec`, and annotations, which have a slash; null takes away.
    #[serde(default)]
    pub(crate) psp: Map<String, Value>,
    /// The `spec` of the pod, and its `annotations`. Without containers it has one, named `app`.
    #[serde(default)]
    pub(crate) pod: Map<String, Value>,
    /// The same of the pod before an update. Only what is asked of the Rego alone has it; all others are to be created.
    pub(crate) old: Option<Map<String, Value>>,
    /// Whether an audit or a file asks, without an operation and a requester; of the Rego alone, too.
    #[serde(default)]
    pub(crate) audited: bool,
    #[serde(default)]
    pub(crate) admitted: bool,
    pub(crate) forbidden: Option<Vec<String>>,
    pub(crate) stored: Option<Map<String, Value>>,
    /// How many objections the Rego has, where the plugin has more or fewer.
    ///
    /// The Rego tells once, of the pod, what its containers inherit; and it tells what is missing and would be filled in.
    pub(crate) rego_objections: Option<usize>,
    /// The harmless loss by which the Rego accepts the pod as it stands, where the plugin has to fill something in first.
    ///
    /// Where losses of this kind are switched off it does not.
    pub(crate) loss: Option<String>,
}

/// What becomes of the pod.
pub(crate) enum Answer<'a> {
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

/// Reads the objects of a cluster.
///
/// # Errors
///
/// The first complaint about one of them.
pub(crate) fn inventory(objects: &[Value]) -> anyhow::Result<Inventory> {
    let source = Source {
        name: "row".to_owned(),
        text: json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string(),
    };
    let options = LoadOptions {
        proc_mount_type: true,
    };
    let (mut inventory, diagnostics) = load(&[source], options)?;
    if let Some(it) = diagnostics.first() {
        bail!("{it}");
    }
    // The policies tell of the gate; see `Row::proc_mount_type`.
    inventory.proc_mount_type = false;
    Ok(inventory)
}

/// Renders the inventory, without mutators.
pub(crate) fn manifests(inventory: &Inventory) -> anyhow::Result<Vec<Manifest>> {
    rendered(inventory, false)
}

/// The same where every container must name its AppArmor profile: then the constraint is the plugin's Validate phase exactly.
pub(crate) fn strict_manifests(inventory: &Inventory) -> anyhow::Result<Vec<Manifest>> {
    rendered(inventory, true)
}

fn rendered(inventory: &Inventory, strict_app_armor: bool) -> anyhow::Result<Vec<Manifest>> {
    let options = PlanOptions {
        enforcement_action: EnforcementAction::Deny,
        mutators: false,
        max_mutators: 100,
        gatekeeper: Version::new(3, 23),
        kubernetes: Version::new(1, 24),
        strict_app_armor,
    };
    Ok(render(
        &crate::support::planned(inventory, options).0,
        &environment()?,
    )?)
}

/// Asks the Rego what it objects to in the pod as it stands, after what the API server does to it on the way.
pub(crate) fn judge(
    gatekeeper: &GatekeeperAdmission,
    request: &AdmissionRequest,
    proc_mount_type: bool,
) -> anyhow::Result<Vec<String>> {
    let mut request = request.clone();
    strategy::prepare_for_create(&mut request.pod, proc_mount_type);
    let mut res = Vec::new();
    for violation in gatekeeper.validate(&request)? {
        let details: Details = serde_json::from_str(&violation.details)?;
        if details.violations.is_empty() {
            res.push(violation.message);
        }
        res.extend(details.violations.into_values().flatten());
    }
    Ok(res)
}

impl Row {
    /// What is written to become of the pod.
    pub(crate) fn answer(&self) -> anyhow::Result<Answer<'_>> {
        match (self.admitted, &self.forbidden, &self.stored) {
            (true, None, None) => Ok(Answer::Admitted),
            (false, Some(objections), None) => Ok(Answer::Forbidden(objections)),
            (false, None, Some(stored)) => Ok(Answer::Stored(stored)),
            _ => bail!("a row has one answer: admitted, forbidden or stored"),
        }
    }

    /// Whether the feature gate `ProcMountType` is open: where the policy has what it would drop.
    pub(crate) fn proc_mount_type(&self) -> bool {
        let types = self.psp.get("allowedProcMountTypes");
        types.is_some_and(|it| *it != json!([]) && *it != json!(["Default"]))
    }

    /// The policy, and what lets everybody use it in the namespace of the same name.
    pub(crate) fn cluster(&self, name: &str) -> Vec<Value> {
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

    /// The request that creates the pod, as admission sees it.
    pub(crate) fn request(&self, namespace: &str, inventory: &Inventory) -> AdmissionRequest {
        prepare(inventory, self.sent(namespace))
    }

    /// The same of a pod in a file: what an API server writes into it is not there, but for the service account.
    pub(crate) fn in_file(&self, namespace: &str) -> AdmissionRequest {
        let mut res = self.sent(namespace);
        if let Some(old) = &self.old {
            res.operation = Operation::Update;
            res.old_pod = Some(pod(namespace, old));
        }
        for it in [Some(&mut res.pod), res.old_pod.as_mut()]
            .into_iter()
            .flatten()
        {
            it.set(&["spec", "serviceAccountName"], "default".into());
        }
        res
    }

    /// The same as a client sends it.
    pub(crate) fn sent(&self, namespace: &str) -> AdmissionRequest {
        AdmissionRequest {
            namespace: namespace.to_owned(),
            user_info: UserInfo {
                username: "alice".to_owned(),
                groups: vec!["system:authenticated".to_owned()],
            },
            pod: pod(namespace, &self.pod),
            ..AdmissionRequest::default()
        }
    }
}

/// A pod as a client writes it.
fn pod(namespace: &str, written: &Map<String, Value>) -> Pod {
    let mut spec = written.clone();
    let annotations = spec.remove("annotations").unwrap_or_else(|| json!({}));
    spec.entry("containers")
        .or_insert_with(|| json!([{"name": "app"}]));
    spec.entry("automountServiceAccountToken")
        .or_insert(false.into());
    let metadata = json!({"namespace": namespace, "name": "pod", "annotations": annotations});
    Pod([
        ("metadata".to_owned(), metadata),
        ("spec".to_owned(), spec.into()),
    ]
    .into_iter()
    .collect())
}
