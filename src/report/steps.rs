//! What to do next: the output comes into the cluster, and PodSecurityPolicy goes.

use std::collections::BTreeSet;

use serde::Serialize;

use super::clean_up::shell_word;
use super::losses::{is_for_lack_of_a_field, some_of};
use super::{ReportOptions, StageReport};
use crate::loss::{Loss, LossKind};
use crate::manifest::Folder;
use crate::plan::{Bundle, CONSTRAINT_KIND, EnforcementAction};
use crate::render::layout::{HAND_OVER, HAND_OVER_NAME, Layout, VALUES, flux_name};

/// Something to do.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// What, in a few sentences.
    pub text: String,
    /// The commands, if any.
    pub command: String,
    /// How to go back, as a command or in words; empty where nothing is to be undone.
    pub back: String,
}

/// How a cluster that runs PodSecurityPolicy goes over to Gatekeeper, namespace by namespace.
#[derive(Clone, Debug, Serialize)]
pub struct HandOver {
    /// What each namespace that the input names has before it, sorted by name.
    pub namespaces: Vec<NamespaceReport>,
    /// The same of all others: those of a pattern, as `team-*`, in the order of the constraints, and then the rest as `*`.
    pub others: Vec<NamespaceReport>,
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// Where a namespace stands.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceReport {
    /// Its name, or what stands for several.
    pub namespace: String,
    /// What Gatekeeper does with a violation there.
    pub enforcement_action: EnforcementAction,
    /// What to do next there.
    pub next: &'static str,
}

fn step(text: &str, command: impl Into<String>, back: impl Into<String>) -> Step {
    Step {
        text: text.to_owned(),
        command: command.into(),
        back: back.into(),
    }
}

/// How the output comes into the cluster.
pub(super) fn steps(bundle: &Bundle, losses: &[Loss], options: ReportOptions<'_>) -> Vec<Step> {
    let template = CONSTRAINT_KIND.to_lowercase();
    let mut look =
        "Read the files and the losses in this report: looser ones first, then stricter ones, then the others."
            .to_owned();
    if !bundle.mutators.is_empty() {
        look += " Mutators act as soon as they are applied, whatever the enforcement action; while PSP runs, it sets its defaults before them.";
    }
    if bundle.expand {
        look += " Workloads are expanded to pods when they are applied, and every constraint of the cluster that matches pods speaks up for these, as a warning. Nobody knows who will create such a pod, so what only a controller may use is missing there, as in audit.";
    }
    let mut res = vec![step(&look, "", "")];
    res.push(step(
        "Before you apply anything, see which workloads of the input would be admitted, denied or stored differently. `verify` evaluates requests against both and ends with exit code 1 if there is a difference that no loss declares. CLUSTER is the input of this run; give the same options.",
        "psp2gatekeeper diff -f CLUSTER\npsp2gatekeeper verify -f CLUSTER --manifests . --enforcement-action deny",
        "",
    ));
    res.push(step(
        &format!(
            "Set Gatekeeper up with `{VALUES}`, which has a reason for each value. Where it runs already, nothing is to be installed: compare its settings with these. While PodSecurityPolicy runs, Gatekeeper's own service account needs a policy, too."
        ),
        format!(
            "helm upgrade --install gatekeeper gatekeeper --repo https://open-policy-agent.github.io/gatekeeper/charts --namespace gatekeeper-system --create-namespace --values {VALUES}"
        ),
        "helm rollback gatekeeper --namespace gatekeeper-system",
    ));
    res.extend(match options.layout {
        Layout::Plain => with_kubectl(bundle, &template),
        Layout::ArgoCd => vec![step(
            "Commit the directory, and let Argo CD apply it. Templates, mutators and constraints are in sync waves; Argo CD does not know when the kind of the constraints is there, so let it try again.",
            "argocd app create psp2gatekeeper --repo REPOSITORY --path PATH --dest-server https://kubernetes.default.svc --sync-retry-limit 5\nargocd app sync psp2gatekeeper",
            "argocd app delete psp2gatekeeper",
        )],
        Layout::Flux { path, .. } => vec![step(
            "Commit the directory; let the Kustomization of your cluster include it, or apply `flux.yaml`. Constraints wait until their kind is there.",
            format!("kubectl apply -f ./{path}/flux.yaml\nkubectl -n flux-system wait --for=condition=Ready --timeout=10m kustomization/{}", flux_name(Folder::Constraints)),
            format!("kubectl delete -f ./{path}/flux.yaml"),
        )],
    });
    res.push(step(
        "See what it finds in the pods that run: audit fills this in within minutes. Who asks is in the log of the webhook alone.",
        format!("kubectl get {template} -o yaml\nkubectl logs -n gatekeeper-system -l control-plane=controller-manager --prefix | grep violation"),
        "",
    ));
    let selecting = bundle.mutators.iter().filter(|it| !it.pods.is_all());
    let labels: BTreeSet<String> = selecting.map(|it| it.pods.to_string()).collect();
    if !labels.is_empty() {
        let labels = some_of(&labels);
        res.push(step(
            &format!("Tell the authors of workloads which labels mutators select: {labels}. A new workload needs the label of those whose defaults it needs, and no other; the table of defaults has the namespaces."),
            "",
            "",
        ));
    }
    let misses_defaults = |it: &Loss| it.kind == LossKind::DefaultNotSet && it.reaches_creators;
    if losses.iter().any(misses_defaults) {
        let mut bake = "Where a default is not set, follow the `help:` line of its cause. `bake` sets the values in the workloads: it prints the patches, or edits the manifests with `--pods MANIFESTS --write`.".to_owned();
        let kubernetes = options.kubernetes;
        if losses
            .iter()
            .any(|it| is_for_lack_of_a_field(it, kubernetes))
        {
            bake += " Before Kubernetes 1.30 no mutator can set an AppArmor profile, because the key of the annotation contains the name of the container.";
        }
        res.push(step(&bake, "psp2gatekeeper bake -f CLUSTER", ""));
    }
    res.push(step(
        "Make sure that Gatekeeper is asked: both webhooks must say `Fail`, mutation must be on if there are mutators, and no namespace that had policies may be left alone.",
        "kubectl get validatingwebhookconfigurations,mutatingwebhookconfigurations -l gatekeeper.sh/system=yes -o custom-columns='NAME:.metadata.name,FAILURE:.webhooks[*].failurePolicy'\nkubectl get namespaces -l admission.gatekeeper.sh/ignore",
        "",
    ));
    res
}

fn with_kubectl(bundle: &Bundle, template: &str) -> Vec<Step> {
    let apply = |folder: Folder| format!("kubectl apply --server-side -k {}", folder.name());
    let delete = |folder: Folder| format!("kubectl delete -k {}", folder.name());
    let mut res = vec![step(
        &format!(
            "Apply the constraint template and wait until its kind is there. `NotFound` means that Gatekeeper is not done; if that goes on, `kubectl get constrainttemplate {template} -o yaml` tells why."
        ),
        // `kubectl wait` fails at once where there is no such object yet, or no status.
        format!(
            "{}\nuntil kubectl wait --for=condition=Established crd/{template}.constraints.gatekeeper.sh; do sleep 1; done",
            apply(Folder::Templates)
        ),
        delete(Folder::Templates),
    )];
    if !bundle.mutators.is_empty() {
        res.push(step(
            "Apply the mutators.",
            apply(Folder::Mutators),
            delete(Folder::Mutators),
        ));
    }
    // kubectl leaves alone what an earlier run wrote and this one does not.
    let others: Vec<&str> = ["pod-security-policies-deny", "pod-security-policies-warn"]
        .into_iter()
        .filter(|name| !bundle.constraints.iter().any(|it| it.name == *name))
        .collect();
    let mut command = apply(Folder::Constraints);
    if !others.is_empty() {
        command = format!(
            "{command}\nkubectl delete --ignore-not-found {template} {}",
            others.join(" ")
        );
    }
    let text = "Apply the constraints. What an earlier run may have written and this one does not has to go.";
    res.push(step(text, command, delete(Folder::Constraints)));
    if bundle.expand {
        res.push(step(
            "Apply the ExpansionTemplates.",
            apply(Folder::Expansion),
            delete(Folder::Expansion),
        ));
    }
    res
}

/// How PodSecurityPolicy steps aside and goes, with those namespaces first.
pub(super) fn hand_over<'a>(
    names: impl Iterator<Item = &'a str>,
    stages: &[StageReport],
    rest: EnforcementAction,
) -> HandOver {
    let binding = format!(
        "{HAND_OVER_NAME} --clusterrole={HAND_OVER_NAME} --group=system:serviceaccounts:NAMESPACE"
    );
    let everywhere =
        format!("{HAND_OVER_NAME} --clusterrole={HAND_OVER_NAME} --group=system:serviceaccounts");
    let steps = vec![
        step(
            "Keep the input of this run, or a snapshot: it is the way back, and from now on the input of each further run. A cluster where PodSecurityPolicy stands aside no longer tells what was allowed, and `migrate` refuses it.",
            "psp2gatekeeper snapshot --out-dir snapshot",
            "",
        ),
        step(
            "In a namespace where nothing unexpected shows up, let Gatekeeper forbid: add it to `--deny`, run again and apply the constraints. Both must admit a pod now.",
            "",
            "take the namespace out of `--deny`, run again and apply the constraints",
        ),
        step(
            &format!(
                "There, and nowhere else, let PodSecurityPolicy step aside: the policy in `{HAND_OVER}` admits every pod as it is, and the plugin prefers a policy that changes nothing. Gatekeeper alone decides then, and its mutators fill in the defaults. Roll the workloads out again and watch. As long as the binding is there the constraint must stay, for nothing else forbids."
            ),
            format!(
                "kubectl get {} -o jsonpath='{{.items[*].spec.enforcementAction}}'\nkubectl apply -f {HAND_OVER}\nkubectl create rolebinding -n NAMESPACE {binding}\nkubectl get events -n NAMESPACE --field-selector reason=FailedCreate",
                CONSTRAINT_KIND.to_lowercase()
            ),
            format!("kubectl delete rolebinding -n NAMESPACE {HAND_OVER_NAME}"),
        ),
        step(
            "When all namespaces are so, let the rest follow, those to come included: run with `--enforcement-action deny`, apply the constraints, and bind the policy everywhere.",
            format!("kubectl create clusterrolebinding {everywhere}"),
            format!("kubectl delete clusterrolebinding {HAND_OVER_NAME}"),
        ),
        step(
            "Disable the plugin: take `PodSecurityPolicy` out of `--enable-admission-plugins` of each API server, or use the switch of your provider. Then try, as somebody who is no administrator, a pod that should be refused. Before Kubernetes 1.25 this must be done.",
            "",
            "enable the plugin again: the policies, and who may use them, are still there",
        ),
        step(
            "Delete what PodSecurityPolicy needed. The commands stand in `report.json`; the tables below say what they do. What changed since is left alone, with an error.",
            "jq -r '.cleanUp.commands[]' report.json > clean-up.sh  # look at it, then: sh clean-up.sh",
            "apply `podsecuritypolicies.json` of the snapshot, and of its roles and bindings those that the tables name, before the plugin is enabled again; leave its workloads, they are not whole",
        ),
    ];
    HandOver {
        namespaces: namespaces(names, stages, rest),
        others: others(stages, rest),
        steps,
    }
}

/// Where a namespace stands in which Gatekeeper does this with a violation.
fn namespace(name: String, enforcement_action: EnforcementAction) -> NamespaceReport {
    NamespaceReport {
        namespace: name,
        enforcement_action,
        next: match enforcement_action {
            EnforcementAction::Dryrun => "look at what is found, then warn or deny",
            EnforcementAction::Warn => "look at what is found, then deny",
            EnforcementAction::Deny => "let PodSecurityPolicy step aside",
        },
    }
}

/// Where each of these namespaces stands, by the constraint that matches it.
fn namespaces<'a>(
    names: impl Iterator<Item = &'a str>,
    stages: &[StageReport],
    rest: EnforcementAction,
) -> Vec<NamespaceReport> {
    let report = |name: &str| {
        let is_in = |it: &&StageReport| it.namespaces.iter().any(|it| it.matches(name));
        let stage = stages.iter().find(is_in);
        namespace(
            name.to_owned(),
            stage.map_or(rest, |it| it.enforcement_action),
        )
    };
    names.map(report).collect()
}

/// Where those namespaces stand that the input does not name.
fn others(stages: &[StageReport], rest: EnforcementAction) -> Vec<NamespaceReport> {
    let of_stage = |stage: &StageReport| {
        let patterns = stage.namespaces.iter().map(ToString::to_string);
        let patterns = patterns.filter(|it| it.contains('*'));
        let action = stage.enforcement_action;
        patterns.map(|it| namespace(it, action)).collect::<Vec<_>>()
    };
    let mut res: Vec<_> = stages.iter().flat_map(of_stage).collect();
    if res.iter().all(|it| it.namespace != "*") {
        res.push(namespace("*".to_owned(), rest));
    }
    res
}

/// A command about an object, with its name as the shell takes it.
pub(super) fn about(command: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!(
            "{command} -n {} {}",
            shell_word(namespace),
            shell_word(name)
        ),
        None => format!("{command} {}", shell_word(name)),
    }
}
