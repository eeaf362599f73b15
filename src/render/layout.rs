//! What stands beside the manifests, so that they are applied in order and Gatekeeper asks them.

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, context};

use super::RenderError;
use crate::manifest::{Folder, Manifest};
use crate::plan::{Bundle, CONSTRAINT_KIND};

/// The values for Gatekeeper's Helm chart.
pub const VALUES: &str = "gatekeeper-values.yaml";

/// The objects by which PSP steps aside in a namespace.
pub const HAND_OVER: &str = "hand-over.yaml";

/// The name of the PodSecurityPolicy in [`HAND_OVER`], and of what grants it.
///
/// It sorts before other names, because the plugin cannot always prefer a policy that changes nothing: where a pod has
/// a seccomp profile in the field and no annotation, every policy adds the annotation, and the first by name is taken
/// (Kubernetes 1.24, `pkg/security/podsecuritypolicy/seccomp/strategy.go`).
pub const HAND_OVER_NAME: &str = "0-psp2gatekeeper-hand-over";

/// The Flux Kustomizations.
pub const FLUX: &str = "flux.yaml";

/// Files in the output directory itself that are no manifests of what is enforced.
pub const BESIDE: [&str; 4] = [FLUX, VALUES, HAND_OVER, "kustomization.yaml"];

/// What applies the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// kubectl, folder by folder: all at once fails the first time, because the kind of the constraints is not there yet.
    Plain,
    /// Argo CD: one Application for the directory, with sync waves.
    ArgoCd,
    /// Flux: a Kustomization for each folder, which depends on the one before.
    Flux {
        /// The output directory below the root of the repository, without `./`.
        path: String,
        /// The name of the GitRepository in the namespace `flux-system`.
        source: String,
    },
}

/// Returns what stands beside the manifests, by path below the output directory.
///
/// # Errors
///
/// When a template asks for what it is not given.
pub fn beside(
    bundle: &Bundle,
    manifests: &[Manifest],
    layout: &Layout,
    environment: &Environment<'_>,
) -> Result<BTreeMap<String, String>, RenderError> {
    let folders: Vec<Folder> = Folder::ALL
        .into_iter()
        .filter(|folder| manifests.iter().any(|it| it.folder == *folder))
        .collect();
    let mut res = BTreeMap::new();
    for folder in &folders {
        let files = manifests.iter().filter(|it| it.folder == *folder);
        let files: Vec<String> = files.map(Manifest::file_name).collect();
        let annotations = annotations(layout, *folder);
        let text = kustomization(folder.name(), &files, &annotations, environment)?;
        res.insert(format!("{}/kustomization.yaml", folder.name()), text);
    }
    let names: Vec<String> = folders.iter().map(|it| it.name().to_owned()).collect();
    let root = match layout {
        Layout::Plain => None,
        Layout::ArgoCd => Some(names),
        Layout::Flux { path, source } => {
            let parts: Vec<_> = folders
                .iter()
                .map(|it| context! { folder => it.name(), name => flux_name(*it) })
                .collect();
            let template = environment.get_template("flux.yaml.j2")?;
            let crd = format!(
                "{}.constraints.gatekeeper.sh",
                CONSTRAINT_KIND.to_lowercase()
            );
            let text = template.render(context! { parts, path, source, crd })?;
            res.insert(FLUX.to_owned(), text);
            Some(vec![FLUX.to_owned()])
        }
    };
    if let Some(resources) = root {
        let text = kustomization("psp2gatekeeper", &resources, &BTreeMap::new(), environment)?;
        res.insert("kustomization.yaml".to_owned(), text);
    }
    let template = environment.get_template("gatekeeper_values.yaml.j2")?;
    let values = template.render(context! {
        mutators => !bundle.mutators.is_empty(),
        expand => bundle.expand,
    })?;
    res.insert(VALUES.to_owned(), values);
    Ok(res)
}

/// Returns the objects by which PSP steps aside in a namespace: a policy that admits every pod and fills in nothing, and a role
/// to use it.
///
/// # Errors
///
/// When the template asks for what it is not given.
pub fn hand_over(environment: &Environment<'_>) -> Result<String, RenderError> {
    let template = environment.get_template("hand_over.yaml.j2")?;
    Ok(template.render(context! { name => HAND_OVER_NAME })?)
}

/// The name of the Flux Kustomization of a folder.
pub(crate) fn flux_name(folder: Folder) -> String {
    let name = folder
        .name()
        .trim_start_matches(|it: char| !it.is_alphabetic());
    format!("psp2gatekeeper-{name}")
}

/// What kustomize adds to the objects of a folder.
fn annotations(layout: &Layout, folder: Folder) -> BTreeMap<&'static str, &'static str> {
    if *layout != Layout::ArgoCd {
        return BTreeMap::new();
    }
    let (wave, options) = match folder {
        Folder::Templates => ("0", "ServerSideApply=true"),
        Folder::Mutators => ("1", "ServerSideApply=true"),
        // Before the first sync nobody knows their kind.
        Folder::Constraints => ("2", "ServerSideApply=true,SkipDryRunOnMissingResource=true"),
        Folder::Expansion => ("3", "ServerSideApply=true"),
    };
    BTreeMap::from([
        ("argocd.argoproj.io/sync-wave", wave),
        ("argocd.argoproj.io/sync-options", options),
    ])
}

fn kustomization(
    name: &str,
    resources: &[String],
    annotations: &BTreeMap<&str, &str>,
    environment: &Environment<'_>,
) -> Result<String, RenderError> {
    let template = environment.get_template("kustomization.yaml.j2")?;
    Ok(template.render(
        context! { name, resources => Serde(resources), annotations => Serde(annotations) },
    )?)
}
