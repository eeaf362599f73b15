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
                what: "A pod that names its seccomp or AppArmor profile in the old annotation alone, and another one than the default, is denied.",
                why: "a mutator sees that the field is not there and writes the default into it; field and annotation differ then, which no API server accepts.",
                remedy: "Name the profile in the field, `securityContext.seccompProfile` (Kubernetes 1.19 and later) or `securityContext.appArmorProfile` (1.30 and later): the mutator does not touch it.",
            },
            Self::DefaultAdmits => &Text {
                name: "default-admits",
                of: &[],
                direction: Direction::Harmless,
                what: "A new pod is admitted that PodSecurityPolicy denied for lacking a value: a mutator sets the value.",
                why: "PSP denied the pod because no policy that it can have sets the value, or sets one that it accepts. A mutator of the namespace sets a value that one of these policies accepts, so the stored pod is one that PSP would have admitted.",
                remedy: "Nothing: what is stored is no weaker than a usable policy demands. `--no-mutators` sets no default at all, so that such pods are denied.",
            },
            Self::DefaultByItsNewName => &Text {
                name: "default-by-its-new-name",
                of: &["seccomp"],
                direction: Direction::Differs,
                what: "A new pod says `runtime/default` in its annotation, where the plugin wrote `docker/default`.",
                why: "the mutator writes the field, and the API server derives the annotation from it by the name of today.",
                remedy: "Nothing: both names mean the same profile.",
            },
            Self::DefaultForAll => &Text {
                name: "default-for-all",
                of: &[],
                direction: Direction::Differs,
                what: "A new pod gets a default that the policy would not have filled in by which the plugin admitted it.",
                why: "a mutator acts on every new pod of its namespaces, or on every one with its label, whoever creates it. Administrators, and whoever else may use a policy without that default, are no exception.",
                remedy: "Say the value in the workload: a mutator leaves alone what is there, but for lists of capabilities, to which it adds. `psp2gatekeeper diff` names the workloads of the input that are stored otherwise; `--no-mutators` writes no default at all, so that pods without one are refused instead.",
            },
            Self::DefaultInTheWay => &Text {
                name: "default-in-the-way",
                of: &[],
                direction: Direction::Stricter,
                what: "A new pod is refused that was admitted, because of a default that a mutator wrote into it.",
                why: "a mutator acts on every new pod of its namespaces, or on every one with its label, whoever creates it. The policies that would accept the pod forbid that value, or the API server refuses it beside another value of the pod.",
                remedy: "Say in the workload the value that its policy allows: a mutator leaves alone what is there, but for lists of capabilities, to which it adds. `psp2gatekeeper diff` names the workloads of the input that are refused.",
            },
            Self::DefaultNotSet => &Text {
                name: "default-not-set",
                of: &[],
                direction: Direction::Stricter,
                what: "A pod that leaves the field open is refused, where the plugin filled in the default and admitted it.",
                why: "a constraint changes nothing, and a mutator does not know who creates a pod. So there is one only where all policies that could decide fill in the same, or where a label tells their pods apart; and none with `--no-mutators`, or where `--max-mutators` is passed.",
                remedy: "Write the value into the workloads: `psp2gatekeeper bake` prints the patches, or edits the manifests. Or give policies that meet in a namespace the same default, and run again.",
            },
            Self::DefaultOfAnotherPolicy => &Text {
                name: "default-of-another-policy",
                of: &[],
                direction: Direction::Differs,
                what: "A new pod lacks a default that its policy would have filled in.",
                why: "the mutators of the namespace fill in what they have, and so another policy accepts the pod than the plugin would have chosen. Nothing fills in the rest of what that one did.",
                remedy: "Where the default matters, write it into the workloads: `psp2gatekeeper bake` prints the patches of those in the input.",
            },
            Self::DefaultOfTheFirst => &Text {
                name: "default-of-the-first",
                of: &[],
                direction: Direction::Differs,
                what: "A new pod whose profile of seccomp is a field alone lacks the defaults of the first policy by name.",
                why: "every policy that speaks of seccomp would write the old annotation into such a pod, so the plugin found none that accepts it as it is, and took the first by name with all its defaults. Gatekeeper finds that another one accepts it.",
                remedy: "Nothing, if the pod runs: a policy that it may use accepts it. Where the default matters, write it into the workloads: `psp2gatekeeper bake` prints the patches.",
            },
            Self::DefaultOnPod => &Text {
                name: "default-on-pod",
                of: &["apparmor", "groups", "run-as-user"],
                direction: Direction::Differs,
                what: "A new pod has the default once, in its own security context, where the plugin wrote it for each container that had none.",
                why: "a mutator that writes on containers would overrule what the pod says for all of them.",
                remedy: "Nothing: what counts for a container is the same. Only tools that look for the value on the containers have to look at the pod, too.",
            },
            Self::DefaultOnUpdate => &Text {
                name: "default-on-update",
                of: &[],
                direction: Direction::Stricter,
                what: "A pod that is older than the mutator and lacks the default cannot be changed any more, not even to remove a finalizer.",
                why: "before 3.23 Gatekeeper has no mutators that act on CREATE alone; on UPDATE the default would be added, and an API server lets nobody change such a field of a pod.",
                remedy: "Run Gatekeeper 3.23 or later and say so with `--gatekeeper-version`. Else roll the workloads out again once the mutators are there, so that all pods have the default; for one that hangs, delete the mutator for a moment.",
            },
            Self::DefaultOnlyWithoutCapabilities => &Text {
                name: "default-only-without-capabilities",
                of: &["capabilities"],
                direction: Direction::Stricter,
                what: "A container that says anything about capabilities gets no default ones, and is refused.",
                why: "the plugin spared the capabilities that a container drops; a mutator adds the same to every list.",
                remedy: "Add the capabilities in the workload: `psp2gatekeeper bake` prints the patches.",
            },
            Self::ListsNotRewritten => &Text {
                name: "lists-not-rewritten",
                of: &["capabilities"],
                direction: Direction::Differs,
                what: "A new pod has the same capabilities in its lists, in another order or one of them twice.",
                why: "the plugin wrote both lists anew, sorted and each capability once; a mutator adds to the end what is not there.",
                remedy: "Nothing: the container runs with the same capabilities.",
            },
            Self::NamespaceIgnored => &Text {
                name: "namespace-ignored",
                of: &[GATEKEEPER],
                direction: Direction::Looser,
                what: "Every pod is admitted in the namespace.",
                why: "the webhooks of Gatekeeper leave alone the namespaces with the label `admission.gatekeeper.sh/ignore`, and their own.",
                remedy: "Take the label off the namespace and run again. In Gatekeeper's own, let only administrators create pods, or have the API server enforce a Pod Security Standard; then accept the loss with `--allow-looser`.",
            },
            Self::NamespaceIgnoredDefault => &Text {
                name: "namespace-ignored-default",
                of: &[GATEKEEPER],
                direction: Direction::Differs,
                what: "A new pod gets no defaults in the namespace.",
                why: "the webhooks of Gatekeeper leave alone the namespaces with the label `admission.gatekeeper.sh/ignore`, and their own.",
                remedy: "Take the label off the namespace and run again, or write the defaults into the workloads: `psp2gatekeeper bake` prints the patches.",
            },
            Self::OwnRequest => &Text {
                name: "own-request",
                of: &[GATEKEEPER],
                direction: Direction::Looser,
                what: "Every pod is admitted that Gatekeeper's own service account asks for, in any namespace.",
                why: "the webhooks of Gatekeeper let pass what it asks for itself.",
                remedy: "See to it that nobody else can act as that service account; the role that its chart gives it lets it create no pods. Then accept the loss with `--allow-looser`.",
            },
            Self::OwnRequestDefault => &Text {
                name: "own-request-default",
                of: &[GATEKEEPER],
                direction: Direction::Differs,
                what: "A new pod that Gatekeeper's own service account asks for gets no defaults.",
                why: "the webhooks of Gatekeeper let pass what it asks for itself.",
                remedy: "Nothing, if nobody else can act as that service account.",
            },
            Self::ResetByApiServer => &Text {
                name: "reset-by-api-server",
                of: &["proc-mount"],
                direction: Direction::Harmless,
                what: "A new pod that asks for the proc mount type `Unmasked`, and for nothing else that was forbidden, is admitted and stored with `Default`.",
                why: "before Kubernetes 1.33 the feature gate `ProcMountType` is off, and the API server resets the type after mutating admission and before a constraint sees the pod. The plugin saw it earlier and refused the pod; a mutator sees it, too, but can refuse none.",
                remedy: "Nothing: no process sees another `/proc` than under PodSecurityPolicy, and from 1.33 on the constraint sees the type and forbids it (`--kubernetes-version 1.33`). Who wants to be told takes the field out of the workload.",
            },
            Self::UnsetProfile => &Text {
                name: "unset-profile",
                of: &["apparmor"],
                direction: Direction::Harmless,
                what: "A container without an AppArmor profile that is not privileged is admitted, and stored without the annotation `runtime/default` that PSP wrote. So an update is admitted that PSP refused for the missing annotation alone.",
                why: "a container without a profile runs under the default profile of its runtime, which is what `runtime/default` names, and no mutator can write an annotation whose key has the name of a container.",
                remedy: "Nothing, where every node has AppArmor. On a node without it a kubelet refuses a pod with the annotation, and runs one without it unconfined. If you have such nodes, run `migrate` with `--strict-apparmor`, which demands the profile, and write it into the workloads with `psp2gatekeeper bake --strict-apparmor`.",
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

/// What is before the slash where Gatekeeper is not asked at all.
pub const GATEKEEPER: &str = "gatekeeper";
