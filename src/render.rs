//! A [`Bundle`] becomes manifests, through the templates.

use crate::controls::defaults::{Level, MutationKind};
use crate::manifest::{Folder, Manifest};
use crate::plan::{Bundle, CONSTRAINT_KIND, Constraint, Mutator, Namespaces, Pattern, Tables};
use std::collections::BTreeMap;
use std::io;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, Output, UndefinedBehavior, Value, context};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

mod expansion;
pub mod layout;

/// The minijinja templates by name.
const TEMPLATES: &[(&str, &str)] = &[
    (
        "assign.yaml.j2",
        include_str!("../templates/assign.yaml.j2"),
    ),
    (
        "constraint_template.yaml.j2",
        include_str!("../templates/constraint_template.yaml.j2"),
    ),
    (
        "constraint.yaml.j2",
        include_str!("../templates/constraint.yaml.j2"),
    ),
    (
        "expansion_template.yaml.j2",
        include_str!("../templates/expansion_template.yaml.j2"),
    ),
    ("flux.yaml.j2", include_str!("../templates/flux.yaml.j2")),
    (
        "gatekeeper_values.yaml.j2",
        include_str!("../templates/gatekeeper_values.yaml.j2"),
    ),
    (
        "hand_over.yaml.j2",
        include_str!("../templates/hand_over.yaml.j2"),
    ),
    (
        "kustomization.yaml.j2",
        include_str!("../templates/kustomization.yaml.j2"),
    ),
    (
        "modify_set.yaml.j2",
        include_str!("../templates/modify_set.yaml.j2"),
    ),
    (
        "report.html.j2",
        include_str!("../templates/report.html.j2"),
    ),
    ("report.md.j2", include_str!("../templates/report.md.j2")),
    (
        "tables.rego.j2",
        include_str!("../templates/tables.rego.j2"),
    ),
];

/// The Rego of the entry point.
const ADMIT: &str = include_str!("../templates/rego/admit.rego");

/// The Rego library that reads policies and grants from the constraint.
const PARAMETERS: &str = include_str!("../templates/rego/lib/parameters.rego");

/// The other Rego libraries, sorted by package.
const LIBRARIES: &[&str] = &[
    include_str!("../templates/rego/lib/apparmor.rego"),
    include_str!("../templates/rego/lib/capabilities.rego"),
    include_str!("../templates/rego/lib/csi_drivers.rego"),
    include_str!("../templates/rego/lib/flex_volumes.rego"),
    include_str!("../templates/rego/lib/groups.rego"),
    include_str!("../templates/rego/lib/host_namespaces.rego"),
    include_str!("../templates/rego/lib/host_network.rego"),
    include_str!("../templates/rego/lib/host_paths.rego"),
    include_str!("../templates/rego/lib/pod.rego"),
    include_str!("../templates/rego/lib/privilege_escalation.rego"),
    include_str!("../templates/rego/lib/privileged.rego"),
    include_str!("../templates/rego/lib/proc_mount.rego"),
    include_str!("../templates/rego/lib/read_only_root_filesystem.rego"),
    include_str!("../templates/rego/lib/request.rego"),
    include_str!("../templates/rego/lib/run_as_user.rego"),
    include_str!("../templates/rego/lib/runtime_class.rego"),
    include_str!("../templates/rego/lib/seccomp.rego"),
    include_str!("../templates/rego/lib/selinux.rego"),
    include_str!("../templates/rego/lib/sysctls.rego"),
    include_str!("../templates/rego/lib/value.rego"),
    include_str!("../templates/rego/lib/volumes.rego"),
];

/// A template that does not render.
#[derive(Debug, thiserror::Error)]
#[error("could not render a template")]
pub struct RenderError(#[from] minijinja::Error);

/// Returns the templates, ready for [`render`].
///
/// # Errors
///
/// When one of them is ill-formed.
pub fn environment() -> Result<Environment<'static>, RenderError> {
    let mut res = Environment::new();
    res.set_undefined_behavior(UndefinedBehavior::Strict);
    res.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .keep_trailing_newline(true)
            .build()
            .map_err(RenderError)?,
    );
    res.set_auto_escape_callback(|name| {
        if name.ends_with(".yaml.j2") || name.ends_with(".rego.j2") {
            AutoEscape::Json
        } else if name.ends_with(".html.j2") {
            AutoEscape::Html
        } else {
            AutoEscape::None
        }
    });
    res.set_formatter(|out, state, value| match state.auto_escape() {
        AutoEscape::Json if !value.is_safe() => write_json(out, value),
        _ => minijinja::escape_formatter(out, state, value),
    });
    for (name, source) in TEMPLATES {
        res.add_template(name, source)?;
    }
    Ok(res)
}

/// Writes down the bundle: ConstraintTemplate first, then constraints, in the order in which they must be applied.
///
/// # Errors
///
/// When a template asks for what it is not given.
pub fn render(
    bundle: &Bundle,
    environment: &Environment<'_>,
) -> Result<Vec<Manifest>, RenderError> {
    let name = CONSTRAINT_KIND.to_lowercase();
    let parameters = match &bundle.tables {
        Some(tables) => render_tables(tables, environment)?,
        None => PARAMETERS.to_owned(),
    };
    let libraries: Vec<String> = LIBRARIES
        .iter()
        .chain([&parameters.as_str()])
        .map(|it| it.trim_end().to_owned())
        .collect();
    let template = environment.get_template("constraint_template.yaml.j2")?;
    let mut res = vec![Manifest {
        folder: Folder::Templates,
        kind: "ConstraintTemplate".to_owned(),
        name: name.clone(),
        text: template.render(context! {
            name,
            kind => CONSTRAINT_KIND,
            policies => &bundle.policies,
            rego => context! { admit => ADMIT.trim_end(), libs => libraries },
        })?,
    }];
    for mutator in &bundle.mutators {
        res.extend(render_mutator(bundle, mutator, environment)?);
    }
    for constraint in &bundle.constraints {
        res.push(render_constraint(bundle, constraint, environment)?);
    }
    if bundle.expand {
        res.extend(expansion::expansion_templates(environment)?);
    }
    Ok(res)
}

/// Writes the library that takes the place of [`PARAMETERS`].
fn render_tables(tables: &Tables, environment: &Environment<'_>) -> Result<String, RenderError> {
    let families: Vec<Value> = tables
        .families
        .iter()
        .map(|family| {
            let own: BTreeMap<&str, String> = family
                .own
                .iter()
                .map(|(field, pattern)| (*field, rego(pattern)))
                .collect();
            context! { shared => Serde(&family.shared), own, rows => Serde(&family.rows) }
        })
        .collect();
    let template = environment.get_template("tables.rego.j2")?;
    Ok(template.render(context! {
        families,
        policies => Serde(&tables.policies),
        grants => Serde(&tables.grants),
    })?)
}

/// A pattern as a Rego term, where `row` is the row of the policy.
fn rego(pattern: &Pattern) -> String {
    match pattern {
        // JSON is Rego.
        Pattern::Value(value) => value.to_string(),
        Pattern::Column(column) => format!("row[{column}]"),
        Pattern::List(items) => {
            let items: Vec<String> = items.iter().map(rego).collect();
            format!("[{}]", items.join(", "))
        }
        Pattern::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, it)| format!("{}: {}", serde_json::Value::from(key.as_str()), rego(it)))
                .collect();
            format!("{{{}}}", members.join(", "))
        }
    }
}

/// Writes a mutator, which is one object for the pod or one for each list of containers.
fn render_mutator(
    bundle: &Bundle,
    mutator: &Mutator,
    environment: &Environment<'_>,
) -> Result<Vec<Manifest>, RenderError> {
    let mutation = &mutator.mutation;
    let prefixes: &[(&str, &str)] = match mutation.level {
        Level::Pod => &[("", "spec.")],
        Level::Containers => &[
            ("-containers", "spec.containers[name:*]."),
            ("-init-containers", "spec.initContainers[name:*]."),
        ],
    };
    let (kind, template) = match mutation.kind {
        MutationKind::Assign => ("Assign", "assign.yaml.j2"),
        MutationKind::ModifySet => ("ModifySet", "modify_set.yaml.j2"),
    };
    let template = environment.get_template(template)?;
    let (namespaces, excluded) = match &mutator.namespaces {
        Namespaces::Only(names) => (Some(names), None),
        Namespaces::AllBut(names) => (None, (!names.is_empty()).then_some(names)),
    };
    // A mutator that is kept to CREATE passes over pods that workloads are expanded to, because nobody creates these.
    let twins: &[(&str, bool)] = if bundle.expand && bundle.mutators_know_operations {
        &[("", false), ("-expanded", true)]
    } else {
        &[("", false)]
    };
    let mut res = Vec::new();
    for ((suffix, prefix), (ending, expanded)) in prefixes
        .iter()
        .flat_map(|it| twins.iter().map(move |twin| (it, twin)))
    {
        let name = format!("{}{suffix}{ending}", mutator.name);
        res.push(Manifest {
            folder: Folder::Mutators,
            kind: kind.to_owned(),
            text: template.render(context! {
                name => &name,
                from => &mutator.policies,
                create_only => bundle.mutators_know_operations && !expanded,
                expanded,
                namespaces => Serde(namespaces),
                excluded_namespaces => Serde(excluded),
                labels => requirements(mutator),
                pod_name => &mutator.pods.name,
                location => format!("{prefix}{}", mutation.location),
                unless => mutation.unless.map(|it| format!("{prefix}{it}")),
                value => Serde(&mutation.value),
            })?,
            name,
        });
    }
    Ok(res)
}

/// What the labels of the pods must be that a mutator acts on.
fn requirements(mutator: &Mutator) -> Vec<Value> {
    let requirements = mutator.pods.labels.0.iter();
    requirements
        .map(|it| context! { key => &it.key, operator => it.operator.name(), values => Serde(&it.values) })
        .collect()
}

fn render_constraint(
    bundle: &Bundle,
    constraint: &Constraint,
    environment: &Environment<'_>,
) -> Result<Manifest, RenderError> {
    let template = environment.get_template("constraint.yaml.j2")?;
    Ok(Manifest {
        folder: Folder::Constraints,
        kind: CONSTRAINT_KIND.to_owned(),
        name: constraint.name.clone(),
        text: template.render(context! {
            kind => CONSTRAINT_KIND,
            name => &constraint.name,
            from => &bundle.policies,
            enforcement_action => Serde(constraint.enforcement_action),
            namespaces => Serde(&constraint.namespaces),
            excluded_namespaces => Serde(&constraint.excluded_namespaces),
            parameters => Serde(&constraint.parameters),
        })?,
    })
}

/// Writes a value as JSON on one line, which is YAML that every parser reads the same.
fn write_json(out: &mut Output<'_>, value: &Value) -> Result<(), minijinja::Error> {
    let mut bytes = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut bytes, OneLine))
        .map_err(|it| minijinja::Error::new(ErrorKind::BadSerialization, it.to_string()))?;
    // JSON lets these stand as they are, and YAML does not.
    let is_odd = |it: char| {
        matches!(
            it,
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        )
    };
    let text = String::from_utf8_lossy(&bytes);
    let text: Vec<String> = text
        .split_inclusive(is_odd)
        .map(
            |part| match part.chars().next_back().filter(|it| is_odd(*it)) {
                Some(odd) => format!("{}\\u{:04x}", part.trim_end_matches(odd), u32::from(odd)),
                None => part.to_owned(),
            },
        )
        .collect();
    Ok(out.write_str(&text.concat())?)
}

/// JSON with blanks after `,` and `:`, as people write it in YAML.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
