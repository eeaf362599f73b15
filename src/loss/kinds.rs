//! What each loss is, why there is one, and what to do about it.

use std::fmt;

use super::Direction;

/// A kind of difference that the search for losses declares wherever it finds a pod that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LossKind {
    /// `annotation-alone`.
    AnnotationAlone,
    /// `default-admits`.
    DefaultAdmits,
    /// `default-by-its-new-name`.
    DefaultByItsNewName,
    /// `default-for-all`.
    DefaultForAll,
    /// `default-in-the-way`.
    DefaultInTheWay,
    /// `default-not-set`.
    DefaultNotSet,
    /// `default-of-another-policy`.
    DefaultOfAnotherPolicy,
    /// `default-of-the-first`.
    DefaultOfTheFirst,
    /// `default-on-pod`.
    DefaultOnPod,
    /// `default-on-update`.
    DefaultOnUpdate,
    /// `default-only-without-capabilities`.
    DefaultOnlyWithoutCapabilities,
    /// `lists-not-rewritten`.
    ListsNotRewritten,
    /// `namespace-ignored`.
    NamespaceIgnored,
    /// `namespace-ignored-default`.
    NamespaceIgnoredDefault,
    /// `own-request`.
    OwnRequest,
    /// `own-request-default`.
    OwnRequestDefault,
    /// `reset-by-api-server`.
    ResetByApiServer,
    /// `unset-profile`.
    UnsetProfile,
    /// `windows-pod`.
    WindowsPod,
}

/// What is said of a kind.
#[derive(Debug)]
struct Text {
    name: &'static str,
    of: &'static [&'static str],
    direction: Direction,
    what: &'static str,
    why: &'static str,
    remedy: &'static str,
}

impl LossKind {
    /// All kinds, sorted by name.
    pub const ALL: [Self; 19] = [
        Self::AnnotationAlone,
        Self::DefaultAdmits,
        Self::DefaultByItsNewName,
        Self::DefaultForAll,
        Self::DefaultInTheWay,
        Self::DefaultNotSet,
        Self::DefaultOfAnotherPolicy,
        Self::DefaultOfTheFirst,
        Self::DefaultOnPod,
        Self::DefaultOnUpdate,
        Self::DefaultOnlyWithoutCapabilities,
        Self::ListsNotRewritten,
        Self::NamespaceIgnored,
        Self::NamespaceIgnoredDefault,
        Self::OwnRequest,
        Self::OwnRequestDefault,
        Self::ResetByApiServer,
        Self::UnsetProfile,
        Self::WindowsPod,
    ];

    /// Its name, which is behind the slash in the name of a loss.
    pub fn name(self) -> &'static str {
        self.text().name
    }

    /// What can be before the slash, sorted; empty where that is any control that sets a default.
    pub fn of(self) -> &'static [&'static str] {
        self.text().of
    }

    /// Which way the two differ.
    pub fn direction(self) -> Direction {
        self.text().direction
    }

    /// Why Gatekeeper does not do as PSP did.
    pub fn why(self) -> &'static str {
        self.text().why
    }

    /// Its page in Markdown, under a name with what is before the slash or without.
    ///
    /// `here` has what is particular to a control, or nothing.
    pub fn page(self, name: &str, here: &str) -> String {
        let text = self.text();
        let direction = text.direction;
        let of = match text.of {
            [] => "every control that sets a default".to_owned(),
            names => format!("`{}`", names.join("`, `")),
        };
        let mut paragraphs = vec![
            format!("# {name}"),
            format!("A loss of {of}; {direction}: {}.", direction.meaning()),
            text.what.to_owned(),
            format!("Why: {}", text.why),
        ];
        if !here.is_empty() {
            paragraphs.push(format!("Here: {here}"));
        }
        paragraphs.push(format!("What to do: {}", text.remedy));
        paragraphs.join("\n\n") + "\n"
    }

    fn text(self) -> &'static Text {
        match self {
            Self::AnnotationAlone => &Text {
                name: "annotation-alone",
                of: &["apparmor", "seccomp"],
                direction: Direction::Stricter,
                what: "A pod is denied that names its seccomp or AppArmor profile in the old annotation alone, if that profile is not the default.",
                why: "a mutator sets the default in the field, because the field is absent. Field and annotation differ then, and the API server denies such a pod.",
                remedy: "Name the profile in the field: `securityContext.seccompProfile` (Kubernetes 1.19 and later) or `securityContext.appArmorProfile` (1.30 and later). The mutator never overwrites it.",
            },
            Self::DefaultAdmits => &Text {
                name: "default-admits",
                of: &[],
                direction: Direction::Harmless,
                what: "A new pod is admitted that PSP denied for lack of a value: a mutator sets the value.",
                why: "no policy that the pod can have sets the value, or the one that sets it denies the pod for another reason. A mutator of the namespace sets a value that one of these policies accepts, so PSP would have admitted the pod as it is stored.",
                remedy: "Nothing: the stored pod is one that a policy it can have accepts. With `--no-mutators` no default is set and such pods are denied.",
            },
            Self::DefaultByItsNewName => &Text {
                name: "default-by-its-new-name",
                of: &["seccomp"],
                direction: Direction::Differs,
                what: "The annotation of a new pod is `runtime/default`, where PSP set `docker/default`.",
                why: "the mutator sets the field, and the API server derives the annotation from it, which has the new name.",
                remedy: "Nothing: both names mean the same profile.",
            },
            Self::DefaultForAll => &Text {
                name: "default-for-all",
                of: &[],
                direction: Direction::Differs,
                what: "New pods get a default that their PSP would not have set.",
                why: "a mutator acts on every new pod that it selects, whoever creates it. It cannot see which policy the pod would have had, so pods get the default too whose policy sets none or another.",
                remedy: "Set the value in the workload: a mutator never overwrites a value, and only adds to lists of capabilities. `psp2gatekeeper diff` names the workloads of the input that are stored differently. With `--no-mutators` no default is set, and pods that lack one are denied.",
            },
            Self::DefaultInTheWay => &Text {
                name: "default-in-the-way",
                of: &[],
                direction: Direction::Stricter,
                what: "A new pod is denied that PSP admitted, because of a default that a mutator set.",
                why: "a mutator acts on every new pod that it selects, whoever creates it. The policies that would accept the pod do not accept the value, or the API server denies it beside another value of the pod. Mutators are chosen so that no workload of the input meets this which passes without them.",
                remedy: "Set in the workload the value that its policy accepts: a mutator never overwrites a value, and only adds to lists of capabilities. `psp2gatekeeper diff` names the workloads of the input that are denied.",
            },
            Self::DefaultNotSet => &Text {
                name: "default-not-set",
                of: &[],
                direction: Direction::Stricter,
                what: "A pod without a value is denied, where PSP set the default and admitted it.",
                why: "the constraint changes nothing, and no mutator sets the default on this pod. A mutator cannot see who creates a pod, so where pods of a namespace need different values it can serve only those that a label or a name tells apart. The report and `psp2gatekeeper diff` name the cause: the binding, the policy or the workload. With `--no-mutators`, and beyond `--max-mutators`, no default is set either.",
                remedy: "Follow the `help:` line of the cause. Set the same default in the policies that meet in the namespace; or give the pods a label of their own; or pass `--bystander SUBJECT` for somebody who creates no such pods; or run `psp2gatekeeper bake`, which sets the values in the workloads.",
            },
            Self::DefaultOfAnotherPolicy => &Text {
                name: "default-of-another-policy",
                of: &[],
                direction: Direction::Differs,
                what: "A new pod lacks a default that its PSP would have set.",
                why: "with what the mutators set, another policy accepts the pod than PSP would have chosen. Nothing sets the other defaults of the chosen one.",
                remedy: "If the default matters, set it in the workload: `psp2gatekeeper bake` prints the patches of those in the input.",
            },
            Self::DefaultOfTheFirst => &Text {
                name: "default-of-the-first",
                of: &[],
                direction: Direction::Differs,
                what: "A new pod whose seccomp profile is a field alone lacks the defaults of the first policy by name.",
                why: "every policy that names seccomp profiles would set the old annotation on such a pod. So PSP found no policy that accepts the pod unchanged, and took the first by name with all its defaults. Gatekeeper finds that another one accepts it.",
                remedy: "Nothing, if the pod runs: a policy that it can have accepts it. If the default matters, set it in the workload: `psp2gatekeeper bake` prints the patches.",
            },
            Self::DefaultOnPod => &Text {
                name: "default-on-pod",
                of: &["apparmor", "groups", "run-as-user"],
                direction: Direction::Differs,
                what: "A new pod has the default once, in its own security context, where PSP set it on each container that had none.",
                why: "a mutator that acts on containers would overrule the value of the pod for all of them.",
                remedy: "Nothing: the effect on each container is the same. Tools that read the value on containers must also read it on the pod.",
            },
            Self::DefaultOnUpdate => &Text {
                name: "default-on-update",
                of: &[],
                direction: Direction::Stricter,
                what: "A pod that was created before the mutator and lacks the default cannot be updated, not even to remove a finalizer.",
                why: "before 3.23 Gatekeeper cannot keep a mutator to CREATE. On UPDATE it would add the default, and the API server denies such a change of a pod.",
                remedy: "Run Gatekeeper 3.23 or later and pass `--gatekeeper-version`. Otherwise restart the workloads once the mutators are applied, so that all pods have the default; if a pod hangs, delete the mutator for a moment.",
            },
            Self::DefaultOnlyWithoutCapabilities => &Text {
                name: "default-only-without-capabilities",
                of: &["capabilities"],
                direction: Direction::Stricter,
                what: "A container that adds or drops any capability gets no default capabilities, and is denied.",
                why: "PSP added no default capability that a container drops; a mutator adds the same to every list.",
                remedy: "Add the capabilities in the workload: `psp2gatekeeper bake` prints the patches.",
            },
            Self::ListsNotRewritten => &Text {
                name: "lists-not-rewritten",
                of: &["capabilities"],
                direction: Direction::Differs,
                what: "A new pod has the same capabilities in its lists, in another order or one of them twice.",
                why: "PSP rewrote both lists, sorted and without duplicates; a mutator appends what is missing.",
                remedy: "Nothing: the container runs with the same capabilities.",
            },
            Self::NamespaceIgnored => &Text {
                name: "namespace-ignored",
                of: &[GATEKEEPER],
                direction: Direction::Looser,
                what: "Every pod in the namespace is admitted.",
                why: "the webhooks of Gatekeeper exempt their own namespace and those with the label `admission.gatekeeper.sh/ignore`.",
                remedy: "Remove the label from the namespace and run again. In Gatekeeper's own namespace, permit only administrators to create pods, or have the API server enforce a Pod Security Standard; then accept the loss with `--allow-looser`.",
            },
            Self::NamespaceIgnoredDefault => &Text {
                name: "namespace-ignored-default",
                of: &[GATEKEEPER],
                direction: Direction::Differs,
                what: "New pods in the namespace get no defaults.",
                why: "the webhooks of Gatekeeper exempt their own namespace and those with the label `admission.gatekeeper.sh/ignore`.",
                remedy: "Remove the label from the namespace and run again, or set the defaults in the workloads: `psp2gatekeeper bake` prints the patches.",
            },
            Self::OwnRequest => &Text {
                name: "own-request",
                of: &[GATEKEEPER],
                direction: Direction::Looser,
                what: "Every pod that Gatekeeper's own service account creates is admitted, in any namespace.",
                why: "the webhooks of Gatekeeper exempt its own service account.",
                remedy: "Make sure that nobody else can act as that service account; the role from Gatekeeper's chart does not permit it to create pods. Then accept the loss with `--allow-looser`.",
            },
            Self::OwnRequestDefault => &Text {
                name: "own-request-default",
                of: &[GATEKEEPER],
                direction: Direction::Differs,
                what: "New pods that Gatekeeper's own service account creates get no defaults.",
                why: "the webhooks of Gatekeeper exempt its own service account.",
                remedy: "Nothing, if nobody else can act as that service account.",
            },
            Self::ResetByApiServer => &Text {
                name: "reset-by-api-server",
                of: &["proc-mount"],
                direction: Direction::Harmless,
                what: "A new pod that asks for the proc mount type `Unmasked`, and for nothing else that PSP denied, is admitted and stored with `Default`.",
                why: "before Kubernetes 1.33 the feature gate `ProcMountType` is off, and the API server resets the type after mutating admission and before a constraint sees the pod. PSP saw it earlier and denied the pod; a mutator sees it too, but cannot deny.",
                remedy: "Nothing: no process sees another `/proc` than under PSP, and from 1.33 on the constraint sees the type and denies it (`--kubernetes-version 1.33`). Remove `procMount` from the workload to silence this.",
            },
            Self::UnsetProfile => &Text {
                name: "unset-profile",
                of: &["apparmor"],
                direction: Direction::Harmless,
                what: "A container without an AppArmor profile that is not privileged is admitted, and stored without the annotation `runtime/default` that PSP set. So an update is admitted too that PSP denied for the missing annotation alone.",
                why: "a container without a profile runs under the default profile of its runtime, which is what `runtime/default` names, and no mutator can write an annotation whose key has the name of a container.",
                remedy: "Nothing, if every node has AppArmor. On a node without it a kubelet denies a pod with the annotation, and runs one without it unconfined. If you have such nodes, run `migrate` with `--strict-apparmor`, which demands the profile, and set it in the workloads with `psp2gatekeeper bake --strict-apparmor`.",
            },
            Self::WindowsPod => &Text {
                name: "windows-pod",
                of: &[GATEKEEPER],
                direction: Direction::Stricter,
                what: "A pod for Windows (`spec.os.name: windows`) is denied that PSP admitted by a policy without defaults.",
                why: "a mutator sets the defaults of the namespace in every pod, and the API server refuses most of these fields beside `os.name: windows`. No mutator can select pods by their operating system.",
                remedy: "Run Windows workloads in a namespace of their own whose policies set no defaults, or leave `spec.os` out and select nodes by their label `kubernetes.io/os` alone.",
            },
        }
    }
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is before the slash where Gatekeeper is not asked.
pub const GATEKEEPER: &str = "gatekeeper";
