//! What is baked passes with nothing to fill anything in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use psp2gatekeeper::admission::AdmissionRequest;
use psp2gatekeeper::api::apparmor::annotation_key;
use psp2gatekeeper::api::core::RUNTIME_DEFAULT;
use psp2gatekeeper::api::seccomp;
use psp2gatekeeper::bake::apply;
use psp2gatekeeper::gatekeeper::GatekeeperAdmission;
use psp2gatekeeper::input::{self, Inventory, LoadOptions, Source};
use psp2gatekeeper::plan::{EnforcementAction, PlanOptions};
use psp2gatekeeper::psp::{PSP_ANNOTATION, PspAdmission};
use psp2gatekeeper::render::{environment, render};
use psp2gatekeeper::requests::{own_pod, prepare};
use psp2gatekeeper::version::Version;
use serde_json::{Value, json};

use super::psp2gatekeeper;

/// A baked pod is admitted by PSP as it is, and by the constraint with no mutator beside it.
#[test]
fn baked_pods_of_the_golden_cases_pass_without_defaults() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut patched = 0;
    for case in sorted(&root).into_iter().filter(|it| it.is_dir()) {
        let (input, pods) = (case.join("input"), case.join("pods"));
        let pods = objects(&sorted(&pods));
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": pods.values().collect::<Vec<_>>() });
        let folder = tempfile::tempdir().expect("there is room");
        let list_path = folder.path().join("pods.json");
        fs::write(&list_path, list.to_string()).expect("it can be written");
        let list_path = list_path.display().to_string();
        let arguments = "bake -f input -n shop -o json --pods".split(' ');
        let run = psp2gatekeeper(&case, arguments.chain([&*list_path]));
        // What is no cluster, or has no pods, is another test's business.
        let (Some(inventory), true) = (load(&input), run.code < 2) else {
            continue;
        };
        let report: Value = serde_json::from_str(&run.stdout).expect("it is JSON");
        assert_eq!(report["summary"]["insufficient"], 0, "{}", run.stderr);
        if report["summary"]["patched"] == 0 {
            continue;
        }
        let options = PlanOptions {
            enforcement_action: EnforcementAction::Deny,
            mutators: false,
            max_mutators: 0,
            gatekeeper: Version::new(3, 23),
            kubernetes: Version::new(1, 24),
            strict_app_armor: false,
        };
        let (bundle, _) = crate::support::planned(&inventory, options);
        let manifests = render(&bundle, &environment().expect("they are ours")).expect("they fit");
        let gatekeeper = GatekeeperAdmission::from_manifests(&manifests, &inventory.namespaces)
            .expect("they are read");
        let psp = PspAdmission::new(&inventory);
        for workload in report["workloads"].as_array().into_iter().flatten() {
            let name = workload["name"].as_str().unwrap_or_default();
            if workload["result"] != "patched" && workload["result"] != "complete" {
                continue;
            }
            let mut object = pods.get(name).expect("it is one of them").clone();
            if workload["result"] == "patched" {
                apply(&mut object, &workload["patch"]);
                patched += 1;
            }
            let mut request = own_pod(&object).expect("it is a pod").request;
            request.namespace = workload["namespace"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let name = format!("{}: {name}", case.display());
            passes(&psp, &gatekeeper, &prepare(&inventory, request), &name);
        }
    }
    assert!(patched > 15, "{patched}");
}

#[track_caller]
fn passes(
    psp: &PspAdmission<'_>,
    gatekeeper: &GatekeeperAdmission,
    asked: &AdmissionRequest,
    name: &str,
) {
    let mut review = psp.review(asked);
    assert!(review.is_allowed(), "{name}: {review:?}");
    let mut alone = asked.pod.clone();
    psp.prepare(asked, &mut alone);
    // A container without a profile has that of the runtime, so nothing is written for it.
    for container in asked.pod.containers() {
        let key = annotation_key(container.name());
        let path = ["metadata", "annotations", key.as_str()];
        let set = review.pod.get(&path);
        if asked.pod.get(&path).is_none() && set == Some(&json!(RUNTIME_DEFAULT)) {
            review.pod.remove(&path);
        }
    }
    for pod in [&mut review.pod, &mut alone] {
        pod.remove(&["metadata", "annotations", PSP_ANNOTATION]);
        if pod.get(&["metadata", "annotations"]) == Some(&json!({})) {
            pod.remove(&["metadata", "annotations"]);
        }
    }
    assert_eq!(review.pod, alone, "{name}: PSP changes it");
    let mut asked = asked.clone();
    seccomp::sync(&mut asked.pod);
    let violations = gatekeeper.validate(&asked).expect("it can be known");
    assert!(violations.is_empty(), "{name}: {violations:?}");
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("it is there").path()).collect();
    paths.sort();
    paths
}

fn sources(paths: &[PathBuf]) -> Vec<Source> {
    let source = |it: &PathBuf| Source {
        name: it.display().to_string(),
        text: fs::read_to_string(it).expect("it can be read"),
    };
    paths.iter().map(source).collect()
}

/// The first object of each file, by the name that it is given: that of the file.
fn objects(paths: &[PathBuf]) -> BTreeMap<String, Value> {
    let mut res = BTreeMap::new();
    for path in paths {
        let source = &sources(std::slice::from_ref(path))[0];
        let objects = input::objects(source).unwrap_or_default();
        if let Some(mut object) = objects.into_iter().next() {
            let stem = path.file_stem().unwrap_or_default();
            let name = stem.to_string_lossy().replace('_', "-");
            object["metadata"]["name"] = json!(name);
            res.insert(name, object);
        }
    }
    res
}

fn load(folder: &Path) -> Option<Inventory> {
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(&sources(&sorted(folder)), options).ok()?;
    Some(inventory)
}
