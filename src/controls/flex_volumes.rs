//! The FlexVolume drivers that pods may use: `allowedFlexVolumes`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! No entries allow every driver; else the driver of a `flexVolume` must be one of them, also where `volumes` has `*`.
//! A volume whose type is not allowed is not looked at here.
//! Nothing is defaulted.
//!
//! ## Gatekeeper
//!
//! Judged by `templates/rego/lib/flex_volumes.rego`.
//!
//! ## Losses
//!
//! None.

use super::volumes::{is_allowed, volume_type};
use super::{FieldError, Semantics, quoted};
use crate::api::core::{Pod, Volume};
use crate::api::policy::PodSecurityPolicy;

/// The control `flex_volumes`.
#[derive(Clone, Copy, Debug)]
pub struct FlexVolumes;

impl Semantics for FlexVolumes {
    fn validate_volume(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        _pod: &Pod,
        volume: &Volume<'_>,
    ) {
        if volume_type(volume) != "flexVolume" || !is_allowed(psp, volume) {
            return;
        }
        let drivers = &psp.spec.allowed_flex_volumes;
        let driver = volume.string(&["flexVolume", "driver"]);
        if !drivers.is_empty() && !drivers.iter().any(|it| it == driver) {
            let field = format!("{}.driver", volume.path());
            let detail = "Flexvolume driver is not allowed to be used";
            acc.push(FieldError::invalid(field, quoted(driver), detail));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, owned, policy};

    #[test]
    fn a_driver_must_be_listed_even_where_all_volumes_are_allowed() {
        let pod = |driver: &str| {
            let volume = json!({ "name": "v", "flexVolume": { "driver": driver } });
            json!({ "spec": { "volumes": [volume] } })
        };
        let psp = policy(|it| it.allowed_flex_volumes = owned(&["example/lvm"]));
        let error = "spec.volumes[0].driver: Invalid value: \"example/cifs\": \
            Flexvolume driver is not allowed to be used";
        check(&FlexVolumes, &psp, pod("example/lvm"), &[]);
        check(&FlexVolumes, &psp, pod("example/cifs"), &[error]);
        check(&FlexVolumes, &policy(|_| {}), pod("example/cifs"), &[]);

        let psp = policy(|it| {
            it.volumes = owned(&["secret"]);
            it.allowed_flex_volumes = owned(&["other"]);
        });
        check(&FlexVolumes, &psp, pod("example/cifs"), &[]);
    }
}
