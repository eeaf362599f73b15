//! A document becomes objects: lists are taken apart, kinds told apart.

use crate::api::rbac::RBAC_GROUP;

use super::decode::nearest;
use super::node::{Node, Value};

/// The kinds of the group [`RBAC_GROUP`].
const RBAC_KINDS: [&str; 4] = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];
/// The kinds that the groups `policy` and `extensions` have had.
const POLICY_KINDS: [&str; 12] = [
    "DaemonSet",
    "Deployment",
    "DeploymentRollback",
    "Eviction",
    "Ingress",
    "Job",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PodSecurityPolicy",
    "ReplicaSet",
    "Scale",
    "ThirdPartyResource",
];
/// The kinds of the core group that people write, and kubectl's `Config`.
const CORE_KINDS: [&str; 18] = [
    "Binding",
    "ComponentStatus",
    "Config",
    "ConfigMap",
    "Endpoints",
    "Event",
    "LimitRange",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Pod",
    "PodTemplate",
    "ReplicationController",
    "ResourceQuota",
    "Secret",
    "Service",
    "ServiceAccount",
];

/// An object of some kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Object<'n, 'a> {
    pub(super) node: &'n Node<'a>,
    /// As it stands there, or as the list says; empty if neither does.
    pub(super) api_version: &'n str,
    pub(super) kind: &'n str,
}

/// What an object is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    PodSecurityPolicy,
    Role,
    ClusterRole,
    RoleBinding,
    ClusterRoleBinding,
    Namespace,
    ServiceAccount,
    Workload,
    /// A kind that matters, in a version that no API server has served.
    NoSuchVersion,
    /// A kind that does not matter.
    Other,
}

/// Visits the objects in a document in their order; in what is not a list, that is the one object.
///
/// Items of a typed list, such as `RoleList`, may leave out what the list says already. What has no kind is visited with
/// an empty one.
pub(super) fn for_each<'n, 'a>(root: &'n Node<'a>, visit: &mut impl FnMut(Object<'n, 'a>)) {
    walk(root, ("", ""), visit);
}

fn walk<'n, 'a>(
    node: &'n Node<'a>,
    (list_api_version, list_kind): (&'n str, &'n str),
    visit: &mut impl FnMut(Object<'n, 'a>),
) {
    if node.value == Value::Null {
        return;
    }
    let api_version = node.string("apiVersion").unwrap_or(list_api_version);
    let kind = node.string("kind").unwrap_or(list_kind);
    let items = node.get("items").map(|it| &it.value);
    match (kind.strip_suffix("List"), items) {
        (Some(""), None | Some(Value::Null)) => {}
        (Some(item_kind), Some(Value::List(items))) => {
            let inherited = if item_kind.is_empty() {
                ("", "")
            } else {
                (api_version, item_kind)
            };
            for item in items {
                walk(item, inherited, visit);
            }
        }
        _ => visit(Object {
            node,
            api_version,
            kind,
        }),
    }
}

impl Object<'_, '_> {
    /// The object as an API server would have it: with the version and kind that its list says.
    pub(super) fn to_json(self) -> serde_json::Value {
        let mut res = self.node.to_json();
        if let serde_json::Value::Object(members) = &mut res {
            for (key, value) in [("apiVersion", self.api_version), ("kind", self.kind)] {
                if self.node.string(key).is_none() && !value.is_empty() {
                    members.insert(key.to_owned(), value.into());
                }
            }
        }
        res
    }

    /// Whether pods are made of it as of a Deployment, whatever its kind.
    pub(super) fn has_pod_template(&self) -> bool {
        let containers = ["spec", "template", "spec", "containers"]
            .iter()
            .try_fold(self.node, |node, key| node.get(key));
        containers.is_some_and(|it| matches!(it.value, Value::List(_)))
    }

    /// Whether it tells kustomize what to do.
    pub(super) fn is_kustomization(&self) -> bool {
        self.api_version.starts_with("kustomize.config.k8s.io/")
    }

    /// Where a kind that matters seems to be meant: what is wrong with the kind or the version, and what is nearest.
    pub(super) fn slip(&self) -> Option<String> {
        let (group, _) = self.api_version.rsplit_once('/').unwrap_or_default();
        let kind = self.kind;
        let is_rbac = RBAC_KINDS.contains(&kind);
        if is_rbac
            && group != RBAC_GROUP
            && (group.starts_with("rbac") || nearest(group, [RBAC_GROUP]).is_some())
        {
            return Some(format!(
                "there is no version `{}` of `{kind}`; the nearest is `{RBAC_GROUP}/v1`",
                self.api_version
            ));
        }
        let (known, ours): (&[&str], &[&str]) = match group {
            RBAC_GROUP => (&RBAC_KINDS, &RBAC_KINDS),
            "policy" | "extensions" => (&POLICY_KINDS, &["PodSecurityPolicy"]),
            "" => (&CORE_KINDS, &["Namespace", "Pod", "ServiceAccount"]),
            _ => (&["PodSecurityPolicy"], &[]),
        };
        if known.contains(&kind) {
            return None;
        }
        let psp = kind
            .eq_ignore_ascii_case("PodSecurityPolicy")
            .then_some("PodSecurityPolicy");
        let near = nearest(kind, known.iter().copied())
            .filter(|it| ours.contains(it))
            .or(psp);
        let hint = match near {
            Some(name) => format!("; the nearest is `{name}`"),
            None if group == RBAC_GROUP => String::new(),
            None => return None,
        };
        Some(format!(
            "there is no kind `{kind}` in the version `{}`{hint}",
            self.api_version
        ))
    }

    pub(super) fn class(&self) -> Class {
        let (group, version) = self
            .api_version
            .split_once('/')
            .unwrap_or(("", self.api_version));
        let served = |class: Class, versions: &[&str]| {
            if versions.contains(&version) {
                class
            } else {
                Class::NoSuchVersion
            }
        };
        let rbac = |class| served(class, &["v1", "v1beta1", "v1alpha1"]);
        match (group, self.kind) {
            ("policy" | "extensions", "PodSecurityPolicy") => {
                served(Class::PodSecurityPolicy, &["v1beta1"])
            }
            ("rbac.authorization.k8s.io", "Role") => rbac(Class::Role),
            ("rbac.authorization.k8s.io", "ClusterRole") => rbac(Class::ClusterRole),
            ("rbac.authorization.k8s.io", "RoleBinding") => rbac(Class::RoleBinding),
            ("rbac.authorization.k8s.io", "ClusterRoleBinding") => rbac(Class::ClusterRoleBinding),
            ("", "Namespace") => served(Class::Namespace, &["v1"]),
            ("", "ServiceAccount") => served(Class::ServiceAccount, &["v1"]),
            ("", "Pod" | "ReplicationController" | "PodTemplate")
            | ("apps" | "extensions", "Deployment" | "ReplicaSet" | "DaemonSet")
            | ("apps", "StatefulSet")
            | ("batch" | "extensions", "Job")
            | ("batch", "CronJob") => Class::Workload,
            // No other group has ever had such a kind, so this is a slip.
            (_, "PodSecurityPolicy") => Class::NoSuchVersion,
            ("", "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding") => {
                Class::NoSuchVersion
            }
            _ => Class::Other,
        }
    }
}
