//! The proc filesystem of containers: `allowedProcMountTypes`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go`.
//! The type of each container, `Default` where it has none, must be in the list, literally.
//! An empty list allows `Default`, and with the feature gate `ProcMountType` off, as it is by default, the API server keeps no other
//! list.
//! Nothing is defaulted.
//!
//! ## Gatekeeper
//!
//! `allowedProcMountTypes` travels as a sorted list, `Default` where the PSP has none.
//! `templates/rego/lib/proc_mount.rego` judges it.
//!
//! ## Losses
//!
//! `reset-by-api-server` (harmless): with the feature gate `ProcMountType` off, as it is by default before Kubernetes 1.33, the API
//! server resets the type after mutating admission (Kubernetes 1.24, `pkg/api/pod/util.go`, `dropDisabledProcMountField`).
//! So no constraint sees it: a pod that asks for `Unmasked`, which PSP denied, is admitted and stored with `Default`, which PSP would
//! have admitted.
//! No process sees another `/proc` than under PSP.

use serde_json::Value;

use super::probe::Probe;
use super::translate::{Parameters, Translate, as_set, is_subset, parameters};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::Container;
use crate::api::policy::{PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `proc_mount`.
#[derive(Clone, Copy, Debug)]
pub struct ProcMount;

impl Control for ProcMount {
    fn name(&self) -> &'static str {
        "proc-mount"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["allowedProcMountTypes"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let types = psp.allowed_proc_mount_types.iter().map(String::as_str);
        types
            .chain(["Default", "Unmasked"])
            .map(Value::from)
            .chain([Value::Null])
            .map(|it| Probe::security("procMount", it))
            .collect()
    }
}

impl Semantics for ProcMount {
    fn validate_container(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        container: &Container<'_>,
    ) {
        let type_ = container.own("procMount").and_then(Value::as_str);
        let type_ = type_.unwrap_or("Default");
        if !psp
            .spec
            .allowed_proc_mount_types
            .iter()
            .any(|it| it == type_)
        {
            let path = container.security_path("procMount");
            let detail = "ProcMountType is not allowed";
            acc.push(FieldError::invalid(path, quoted(type_), detail));
        }
    }
}

impl Translate for ProcMount {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        parameters([(
            "allowedProcMountTypes",
            as_set(&psp.allowed_proc_mount_types),
        )])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        is_subset(
            &narrow.allowed_proc_mount_types,
            &wide.allowed_proc_mount_types,
        )
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{
        check, check_covers, check_parameters, contexts, owned, policy,
    };

    #[test]
    fn the_list_is_literal_and_an_absent_type_is_the_default() {
        let [unset, default, unmasked] = [
            json!({}),
            json!({ "procMount": "Default" }),
            json!({ "procMount": "Unmasked" }),
        ]
        .map(|it| contexts(&json!({}), &it));
        let error = |type_: &str| {
            format!(
                "spec.containers[0].securityContext.procMount: \
                 Invalid value: \"{type_}\": ProcMountType is not allowed"
            )
        };
        let psp = policy(|it| it.allowed_proc_mount_types = owned(&["Default"]));
        check(&ProcMount, &psp, unset.clone(), &[]);
        check(&ProcMount, &psp, default.clone(), &[]);
        check(&ProcMount, &psp, unmasked.clone(), &[&error("Unmasked")]);
        let psp = policy(|it| it.allowed_proc_mount_types = owned(&["Unmasked"]));
        check(&ProcMount, &psp, unset, &[&error("Default")]);
        check(&ProcMount, &psp, default, &[&error("Default")]);
        check(&ProcMount, &psp, unmasked, &[]);
    }

    #[test]
    fn a_policy_covers_another_whose_types_it_allows() {
        let [none, default, both] = [&[][..], &["Default"], &["Default", "Unmasked"]]
            .map(|types| policy(|it| it.allowed_proc_mount_types = owned(types)));
        for (wide, narrow, covers) in [
            (&default, &none, true),
            (&default, &default, true),
            (&both, &default, true),
            (&none, &default, false),
            (&default, &both, false),
        ] {
            check_covers(&ProcMount, wide, narrow, covers);
        }
    }

    #[test]
    fn the_types_travel_sorted() {
        let psp = policy(|it| it.allowed_proc_mount_types = owned(&["Unmasked", "Default"]));
        let expected = json!({ "allowedProcMountTypes": ["Default", "Unmasked"] });
        check_parameters(&ProcMount, &psp, &expected);
    }
}
