//! A live cluster, read through kubectl.
//!
//! Nothing is ever written to it: kubectl is run with `get` and `version` and no other verb.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, anyhow, bail};
use clap::Args;
use serde_json::Value;

use crate::cli::objects;
use failure::{Failure, Forbidden};
use trim::trim;

mod failure;
mod trim;
mod written;

/// Which cluster to read.
#[derive(Args, Debug)]
pub(crate) struct ClusterArgs {
    /// Read the cluster of kubectl's current context; nothing is written to it.
    #[arg(long)]
    live: bool,

    /// Read the cluster of this context of kubectl's.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,

    /// Read the cluster that this configuration of kubectl's names.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The kubectl to read it with.
    #[arg(long, value_name = "PATH", default_value = "kubectl")]
    kubectl: PathBuf,
}

/// What becomes of the values of environment variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Env {
    Kept,
    Redacted,
}

/// A resource of the API: its group, empty for the core group, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Resource {
    group: &'static str,
    name: &'static str,
}

/// What is read, PodSecurityPolicies first: without them there is no use in the rest.
const RESOURCES: [Resource; 16] = [
    resource("policy", "podsecuritypolicies"),
    resource("rbac.authorization.k8s.io", "clusterroles"),
    resource("rbac.authorization.k8s.io", "clusterrolebindings"),
    resource("rbac.authorization.k8s.io", "roles"),
    resource("rbac.authorization.k8s.io", "rolebindings"),
    resource("", "namespaces"),
    resource("", "serviceaccounts"),
    resource("apps", "daemonsets"),
    resource("apps", "deployments"),
    resource("apps", "replicasets"),
    resource("apps", "statefulsets"),
    resource("batch", "cronjobs"),
    resource("batch", "jobs"),
    resource("", "replicationcontrollers"),
    resource("", "podtemplates"),
    resource("", "pods"),
];

/// What clients renew every few seconds, so that it tells the time of the cluster.
const LEASES: Resource = resource("coordination.k8s.io", "leases");

const fn resource(group: &'static str, name: &'static str) -> Resource {
    Resource { group, name }
}

impl Resource {
    /// As kubectl takes it, so that no other group can be meant.
    fn argument(self) -> String {
        match self.group {
            "" => self.name.to_owned(),
            group => format!("{}.{group}", self.name),
        }
    }
}

/// All objects of a resource.
#[derive(Debug)]
pub(crate) struct Listing {
    /// The resource, such as `pods`.
    pub(crate) resource: &'static str,
    /// How many there are.
    pub(crate) count: usize,
    /// A `List` of them in JSON.
    pub(crate) text: String,
}

/// A cluster that kubectl can reach.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cluster<'a>(&'a ClusterArgs);

impl<'a> Cluster<'a> {
    /// Returns the cluster that the arguments name, if they name one.
    pub(crate) fn named(args: &'a ClusterArgs) -> Option<Self> {
        let named = args.live || args.context.is_some() || args.kubeconfig.is_some();
        named.then_some(Self(args))
    }

    /// Returns the cluster that the arguments name, by default that of the current context.
    pub(crate) fn new(args: &'a ClusterArgs) -> Self {
        Self(args)
    }

    /// Reads everything that matters here, in a fixed order of resources.
    ///
    /// # Errors
    ///
    /// When kubectl cannot be run, or the cluster cannot be read; with everything that it does not let us read.
    pub(crate) fn read(self, env: Env) -> anyhow::Result<Vec<Listing>> {
        let mut res = Vec::new();
        let mut forbidden = Vec::new();
        for resource in RESOURCES {
            match self.list(resource, env) {
                Ok(listing) => res.push(listing),
                Err(Failure::Forbidden(message)) => forbidden.push(Forbidden { resource, message }),
                Err(Failure::NotServed(_)) if resource.name == "podsecuritypolicies" => bail!(
                    "the cluster does not serve PodSecurityPolicies: `policy/v1beta1` is gone since Kubernetes 1.25, and what was in it with it; hand over files with -f, such as what `psp2gatekeeper snapshot` wrote before the upgrade"
                ),
                Err(Failure::NotServed(message)) => {
                    bail!(
                        "the cluster does not serve `{}`: {message}",
                        resource.argument()
                    )
                }
                Err(Failure::Other(error)) => {
                    return Err(error.context(format!("could not read `{}`", resource.argument())));
                }
            }
        }
        if !forbidden.is_empty() {
            bail!(failure::what_is_missing(&forbidden));
        }
        Ok(res)
    }

    /// Returns what the API server says of its version.
    ///
    /// # Errors
    ///
    /// When kubectl cannot be run or the API server not be reached.
    pub(crate) fn version(self) -> anyhow::Result<Value> {
        let mut version = None;
        self.run(&["version", "-o", "json"], &mut |mut it| {
            version = it.get_mut("serverVersion").map(Value::take);
            Ok(())
        })
        .map_err(|it| it.into_error().context("could not read the version"))?;
        version.ok_or_else(|| anyhow!("kubectl does not tell the version of the API server"))
    }

    /// Returns when a lease was last renewed, as the cluster wrote it down; nothing where there is none, or none may be read.
    pub(crate) fn newest_lease(self) -> Option<String> {
        let mut newest: Option<String> = None;
        self.get(LEASES, &mut |object| {
            let time = object.pointer("/spec/renewTime").and_then(Value::as_str);
            newest = newest.take().max(time.map(str::to_owned));
            Ok(())
        })
        .ok()?;
        newest
    }

    fn list(self, resource: Resource, env: Env) -> Result<Listing, Failure> {
        let mut res = Listing {
            resource: resource.name,
            count: 0,
            text: String::from("{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": ["),
        };
        self.get(resource, &mut |mut object| {
            trim(&mut object, env);
            res.text.push_str(if res.count == 0 { "\n" } else { ",\n" });
            res.text.push_str(&serde_json::to_string_pretty(&object)?);
            res.count += 1;
            Ok(())
        })?;
        res.text.push_str("\n]}\n");
        Ok(res)
    }

    fn get(
        self,
        resource: Resource,
        visit: &mut dyn FnMut(Value) -> anyhow::Result<()>,
    ) -> Result<(), Failure> {
        let resource = resource.argument();
        let arguments = ["get", &resource, "-A", "-o", "json", "--chunk-size=500"];
        self.run(&arguments, visit)
    }

    /// Runs kubectl and visits the objects that it writes as they come.
    fn run(
        self,
        arguments: &[&str],
        visit: &mut dyn FnMut(Value) -> anyhow::Result<()>,
    ) -> Result<(), Failure> {
        let Self(args) = self;
        let program = args.kubectl.display();
        let mut command = Command::new(&args.kubectl);
        command.args(arguments);
        if let Some(context) = &args.context {
            command.arg("--context").arg(context);
        }
        if let Some(kubeconfig) = &args.kubeconfig {
            command.arg("--kubeconfig").arg(kubeconfig);
        }
        // A file takes all that kubectl complains about while its output is read.
        let mut complaints = tempfile::tempfile().context("could not make a temporary file")?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(
                complaints
                    .try_clone()
                    .context("could not make a temporary file")?,
            )
            .spawn()
            .with_context(|| {
                format!(
                    "could not run `{program}`; install kubectl, or say where it is with --kubectl"
                )
            })?;
        let what = format!("what `{program} {}` wrote", arguments.join(" "));
        let read = match child.stdout.take() {
            Some(stdout) => objects::for_each_json(&what, &mut BufReader::new(stdout), visit),
            None => Ok(()),
        };
        let status = child
            .wait()
            .with_context(|| format!("could not wait for `{program}`"))?;
        if !status.success() {
            return Err(Failure::of(&text(&mut complaints)?, status));
        }
        Ok(read?)
    }
}

fn text(file: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
