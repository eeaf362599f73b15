//! Findings as files: AdmissionReviews, and a suite for `gator verify` that fails until they are gone.

use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::admission::AdmissionRequest;
use crate::api::core::Pod;
use crate::cli::both::Both;
use crate::input::{self, Source};
use crate::loss::Direction;
use crate::manifest::Manifest;
use crate::verify::Finding;

/// Writes the findings to a directory that is new or empty.
///
/// # Errors
///
/// When there is something in it, or it cannot be written.
pub(super) fn save(
    directory: &Path,
    findings: &[Finding],
    both: &Both<'_>,
    manifests: &[Manifest],
) -> anyhow::Result<()> {
    let context = || format!("could not write `{}`", directory.display());
    fs::create_dir_all(directory).with_context(context)?;
    if fs::read_dir(directory)
        .with_context(context)?
        .next()
        .is_some()
    {
        bail!(
            "`{}` is not empty; choose another directory",
            directory.display()
        );
    }
    let write = |name: &str, value: &Value| {
        let text = serde_yaml::to_string(value)?;
        fs::write(directory.join(name), text).with_context(context)
    };
    let mut cases = Vec::new();
    for (index, finding) in findings.iter().enumerate() {
        let name = format!("finding-{}.yaml", index + 1);
        write(&name, &admission_review(both, finding))?;
        let violations = match finding.direction {
            Direction::Looser => "yes",
            Direction::Stricter => "no",
            // gator changes nothing of what it reviews.
            Direction::Differs | Direction::Harmless => continue,
        };
        cases.push(json!({
            "name": format!("finding-{}-{}", index + 1, finding.direction),
            "object": name,
            "assertions": [{ "violations": violations }],
        }));
    }
    if cases.is_empty() {
        return Ok(());
    }
    let mut tests = Vec::new();
    for (number, (template, constraint)) in pairs(manifests)?.iter().enumerate() {
        let names = ["template", "constraint"].map(|it| format!("{it}-{}.yaml", number + 1));
        let [template_name, constraint_name] = &names;
        write(template_name, template)?;
        write(constraint_name, constraint)?;
        tests.push(json!({
            "name": constraint.pointer("/metadata/name"),
            "template": template_name,
            "constraint": constraint_name,
            "cases": cases,
        }));
    }
    let suite = json!({
        "apiVersion": "test.gatekeeper.sh/v1alpha1",
        "kind": "Suite",
        "metadata": { "name": "findings" },
        "tests": tests,
    });
    write("suite.yaml", &suite)
}

/// The request as the validating webhook gets it.
fn admission_review(both: &Both<'_>, finding: &Finding) -> Value {
    let asked = &finding.answers.asked;
    // A request that a mutator refuses is shown as it was.
    let mutated = both.gatekeeper.mutate(asked);
    let mut pod = mutated.map_or_else(|_| asked.pod.clone(), |it| it.pod);
    both.between(asked, &mut pod);
    let AdmissionRequest {
        namespace,
        operation,
        subresource,
        user_info,
        old_pod,
        ..
    } = asked;
    let mut request = json!({
        "uid": "00000000-0000-0000-0000-000000000000",
        "kind": { "group": "", "version": "v1", "kind": "Pod" },
        "resource": { "group": "", "version": "v1", "resource": "pods" },
        "name": pod.name(),
        "namespace": namespace,
        "operation": operation,
        "userInfo": user_info,
        "object": typed(pod.clone()),
    });
    if let Value::Object(request) = &mut request {
        if !subresource.is_empty() {
            request.insert("subResource".to_owned(), subresource.as_str().into());
        }
        if let Some(old_pod) = old_pod {
            request.insert("oldObject".to_owned(), typed(old_pod.clone()));
        }
    }
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": request,
    })
}

fn typed(mut pod: Pod) -> Value {
    pod.set(&["apiVersion"], "v1".into());
    pod.set(&["kind"], "Pod".into());
    Value::Object(pod.0)
}

/// Each constraint with its template.
fn pairs(manifests: &[Manifest]) -> anyhow::Result<Vec<(Value, Value)>> {
    let mut objects = Vec::new();
    for manifest in manifests {
        let source = Source {
            name: manifest.to_string(),
            text: manifest.text.clone(),
        };
        objects.extend(input::objects(&source)?);
    }
    let text = |object: &Value, path: &str| {
        let value = object.pointer(path).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    let is_constraint =
        |it: &&Value| text(it, "/apiVersion").starts_with("constraints.gatekeeper.sh/");
    let res = objects
        .iter()
        .filter(is_constraint)
        .filter_map(|constraint| {
            let kind = text(constraint, "/kind");
            let template = objects
                .iter()
                .find(|it| text(it, "/spec/crd/spec/names/kind") == kind)?;
            Some((template.clone(), constraint.clone()))
        });
    Ok(res.collect())
}
