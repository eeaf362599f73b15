//! The CSI drivers that pods may use inline: `allowedCSIDrivers`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! No entries allow every driver; else the driver of a `csi` volume must be one of them, also where `volumes` has `*`.
//! A volume whose type is not allowed is not looked at here.
//! The feature gate `CSIInlineVolume`, on by default, is taken to be on.
//! Nothing is defaulted.
//!
//! ## Gatekeeper
//!
//! `allowedCSIDrivers` travels as a sorted list.
//! `templates/rego/lib/csi_drivers.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::json;

use super::probe::Probe;
use super::translate::{Parameters, Translate, allows_volume, is_subset, parameters, sorted};
use super::volumes::{is_allowed, volume_type};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::{Pod, Volume};
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `csi_drivers`.
#[derive(Clone, Copy, Debug)]
pub struct CsiDrivers;

impl Control for CsiDrivers {
    fn name(&self) -> &'static str {
        "csi-drivers"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["allowedCSIDrivers"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let drivers = psp.allowed_csi_drivers.iter().map(String::as_str);
        drivers
            .chain(["unlisted.csi.example.com"])
            .map(|it| Probe::volume("csi", json!({ "driver": it }), None))
            .collect()
    }
}

impl Semantics for CsiDrivers {
    fn validate_volume(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        _pod: &Pod,
        volume: &Volume<'_>,
    ) {
        if volume_type(volume) != "csi" || !is_allowed(psp, volume) {
            return;
        }
        let drivers = &psp.spec.allowed_csi_drivers;
        let driver = volume.string(&["csi", "driver"]);
        if !drivers.is_empty() && !drivers.iter().any(|it| it == driver) {
            let field = format!("{}.csi.driver", volume.path());
            let detail = "Inline CSI driver is not allowed to be used";
            acc.push(FieldError::invalid(field, quoted(driver), detail));
        }
    }
}

impl Translate for CsiDrivers {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let drivers = sorted(&psp.allowed_csi_drivers);
        let entries: Vec<_> = drivers.iter().map(|it| json!({ "name": it })).collect();
        parameters([("allowedCSIDrivers", json!(entries))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.allowed_csi_drivers.is_empty()
            || !allows_volume(narrow, "csi")
            || (!narrow.allowed_csi_drivers.is_empty()
                && is_subset(&narrow.allowed_csi_drivers, &wide.allowed_csi_drivers))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, check_covers, check_parameters, owned, policy};

    #[test]
    fn a_driver_must_be_listed_even_where_all_volumes_are_allowed() {
        let pod = |driver: &str| {
            let volume = json!({ "name": "v", "csi": { "driver": driver } });
            json!({ "spec": { "volumes": [volume] } })
        };
        let psp = policy(|it| it.allowed_csi_drivers = owned(&["a.example.com"]));
        let error = "spec.volumes[0].csi.driver: Invalid value: \"b.example.com\": \
            Inline CSI driver is not allowed to be used";
        check(&CsiDrivers, &psp, pod("a.example.com"), &[]);
        check(&CsiDrivers, &psp, pod("b.example.com"), &[error]);
        check(&CsiDrivers, &policy(|_| {}), pod("b.example.com"), &[]);

        let psp = policy(|it| {
            it.volumes = owned(&["secret"]);
            it.allowed_csi_drivers = owned(&["other"]);
        });
        check(&CsiDrivers, &psp, pod("b.example.com"), &[]);
    }

    #[test]
    fn a_policy_covers_another_whose_drivers_it_allows() {
        for (wide, narrow, covers) in [
            (&[][..], &[][..], true),
            (&[], &["a"], true),
            (&["a"], &[], false),
            (&["a", "b"], &["a"], true),
            (&["a"], &["a", "b"], false),
        ] {
            let [wide, narrow] =
                [wide, narrow].map(|drivers| policy(|it| it.allowed_csi_drivers = owned(drivers)));
            check_covers(&CsiDrivers, &wide, &narrow, covers);
        }
    }

    #[test]
    fn a_policy_without_such_volumes_is_covered_whatever_it_lists() {
        for (volumes, covers) in [(["secret"], true), (["csi"], false), (["*"], false)] {
            let wide = policy(|it| it.allowed_csi_drivers = owned(&["a"]));
            let narrow = policy(|it| {
                it.allowed_csi_drivers = owned(&["b"]);
                it.volumes = owned(&volumes);
            });
            assert_eq!(CsiDrivers.covers(&wide.spec, &narrow.spec), covers);
        }
    }

    #[test]
    fn the_drivers_travel_sorted_and_each_once() {
        let psp = policy(|it| it.allowed_csi_drivers = owned(&["b", "a", "b"]));
        let entries = json!([{ "name": "a" }, { "name": "b" }]);
        check_parameters(&CsiDrivers, &psp, &json!({ "allowedCSIDrivers": entries }));
    }
}
