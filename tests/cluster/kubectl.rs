//! A cluster as kubectl sees it.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::KIND;
use super::ask::{ALICE, Question, is_refusal_of_gatekeeper};

/// How often something is tried, once a second.
const TRIES: usize = 60;

/// The kubectl of the `PATH`, for one cluster.
pub(crate) struct Kubectl {
    kubeconfig: String,
}

impl Kubectl {
    /// The cluster whose kubeconfig the variable names.
    pub(crate) fn of(variable: &str) -> Self {
        let kubeconfig = env::var(variable).unwrap_or_else(|_| {
            panic!("{variable} must name the kubeconfig of a throw-away cluster; CONTRIBUTING.md says more")
        });
        Self { kubeconfig }
    }

    /// Lets a command use the cluster.
    pub(crate) fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECONFIG", &self.kubeconfig)
    }

    /// What kubectl prints, or what it complains of.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        self.stdin(arguments, "")
    }

    pub(crate) fn stdin(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = Command::new("kubectl");
        self.environment(&mut command).args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl is on the PATH");
        let mut stdin = child.stdin.take().expect("it is piped");
        // It may have ended without reading; then it tells why.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("it writes UTF-8");
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    /// Runs printed commands, as if pasted.
    pub(crate) fn shell(&self, directory: &Path, commands: &str) {
        let mut command = Command::new("timeout");
        self.environment(&mut command)
            .args(["120", "sh", "-euc", commands])
            .current_dir(directory);
        let output = command.output().expect("there is a shell");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{stderr}");
    }

    /// Asks the API server to create the pod, without storing it; the pod as it would be stored.
    pub(crate) fn create(&self, question: &Question) -> Result<Value, String> {
        let mut arguments = vec!["create", "--dry-run=server", "-o", "json", "-f", "-"];
        arguments.extend(["-n", &question.namespace, "--as", question.user]);
        for group in question.groups {
            arguments.extend(["--as-group", group]);
        }
        let stored = self.stdin(&arguments, &question.pod.to_string())?;
        Ok(serde_json::from_str(&stored).expect("it is JSON"))
    }

    /// Waits until Gatekeeper says that constraints and mutators of the output are in force.
    pub(crate) fn wait_until_enforced(&self) {
        let kinds = format!("{KIND},assign,modifyset,assignmetadata");
        let selector = "app.kubernetes.io/managed-by=psp2gatekeeper";
        for _ in 0..TRIES {
            let list = self
                .run(&["get", &kinds, "-l", selector, "-o", "json"])
                .expect("they can be read");
            let list: Value = serde_json::from_str(&list).expect("it is JSON");
            let items = list["items"].as_array().expect("it is a list");
            let is_enforced = |it: &Value| {
                let generation = &it["metadata"]["generation"];
                let pods = it["status"]["byPod"].as_array();
                pods.is_some_and(|pods| {
                    !pods.is_empty()
                        && pods.iter().all(|pod| {
                            pod["enforced"] == true && pod["observedGeneration"] == *generation
                        })
                })
            };
            if !items.is_empty() && items.iter().all(is_enforced) {
                return;
            }
            sleep(Duration::from_secs(1));
        }
        panic!("Gatekeeper does not enforce what was applied");
    }

    /// Waits until the plugin sees the policy that lets it step aside, through caches of policies and of RBAC.
    pub(crate) fn wait_until_psp_stands_aside(&self) {
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": { "name": "host" },
            "spec": {
                "containers": [{ "name": "main", "image": "registry.example.com/main:1" }],
                "hostPID": true,
            },
        });
        let question = Question::new(pod, ("default", "default"), ALICE);
        for _ in 0..TRIES {
            // The plugin is asked before the validating webhook.
            if self
                .create(&question)
                .is_err_and(|it| is_refusal_of_gatekeeper(&it))
            {
                return;
            }
            sleep(Duration::from_secs(1));
        }
        panic!("PodSecurityPolicy does not stand aside");
    }
}
