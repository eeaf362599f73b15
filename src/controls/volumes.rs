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

use serde_json::Value;

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
