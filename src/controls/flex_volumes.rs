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
//! `allowedFlexVolumes` travels as a sorted list.
//! `templates/rego/lib/flex_volumes.rego` judges it.
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

/// The control `flex_volumes`.
#[derive(Clone, Copy, Debug)]
pub struct FlexVolumes;

impl Control for FlexVolumes {
    fn name(&self) -> &'static str {
        "flex-volumes"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["allowedFlexVolumes"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let drivers = psp.allowed_flex_volumes.iter().map(String::as_str);
        drivers
            .chain(["example.com/unlisted"])
            .map(|it| Probe::volume("flexVolume", json!({ "driver": it }), None))
            .collect()
    }
}

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

impl Translate for FlexVolumes {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let drivers = sorted(&psp.allowed_flex_volumes);
        let entries: Vec<_> = drivers.iter().map(|it| json!({ "driver": it })).collect();
        parameters([("allowedFlexVolumes", json!(entries))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.allowed_flex_volumes.is_empty()
            || !allows_volume(narrow, "flexVolume")
            || (!narrow.allowed_flex_volumes.is_empty()
                && is_subset(&narrow.allowed_flex_volumes, &wide.allowed_flex_volumes))
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
                [wide, narrow].map(|drivers| policy(|it| it.allowed_flex_volumes = owned(drivers)));
            check_covers(&FlexVolumes, &wide, &narrow, covers);
        }
    }

    #[test]
    fn a_policy_without_such_volumes_is_covered_whatever_it_lists() {
        for (volumes, covers) in [(["secret"], true), (["flexVolume"], false), (["*"], false)] {
            let wide = policy(|it| it.allowed_flex_volumes = owned(&["a"]));
            let narrow = policy(|it| {
                it.allowed_flex_volumes = owned(&["b"]);
                it.volumes = owned(&volumes);
            });
            assert_eq!(FlexVolumes.covers(&wide.spec, &narrow.spec), covers);
        }
    }

    #[test]
    fn the_drivers_travel_sorted_and_each_once() {
        let psp = policy(|it| it.allowed_flex_volumes = owned(&["b", "a", "b"]));
        let entries = json!([{ "driver": "a" }, { "driver": "b" }]);
        check_parameters(
            &FlexVolumes,
            &psp,
            &json!({ "allowedFlexVolumes": entries }),
        );
    }
}
