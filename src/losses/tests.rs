use std::collections::BTreeSet;

use serde_json::json;

use super::areas::{Areas, Variant, selecting};
use super::causes::Causes;
use super::merge::{Together, together};
use super::outcome::in_the_way;
use crate::access::Access;
use crate::admission::AdmissionRequest;
use crate::controls::defaults::Mutation;
use crate::input::Inventory;
use crate::loss::{Loss, LossKind};
use crate::plan::{
    Hindrance, LabelOperator, LabelRequirement, LabelSelector, Mutator, Namespaces, PodSelector,
    UnsetDefault,
};

fn mutator(name: &str, namespaces: Namespaces, pods: PodSelector) -> Mutator {
    Mutator {
        name: name.to_owned(),
        control: "groups",
        field: "spec.fsGroup",
        mutation: Mutation::on_pod("securityContext.fsGroup", json!(5)),
        namespaces,
        pods,
        policies: BTreeSet::new(),
    }
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|it| (*it).to_owned()).collect()
}

fn everywhere(name: &str, pods: PodSelector) -> Mutator {
    mutator(name, Namespaces::AllBut(BTreeSet::new()), pods)
}

fn labelled(operator: LabelOperator) -> PodSelector {
    PodSelector {
        labels: LabelSelector(vec![LabelRequirement {
            key: "app".to_owned(),
            operator,
            values: set(&["web"]),
        }]),
        name: None,
    }
}

#[test]
fn namespaces_with_the_same_mutators_are_one_area_and_those_to_come_another() {
    let inventory = Inventory::default();
    let bystanders = BTreeSet::new();
    let access = Access::new(&inventory, &[], &bystanders);
    let mutators = [
        mutator(
            "a",
            Namespaces::Only(set(&["one", "two"])),
            PodSelector::default(),
        ),
        mutator(
            "b",
            Namespaces::AllBut(set(&["one", "two"])),
            PodSelector::default(),
        ),
    ];
    let areas = Areas::new(&access, &mutators);
    let scopes = ["one", "two", "three"].map(Some).into();
    let found: Vec<_> = areas.of(&scopes).into_iter().map(|it| it.names).collect();
    assert_eq!(found, [set(&["one", "two"]), set(&["three"])]);
    let found: Vec<_> = areas
        .of(&[None].into())
        .into_iter()
        .map(|it| it.names)
        .collect();
    assert_eq!(found, [set(&["*"])]);
}

#[test]
fn pods_that_the_same_mutators_select_are_one_variant() {
    let inventory = Inventory::default();
    let bystanders = BTreeSet::new();
    let access = Access::new(&inventory, &[], &bystanders);
    let mutators = [
        everywhere("a", labelled(LabelOperator::In)),
        everywhere("b", labelled(LabelOperator::NotIn)),
    ];
    let areas = Areas::new(&access, &mutators);
    let found: Vec<_> = areas
        .variants("shop")
        .iter()
        .map(Variant::owned_names)
        .collect();
    assert_eq!(found, [["b"], ["a"]]);
}

#[test]
fn a_name_is_that_from_which_others_are_generated() {
    let by_name = PodSelector {
        labels: LabelSelector::default(),
        name: Some("web-*".to_owned()),
    };
    let mutator = everywhere("a", by_name);
    let count = |pod| selecting(&[&mutator], &pod).len();
    assert_eq!(count(json!({ "metadata": { "generateName": "web-" } })), 1);
    assert_eq!(count(json!({ "metadata": { "generateName": "api-" } })), 0);
    assert_eq!(count(json!({})), 0);
}

#[test]
fn what_is_in_the_way_together_is_found_without_what_is_not() {
    let all = ["a", "b", "c"].map(|it| everywhere(it, PodSelector::default()));
    let all: Vec<&Mutator> = all.iter().collect();
    let names = |accepted_without: &[&str]| -> Vec<String> {
        let found = in_the_way(&all, |is_on| {
            let mut off = all
                .iter()
                .filter(|it| accepted_without.contains(&it.name.as_str()));
            off.all(|it| !is_on(it))
        });
        found.into_iter().map(|it| it.name.clone()).collect()
    };
    assert_eq!(names(&["b"]), ["b"]);
    assert_eq!(names(&["a", "c"]), ["a", "c"]);
    let found = in_the_way(&all, |_| false);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_cause_names_the_binding_and_who_can_be_left_out() {
    let hindered = |hindrance| UnsetDefault {
        psp: "web".to_owned(),
        control: "groups",
        field: "spec.fsGroup",
        namespace: Some("shop".to_owned()),
        hindrance,
    };
    let unset = [
        hindered(Hindrance::Account {
            name: "ServiceAccount shop/agent".to_owned(),
            psp: "agent".to_owned(),
            binding: Some("RoleBinding shop/agent".to_owned()),
        }),
        hindered(Hindrance::NothingGained),
    ];
    let causes = Causes::new(&unset);
    let of = |kind, namespaces| causes.of(kind, "web", "spec.fsGroup", &set(namespaces));
    let found = of(LossKind::DefaultNotSet, &["shop"]);
    let [cause] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(cause.what.contains("RoleBinding shop/agent"), "{cause:?}");
    assert!(
        cause
            .help
            .contains("--bystander 'ServiceAccount shop/agent'"),
        "{cause:?}"
    );
    assert!(of(LossKind::DefaultNotSet, &["*"]).is_empty());
    assert!(of(LossKind::DefaultForAll, &["shop"]).is_empty());
}

#[test]
fn losses_of_the_same_subjects_are_one_with_the_witness_that_creators_meet() {
    let loss = |uid: &str, kind, reaches_creators| Loss {
        control: "groups",
        kind,
        psp: "web".to_owned(),
        alike: Vec::new(),
        field: "spec.fsGroup".to_owned(),
        namespaces: Vec::new(),
        subjects: Vec::new(),
        reaches_creators,
        why: "so it is".to_owned(),
        causes: Vec::new(),
        witness: AdmissionRequest {
            uid: uid.to_owned(),
            ..AdmissionRequest::default()
        },
    };
    let reaching = |namespace: &str, loss| {
        let mut res = Together::new(loss, set(&["web"]));
        res.namespaces = set(&[namespace]);
        res
    };
    let all = [
        reaching("one", loss("1", LossKind::DefaultNotSet, false)),
        reaching("two", loss("2", LossKind::DefaultNotSet, true)),
        reaching("three", loss("3", LossKind::DefaultForAll, false)),
    ];
    let res = together(all.into_iter(), |it| it.subjects.clone());
    let res = res.into_iter().map(Together::into_loss);
    let res: Vec<_> = res
        .map(|it| (it.witness.uid, it.namespaces.join(" "), it.reaches_creators))
        .collect();
    let expected = [("3", "three", false), ("2", "one two", true)];
    assert_eq!(
        res,
        expected.map(|(uid, names, it)| (uid.to_owned(), names.to_owned(), it))
    );
}
