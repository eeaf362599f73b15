//! Asks the rendered Rego itself, of a pod as it is written: with what the types of Kubernetes 1.24 do not have, and without
//! what an API server adds.

use anyhow::{Context as _, ensure};
use psp2gatekeeper::admission::AdmissionRequest;
use psp2gatekeeper::manifest::Manifest;
use regorus::Engine;
use serde_json::{Value, json};

/// Whether the Rego holds to this: as many objections as expected that begin so, in this order.
///
/// An audit and a file name neither operation nor requester; what is `audited` has null for both, which is absent.
///
/// # Errors
///
/// When the Rego cannot be evaluated, or what it objects to instead.
pub(crate) fn check(
    manifests: &[Manifest],
    request: &AdmissionRequest,
    audited: bool,
    expected: &[String],
) -> anyhow::Result<()> {
    let user = &request.user_info;
    let how = if audited {
        json!({"operation": null, "userInfo": null})
    } else {
        json!({
            "operation": request.operation,
            "userInfo": {"username": user.username, "groups": user.groups},
        })
    };
    let objections = objections(manifests, request, &how)?;
    ensure!(begin(&objections, expected), "{objections:#?}");
    Ok(())
}

/// Returns what the Rego objects to, sorted: that of each policy, or its message if none may be used.
fn objections(
    manifests: &[Manifest],
    request: &AdmissionRequest,
    how: &Value,
) -> anyhow::Result<Vec<String>> {
    let of_kind = |is_template: bool| -> anyhow::Result<Value> {
        let mut manifests = manifests.iter();
        let manifest = manifests.find(|it| (it.kind == "ConstraintTemplate") == is_template);
        Ok(serde_yaml::from_str(
            &manifest.context("it is rendered")?.text,
        )?)
    };
    let (template, constraint) = (of_kind(true)?, of_kind(false)?);
    let target = &template["spec"]["targets"][0];
    let libraries = target["libs"].as_array().into_iter().flatten();
    let mut engine = Engine::new();
    engine.set_rego_v0(true);
    for (index, text) in libraries.chain([&target["rego"]]).enumerate() {
        let text = text.as_str().unwrap_or_default();
        engine.add_policy(format!("module {index}"), text.to_owned())?;
    }
    let input = json!({
        "review": {
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "operation": how["operation"],
            "namespace": request.namespace,
            "userInfo": how["userInfo"],
            "object": request.pod.0,
            "oldObject": request.old_pod.as_ref().map(|it| &it.0),
        },
        "parameters": constraint["spec"]["parameters"],
    });
    engine.set_input(input.into());
    let violations = engine.eval_rule("data.psp.violation".to_owned())?;
    let violations: Value = serde_json::from_str(&violations.to_json_str()?)?;
    let mut res = Vec::new();
    for violation in violations.as_array().into_iter().flatten() {
        let by_policy = violation["details"]["violations"].as_object();
        let told = by_policy.into_iter().flat_map(|it| it.values());
        let told: Vec<&Value> = told.filter_map(Value::as_array).flatten().collect();
        let message = &violation["msg"];
        let told = if told.is_empty() { vec![message] } else { told };
        res.extend(
            told.into_iter()
                .filter_map(Value::as_str)
                .map(str::to_owned),
        );
    }
    res.sort();
    Ok(res)
}

/// Whether the objections are as many as expected and begin so, in this order.
fn begin(objections: &[String], expected: &[String]) -> bool {
    let mut pairs = objections.iter().zip(expected);
    objections.len() == expected.len() && pairs.all(|(it, expected)| it.starts_with(expected))
}
