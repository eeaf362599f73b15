//! How patches are written: as documents, into manifests, as a component.

use super::{Place, WEB, cluster, drops_net_raw};

#[test]
fn patches_are_documents_with_what_is_added_alone() {
    let app = "\
apiVersion: v1
kind: List
items:
  - apiVersion: batch/v1
    kind: CronJob
    metadata: {name: nightly, labels: {a: b}}
    spec:
      schedule: '@daily'
      jobTemplate: {spec: {template: {spec: {containers: [{name: 'on', image: c}, {name: d, securityContext: {capabilities: {drop: [KILL]}}}]}}}}
  - apiVersion: v1
    kind: Pod
    metadata: {name: done}
    spec: {containers: [{name: c, securityContext: {capabilities: {drop: [NET_RAW]}}}]}
  - apiVersion: v1
    kind: Pod
    metadata: {name: bare, namespace: tools}
    spec: {containers: [{name: c, securityContext: {capabilities: {drop: [NET_RAW]}}}, {name: e}]}
";
    let run = Place::new(&drops_net_raw(), app).bake(&[]);
    let expected = "\
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
spec:
  jobTemplate:
    spec:
      template:
        spec:
          containers:
            - name: 'on'
              securityContext:
                capabilities:
                  drop:
                    - NET_RAW
            - name: d
              securityContext:
                capabilities:
                  drop:
                    - KILL
                    - NET_RAW
---
# spec of a Pod is immutable: delete and create it again
apiVersion: v1
kind: Pod
metadata:
  name: bare
  namespace: tools
spec:
  containers:
    - name: e
      securityContext:
        capabilities:
          drop:
            - NET_RAW
";
    assert_eq!(run.stdout, expected);
    assert_eq!(run.code, 0);
    assert_eq!(
        run.stderr.lines().last(),
        Some(
            "bake: 3 workloads: 2 patched, 1 complete already, 0 refused by PodSecurityPolicy, \
             0 refused without defaults, 0 not written"
        )
    );
}

#[test]
fn manifests_keep_their_comments_and_order() {
    let before = "\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # the front
spec:
  template:
    spec:
      containers:
      # the web server
      - name: web
        securityContext:
          # it needs to
          capabilities:
            add: [CHOWN]
            drop:
            - KILL # why not
        image: web
      - {name: flow, image: flow} # short
      - name: empty
        securityContext: {}
        command:
        - sh
        - |
          echo

      # What is mounted.
      volumes: []
---
# Nothing to do here.
apiVersion: v1
kind: Service
metadata: {name:   web}
";
    let after = "\
# The shop.
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web   # the front
spec:
  template:
    spec:
      containers:
      # the web server
      - name: web
        securityContext:
          # it needs to
          capabilities:
            add: [CHOWN]
            drop:
            - KILL # why not
            - NET_RAW
        image: web
      - {name: flow, image: flow, securityContext: {capabilities: {drop: [NET_RAW]}}} # short
      - name: empty
        securityContext:
          capabilities:
            drop:
              - NET_RAW
        command:
        - sh
        - |
          echo

      # What is mounted.
      volumes: []
---
# Nothing to do here.
apiVersion: v1
kind: Service
metadata: {name:   web}
";
    let policy = cluster(
        "",
        "requiredDropCapabilities: [NET_RAW], allowedCapabilities: [CHOWN]",
    );
    let place = Place::new(&policy, before);
    let run = place.bake(&["--write"]);
    assert_eq!(place.read("app.yaml"), after);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    // Once is enough.
    let again = place.bake(&["--write"]);
    assert_eq!(place.read("app.yaml"), after);
    assert!(
        again.stderr.contains("0 patched, 1 complete already"),
        "{}",
        again.stderr
    );
}

#[test]
fn what_cannot_be_edited_is_printed_and_left_alone() {
    let shared = "\
apiVersion: v1
kind: Pod
metadata: {name: first}
spec: {containers: [&c {name: c, image: c}]}
---
apiVersion: v1
kind: Pod
metadata: {name: plain}
spec: {containers: [{name: c}]}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: second}
  spec: &spec
    containers:
    - name: d
- apiVersion: v1
  kind: Pod
  metadata: {name: third}
  spec: *spec
";
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "json"}, "spec": {"containers": [{"name": "c"}]}}"#;
    let place = Place::new(&drops_net_raw(), shared);
    place.write("pod.json", json);
    let run = place.bake_files(&["app.yaml", "pod.json"], &["--write"]);
    assert_eq!(run.code, 1);
    assert_eq!(place.read("pod.json"), json);
    let text = place.read("app.yaml");
    // The alias brings what was written for its anchor, so one of the two is enough and neither is certain.
    assert!(
        text.contains("{name: c, image: c, securityContext: {capabilities: {drop: [NET_RAW]}}}"),
        "{text}"
    );
    assert!(
        text.contains("spec: {containers: [{name: c, securityContext"),
        "{text}"
    );
    assert!(text.ends_with("    - name: d\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: third}\n  spec: *spec\n"), "{text}");
    for (name, why) in [
        ("json", "JSON is not edited in place"),
        ("second", "an anchor, an alias or a merge key is in the way"),
        (
            "third",
            "`spec` is written in a way that is not edited in place",
        ),
    ] {
        assert!(
            run.stdout.contains(&format!("  name: {name}\n")),
            "{}",
            run.stdout
        );
        let line = format!("Pod default/{name}: not written:\n  {why}\n");
        assert!(run.stderr.contains(&line), "{}", run.stderr);
    }
    assert!(
        !run.stdout.contains("first") && !run.stdout.contains("plain"),
        "{}",
        run.stdout
    );
}

#[test]
fn a_component_has_one_file_for_each_patch() {
    let nameless = "---\napiVersion: batch/v1\nkind: Job\nmetadata: {generateName: once-, namespace: shop}\nspec: {template: {spec: {containers: [{name: j}]}}}\n";
    let place = Place::new(&drops_net_raw(), &format!("{WEB}{nameless}"));
    let run = place.bake(&["--out-dir", "baked"]);
    assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{}", run.stderr);
    assert!(
        run.stderr
            .contains("it has no name that a patch could have"),
        "{}",
        run.stderr
    );
    let expected = "\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - path: shop/deployment-web.yaml
";
    assert_eq!(place.read("baked/kustomization.yaml"), expected);
    assert!(
        place
            .read("baked/shop/deployment-web.yaml")
            .starts_with("apiVersion: apps/v1\nkind: Deployment\n")
    );

    // What an earlier run wrote goes, and what it did not is not touched.
    place.write(
        "app.yaml",
        &WEB.replace("name: web}\nspec", "name: api}\nspec"),
    );
    assert_eq!(place.bake(&["--out-dir", "baked"]).code, 0);
    assert!(place.path("baked/shop/deployment-api.yaml").exists());
    assert!(!place.path("baked/shop/deployment-web.yaml").exists());
    place.write("baked/mine.yaml", "");
    let run = place.bake(&["--out-dir", "baked"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("mine.yaml"), "{}", run.stderr);
}
