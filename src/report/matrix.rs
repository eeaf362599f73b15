//! Who may use which policies where, as a table.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::input::Inventory;
use crate::rbac::{AUTHENTICATED, Granted, SERVICE_ACCOUNTS, SubjectKey, service_account_of};
use crate::resolve::Grant;

/// So many policies have a column each; more are named in a list.
const MOST_COLUMNS: usize = 12;
/// So many lines are shown.
const MOST_ROWS: usize = 1000;
/// So many namespaces or subjects are named in one place.
const MOST_NAMES: usize = 4;

/// What stands for every policy in a line of a list.
const EVERY_POLICY: &str = "every policy";

/// Who may use which policies in which namespaces, administrators by bootstrap aside.
///
/// Namespaces in which the same may be used by the same share a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Matrix {
    /// The policies that have a column, sorted by name; empty where they are too many, and lines have lists.
    pub columns: Vec<String>,
    /// What holds in every namespace first, then by the first namespace.
    pub rows: Vec<Row>,
    /// How many namespaces are left out, because the table would be too long.
    pub left_out: usize,
}

/// A line of a [`Matrix`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The namespaces, as far as they are named; empty for what holds in every namespace.
    pub namespaces: Vec<String>,
    /// How many namespaces more there are.
    pub more: usize,
    /// What stands below each column, or else the list; sorted by policy.
    pub cells: Vec<Cell>,
}

/// Who may use a policy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// The policy.
    pub policy: String,
    /// Who, in words, sorted, as far as they are named; empty for nobody.
    pub subjects: Vec<String>,
    /// How many subjects more there are.
    pub more: usize,
    /// Whether everybody, or every service account, is among them.
    pub everybody: bool,
}

/// Who may use a policy, by policy.
type Uses<'a> = BTreeMap<&'a str, BTreeSet<String>>;

impl Matrix {
    /// Draws up the table; namespaces of the input in which nothing is granted apart have no line.
    pub fn new(inventory: &Inventory, grants: &[Grant]) -> Self {
        let names: Vec<&str> = inventory
            .policies
            .iter()
            .map(|it| it.name.as_str())
            .collect();
        let wide = names.len() <= MOST_COLUMNS;
        let mut everywhere = Uses::new();
        let mut by_namespace = BTreeMap::<&str, Uses<'_>>::new();
        for grant in grants.iter().filter(|it| !it.is_bootstrap()) {
            let uses = match &grant.namespace {
                None => &mut everywhere,
                Some(namespace) => by_namespace.entry(namespace).or_default(),
            };
            let subject = in_words(&grant.subject, grant.namespace.as_deref());
            match &grant.policies {
                Granted::All if !wide => {
                    uses.entry(EVERY_POLICY).or_default().insert(subject);
                }
                policies => {
                    for name in names.iter().filter(|it| policies.contains(it)) {
                        uses.entry(name).or_default().insert(subject.clone());
                    }
                }
            }
        }
        by_namespace.retain(|_, uses| !uses.is_empty());
        let mut alike = BTreeMap::<&Uses<'_>, Vec<&str>>::new();
        for (namespace, uses) in &by_namespace {
            alike.entry(uses).or_default().push(namespace);
        }
        let mut lines: Vec<(Vec<&str>, &Uses<'_>)> = alike
            .into_iter()
            .map(|(uses, names)| (names, uses))
            .collect();
        lines.sort();
        lines.insert(0, (Vec::new(), &everywhere));
        let left_out = lines.iter().skip(MOST_ROWS).map(|(names, _)| names.len());
        let left_out = left_out.sum();
        let columns = if wide { names } else { Vec::new() };
        let row = |(namespaces, uses): (Vec<&str>, &Uses<'_>)| Row {
            more: namespaces.len().saturating_sub(MOST_NAMES),
            namespaces: namespaces
                .into_iter()
                .take(MOST_NAMES)
                .map(str::to_owned)
                .collect(),
            cells: if wide {
                columns.iter().map(|it| cell(it, uses.get(it))).collect()
            } else {
                uses.iter()
                    .map(|(name, who)| cell(name, Some(who)))
                    .collect()
            },
        };
        Self {
            rows: lines.into_iter().take(MOST_ROWS).map(row).collect(),
            columns: columns.iter().map(ToString::to_string).collect(),
            left_out,
        }
    }
}

fn cell(policy: &str, subjects: Option<&BTreeSet<String>>) -> Cell {
    let none = BTreeSet::new();
    let subjects = subjects.unwrap_or(&none);
    Cell {
        policy: policy.to_owned(),
        subjects: subjects.iter().take(MOST_NAMES).cloned().collect(),
        more: subjects.len().saturating_sub(MOST_NAMES),
        everybody: [EVERYBODY, EVERY_ACCOUNT]
            .iter()
            .any(|it| subjects.contains(*it)),
    }
}

const EVERYBODY: &str = "everybody";
const EVERY_ACCOUNT: &str = "every service account";

/// Names a subject; a service account of the namespace at hand by its name alone.
fn in_words(subject: &SubjectKey, here: Option<&str>) -> String {
    match subject {
        SubjectKey::Group(name) if name == AUTHENTICATED => EVERYBODY.to_owned(),
        SubjectKey::Group(name) if name == SERVICE_ACCOUNTS => EVERY_ACCOUNT.to_owned(),
        SubjectKey::Group(name) => {
            let namespace = name
                .strip_prefix(SERVICE_ACCOUNTS)
                .and_then(|it| it.strip_prefix(':'));
            match namespace {
                Some(namespace) if Some(namespace) == here => {
                    "every service account of the namespace".to_owned()
                }
                Some(namespace) => format!("every service account of {namespace}"),
                None => format!("group {name}"),
            }
        }
        SubjectKey::User(name) => match service_account_of(name) {
            Some((namespace, account)) if Some(namespace) == here => {
                format!("service account {account}")
            }
            Some((namespace, account)) => format!("service account {namespace}/{account}"),
            None => format!("user {name}"),
        },
    }
}
