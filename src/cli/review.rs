//! `review`: what PSP decides about a pod and why, and what Gatekeeper does.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use rayon::prelude::*;
use serde_json::Value;

use crate::admission::{AdmissionRequest, Operation, UserInfo};
use crate::cli::both::{self, Both};
use crate::cli::files::{self, InputArgs};
use crate::cli::{ExitStatus, Output, Ui, enforcement, migrate, out_dir};
use crate::gatekeeper::ReviewError;
use crate::input::{self, Source};
use crate::loss::{Direction, Loss};
use crate::manifest::Manifest;
use crate::psp::{Outcome, PspAdmission};
use crate::rbac::impersonated;
use crate::report::write_remedies;
use crate::resolve::{self, Grant};
use crate::review::{Review, request, review, routes};
use crate::verify::{Answerers, explain};

/// Tell for pods what PSP decides and why, and what the output decides and why.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ReviewArgs {
    #[command(flatten)]
    input: InputArgs,

    /// File with Pods or AdmissionReviews in YAML, JSON or JSON lines, or `-` for stdin; may be repeated.
    #[arg(long, required = true, visible_alias = "pods", value_name = "PATH")]
    requests: Vec<PathBuf>,

    /// Who creates the Pods; without it the controller of what a Pod belongs to, else that of a `ReplicaSet`.
    #[arg(long = "as", value_name = "USER")]
    as_user: Option<String>,

    /// Groups of that user, beside those that an API server adds: `system:authenticated`, and a service account's own; may be repeated.
    #[arg(long = "as-group", value_name = "GROUP", requires = "as_user")]
    as_group: Vec<String>,

    /// UID of that user, as kubectl takes it; nothing is decided by it.
    #[arg(long = "as-uid", value_name = "UID", requires = "as_user")]
    _as_uid: Option<String>,

    /// Judge by what stands in this directory, instead of what `migrate` would write now.
    #[arg(long, alias = "out-dir", value_name = "DIR")]
    manifests: Option<PathBuf>,

    #[command(flatten)]
    target: migrate::TargetArgs,

    /// How to write it: for people, or one JSON object a line.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

const EXAMPLES: &str = "\
Examples:
  # Which policy applies to this pod, and why
  psp2gatekeeper review -f cluster --requests pod.yaml

  # The same if alice creates it
  psp2gatekeeper review -f cluster --requests pod.yaml --as alice --as-group developers

  # A stream of AdmissionReviews, judged by what was written before
  psp2gatekeeper review -f cluster --manifests gatekeeper --requests - -o json < reviews.jsonl

Exit codes: 0 done; 1 the two disagree, and no loss declares it; 2 could not be done.";

/// How many requests are answered at a time, so that memory stays bounded and both cores are used.
const BATCH: usize = 1024;

pub(crate) fn run(args: &ReviewArgs, ui: &mut Ui<'_>) -> anyhow::Result<ExitStatus> {
    let (inventory, diagnostics) = files::load(&args.input, ui)?;
    files::tell(&diagnostics, ui)?;
    let grants = resolve::grants(&inventory);
    let (now, losses) = migrate::now(&inventory, &grants, &args.target)?;
    let prepare = |manifests: &[Manifest]| {
        both::gatekeeper(&inventory, manifests, args.target.kubernetes_version)
    };
    let (gatekeeper, now) = match &args.manifests {
        Some(directory) => {
            let manifests = out_dir::read(directory)?;
            if !enforcement::denies(&manifests) {
                writeln!(
                    ui.stderr,
                    "nothing in `{}` denies, so Gatekeeper admits every pod; its violations tell what it would forbid",
                    directory.display()
                )?;
            }
            (prepare(&manifests)?, Some(prepare(&now)?))
        }
        None => (prepare(&now)?, None),
    };
    let session = Session {
        grants,
        losses,
        both: Both {
            inventory: &inventory,
            psp: PspAdmission::new(&inventory),
            gatekeeper,
            now,
            as_if_deny: false,
        },
        asker: args
            .as_user
            .as_ref()
            .map(|it| impersonated(it, &args.as_group)),
        output: args.output,
    };
    let mut tally = Tally::default();
    for path in &args.requests {
        session
            .file(path, &mut tally, ui)
            .with_context(|| format!("`{}`", path.display()))?;
    }
    match tally.unanswered {
        0 => {}
        1 => bail!("one object has no answer"),
        many => bail!("{many} objects have no answer"),
    }
    Ok(if tally.disagreed {
        ExitStatus::Found
    } else {
        ExitStatus::Done
    })
}

/// What came of all objects.
#[derive(Default)]
struct Tally {
    /// Whether the two disagreed somewhere, undeclared.
    disagreed: bool,
    /// How many objects are no request.
    unanswered: usize,
}

/// How the two differ, and the losses that explain it; none where nothing does.
type Difference<'a> = (Direction, Vec<&'a Loss>);

/// What both say, and how they differ, if they do.
type Answer<'a> = (Review, Option<Difference<'a>>);

struct Session<'a> {
    grants: Vec<Grant>,
    losses: Vec<Loss>,
    both: Both<'a>,
    asker: Option<UserInfo>,
    output: Output,
}

impl Session<'_> {
    /// Answers what stands in a file; an object that is no request does not keep the others from their answers.
    fn file(&self, path: &Path, tally: &mut Tally, ui: &mut Ui<'_>) -> anyhow::Result<()> {
        let mut reader: Box<dyn BufRead> = if path.as_os_str() == "-" {
            Box::new(BufReader::new(std::io::stdin()))
        } else {
            Box::new(BufReader::new(std::fs::File::open(path)?))
        };
        let json = reader.fill_buf()?.trim_ascii_start().starts_with(b"{");
        let mut objects: Box<dyn Iterator<Item = anyhow::Result<Value>>> = if json {
            let stream = serde_json::Deserializer::from_reader(reader).into_iter::<Value>();
            Box::new(stream.map(|it| it.map_err(|it| anyhow!("this is not JSON: {it}"))))
        } else {
            let mut text = String::new();
            reader.read_to_string(&mut text)?;
            let name = path.display().to_string();
            let objects = input::objects(&Source { name, text }).map_err(|it| {
                let errors: Vec<_> = it
                    .errors
                    .iter()
                    .map(|it| format!("{}: {}", it.location, it.message))
                    .collect();
                anyhow!(errors.join("; "))
            })?;
            Box::new(objects.into_iter().map(Ok))
        };
        let mut number = 0;
        loop {
            let batch: Vec<_> = objects.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                break;
            }
            let answers: Vec<_> = batch.into_par_iter().map(|it| self.answer(it?)).collect();
            for answer in answers {
                number += 1;
                let (review, difference) = match answer? {
                    Ok(it) => it,
                    Err(why) => {
                        tally.unanswered += 1;
                        let path = path.display();
                        writeln!(ui.stderr, "error: `{path}`: object {number}: {why}")?;
                        continue;
                    }
                };
                tally.disagreed |= matches!(&difference, Some((_, losses)) if losses.is_empty());
                match self.output {
                    Output::Json => {
                        let losses = difference.map(|it| it.1).unwrap_or_default();
                        writeln!(ui.stdout, "{}", review.to_json(&losses))?;
                    }
                    Output::Text => self.tell(&review, difference.as_ref(), ui)?,
                }
            }
        }
        if number == 0 {
            bail!("there is no Pod and no AdmissionReview in it");
        }
        Ok(())
    }

    /// Answers an object, or tells why it is no request.
    fn answer(&self, object: Value) -> anyhow::Result<Result<Answer<'_>, String>> {
        match request(self.both.inventory, self.asker.as_ref(), object) {
            Ok(request) => Ok(Ok(self.review(request)?)),
            Err(why) => Ok(Err(why)),
        }
    }

    /// Answers a request; with how the two differ, if they do, and the losses that explain it, if there are any.
    fn review(&self, request: AdmissionRequest) -> Result<Answer<'_>, ReviewError> {
        let review = review(&self.both.psp, &self.both.gatekeeper, request)?;
        if review.is_equal() {
            return Ok((review, None));
        }
        let Some(answers) = self.both.ask(&review.request)? else {
            return Ok((review, None)); // the API server refuses it by itself
        };
        let Some(direction) = answers.direction() else {
            return Ok((review, None));
        };
        let request = &review.request;
        let losses = explain(&self.both, &self.losses, request, &answers, direction)?
            .unwrap_or_default()
            .into_iter()
            .filter_map(|it| self.losses.get(it))
            .collect();
        Ok((review, Some((direction, losses))))
    }

    fn tell(
        &self,
        review: &Review,
        difference: Option<&Difference<'_>>,
        ui: &mut Ui<'_>,
    ) -> anyhow::Result<()> {
        let request = &review.request;
        let verb = match request.operation {
            Operation::Create => "create",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::Connect => "connect to",
        };
        let name = [request.pod.name(), request.pod.generate_name()]
            .into_iter()
            .find(|it| !it.is_empty())
            .unwrap_or("(no name)");
        writeln!(ui.stdout, "Pod {}/{name}", request.namespace)?;
        writeln!(
            ui.stdout,
            "  {} would {verb} it{}, to run as service account {}",
            request.user_info.username,
            match request.subresource.as_str() {
                "" => String::new(),
                subresource => format!(" through {subresource}"),
            },
            match request.pod.service_account_name() {
                "" => "(none)",
                account => account,
            }
        )?;
        let psp = &review.psp;
        writeln!(
            ui.stdout,
            "PSP {}",
            match (psp.allowed, psp.policy.as_str()) {
                (true, "") => "is not asked".to_owned(),
                (true, policy) => format!("admits it by {policy}"),
                (false, _) => "forbids it".to_owned(),
            }
        )?;
        if psp.trials.is_empty() && !psp.allowed {
            writeln!(ui.stdout, "  nobody involved may use a policy here")?;
        }
        for trial in &psp.trials {
            let who = match (trial.usable_by.service_account, trial.usable_by.requester) {
                (true, true) => "service account and requester",
                (true, false) => "service account",
                _ => "requester",
            };
            let outcome = match &trial.outcome {
                Outcome::Unchanged => "accepts it as it is",
                Outcome::Defaulted(_) if request.operation == Operation::Create => {
                    "accepts it and fills in"
                }
                Outcome::Defaulted(_) => "would have to fill in, which an update may not",
                Outcome::Refused(_) => "refuses it",
            };
            let routes = routes(&self.grants, request, &trial.policy).join(", ");
            writeln!(
                ui.stdout,
                "  {} {outcome} (usable by {who} through {routes})",
                trial.policy
            )?;
            match &trial.outcome {
                Outcome::Unchanged => {}
                Outcome::Defaulted(changes) => {
                    for change in changes {
                        writeln!(ui.stdout, "    {} = {}", change.path, change.value)?;
                    }
                }
                Outcome::Refused(errors) => {
                    for error in errors {
                        writeln!(ui.stdout, "    {error}")?;
                    }
                }
            }
        }
        let gatekeeper = &review.gatekeeper;
        writeln!(
            ui.stdout,
            "Gatekeeper {} it",
            if gatekeeper.allowed {
                "admits"
            } else {
                "forbids"
            }
        )?;
        for violation in &gatekeeper.violations {
            writeln!(
                ui.stdout,
                "  {} ({}): {}",
                violation.constraint, violation.enforcement_action, violation.message
            )?;
        }
        if let Some(error) = &gatekeeper.error {
            writeln!(ui.stdout, "  error: {error}")?;
        }
        for (who, refusal) in [
            ("PSP", &psp.api_server),
            ("Gatekeeper", &gatekeeper.api_server),
        ] {
            if let Some(why) = refusal {
                writeln!(
                    ui.stdout,
                    "The API server refuses what {who} makes of it: {why}"
                )?;
            }
        }
        if difference.is_none() && (psp.api_server.is_some() || !review.is_equal()) {
            if let Some(why) = self.both.refused_as_sent(request) {
                writeln!(
                    ui.stdout,
                    "No disagreement: the API server refuses the pod by itself: {why}"
                )?;
            } else if psp.api_server.is_some() {
                writeln!(
                    ui.stdout,
                    "No disagreement: no policy denies the pod, and the API server refuses it with the defaults of {}",
                    psp.policy
                )?;
            }
        }
        if let Some((direction, losses)) = difference {
            let what = match direction {
                Direction::Looser => "Gatekeeper is looser",
                Direction::Stricter => "Gatekeeper is stricter",
                Direction::Differs => "another pod is stored",
                Direction::Harmless => "Gatekeeper is looser, without what was forbidden",
            };
            if losses.is_empty() {
                writeln!(ui.stdout, "They disagree: {what}, and no loss declares it")?;
            } else {
                writeln!(ui.stdout, "They disagree: {what}, as declared")?;
            }
            for loss in losses {
                writeln!(ui.stdout, "  {loss}")?;
            }
            let causes = losses.iter();
            let causes = causes.flat_map(|it| it.causes_in(&request.namespace));
            write_remedies(ui.stdout, causes, "  ")?;
        }
        Ok(())
    }
}
