use serde_json::json;

use super::memo::Memo;
use crate::api::core::Pod;
use crate::api::policy::PodSecurityPolicy;
use crate::input::{self, LoadOptions, Source};
use crate::version::Version;

const PROFILES: &str = "apparmor.security.beta.kubernetes.io/allowedProfileNames: runtime/default, \
    apparmor.security.beta.kubernetes.io/defaultProfileName: runtime/default";

fn policies(policies: &[(&str, &str, &str)]) -> Vec<PodSecurityPolicy> {
    let texts = policies.iter().map(|(name, annotations, fields)| {
        format!(
            "---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  privileged: true
  runAsUser: {{rule: RunAsAny}}
  seLinux: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  fsGroup: {{rule: RunAsAny}}
  {fields}
"
        )
    });
    let source = Source {
        name: "policies.yaml".to_owned(),
        text: texts.collect(),
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    input::load(&[source], options).unwrap().0.policies
}

fn pod(context: &serde_json::Value) -> Pod {
    let container = json!({ "name": "app", "image": "app", "securityContext": context });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": "web" },
        "spec": { "containers": [container] },
    });
    Pod(pod.as_object().unwrap().clone())
}

fn memo(strict_app_armor: bool) -> Memo {
    Memo::new(Version::new(1, 24), strict_app_armor)
}

#[test]
fn a_policy_that_sets_nothing_comes_before_the_first_that_sets_something() {
    let all = policies(&[
        ("a", "", "readOnlyRootFilesystem: true"),
        ("b", "", "readOnlyRootFilesystem: true"),
        ("c", "", ""),
    ]);
    let all: Vec<&PodSecurityPolicy> = all.iter().collect();
    let memo = memo(false);
    let chosen = |usable: &[&PodSecurityPolicy], context| {
        let pod = pod(&context);
        // The second time it is known.
        let [first, second] = [(), ()].map(|()| {
            let choice = memo.choice(usable, &pod);
            choice.map(|(psp, sets)| (psp.name.clone(), sets))
        });
        assert_eq!(first, second);
        first
    };
    let some = |name: &str, sets| Some((name.to_owned(), sets));
    assert_eq!(chosen(&all, json!({})), some("c", false));
    assert_eq!(chosen(&all[..2], json!({})), some("a", true));
    let writable = json!({ "readOnlyRootFilesystem": false });
    assert_eq!(chosen(&all[..2], writable.clone()), None);
    assert_eq!(chosen(&all, writable), some("c", false));
}

#[test]
fn what_stands_is_accepted_and_what_lacks_a_default_is_not() {
    let all = policies(&[("a", "", "readOnlyRootFilesystem: true")]);
    let [bare, complete] =
        [json!({}), json!({ "readOnlyRootFilesystem": true })].map(|it| pod(&it));
    let memo = memo(false);
    assert!(memo.is_accepted(&all[0], &bare));
    assert!(!memo.accept(&[&all[0]], &bare));
    assert!(memo.accept(&[&all[0]], &complete));
    assert!(!memo.accept(&[], &complete));
}

#[test]
fn an_unset_profile_is_that_of_the_runtime_but_for_privileged_containers() {
    let all = policies(&[("a", PROFILES, "")]);
    let usable = [&all[0]];
    let [bare, privileged] = [json!({}), json!({ "privileged": true })].map(|it| pod(&it));
    assert!(memo(false).accept(&usable, &bare));
    assert!(!memo(false).accept(&usable, &privileged));
    assert!(!memo(true).accept(&usable, &bare));
    // Where the list has another profile than the default, nobody takes it for that.
    let other = PROFILES.replacen("runtime/default", "localhost/a", 1);
    let all = policies(&[("a", &other, "")]);
    assert!(!memo(false).accept(&[&all[0]], &bare));
}

#[test]
fn places_differ_only_where_values_mean_something_else() {
    let mut named = pod(&json!({}));
    named.set(
        &[
            "metadata",
            "annotations",
            "container.apparmor.security.beta.kubernetes.io/app",
        ],
        json!("runtime/default"),
    );
    let bare = pod(&json!({}));
    assert_eq!(memo(false).differing_places(&bare, &named).len(), 0);
    assert_eq!(memo(true).differing_places(&bare, &named).len(), 1);
}
