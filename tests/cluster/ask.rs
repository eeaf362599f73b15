//! The pods that are asked about, and the comparison of the cluster's answers with those of `review`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::{PROJECT, path};

/// Namespaces, and service accounts there.
const PLACES: [(&str, &str); 8] = [
    ("shop", "default"),
    ("builds", "builder"),
    ("monitoring", "node-exporter"),
    ("builds", "default"),
    ("kube-system", "default"),
    ("builds", "builder"),
    ("monitoring", "default"),
    ("default", "default"),
];

/// Who creates pods, and their groups; alice and the administrator have names of their own below.
const REQUESTERS: [(&str, &[&str]); 5] = [
    (
        "system:serviceaccount:kube-system:replicaset-controller",
        SYSTEM_ACCOUNT,
    ),
    ("alice", &["developers", "system:authenticated"]),
    ("bob", &["developers", "system:authenticated"]),
    (
        "system:serviceaccount:kube-system:daemon-set-controller",
        SYSTEM_ACCOUNT,
    ),
    ("root", &["system:masters", "system:authenticated"]),
];

/// The place of alice among them, who may use what everybody may.
pub(crate) const ALICE: usize = 1;

/// The place of the administrator among them, who may use every policy.
pub(crate) const ROOT: usize = 4;

const SYSTEM_ACCOUNT: &[&str] = &[
    "system:serviceaccounts",
    "system:serviceaccounts:kube-system",
    "system:authenticated",
];

/// Who decides in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// The plugin, then Gatekeeper about what the plugin has made of the pod.
    Both,
    /// Gatekeeper alone, on the API server that PSP ran on.
    Gatekeeper,
    /// Gatekeeper alone, on an API server that reads no annotations of seccomp any more.
    GatekeeperAfterPsp,
}

/// Somebody creates a pod.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) pod: Value,
    pub(crate) namespace: String,
    pub(crate) user: &'static str,
    pub(crate) groups: &'static [&'static str],
}

impl Question {
    pub(crate) fn new(
        mut pod: Value,
        (namespace, service_account): (&str, &str),
        who: usize,
    ) -> Self {
        pod["metadata"]["namespace"] = namespace.into();
        if let Some(spec) = pod["spec"].as_object_mut() {
            spec.remove("serviceAccount");
            spec.insert("serviceAccountName".to_owned(), service_account.into());
        }
        let (user, groups) = REQUESTERS[who % REQUESTERS.len()];
        Self {
            pod,
            namespace: namespace.to_owned(),
            user,
            groups,
        }
    }
}

/// Whether admission refused it, and nothing else did.
pub(crate) fn is_refusal(complaint: &str) -> bool {
    complaint.contains("PodSecurityPolicy: unable to") || is_refusal_of_gatekeeper(complaint)
}

/// Whether Gatekeeper's validating webhook refused it.
pub(crate) fn is_refusal_of_gatekeeper(complaint: &str) -> bool {
    complaint.contains("\"validation.gatekeeper.sh\" denied the request")
}

/// Every pod of the golden cases, each in some place and by somebody.
pub(crate) fn questions() -> Vec<Question> {
    let folders = fs::read_dir(Path::new(PROJECT).join("golden")).expect("it is there");
    let folders = folders.map(|it| it.expect("it can be read").path().join("pods"));
    let files = folders.filter_map(|it| fs::read_dir(it).ok()).flatten();
    let mut files: Vec<PathBuf> = files.map(|it| it.expect("it can be read").path()).collect();
    files.sort();
    let question = |(number, file): (usize, &PathBuf)| {
        let text = fs::read_to_string(file).expect("it can be read");
        let mut pod: Value = serde_yaml::from_str(&text).expect("it is YAML");
        pod["metadata"]["name"] = format!("p{number}").into();
        // Whoever asks, a pod comes by each place; each place has as many requesters as there are.
        Question::new(pod, PLACES[number % PLACES.len()], number / PLACES.len())
    };
    files.iter().enumerate().map(question).collect()
}

/// What `review` says to each question, in their order.
fn reviews(cluster: &Path, manifests: &Path, questions: &[Question]) -> Vec<Value> {
    let mut by_requester: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (number, question) in questions.iter().enumerate() {
        by_requester.entry(question.user).or_default().push(number);
    }
    let mut res = vec![Value::Null; questions.len()];
    for (user, numbers) in by_requester {
        let mut pods = tempfile::NamedTempFile::new().expect("there is room");
        for number in &numbers {
            writeln!(pods, "{}", questions[*number].pod).expect("there is room");
        }
        let mut arguments = vec![
            "review",
            "-f",
            path(cluster),
            "--manifests",
            path(manifests),
        ];
        arguments.extend(["--requests", path(pods.path()), "-o", "json", "--as", user]);
        for group in questions[numbers[0]].groups {
            arguments.extend(["--as-group", group]);
        }
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args(&arguments)
            .output()
            .expect("the program starts");
        let answers = String::from_utf8(output.stdout).expect("it writes UTF-8");
        let answers: Vec<&str> = answers.lines().collect();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(answers.len(), numbers.len(), "an answer each: {stderr}");
        for (number, answer) in numbers.into_iter().zip(answers) {
            res[number] = serde_json::from_str(answer).expect("it is JSON");
        }
    }
    res
}

/// What `review` says where both are asked: PSP of the pod, and Gatekeeper of what PSP makes of it.
fn reviews_of_both(cluster: &Path, manifests: &Path, questions: &[Question]) -> Vec<Value> {
    let mut asked = questions.to_vec();
    let mut by_psp = reviews(cluster, manifests, questions);
    for (question, said) in asked.iter_mut().zip(&mut by_psp) {
        question.pod = said["psp"]["pod"].take();
    }
    let by_gatekeeper = reviews(cluster, manifests, &asked).into_iter();
    let both = |(psp, mut gatekeeper): (Value, Value)| {
        if psp["psp"]["allowed"] == true {
            gatekeeper["gatekeeper"].take()
        } else {
            psp["psp"].clone()
        }
    };
    by_psp.into_iter().zip(by_gatekeeper).map(both).collect()
}

/// Puts the questions to the cluster, and fails where it answers or stores something else than `review` said.
pub(crate) fn compare(
    kubectl: &Kubectl,
    cluster: &Path,
    manifests: &Path,
    questions: &[Question],
    engine: Engine,
) {
    let said = match engine {
        Engine::Both => reviews_of_both(cluster, manifests, questions),
        Engine::Gatekeeper | Engine::GatekeeperAfterPsp => reviews(cluster, manifests, questions)
            .into_iter()
            .map(|mut it| it["gatekeeper"].take())
            .collect(),
    };
    let answers: Vec<_> = questions.par_iter().map(|it| kubectl.create(it)).collect();
    let (mut admitted, mut refused, mut left_out, mut wrong) = (0, 0, 0, Vec::new());
    for ((question, said), answer) in questions.iter().zip(&said).zip(answers) {
        let complaint = answer.as_ref().err().map_or("", String::as_str);
        // Without the feature gate an API server drops `allowedProcMountTypes`, of the hand-over policy, too.
        let is_gated =
            engine == Engine::Gatekeeper && complaint.contains("ProcMountType is not allowed");
        let is_other = is_gated || !complaint.is_empty() && !is_refusal(complaint);
        if is_other && said["allowed"] == true {
            eprintln!(
                "{}: admission is not what refuses it: {complaint}",
                question.user
            );
        }
        if is_other || engine == Engine::GatekeeperAfterPsp && has_seccomp_annotation(question) {
            left_out += 1;
            continue;
        }
        if said["allowed"] != answer.is_ok() {
            wrong.push(format!("{question:?}\nreview: {said}\nreal: {answer:?}"));
            continue;
        }
        let Ok(stored) = answer else {
            refused += 1;
            continue;
        };
        admitted += 1;
        let (real, said) = (decided(&stored, engine), decided(&said["pod"], engine));
        if real != said {
            wrong.push(format!(
                "{question:?}\nreview stores: {said}\nreally stored: {real}"
            ));
        }
    }
    eprintln!("{engine:?}: {admitted} admitted, {refused} refused, {left_out} left out");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
    let enough = questions.len() / 5;
    assert!(
        admitted >= enough && refused >= enough,
        "hardly anything was asked"
    );
}

/// An API server that is newer than PSP makes nothing of it, and `review` speaks for Kubernetes 1.24.
fn has_seccomp_annotation(question: &Question) -> bool {
    let annotations = question.pod["metadata"]["annotations"].as_object();
    annotations.is_some_and(|it| it.keys().any(|it| it.contains("seccomp")))
}

/// What of a pod PSP or Gatekeeper decide.
fn decided(pod: &Value, engine: Engine) -> Value {
    let context = |it: &Value| {
        let mut res = it["securityContext"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        if engine == Engine::GatekeeperAfterPsp {
            res.retain(|key, _| key != "seccompProfile" && key != "appArmorProfile");
        }
        json!({ "name": it["name"], "securityContext": res })
    };
    let containers =
        |it: &Value| -> Vec<Value> { it.as_array().into_iter().flatten().map(context).collect() };
    let spec = &pod["spec"];
    let mut annotations = pod["metadata"]["annotations"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    match engine {
        Engine::Both => {}
        Engine::Gatekeeper => {
            annotations.remove("kubernetes.io/psp");
        }
        Engine::GatekeeperAfterPsp => annotations.clear(),
    }
    json!({
        "annotations": annotations,
        "pod": context(spec)["securityContext"],
        "containers": containers(&spec["containers"]),
        "initContainers": containers(&spec["initContainers"]),
        "runtimeClassName": spec["runtimeClassName"],
    })
}
