//! Objects gather into an inventory.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::api::meta::ObjectRef;
use crate::api::policy::PodSecurityPolicy;
use crate::api::rbac::{Binding, Role};
use crate::diagnostic::{Diagnostic, Location};

use super::decode::decode_part;
use super::documents::Document;
use super::node::{Fault, Node};
use super::objects::{self, Class, Object};
use super::report::Report;
use super::{Inventory, LoadOptions, UnusablePolicy, Workload, policy, rbac};

const DEFAULT_NAMESPACE: &str = "default";

/// What has been read so far.
pub(super) struct Gathering {
    options: LoadOptions,
    contents: Vec<(Content, Location)>,
    /// Where each object stands in `contents`.
    known: BTreeMap<ObjectRef, usize>,
    read: BTreeMap<String, usize>,
    ignored: BTreeMap<String, usize>,
}

/// What is kept of an object, and compared if it is given again.
#[derive(PartialEq)]
enum Content {
    Policy(Box<PodSecurityPolicy>),
    Unusable(UnusablePolicy),
    Role(Role),
    Binding(Binding),
    Namespace(String, BTreeMap<String, String>),
    ServiceAccount(String, String, Value),
    Workload(ObjectRef, Value),
}

/// What is read of objects whose kind allows any content.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: Identity,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identity {
    name: String,
    #[serde(rename = "generateName")]
    generate_name: String,
    namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labeled {
    metadata: Labels,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Labels {
    labels: BTreeMap<String, String>,
}

impl Gathering {
    pub(super) fn new(options: LoadOptions) -> Self {
        Self {
            options,
            contents: Vec::new(),
            known: BTreeMap::new(),
            read: BTreeMap::new(),
            ignored: BTreeMap::new(),
        }
    }

    pub(super) fn document(&mut self, report: &mut Report<'_>, document: &Document<'_>) {
        let mut unimportant = Vec::new();
        objects::for_each(&document.root, &mut |object| {
            if !self.object(report, &object) {
                unimportant.push(object.node.span.clone());
            }
        });
        // A mistake in an object that does not matter does not matter.
        let mut unimportant = unimportant.iter().peekable();
        let mut faults: Vec<&Fault> = document.faults.iter().collect();
        faults.sort_by_key(|it| it.span.start);
        for fault in faults {
            while unimportant
                .next_if(|it| it.end <= fault.span.start)
                .is_some()
            {}
            if !unimportant
                .peek()
                .is_some_and(|it| it.contains(&fault.span.start))
            {
                report.fault(fault.clone());
            }
        }
    }

    /// Adds an object; returns whether its kind matters.
    fn object(&mut self, report: &mut Report<'_>, object: &Object<'_, '_>) -> bool {
        let node = object.node;
        if object.kind.is_empty() {
            report.not_kubernetes(&node.head());
            count(&mut self.ignored, "(no kind)");
            return false;
        }
        let content = match object.class() {
            Class::Other => {
                if let Some(slip) = object.slip() {
                    let message = format!("{slip}; it was left aside");
                    let diagnostic = Diagnostic::warning("unknown-kind", message);
                    report.diagnostic(&node.head(), diagnostic);
                } else if object.has_pod_template() {
                    report.unknown_workload(object);
                } else if object.is_kustomization() {
                    report.kustomization(&node.head());
                }
                count(&mut self.ignored, object.kind);
                return false;
            }
            Class::NoSuchVersion => {
                report.error(node.head(), no_such_version(object));
                return true;
            }
            class => self.content(report, object, class),
        };
        if let Some((reference, content)) = content {
            self.add(report, node, reference, content);
        }
        true
    }

    fn content(
        &mut self,
        report: &mut Report<'_>,
        object: &Object<'_, '_>,
        class: Class,
    ) -> Option<(ObjectRef, Content)> {
        let node = object.node;
        let name = match decode_part::<Named>(node) {
            Ok(named) => named.metadata,
            Err(mismatch) => {
                let reference = ObjectRef::cluster(object.kind, "");
                report.mismatch(&reference, &node.head(), &mismatch);
                return None;
            }
        };
        let namespace = if name.namespace.is_empty() {
            DEFAULT_NAMESPACE
        } else {
            &name.namespace
        };
        let reference = match class {
            Class::Role | Class::RoleBinding | Class::ServiceAccount | Class::Workload => {
                ObjectRef::namespaced(object.kind, namespace, &name.name)
            }
            _ => ObjectRef::cluster(object.kind, &name.name),
        };
        if class != Class::Workload
            && let Some((span, text)) = node.placeholder()
        {
            report.unrendered(&reference, span, text);
            return None;
        }
        // Workloads may do without a name, and of policies the API server's own validation says it.
        if name.name.is_empty() && class != Class::Workload {
            let prefix = !name.generate_name.is_empty();
            if prefix || class != Class::PodSecurityPolicy {
                let reason = if prefix {
                    "metadata.generateName: the API server would make up the name, so it cannot be known here"
                } else {
                    "metadata.name: Required value: name or generateName is required"
                };
                report.error(node.head(), format!("{} is invalid: {reason}", object.kind));
                return None;
            }
        }
        let content = match class {
            Class::PodSecurityPolicy => match policy::read(report, node, &reference, self.options)?
            {
                Ok(policy) => Ok(Content::Policy(Box::new(policy))),
                Err(unusable) => Ok(Content::Unusable(unusable)),
            },
            Class::Role | Class::ClusterRole => {
                let role = rbac::role(report, node, &reference).transpose()?;
                role.map(Content::Role)
            }
            Class::RoleBinding | Class::ClusterRoleBinding => {
                let binding = rbac::binding(report, object, &reference).transpose()?;
                binding.map(Content::Binding)
            }
            Class::Namespace => decode_part::<Labeled>(node)
                .map(|it| Content::Namespace(name.name, it.metadata.labels)),
            Class::ServiceAccount => Ok(Content::ServiceAccount(
                namespace.to_owned(),
                name.name.clone(),
                object.to_json(),
            )),
            Class::Workload => Ok(Content::Workload(reference.clone(), object.to_json())),
            Class::NoSuchVersion | Class::Other => return None,
        };
        match content {
            Ok(content) => Some((reference, content)),
            Err(mismatch) => {
                report.mismatch(&reference, &node.head(), &mismatch);
                None
            }
        }
    }

    fn add(
        &mut self,
        report: &mut Report<'_>,
        node: &Node<'_>,
        reference: ObjectRef,
        content: Content,
    ) {
        let location = report.location(&node.span);
        let nameless = reference.name.is_empty();
        if let Some((known, first)) = self
            .known
            .get(&reference)
            .and_then(|it| self.contents.get(*it))
        {
            if *known == content {
                let message = format!("given again with the same content, first in {first}");
                let diagnostic = Diagnostic::note("duplicate-object", message).about(reference);
                report.diagnostic(&node.span, diagnostic);
            } else {
                let message =
                    format!("{reference} is given again with different content, first in {first}");
                report.error(node.head(), message);
            }
            return;
        }
        count(&mut self.read, &reference.kind);
        if !nameless {
            self.known.insert(reference, self.contents.len());
        }
        self.contents.push((content, location));
    }

    pub(super) fn finish(self) -> Inventory {
        let mut inventory = Inventory {
            proc_mount_type: self.options.proc_mount_type,
            read: self.read,
            ignored: self.ignored,
            ..Inventory::default()
        };
        for (content, location) in self.contents {
            match content {
                Content::Policy(policy) => inventory.policies.push(*policy),
                Content::Unusable(policy) => inventory.unusable_policies.push(policy),
                Content::Role(role) => inventory.roles.push(role),
                Content::Binding(binding) => inventory.bindings.push(binding),
                Content::Namespace(name, labels) => _ = inventory.namespaces.insert(name, labels),
                Content::ServiceAccount(namespace, name, object) => {
                    inventory.service_accounts.insert((namespace, name), object);
                }
                Content::Workload(reference, object) => inventory.workloads.push(Workload {
                    kind: reference.kind,
                    namespace: reference.namespace.unwrap_or_default(),
                    name: reference.name,
                    object,
                    location,
                }),
            }
        }
        inventory.policies.sort_by(|a, b| a.name.cmp(&b.name));
        inventory.unusable_policies.sort();
        inventory
            .roles
            .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        inventory
            .bindings
            .sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        inventory
    }
}

fn count(counts: &mut BTreeMap<String, usize>, kind: &str) {
    match counts.get_mut(kind) {
        Some(count) => *count += 1,
        None => _ = counts.insert(kind.to_owned(), 1),
    }
}

fn no_such_version(object: &Object<'_, '_>) -> String {
    let Object {
        kind, api_version, ..
    } = object;
    if api_version.is_empty() {
        format!("{kind} has no `apiVersion`")
    } else {
        let nearest = if *kind == "PodSecurityPolicy" {
            "policy/v1beta1"
        } else {
            "rbac.authorization.k8s.io/v1"
        };
        let hint = match object.kind {
            "Namespace" | "ServiceAccount" => String::new(),
            _ => format!("; the nearest is `{nearest}`"),
        };
        format!("there is no kind `{kind}` in the version `{api_version}`{hint}")
    }
}
