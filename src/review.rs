//! One pod, put to the PSP plugin and to Gatekeeper: what both say, and why.

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::admission::{AdmissionRequest, Operation, UserInfo};
use crate::api::core::Pod;
use crate::api::validation::{self, OF_PSP};
use crate::gatekeeper::{ConstraintViolation, GatekeeperAdmission, ReviewError};
use crate::input::Inventory;
use crate::loss::Loss;
use crate::psp::{PspAdmission, Trial};
use crate::rbac::service_account_user;
use crate::requests::{creator, own_pod, prepare};
use crate::resolve::Grant;

/// Both answers to a request.
#[derive(Clone, Debug)]
pub struct Review {
    /// The request, as both were asked.
    pub request: AdmissionRequest,
    /// What the PSP plugin says.
    pub psp: PspAnswer,
    /// What Gatekeeper says.
    pub gatekeeper: GatekeeperAnswer,
}

/// What the PSP plugin says to a request.
#[derive(Clone, Debug, Serialize)]
pub struct PspAnswer {
    /// Whether it lets the request pass.
    pub allowed: bool,
    /// The policy that accepts the pod; empty where none does, or none was asked.
    pub policy: String,
    /// What the client reads when the pod is forbidden; else empty.
    pub message: String,
    /// The pod after both phases.
    pub pod: Pod,
    /// Why an API server of Kubernetes 1.24 refuses the pod that the plugin let pass, in its words; absent where it does not.
    ///
    /// Then nobody decides: no policy forbids the pod, and it is not stored.
    #[serde(rename = "apiServer", skip_serializing_if = "Option::is_none")]
    pub api_server: Option<String>,
    /// Each usable policy, in the order tried.
    #[serde(skip)]
    pub trials: Vec<Trial>,
}

/// What Gatekeeper says to a request.
#[derive(Clone, Debug, Serialize)]
pub struct GatekeeperAnswer {
    /// Whether it lets the request pass.
    pub allowed: bool,
    /// The pod after mutation.
    pub pod: Pod,
    /// What the constraints say; only the action `deny` forbids.
    pub violations: Vec<ConstraintViolation>,
    /// The error that the request is refused with, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why the API server under Gatekeeper refuses the pod that Gatekeeper let pass, in its words; absent where it does not.
    #[serde(rename = "apiServer", skip_serializing_if = "Option::is_none")]
    pub api_server: Option<String>,
}

impl Review {
    /// Whether both say the same to the letter; what they say otherwise may still mean the same.
    pub fn is_equal(&self) -> bool {
        self.psp.allowed == self.gatekeeper.allowed
            && self.psp.api_server.is_some() == self.gatekeeper.api_server.is_some()
            && (!self.psp.allowed || self.psp.pod == self.gatekeeper.pod)
    }

    /// The review as one object for machines, with the losses that explain a difference.
    pub fn to_json(&self, losses: &[&Loss]) -> Value {
        let losses: Vec<Value> = losses
            .iter()
            .map(|it| {
                json!({
                    "name": it.name(),
                    "direction": it.direction(),
                    "psp": it.psp,
                    "field": it.field,
                    "why": it.why,
                    "causes": it.causes_in(&self.request.namespace),
                })
            })
            .collect();
        json!({
            "uid": self.request.uid,
            "psp": self.psp,
            "gatekeeper": self.gatekeeper,
            "losses": losses,
        })
    }
}

/// Puts a request to both.
///
/// # Errors
///
/// When Gatekeeper's answer cannot be known.
pub fn review(
    psp: &PspAdmission<'_>,
    gatekeeper: &GatekeeperAdmission,
    request: AdmissionRequest,
) -> Result<Review, ReviewError> {
    let answer = psp.review(&request);
    let refused = [&answer.admit, &answer.validate]
        .into_iter()
        .find_map(|it| it.message());
    let accepted = [&answer.admit, &answer.validate]
        .into_iter()
        .find_map(|it| it.policy())
        .filter(|_| refused.is_none());
    // What does not pass, or is no new pod, is not looked at.
    let is_new = request.operation == Operation::Create && request.subresource.is_empty();
    let refusal = |passes: bool, pod: &Pod, kubernetes| {
        let refusal = validation::refusal(pod, kubernetes).filter(|_| passes && is_new);
        refusal.map(|it| it.to_string())
    };
    let psp_answer = PspAnswer {
        allowed: answer.is_allowed(),
        api_server: refusal(answer.is_allowed(), &answer.pod, OF_PSP),
        policy: accepted.unwrap_or_default().to_owned(),
        message: refused.unwrap_or_default().to_owned(),
        trials: psp.trials(&request),
        pod: answer.pod,
    };
    let answer = gatekeeper.review_with(&request, |mut pod| {
        psp.prepare_on(gatekeeper.kubernetes(), &request, &mut pod);
        pod
    })?;
    Ok(Review {
        request,
        psp: psp_answer,
        gatekeeper: GatekeeperAnswer {
            allowed: answer.allowed,
            api_server: refusal(answer.allowed, &answer.pod, gatekeeper.kubernetes()),
            pod: answer.pod,
            violations: answer.violations,
            error: answer.error,
        },
    })
}

/// Returns the bindings through which the request comes to a policy, the service account's and the requester's.
pub fn routes(grants: &[Grant], request: &AdmissionRequest, policy: &str) -> Vec<String> {
    let account = request.pod.service_account_name();
    let account = (!account.is_empty()).then(|| service_account_user(&request.namespace, account));
    let identities: Vec<&UserInfo> = account.iter().chain([&request.user_info]).collect();
    grants
        .iter()
        .filter(|it| it.policies.contains(policy))
        .filter(|it| it.namespace.is_none() || it.namespace.as_ref() == Some(&request.namespace))
        .filter(|it| identities.iter().any(|user| it.subject.matches(user)))
        .flat_map(|it| &it.routes)
        .filter(|it| it.granted.contains(policy))
        .map(ToString::to_string)
        .collect()
}

/// Returns the request that an object of the user's stands for.
///
/// An AdmissionReview of `admission.k8s.io` says all of it; its pods are taken as admission sees them.
/// A pod is a CREATE by `asker`, or else by its [`creator`], and is brought into the form that admission sees.
///
/// # Errors
///
/// When the object is neither, or an AdmissionReview lacks its request or the pod.
pub fn request(
    inventory: &Inventory,
    asker: Option<&UserInfo>,
    object: Value,
) -> Result<AdmissionRequest, String> {
    let Value::Object(mut object) = object else {
        return Err("it is not an object".to_owned());
    };
    match object.get("kind").and_then(Value::as_str) {
        Some("AdmissionReview") => match object.remove("request") {
            Some(Value::Object(request)) => of_admission_review(request),
            _ => Err("an AdmissionReview needs a `request`".to_owned()),
        },
        Some("Pod") => {
            let pod = Pod(object);
            let user_info = asker.cloned().unwrap_or_else(|| creator(&pod));
            let request = AdmissionRequest {
                uid: pod.name().to_owned(),
                user_info,
                pod,
                ..AdmissionRequest::default()
            };
            Ok(prepare(inventory, request))
        }
        Some(kind) => {
            let mut why = format!("a {kind} is neither a Pod nor an AdmissionReview");
            let object = Value::Object(object.clone());
            if own_pod(&object).is_some() {
                why += "; `diff -f` tells what becomes of its pods";
            }
            Err(why)
        }
        None => Err("it has no `kind`; a Pod or an AdmissionReview is expected".to_owned()),
    }
}

fn of_admission_review(mut request: Map<String, Value>) -> Result<AdmissionRequest, String> {
    let text = |key: &str| {
        let value = request.get(key).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let (uid, namespace, subresource) = (text("uid"), text("namespace"), text("subResource"));
    let operation = match text("operation").as_str() {
        "" | "CREATE" => Operation::Create,
        "UPDATE" => Operation::Update,
        "DELETE" => Operation::Delete,
        "CONNECT" => Operation::Connect,
        other => return Err(format!("`request.operation`: `{other}` is no operation")),
    };
    let user_info = match request.remove("userInfo") {
        None | Some(Value::Null) => UserInfo::default(),
        Some(user_info) => {
            serde_json::from_value(user_info).map_err(|it| format!("`request.userInfo`: {it}"))?
        }
    };
    let mut pod = |key: &str| match request.remove(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(pod)) => Ok(Some(Pod(pod))),
        Some(_) => Err(format!("`request.{key}` is not an object")),
    };
    let new = pod("object")?.ok_or("`request.object` is missing")?;
    let old_pod = pod("oldObject")?;
    let namespace = match namespace.as_str() {
        "" => new.namespace().to_owned(),
        _ => namespace,
    };
    Ok(AdmissionRequest {
        uid,
        namespace,
        operation,
        subresource,
        user_info,
        pod: new,
        old_pod,
    })
}
