//! ExpansionTemplates: whoever applies a workload hears what Gatekeeper will say of its pods.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, context};

use super::RenderError;
use crate::manifest::{Folder, Manifest};

/// What is expanded: the name of the template, kinds by API group, where they hold what they make, and its group and kind.
type Expansion = (
    &'static str,
    &'static [(&'static str, &'static [&'static str])],
    &'static str,
    (&'static str, &'static str),
);

/// A CronJob makes a Job, and that a Pod.
const EXPANSIONS: [Expansion; 2] = [
    (
        "pod-security-policies-cron-jobs",
        &[("batch", &["CronJob"])],
        "spec.jobTemplate",
        ("batch", "Job"),
    ),
    (
        "pod-security-policies-workloads",
        &[
            ("", &["ReplicationController"]),
            (
                "apps",
                &["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
            ),
            ("batch", &["Job"]),
        ],
        "spec.template",
        ("", "Pod"),
    ),
];

pub(super) fn expansion_templates(
    environment: &Environment<'_>,
) -> Result<Vec<Manifest>, RenderError> {
    let template = environment.get_template("expansion_template.yaml.j2")?;
    EXPANSIONS
        .into_iter()
        .map(|(name, apply_to, source, (group, kind))| {
            let apply_to: BTreeMap<_, _> = apply_to.iter().copied().collect();
            let text = template.render(context! {
                name,
                apply_to => Serde(apply_to),
                source,
                generated => context! { group, kind },
            })?;
            Ok(Manifest {
                folder: Folder::Expansion,
                kind: "ExpansionTemplate".to_owned(),
                name: name.to_owned(),
                text,
            })
        })
        .collect()
}
