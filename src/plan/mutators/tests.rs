use std::collections::BTreeSet;

use super::aim::{self, refine};
use super::candidates::Candidates;
use super::hindrances::unset;
use super::items::{Sources, Whose, workloads};
use super::score::{Judge, Solution};
use super::search::best;
use crate::access::Access;
use crate::input::{self, LoadOptions, Source};
use crate::plan::labels::{LabelOperator, LabelRequirement, LabelSelector};
use crate::plan::mutator::{Hindrance, PodSelector};
use crate::resolve;
use crate::version::Version;
use crate::witness::memo::Memo;

const KUBERNETES: Version = Version::new(1, 24);

/// `web` needs the group that `web` sets; `agent` passes without any, and with none but 6.
fn cluster(workloads: &[(&str, &str)]) -> String {
    let mut res = String::new();
    for (name, fields) in [
        (
            "agent",
            "fsGroup: {rule: MayRunAs, ranges: [{min: 6, max: 6}]}",
        ),
        (
            "web",
            "fsGroup: {rule: MustRunAs, ranges: [{min: 5, max: 5}]}\n  defaultAllowPrivilegeEscalation: false",
        ),
    ] {
        let document = format!(
            "---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {{name: {name}}}
spec:
  runAsUser: {{rule: RunAsAny}}
  seLinux: {{rule: RunAsAny}}
  supplementalGroups: {{rule: RunAsAny}}
  volumes: ['*']
  {fields}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: {name}}}
rules: [{{apiGroups: [policy], resources: [podsecuritypolicies], verbs: [use], resourceNames: [{name}]}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{namespace: shop, name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}
subjects: [{{kind: ServiceAccount, name: {name}}}]
"
        );
        res.push_str(&document);
    }
    for (name, account) in workloads {
        let document = format!(
            "---
apiVersion: apps/v1
kind: Deployment
metadata: {{namespace: shop, name: {name}}}
spec:
  selector: {{matchLabels: {{app: x}}}}
  template:
    metadata: {{labels: {{app: x}}}}
    spec: {{serviceAccountName: {account}, containers: [{{name: app, image: app}}]}}
"
        );
        res.push_str(&document);
    }
    res
}

/// Judges the namespace `shop`.
fn judged(text: &str, run: impl FnOnce(&Judge<'_, '_>, &Access<'_>)) {
    let source = Source {
        name: "cluster.yaml".to_owned(),
        text: text.to_owned(),
    };
    let options = LoadOptions {
        proc_mount_type: false,
    };
    let (inventory, _) = input::load(&[source], options).unwrap();
    let grants = resolve::grants(&inventory);
    let bystanders = BTreeSet::new();
    let access = Access::new(&inventory, &grants, &bystanders);
    let candidates = Candidates::new(&inventory, KUBERNETES);
    let workloads = workloads(&inventory);
    let sources = Sources {
        inventory: &inventory,
        access: &access,
        candidates: &candidates,
        workloads: &workloads,
    };
    let memo = Memo::new(KUBERNETES, false);
    let items = sources.items(&memo, Some("shop"));
    let used = (0..candidates.all.len()).collect();
    run(&Judge::new(&items, &candidates, used, &memo), &access);
}

/// The position of the candidate for a group.
fn group(judge: &Judge<'_, '_>) -> usize {
    let mut all = judge.candidates.all.iter();
    all.position(|it| it.name == "psp-fs-group-5").unwrap()
}

fn everywhere(judge: &Judge<'_, '_>) -> Solution {
    Solution::from([(group(judge), PodSelector::default())])
}

#[test]
fn only_what_an_api_server_may_refuse_can_spare_containers_with_a_context() {
    judged(&cluster(&[]), |judge, _| {
        let candidates = judge.candidates;
        let of = candidates.of("web").iter();
        let counts: Vec<_> = of.map(|it| (it.control, it.candidates.len())).collect();
        assert_eq!(counts, [("groups", 1), ("privilege-escalation", 2)]);
        let escalation = &candidates.of("web")[1].candidates;
        assert!(candidates.exclude_each_other(escalation[0], escalation[1]));
        assert!(!candidates.exclude_each_other(escalation[0], escalation[0]));
        assert!(!candidates.exclude_each_other(escalation[0], group(judge)));
        assert!(candidates.of("agent").is_empty());
        assert!(candidates.of("nobody").is_empty());
    });
}

#[test]
fn a_set_that_breaks_a_workload_is_worse_than_any_that_breaks_none() {
    let workloads = [("a", "web"), ("b", "web"), ("c", "web"), ("d", "agent")];
    judged(&cluster(&workloads), |judge, _| {
        // All that `web` sets, for all pods.
        let of_web = judge.candidates.of("web").iter();
        let of_web = of_web.filter_map(|it| it.candidates.first());
        let all = of_web.map(|it| (*it, PodSelector::default())).collect();
        let [none, all] = [Solution::new(), all];
        let passing = |solution: &Solution| {
            let workloads = judge.items.iter().enumerate();
            let workloads = workloads.filter(|(_, it)| matches!(it.whose, Whose::Workload(_)));
            let passing = workloads.filter(|(it, _)| judge.outcome(*it, solution).passes);
            passing.count()
        };
        assert_eq!((passing(&none), passing(&all)), (1, 3));
        assert!(judge.score(&none, None) > judge.score(&all, None));
    });
}

#[test]
fn what_is_best_for_some_does_not_mind_the_others() {
    judged(&cluster(&[("a", "web"), ("b", "agent")]), |judge, _| {
        let of = |name: &str| -> BTreeSet<usize> {
            let whose = Whose::Workload(format!("Deployment {name}"));
            let all = judge.items.iter().enumerate();
            let own = all.filter(|(_, it)| it.whose == whose);
            own.map(|(position, _)| position).collect()
        };
        let none = Solution::new();
        let web = best(judge, &none, Some(&of("a")));
        assert!(web.is_superset(&everywhere(judge)), "{web:?}");
        assert!(judge.is_perfect(&web, Some(&of("a"))));
        assert!(!judge.is_perfect(&web, Some(&of("b"))));
        assert_eq!(best(judge, &none, Some(&of("b"))), none);
    });
}

#[test]
fn a_workload_with_a_name_of_its_own_is_selected_by_it() {
    judged(&cluster(&[("a", "web"), ("b", "agent")]), |judge, _| {
        let refined = refine(judge, Solution::new());
        let names: BTreeSet<_> = refined.iter().map(|(_, it)| it.to_string()).collect();
        assert_eq!(names, BTreeSet::from(["name a-*".to_owned()]));
    });
}

#[test]
fn requirements_of_one_key_and_operator_are_one() {
    let requirement = |operator, value: &str| LabelRequirement {
        key: "app".to_owned(),
        operator,
        values: BTreeSet::from([value.to_owned()]),
    };
    let mut selector = LabelSelector::default();
    for it in ["b", "a"] {
        aim::add(&mut selector, requirement(LabelOperator::NotIn, it));
    }
    assert_eq!(selector.to_string(), "app notin (a,b)");
    aim::add(&mut selector, requirement(LabelOperator::In, "c"));
    assert_eq!(selector.0.len(), 2);
}

#[test]
fn a_default_that_would_break_a_workload_is_hindered_by_it() {
    judged(&cluster(&[("b", "agent")]), |judge, access| {
        let all = unset(judge, access, Some("shop"), &Solution::new());
        let groups = all.iter().find(|it| it.control == "groups").unwrap();
        assert_eq!((groups.psp.as_str(), groups.field), ("web", "spec.fsGroup"));
        let name = "Deployment b".to_owned();
        let psp = "agent".to_owned();
        assert_eq!(groups.hindrance, Hindrance::Workload { name, psp });
        // What is set is not told.
        let all = unset(judge, access, Some("shop"), &everywhere(judge));
        assert!(all.iter().all(|it| it.control != "groups"), "{all:?}");
    });
    judged(&cluster(&[]), |judge, access| {
        let all = unset(judge, access, Some("shop"), &Solution::new());
        let groups = all.iter().find(|it| it.control == "groups").unwrap();
        let Hindrance::Account { name, psp, binding } = &groups.hindrance else {
            panic!("{groups:?}");
        };
        assert_eq!(
            (name.as_str(), psp.as_str()),
            ("ServiceAccount shop/agent", "agent")
        );
        assert!(binding.as_ref().is_some_and(|it| it.contains("agent")));
    });
}
