//! The types of volumes: `volumes`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go` and `util/util.go`.
//! Each volume of the pod, mounted or not, must be of a type that the list names, or the list has `*`; an empty list allows none.
//! Types are named like the fields of a volume, but for `cephfs`, which a policy calls `cephFS`.
//! A `projected` volume is also allowed under `secret` if it could be the token volume of a service account.
//! A volume without a source is an `emptyDir`, as the API server makes it one (`pkg/apis/core/v1/defaults.go`).
//! Nothing is defaulted.
//!
//! A source that Kubernetes 1.24 does not know never reached the plugin, because the API server dropped it.
//! Here it is a type of its own that only `*` allows.
//!
//! ## Gatekeeper
//!
//! `volumes` travels as a sorted list.
//! A type that Kubernetes brought after 1.24 is in no list, so it takes `*`.
//! `templates/rego/lib/volumes.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::{Value, json};

use super::probe::Probe;
use super::translate::{Parameters, Translate, as_set, has, is_subset, parameters};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::{Pod, Volume};
use crate::api::policy::{ALL, PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `volumes`.
#[derive(Clone, Copy, Debug)]
pub struct Volumes;

impl Control for Volumes {
    fn name(&self) -> &'static str {
        "volumes"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["volumes"]
    }

    fn probes(&self, _psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let types = SOURCES.into_iter();
        let mut res: Vec<Probe> = types
            .map(|it| Probe::volume(it, example(it), None))
            .collect();
        res.extend(
            nearly_tokens().map(|it| Probe::volume("projected", json!({ "sources": [it] }), None)),
        );
        res
    }
}

impl Semantics for Volumes {
    fn validate_volume(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        _pod: &Pod,
        volume: &Volume<'_>,
    ) {
        if !is_allowed(psp, volume) {
            let type_ = volume_type(volume);
            let detail = format!("{type_} volumes are not allowed to be used");
            acc.push(FieldError::invalid(volume.path(), quoted(type_), &detail));
        }
    }
}

impl Translate for Volumes {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([("volumes", as_set(&psp.volumes))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        has(&wide.volumes, ALL) || is_subset(&narrow.volumes, &wide.volumes)
    }
}

/// The fields of a volume that hold its source, in the order in which the plugin looks at them.
const SOURCES: [&str; 29] = [
    "hostPath",
    "emptyDir",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "persistentVolumeClaim",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "downwardAPI",
    "fc",
    "azureFile",
    "configMap",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "storageos",
    "projected",
    "portworxVolume",
    "scaleIO",
    "csi",
    "ephemeral",
];

/// A source that an API server accepts.
fn example(source: &str) -> Value {
    match source {
        "hostPath" => json!({ "path": "/srv" }),
        "gcePersistentDisk" => json!({ "pdName": "disk" }),
        "awsElasticBlockStore" | "cinder" => json!({ "volumeID": "disk" }),
        "gitRepo" => json!({ "repository": "https://git.example.com/repository" }),
        "secret" => json!({ "secretName": "secret" }),
        "nfs" => json!({ "server": "nfs.example.com", "path": "/srv" }),
        "iscsi" => {
            json!({ "targetPortal": "192.0.2.1", "iqn": "iqn.2000-01.com.example:a", "lun": 0 })
        }
        "glusterfs" => json!({ "endpoints": "endpoints", "path": "srv" }),
        "persistentVolumeClaim" => json!({ "claimName": "claim" }),
        "rbd" => json!({ "monitors": ["192.0.2.1"], "image": "image" }),
        "flexVolume" => json!({ "driver": "example.com/driver" }),
        "cephfs" => json!({ "monitors": ["192.0.2.1"] }),
        "flocker" => json!({ "datasetName": "dataset" }),
        "fc" => json!({ "targetWWNs": ["500a0982991b8dc5"], "lun": 0 }),
        "azureFile" => json!({ "secretName": "secret", "shareName": "share" }),
        "configMap" => json!({ "name": "config" }),
        "vsphereVolume" => json!({ "volumePath": "[store] volume" }),
        "quobyte" => json!({ "registry": "192.0.2.1:7861", "volume": "volume" }),
        "azureDisk" => json!({ "diskName": "disk", "diskURI": "https://example.com/disk.vhd" }),
        "photonPersistentDisk" => json!({ "pdID": "disk" }),
        "storageos" => json!({ "volumeName": "volume" }),
        "projected" => json!({ "sources": [{ "secret": { "name": "secret" } }] }),
        "portworxVolume" => json!({ "volumeID": "volume" }),
        "scaleIO" => json!({
            "gateway": "https://example.com", "system": "system", "volumeName": "volume",
            "secretRef": { "name": "secret" },
        }),
        "csi" => json!({ "driver": "csi.example.com" }),
        "ephemeral" => json!({ "volumeClaimTemplate": { "spec": {
            "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
        } } }),
        _ => json!({}),
    }
}

/// Sources of a projected volume on both sides of what a token volume may have.
fn nearly_tokens() -> impl Iterator<Item = Value> {
    let field = |path: &str, field: &str| {
        json!({ "downwardAPI": { "items": [
        { "path": path, "fieldRef": { "apiVersion": "v1", "fieldPath": field } },
    ] } })
    };
    [
        json!({ "serviceAccountToken": { "path": "token", "expirationSeconds": 3600 } }),
        json!({ "serviceAccountToken": { "path": "other" } }),
        json!({ "serviceAccountToken": { "path": "token", "audience": "vault" } }),
        json!({ "configMap": { "name": "kube-root-ca.crt" } }),
        json!({ "configMap": { "name": "config" } }),
        field("namespace", "metadata.namespace"),
        field("name", "metadata.namespace"),
        field("namespace", "metadata.name"),
    ]
    .into_iter()
}

/// Whether the policy allows the type of the volume; the checks of single types come only then.
pub(super) fn is_allowed(psp: &PodSecurityPolicy, volume: &Volume<'_>) -> bool {
    let allows = |type_: &str| psp.spec.volumes.iter().any(|it| it == type_);
    let type_ = volume_type(volume);
    allows(ALL)
        || allows(type_)
        || (type_ == "projected" && allows("secret") && may_be_token_volume(volume))
}

/// The type of the volume, as a policy names it.
pub(super) fn volume_type<'a>(volume: &Volume<'a>) -> &'a str {
    let known = SOURCES.into_iter().find(|it| volume.get(&[it]).is_some());
    match known.or_else(|| volume.sources().next()) {
        Some("cephfs") => "cephFS",
        Some(type_) => type_,
        None => "emptyDir",
    }
}

/// Whether all sources of a projected volume are such as the token volume of a service account has.
///
/// Kubernetes 1.24, `util/util.go`: `IsOnlyServiceAccountTokenSources`; a volume without sources passes.
fn may_be_token_volume(volume: &Volume<'_>) -> bool {
    let sources = volume.get(&["projected", "sources"]);
    let mut sources = sources.and_then(Value::as_array).into_iter().flatten();
    sources.all(|source| {
        let part = |key: &str| source.get(key).filter(|it| !it.is_null());
        let [token, config_map, downward_api] =
            ["serviceAccountToken", "configMap", "downwardAPI"].map(part);
        (token.is_some() || config_map.is_some() || downward_api.is_some())
            && token.is_none_or(|it| text(it, "path") == "token" && text(it, "audience").is_empty())
            && config_map.is_none_or(|it| text(it, "name") == "kube-root-ca.crt")
            && downward_api.is_none_or(has_only_the_namespace)
    })
}

fn has_only_the_namespace(downward_api: &Value) -> bool {
    let items = downward_api.get("items").and_then(Value::as_array);
    items.into_iter().flatten().all(|item| {
        let field = item.get("fieldRef").unwrap_or(&Value::Null);
        text(item, "path") == "namespace"
            && text(field, "apiVersion") == "v1"
            && text(field, "fieldPath") == "metadata.namespace"
    })
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, check_covers, check_parameters, owned, policy};

    #[track_caller]
    fn check_volume(allowed: &[&str], source: Value, refused_type: Option<&str>) {
        let mut volume = source;
        volume["name"] = json!("v");
        let psp = policy(|it| it.volumes = owned(allowed));
        let error = refused_type.map(|it| {
            format!(
                "spec.volumes[0]: Invalid value: \"{it}\": {it} volumes are not allowed to be used"
            )
        });
        let errors: Vec<&str> = error.as_deref().into_iter().collect();
        check(
            &Volumes,
            &psp,
            json!({ "spec": { "volumes": [volume] } }),
            &errors,
        );
    }

    fn token_volume(sources: &Value) -> Value {
        json!({ "projected": { "sources": sources } })
    }

    #[test]
    fn a_type_must_be_listed() {
        check_volume(&["secret"], json!({ "secret": {} }), None);
        check_volume(&["*"], json!({ "hostPath": { "path": "/" } }), None);
        check_volume(&[], json!({ "emptyDir": {} }), Some("emptyDir"));
        check_volume(
            &["persistentVolumeClaim"],
            json!({ "ephemeral": {} }),
            Some("ephemeral"),
        );
    }

    #[test]
    fn a_volume_without_source_is_an_empty_dir() {
        check_volume(&["emptyDir"], json!({}), None);
        check_volume(&["secret"], json!({ "secret": null }), Some("emptyDir"));
    }

    #[test]
    fn the_one_name_that_differs_is_known() {
        check_volume(&["cephFS"], json!({ "cephfs": {} }), None);
        check_volume(&["cephfs"], json!({ "cephfs": {} }), Some("cephFS"));
    }

    #[test]
    fn a_type_newer_than_the_plugin_is_allowed_by_the_star_alone() {
        check_volume(&["*"], json!({ "image": {} }), None);
        check_volume(&["emptyDir"], json!({ "image": {} }), Some("image"));
    }

    #[test]
    fn the_token_volume_of_a_service_account_counts_as_a_secret() {
        let field = json!({ "apiVersion": "v1", "fieldPath": "metadata.namespace" });
        let volume = token_volume(&json!([
            { "serviceAccountToken": { "path": "token", "expirationSeconds": 3607 } },
            { "configMap": { "name": "kube-root-ca.crt" } },
            { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": field }] } },
        ]));
        check_volume(&["secret"], volume.clone(), None);
        check_volume(&["projected"], volume.clone(), None);
        check_volume(&["configMap", "downwardAPI"], volume, Some("projected"));
        check_volume(&["secret"], token_volume(&json!([])), None);
        let null = json!([{ "serviceAccountToken": { "path": "token" }, "configMap": null }]);
        check_volume(&["secret"], token_volume(&null), None);
    }

    #[test]
    fn another_projected_volume_does_not_count_as_a_secret() {
        let item = |path: &str, version: &str, field: &str| json!({ "path": path, "fieldRef": { "apiVersion": version, "fieldPath": field } });
        for source in [
            json!({ "serviceAccountToken": { "path": "token", "audience": "vault" } }),
            json!({ "serviceAccountToken": { "path": "tok" } }),
            json!({ "secret": { "name": "s" } }),
            json!({ "configMap": { "name": "other" } }),
            json!({ "downwardAPI": { "items": [item("labels", "v1", "metadata.namespace")] } }),
            json!({ "downwardAPI": { "items": [item("namespace", "v2", "metadata.namespace")] } }),
            json!({ "downwardAPI": { "items": [item("namespace", "v1", "metadata.name")] } }),
            json!({ "downwardAPI": { "items": [{ "path": "namespace" }] } }),
            json!({ "downwardAPI": { "items": [
                item("namespace", "v1", "metadata.namespace"),
                item("name", "v1", "metadata.name"),
            ] } }),
        ] {
            check_volume(
                &["secret"],
                token_volume(&json!([source])),
                Some("projected"),
            );
        }
    }

    #[test]
    fn a_policy_covers_another_whose_types_it_allows() {
        for (wide, narrow, covers) in [
            (&["*"][..], &["*"][..], true),
            (&["*"], &["nfs"], true),
            (&["nfs"], &["*"], false),
            (&["nfs", "secret"], &["nfs"], true),
            (&["nfs"], &["nfs", "secret"], false),
            (&["nfs"], &[], true),
        ] {
            let [wide, narrow] = [wide, narrow].map(|types| policy(|it| it.volumes = owned(types)));
            check_covers(&Volumes, &wide, &narrow, covers);
        }
    }

    #[test]
    fn of_two_sources_the_plugin_takes_the_one_that_it_looks_for_first() {
        let source = json!({ "emptyDir": {}, "hostPath": { "path": "/" } });
        check_volume(&["emptyDir"], source, Some("hostPath"));
    }

    #[test]
    fn the_types_travel_sorted() {
        let psp = policy(|it| it.volumes = owned(&["secret", "nfs"]));
        check_parameters(&Volumes, &psp, &json!({ "volumes": ["nfs", "secret"] }));
    }

    #[test]
    fn of_what_is_nearly_a_token_volume_s_three_sources_are() {
        let sources: Vec<Value> = nearly_tokens().collect();
        let passes = |source: &&Value| {
            let volume = json!({ "name": "v", "projected": { "sources": [source] } });
            let pod = crate::controls::testing::pod(json!({ "spec": { "volumes": [volume] } }));
            pod.volumes().all(|it| may_be_token_volume(&it))
        };
        let passing = sources.iter().filter(passes).count();
        assert_eq!((sources.len(), passing), (8, 3));
        let items = sources
            .iter()
            .filter_map(|it| it["downwardAPI"]["items"].get(0));
        let items: Vec<(&Value, &Value)> = items
            .map(|it| (&it["path"], &it["fieldRef"]["fieldPath"]))
            .collect();
        let [namespace, name] = [json!("namespace"), json!("name")];
        let [of_namespace, of_name] = [json!("metadata.namespace"), json!("metadata.name")];
        let expected = [
            (&namespace, &of_namespace),
            (&name, &of_namespace),
            (&namespace, &of_name),
        ];
        assert_eq!(items, expected);
    }
}
