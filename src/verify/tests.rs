use std::convert::Infallible;

use serde_json::{Value, json};

use super::*;
use crate::admission::{Operation, UserInfo, Violation};
use crate::loss::LossKind;

/// A world of one policy, `psp`, that fills in `spec.default` and refuses `spec.bad`, and of an output that does neither and
/// whose mutators get in the way of pods with `spec.mutated`; its API server refuses `spec.invalid`, and `spec.ill-filled` once the
/// policy has filled in the default. The policy refuses `spec.taken`, too, which the API server takes out before the output sees it.
///
/// Everything that is written here is the test's own; no control of the crate has a part in it.
struct World {
    /// Whether the output forbids pods that lack the default.
    strict: bool,
    /// Whether the output forbids pods of its own accord, where they have `spec.odd`.
    odd: bool,
    /// Whether the declared output would say the same.
    as_declared: bool,
}

const AS_DECLARED: World = World {
    strict: true,
    odd: false,
    as_declared: true,
};

fn forbidden(by: &str) -> Verdict {
    Verdict::Forbidden {
        violations: vec![Violation {
            by: by.to_owned(),
            message: "spec.x: no".to_owned(),
        }],
    }
}

fn has(pod: &Pod, key: &str) -> bool {
    pod.get(&["spec", key]).is_some()
}

impl Answerers for World {
    type Error = Infallible;

    fn refused_as_sent(&self, request: &AdmissionRequest) -> Option<String> {
        has(&request.pod, "invalid").then(|| "spec.invalid".to_owned())
    }

    fn ask(&self, request: &AdmissionRequest) -> Result<Option<Answers>, Infallible> {
        let pod = &request.pod;
        if has(pod, "invalid") {
            return Ok(None);
        }
        let taken = has(pod, "taken");
        let refused = has(pod, "bad") || has(pod, "ill-filled") || taken;
        let mut filled = pod.clone();
        filled.set(&["spec", "default"], 1.into());
        let psp = if refused {
            forbidden("psp")
        } else {
            Verdict::Admitted {
                pod: filled.clone(),
            }
        };
        let lacks = self.strict && !has(pod, "default");
        let gatekeeper = if lacks || has(pod, "mutated") || (self.odd && has(pod, "odd")) {
            forbidden("Kind/name")
        } else {
            Verdict::Admitted { pod: pod.clone() }
        };
        Ok(Some(Answers {
            asked: request.clone(),
            policy: (!has(pod, "bad") && !taken).then(|| "psp".to_owned()),
            psp,
            gatekeeper,
            is_stored_pod_accepted: taken && !has(pod, "bad"),
        }))
    }

    fn tried(&self, request: &AdmissionRequest) -> Vec<Tried> {
        let one = |name, is: bool| is.then_some(name).into_iter().collect();
        vec![Tried {
            policy: "psp".to_owned(),
            fills_in: one("filler", !has(&request.pod, "default")),
            refuses: one(
                "refuser",
                has(&request.pod, "bad") || has(&request.pod, "taken"),
            ),
        }]
    }

    fn filled_in(
        &self,
        request: &AdmissionRequest,
        _policy: &str,
        controls: &BTreeSet<&str>,
    ) -> AdmissionRequest {
        let mut res = request.clone();
        if controls.contains("filler") {
            res.pod.set(&["spec", "default"], 1.into());
        }
        res
    }

    fn missing(
        &self,
        request: &AdmissionRequest,
        _policy: &str,
    ) -> Result<BTreeSet<&'static str>, Infallible> {
        let lacks = !has(&request.pod, "default");
        Ok(lacks.then_some("spec.field").into_iter().collect())
    }

    fn mutated(&self, request: &AdmissionRequest) -> Result<Option<Pod>, Infallible> {
        Ok(Some(request.pod.clone()))
    }

    fn mutators_fill_in(
        &self,
        request: &AdmissionRequest,
    ) -> Result<BTreeSet<&'static str>, Infallible> {
        let in_the_way = has(&request.pod, "mutated").then_some("mutator");
        Ok(in_the_way.into_iter().collect())
    }

    fn admits_with(
        &self,
        request: &AdmissionRequest,
        pod: &Pod,
        controls: &BTreeSet<&str>,
    ) -> Result<bool, Infallible> {
        let sent = &request.pod;
        let lacks = self.strict
            && !has(sent, "default")
            && !(controls.contains("filler") && has(pod, "default"));
        let in_the_way = has(sent, "mutated") && !controls.contains("mutator");
        Ok(!(lacks || in_the_way || self.odd && has(sent, "odd")))
    }

    fn is_as_declared(&self, _answers: &Answers) -> Result<bool, Infallible> {
        Ok(self.as_declared)
    }

    fn control_of(&self, path: &str) -> Option<&'static str> {
        (path == "spec.default").then_some("filler")
    }
}

fn request(spec: &Value) -> AdmissionRequest {
    AdmissionRequest {
        uid: "a test".to_owned(),
        namespace: "shop".to_owned(),
        user_info: UserInfo {
            username: "alice".to_owned(),
            groups: vec!["developers".to_owned()],
        },
        pod: serde_json::from_value(json!({ "spec": spec })).unwrap(),
        ..AdmissionRequest::default()
    }
}

fn loss(control: &'static str, kind: LossKind) -> Loss {
    Loss {
        control,
        kind,
        psp: "psp".to_owned(),
        alike: Vec::new(),
        field: "spec.field".to_owned(),
        namespaces: vec!["shop".to_owned()],
        subjects: vec!["Group developers".to_owned()],
        reaches_creators: true,
        why: "it is a test".to_owned(),
        causes: Vec::new(),
        witness: AdmissionRequest::default(),
    }
}

fn verify(world: &World, losses: &[Loss], requests: &[AdmissionRequest]) -> Verification {
    let mut verifier = Verifier::new(world, losses);
    for it in requests {
        verifier.add(it.clone()).unwrap();
    }
    verifier.finish().unwrap()
}

#[track_caller]
fn check_explained(world: &World, loss: Loss, spec: &Value, explained: usize) {
    let ledger = verify(world, &[loss], &[request(spec)]);
    assert_eq!(
        (ledger.explained, ledger.unexplained),
        (explained, 1 - explained)
    );
}

#[test]
fn a_ledger_counts_each_request_once() {
    let agreed = json!({ "default": 1 });
    let requests = [
        request(&agreed),
        AdmissionRequest {
            uid: "another".to_owned(),
            ..request(&agreed)
        },
        AdmissionRequest {
            namespace: "other".to_owned(),
            ..request(&agreed)
        },
        request(&json!({ "invalid": true })),
        // The plugin lets it pass, and the API server refuses what it filled in.
        request(&json!({ "ill-filled": true, "default": 1 })),
        request(&json!({})),
    ];
    let losses = [loss("filler", LossKind::DefaultNotSet)];
    let ledger = verify(&AS_DECLARED, &losses, &requests);
    assert_eq!((ledger.asked, ledger.repeated, ledger.invalid), (5, 1, 2));
    assert_eq!(
        (ledger.agreed, ledger.explained, ledger.unexplained),
        (2, 1, 0)
    );
    assert_eq!(ledger.by_loss, BTreeMap::from([(0, 1)]));
    assert_eq!(ledger.findings, []);
}

#[test]
fn a_loss_explains_where_it_reaches() {
    let declared = || loss("filler", LossKind::DefaultNotSet);
    check_explained(&AS_DECLARED, declared(), &json!({}), 1);
    let everywhere = Loss {
        namespaces: vec!["*".to_owned()],
        subjects: vec!["User alice".to_owned()],
        ..declared()
    };
    check_explained(&AS_DECLARED, everywhere, &json!({}), 1);
    for elsewhere in [
        Loss {
            namespaces: vec!["other".to_owned()],
            ..declared()
        },
        Loss {
            subjects: vec!["Group interns".to_owned()],
            ..declared()
        },
        Loss {
            psp: "other".to_owned(),
            ..declared()
        },
        loss("other", LossKind::DefaultNotSet),
        loss("filler", LossKind::OwnRequest),
    ] {
        check_explained(&AS_DECLARED, elsewhere, &json!({}), 0);
    }
}

#[test]
fn a_service_account_is_reached_under_each_of_its_names() {
    for subject in [
        "ServiceAccount shop/web",
        "User system:serviceaccount:shop:web",
        "Group system:serviceaccounts",
        "Group system:serviceaccounts:shop",
    ] {
        let declared = Loss {
            subjects: vec![subject.to_owned()],
            ..loss("filler", LossKind::DefaultNotSet)
        };
        let spec = json!({ "serviceAccountName": "web" });
        check_explained(&AS_DECLARED, declared, &spec, 1);
    }
}

#[test]
fn a_loss_does_not_cover_for_something_else() {
    let world = World {
        odd: true,
        ..AS_DECLARED
    };
    let declared = || loss("filler", LossKind::DefaultNotSet);
    check_explained(&world, declared(), &json!({}), 1);
    check_explained(&world, declared(), &json!({ "odd": true }), 0);
}

#[test]
fn a_mutator_in_the_way_is_explained_by_its_control() {
    let mutated = json!({ "mutated": true, "default": 1 });
    let declared = || loss("mutator", LossKind::DefaultInTheWay);
    check_explained(&AS_DECLARED, declared(), &mutated, 1);
    let other = loss("filler", LossKind::DefaultNotSet);
    check_explained(&AS_DECLARED, other, &mutated, 0);
}

#[test]
fn what_one_policy_fills_in_and_what_a_mutator_does_go_together() {
    let both = json!({ "mutated": true });
    let in_the_way = loss("mutator", LossKind::DefaultInTheWay);
    check_explained(&AS_DECLARED, in_the_way.clone(), &both, 0);
    let losses = [in_the_way, loss("filler", LossKind::DefaultNotSet)];
    let ledger = verify(&AS_DECLARED, &losses, &[request(&both)]);
    assert_eq!((ledger.explained, ledger.unexplained), (1, 0));
    assert_eq!(ledger.by_loss, BTreeMap::from([(0, 1), (1, 1)]));
}

#[test]
fn what_is_chosen_is_taken_from_another_pod() {
    let pod = |it: Value| -> Pod { serde_json::from_value(it).unwrap() };
    let left =
        pod(json!({ "a": { "x": 1, "y": 2 }, "list": [{ "x": 1 }, { "z": 3 }], "words": [1] }));
    let right =
        pod(json!({ "a": { "y": 5 }, "b": { "x": 7 }, "list": [{ "x": 4 }, {}], "words": [2] }));
    for (chosen, expected) in [
        (
            ".x",
            json!({ "a": { "y": 2 }, "b": { "x": 7 }, "list": [{ "x": 4 }, { "z": 3 }], "words": [1] }),
        ),
        (
            "words",
            json!({ "a": { "x": 1, "y": 2 }, "list": [{ "x": 1 }, { "z": 3 }], "words": [2] }),
        ),
        (
            "list[1]",
            json!({ "a": { "x": 1, "y": 2 }, "list": [{ "x": 1 }, {}], "words": [1] }),
        ),
    ] {
        assert_eq!(
            taking(&left, &right, |it| it.contains(chosen)),
            pod(expected)
        );
    }
    assert_eq!(taking(&left, &right, |_| true), right);
    assert_eq!(taking(&left, &right, |_| false), left);
}

#[test]
fn a_difference_that_the_declared_output_does_not_have_is_a_finding() {
    let world = World {
        as_declared: false,
        ..AS_DECLARED
    };
    let declared = loss("filler", LossKind::DefaultNotSet);
    check_explained(&world, declared, &json!({}), 0);
}

#[test]
fn what_is_overlooked_and_what_is_stored_otherwise_is_explained_by_its_control() {
    let world = World {
        strict: false,
        ..AS_DECLARED
    };
    let bad = json!({ "bad": true });
    check_explained(&world, loss("refuser", LossKind::NamespaceIgnored), &bad, 1);
    check_explained(&world, loss("filler", LossKind::NamespaceIgnored), &bad, 0);
    let unset = json!({});
    check_explained(&world, loss("filler", LossKind::DefaultForAll), &unset, 1);
    check_explained(&world, loss("refuser", LossKind::DefaultForAll), &unset, 0);
}

#[test]
fn a_finding_is_as_small_as_it_can_be() {
    let mut asked = request(&json!({
        "bad": true,
        "default": 1,
        "serviceAccountName": "web",
        "volumes": [{ "name": "a", "emptyDir": {} }],
        "containers": [
            { "name": "app", "image": "i", "ports": [{ "containerPort": 1 }],
              "volumeMounts": [{ "name": "a", "mountPath": "/a" }] },
            { "name": "side", "image": "i" },
        ],
    }));
    asked.operation = Operation::Update;
    asked.old_pod = Some(asked.pod.clone());
    let ledger = verify(
        &AS_DECLARED,
        &[],
        &[asked.clone(), request(&json!({ "bad": 2, "default": 1 }))],
    );
    assert_eq!(ledger.unexplained, 2);
    let [finding] = ledger.findings.as_slice() else {
        panic!("{:?}", ledger.findings);
    };
    assert_eq!(finding.direction, Direction::Looser);
    assert_eq!(finding.times, 2);
    assert_eq!(finding.request.operation, Operation::Create);
    assert_eq!(finding.request.user_info.username, "somebody");
    assert_eq!(finding.request.user_info.groups, Vec::<String>::new());
    let pod = json!({ "spec": {
        "bad": true,
        "default": 1,
        "automountServiceAccountToken": false,
        "containers": [{ "name": "app", "image": "i" }],
    } });
    assert_eq!(json!(finding.request.pod), pod);
    assert_eq!(finding.fields, ["spec.bad", "spec.default"]);
}

#[test]
fn differences_are_told_down_to_values() {
    let pod = |value: Value| serde_json::from_value::<Pod>(value).unwrap();
    let left = pod(json!({
        "metadata": { "annotations": { "example.com/a": "x" } },
        "spec": { "containers": [{ "name": "a", "args": ["1"] }], "same": 1 },
    }));
    let right = pod(json!({
        "spec": { "containers": [{ "name": "a", "args": ["2", "3"], "new": {} }], "same": 1 },
    }));
    let all = differences(&left, &right);
    let paths: Vec<&str> = all.iter().map(|it| it.path.as_str()).collect();
    let expected = [
        "metadata.annotations[example.com/a]",
        "spec.containers[0].args",
        "spec.containers[0].new",
    ];
    assert_eq!(paths, expected);
    assert_eq!(all[0].right, Value::Null);
    assert_eq!(all[1].right, json!(["2", "3"]));
    assert_eq!(differences(&left, &left), []);
}

#[test]
fn what_a_policy_accepts_as_it_is_stored_is_harmless() {
    let harmless = || Loss {
        psp: "*".to_owned(),
        ..loss("refuser", LossKind::ResetByApiServer)
    };
    let taken = json!({ "taken": 1, "default": 1 });
    check_explained(&AS_DECLARED, harmless(), &taken, 1);
    // It must be declared as what it is, and for the control that objected.
    check_explained(
        &AS_DECLARED,
        loss("refuser", LossKind::NamespaceIgnored),
        &taken,
        0,
    );
    check_explained(
        &AS_DECLARED,
        loss("filler", LossKind::ResetByApiServer),
        &taken,
        0,
    );
    // What no policy accepts as it is stored is looser.
    let lenient = World {
        strict: false,
        ..AS_DECLARED
    };
    let bad = json!({ "taken": 1, "bad": 1, "default": 1 });
    check_explained(&lenient, harmless(), &bad, 0);
    check_explained(
        &lenient,
        loss("refuser", LossKind::NamespaceIgnored),
        &bad,
        1,
    );
}
