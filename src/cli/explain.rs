//! `explain`: the pages of controls, losses and diagnostics.

use std::io;

use anyhow::bail;
use clap::Args;

use crate::cli::{ExitStatus, Ui};
use crate::controls::{self, CONTROLS, Control};
use crate::diagnostic::CODES;
use crate::loss::{DIRECTIONS, Direction, GATEKEEPER, LossKind};

/// Tell what PSP did about a control aspect, how Gatekeeper is asked for the same, and what is lost.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// A control such as `run-as-user`, a field such as `spec.runAsUser`, an annotation, a loss such as
    /// `run-as-user/default-on-pod`, a direction such as `stricter`, or the code of a diagnostic; without it all of them.
    topic: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  # What can be explained
  psp2gatekeeper explain

  # Everything about the user of containers
  psp2gatekeeper explain run-as-user

  # A loss that REPORT.md names: what it is, why, and what to do
  psp2gatekeeper explain groups/default-for-all

Exit codes: 0 done; 2 there is no such topic.";

/// What the report calls the fields of the losses that no control owns, and those losses.
const FIELDS_OF_GATEKEEPER: [(&str, &str); 3] = [
    ("admission.gatekeeper.sh/ignore", "namespace-ignored"),
    ("request.userInfo.username", "own-request"),
    ("spec.os.name", "windows-pod"),
];

/// The ends of the annotations of PodSecurityPolicies and pods, and their controls.
const ANNOTATIONS: [(&str, &str); 2] = [
    ("apparmor.security.beta.kubernetes.io", "apparmor"),
    ("seccomp.security.alpha.kubernetes.io", "seccomp"),
];

pub(crate) fn run(args: &ExplainArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    match &args.topic {
        None => write_topics(ui)?,
        Some(topic) => write!(ui.stdout, "{}", explained(topic)?)?,
    }
    Ok(ExitStatus::Done)
}

fn write_topics(ui: &mut Ui<'_>) -> io::Result<()> {
    let out = &mut ui.stdout;
    writeln!(
        out,
        "Controls, with the fields of a PodSecurityPolicy that they own:"
    )?;
    for control in CONTROLS {
        let fields = control.fields().join(", ");
        writeln!(out, "  {:34} {fields}", control.name())?;
    }
    writeln!(
        out,
        "\nLosses, to be asked for with the control and a slash before them or without:"
    )?;
    for kind in LossKind::ALL {
        let of = match kind.of() {
            [] => "every control that sets a default".to_owned(),
            names => names.join(", "),
        };
        writeln!(
            out,
            "  {:34} {:9} {of}",
            kind.name(),
            kind.direction().name()
        )?;
    }
    writeln!(out, "\nDirections of losses:")?;
    for direction in DIRECTIONS {
        writeln!(out, "  {:34} {}", direction.name(), direction.meaning())?;
    }
    writeln!(out, "\nDiagnostics:")?;
    for (code, _) in CODES {
        writeln!(out, "  {code}")?;
    }
    Ok(())
}

/// The page of a topic.
///
/// # Errors
///
/// When there is none; the message has topics with similar names.
fn explained(topic: &str) -> anyhow::Result<String> {
    if let Some((code, text)) = CODES.iter().find(|(code, _)| *code == topic) {
        return Ok(format!("# {code}\n\n{text}\n"));
    }
    if let Some(direction) = DIRECTIONS.into_iter().find(|it| it.name() == topic) {
        return Ok(of_direction(direction));
    }
    if let Some((_, name)) = FIELDS_OF_GATEKEEPER
        .iter()
        .find(|(field, _)| topic.contains(field))
    {
        return explained(&format!("{GATEKEEPER}/{name}"));
    }
    if let Some(page) = control(topic).and_then(|it| controls::page(it.name())) {
        return Ok(page);
    }
    let (of, name) = match topic.split_once('/') {
        Some((of, name)) => (Some(of), name),
        None => (None, topic),
    };
    let kind = LossKind::ALL
        .into_iter()
        .find(|kind| kind.name() == name && of.is_none_or(|of| is_of(*kind, of)));
    match kind {
        Some(kind) => Ok(of_loss(kind, of, topic)),
        None => bail!(
            "there is nothing to explain under `{topic}`; {}",
            hint(topic)
        ),
    }
}

/// The control of that name, or that owns the field or annotation.
fn control(topic: &str) -> Option<&'static dyn Control> {
    let annotation = ANNOTATIONS.iter().find(|(it, _)| topic.contains(it));
    let field = topic.strip_prefix("spec.").unwrap_or(topic);
    let field = field.split(['.', '[']).next().unwrap_or_default();
    let is_meant = |it: &&&dyn Control| match annotation {
        Some((_, name)) => it.name() == *name,
        None => it.name() == topic || it.fields().contains(&field),
    };
    CONTROLS.iter().find(is_meant).copied()
}

/// Whether a loss may be of that, a control or [`GATEKEEPER`].
fn is_of(kind: LossKind, of: &str) -> bool {
    if kind.of().is_empty() {
        let mut controls = CONTROLS.iter();
        controls.any(|it| it.name() == of && !it.fills_in().is_empty())
    } else {
        kind.of().contains(&of)
    }
}

fn of_direction(direction: Direction) -> String {
    let losses = LossKind::ALL
        .into_iter()
        .filter(|it| it.direction() == direction);
    let names: Vec<String> = losses.map(|it| format!("`{}`", it.name())).collect();
    format!(
        "# {direction}\n\n{direction}: {}.\n\nLosses of this direction: {}.\n",
        direction.meaning(),
        names.join(", ")
    )
}

fn of_loss(kind: LossKind, of: Option<&str>, topic: &str) -> String {
    let own = of.and_then(controls::page).unwrap_or_default();
    let begins = format!("`{}` (", kind.name());
    let here = own.split("\n\n").find(|it| it.starts_with(&begins));
    let here = here.and_then(|it| it.split_once("): "));
    let here = here.map_or("", |(_, it)| it.trim_end());
    let page = kind.page(topic, here);
    match of {
        Some(of) if of != GATEKEEPER => format!(
            "{page}\n`psp2gatekeeper explain {of}` tells what else there is to its control.\n"
        ),
        _ => page,
    }
}

/// Where to look instead.
fn hint(topic: &str) -> String {
    const SIMILAR: f64 = 0.6;
    let of = topic.split_once('/').map(|(of, _)| of);
    let own: Vec<String> = LossKind::ALL
        .into_iter()
        .filter(|kind| of.is_some_and(|of| is_of(*kind, of)))
        .map(|kind| format!("`{}`", kind.name()))
        .collect();
    if let Some(of) = of {
        if !own.is_empty() {
            return format!("the losses of `{of}` are {}", own.join(", "));
        }
        if CONTROLS.iter().any(|it| it.name() == of) {
            return format!("`{of}` has no losses");
        }
    }
    let names = CODES.iter().map(|(code, _)| *code);
    let names = names
        .chain(LossKind::ALL.into_iter().map(LossKind::name))
        .chain(DIRECTIONS.into_iter().map(Direction::name))
        .chain(CONTROLS.iter().map(|it| it.name()))
        .chain(CONTROLS.iter().flat_map(|it| it.fields()).copied());
    let wanted = topic
        .rsplit(['.', '/'])
        .next()
        .unwrap_or(topic)
        .to_lowercase();
    let mut similar: Vec<(f64, &str)> = names
        .map(|it| {
            let similarity = strsim::normalized_damerau_levenshtein(&wanted, &it.to_lowercase());
            (similarity, it)
        })
        .filter(|(similarity, _)| *similarity >= SIMILAR)
        .collect();
    similar.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    let names: Vec<String> = similar
        .iter()
        .take(3)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    if names.is_empty() {
        "`psp2gatekeeper explain` lists the topics".to_owned()
    } else {
        format!("similar: {}", names.join(", "))
    }
}
