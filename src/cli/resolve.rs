//! `resolve`: who may use which policies where.

use clap::Args;
use serde::Serialize;

use crate::admission::UserInfo;
use crate::cli::files::{self, InputArgs};
use crate::cli::{ExitStatus, Output, Ui};
use crate::diagnostic::{Diagnostic, printable};
use crate::input::{Inventory, nearest};
use crate::rbac::{SubjectKey, impersonated, service_account_of, service_account_user};
use crate::report::API_VERSION;
use crate::resolve::{self, Grant};

/// Tell who may use which PodSecurityPolicies where, in the order tried, and through which bindings.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ResolveArgs {
    #[command(flatten)]
    input: InputArgs,

    /// Only what holds for pods in this namespace.
    #[arg(short, long)]
    namespace: Option<String>,

    /// Only what this user may use, who asks for the pod.
    #[arg(long = "as", value_name = "USER")]
    as_user: Option<String>,

    /// Groups of that user, beside those that an API server adds: `system:authenticated`, and a service account's own; may be repeated.
    #[arg(long = "as-group", value_name = "GROUP")]
    as_group: Vec<String>,

    /// UID of that user, as kubectl takes it; nothing is decided by it.
    #[arg(long = "as-uid", value_name = "UID", requires = "as_user")]
    _as_uid: Option<String>,

    /// Only what this service account may use, which the pod runs as; `NAME` needs --namespace.
    #[arg(long, value_name = "[NAMESPACE:]NAME")]
    serviceaccount: Option<String>,

    /// How to write it.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  # Everything that is granted
  psp2gatekeeper resolve -f cluster

  # What a pod of a service account may use when a user creates it
  psp2gatekeeper resolve -f cluster -n shop --serviceaccount web --as alice --as-group developers

Exit codes: 0 done; 2 could not be done.";

/// One line of the table.
#[derive(Serialize)]
struct Row {
    /// `*` where it holds in every namespace.
    namespace: String,
    subject: Subject,
    /// In the order tried: by name.
    policies: Vec<String>,
    through: Vec<Through>,
}

#[derive(Serialize)]
struct Subject {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

#[derive(Serialize)]
struct Through {
    binding: crate::api::meta::ObjectRef,
    role: crate::api::meta::ObjectRef,
}

pub(crate) fn run(args: &ResolveArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let identities = identities(args)?;
    let (inventory, mut diagnostics) = files::load(&args.input, ui)?;
    let grants = resolve::grants(&inventory);
    diagnostics.extend(resolve::diagnostics(&inventory, &grants));
    let namespaces = args.namespace.iter();
    diagnostics.extend(namespaces.filter_map(|it| unknown(it, &inventory)));
    let rows: Vec<Row> = grants
        .iter()
        .filter(|it| holds_in(it, args.namespace.as_deref()))
        .filter(|it| {
            identities.is_empty() || identities.iter().any(|user| it.subject.matches(user))
        })
        .map(|it| row(it, &inventory))
        .filter(|it| !it.policies.is_empty())
        .collect();
    if inventory.policies.is_empty() && inventory.unusable_policies.is_empty() {
        writeln!(
            ui.stderr,
            "there is no PodSecurityPolicy in the input{}",
            inventory.where_policies_may_be()
        )?;
    } else if rows.is_empty() {
        writeln!(
            ui.stderr,
            "nobody of those asked for may use a PodSecurityPolicy"
        )?;
    }
    match args.output {
        Output::Text => table(&rows, ui)?,
        Output::Json => {
            let list = serde_json::json!({
                "apiVersion": API_VERSION,
                "kind": "GrantList",
                "items": rows,
            });
            writeln!(ui.stdout, "{}", serde_json::to_string_pretty(&list)?)?;
        }
    }
    files::tell(&diagnostics, ui)?;
    Ok(ExitStatus::Done)
}

fn identities(args: &ResolveArgs) -> anyhow::Result<Vec<UserInfo>> {
    let mut res = Vec::new();
    if args.as_user.is_some() || !args.as_group.is_empty() {
        let username = args.as_user.as_deref().unwrap_or_default();
        res.push(impersonated(username, &args.as_group));
    }
    if let Some(account) = &args.serviceaccount {
        let (namespace, name) = match (account.split_once(':'), &args.namespace) {
            (Some(parts), _) => parts,
            (None, Some(namespace)) => (namespace.as_str(), account.as_str()),
            (None, None) => anyhow::bail!(
                "--serviceaccount {account} needs its namespace: `NAMESPACE:{account}`, or --namespace"
            ),
        };
        res.push(service_account_user(namespace, name));
    }
    Ok(res)
}

/// Tells where nothing in the input has to do with the namespace.
fn unknown(namespace: &str, inventory: &Inventory) -> Option<Diagnostic> {
    let known = inventory.namespace_names();
    if known.contains(namespace) {
        return None;
    }
    let hint = match nearest(namespace, known) {
        Some(name) => format!("; the nearest name is `{name}`"),
        None => String::new(),
    };
    let message = format!(
        "nothing in the input is in a namespace `{namespace}` or grants something there, so only what is granted everywhere holds{hint}"
    );
    Some(Diagnostic::note("namespace-not-found", message))
}

fn holds_in(grant: &Grant, namespace: Option<&str>) -> bool {
    namespace.is_none() || grant.namespace.is_none() || grant.namespace.as_deref() == namespace
}

fn row(grant: &Grant, inventory: &Inventory) -> Row {
    Row {
        namespace: grant.namespace.clone().unwrap_or_else(|| "*".to_owned()),
        subject: subject(&grant.subject),
        policies: grant
            .names(inventory)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        through: grant
            .routes
            .iter()
            .map(|it| Through {
                binding: it.binding.clone(),
                role: it.role.clone(),
            })
            .collect(),
    }
}

fn subject(key: &SubjectKey) -> Subject {
    let (kind, name) = match key {
        SubjectKey::User(name) => ("User", name),
        SubjectKey::Group(name) => ("Group", name),
    };
    let account = service_account_of(name).filter(|_| kind == "User");
    match account {
        Some((namespace, name)) => Subject {
            kind: "ServiceAccount",
            namespace: Some(namespace.to_owned()),
            name: name.to_owned(),
        },
        None => Subject {
            kind,
            namespace: None,
            name: name.clone(),
        },
    }
}

fn table(rows: &[Row], ui: &mut Ui<'_>) -> anyhow::Result<()> {
    let mut lines = vec![["NAMESPACE", "SUBJECT", "POLICIES", "THROUGH"].map(str::to_owned)];
    for row in rows {
        let subject = &row.subject;
        let name = match &subject.namespace {
            Some(namespace) => format!("{} {namespace}/{}", subject.kind, subject.name),
            None => format!("{} {}", subject.kind, subject.name),
        };
        let through: Vec<_> = row
            .through
            .iter()
            .map(|it| format!("{} to {}", it.binding, it.role))
            .collect();
        let cells = [
            row.namespace.clone(),
            name,
            row.policies.join(","),
            through.join(", "),
        ];
        lines.push(cells.map(|it| printable(&it)));
    }
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|it| it.get(column))
            .map(|it| it.chars().count())
            .max()
            .unwrap_or_default()
    };
    let [first, second, third] = [0, 1, 2].map(width);
    for [namespace, subject, policies, through] in &lines {
        writeln!(
            ui.stdout,
            "{namespace:first$}  {subject:second$}  {policies:third$}  {through}"
        )?;
    }
    Ok(())
}
