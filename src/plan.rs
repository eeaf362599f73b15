//! Grants become a [`Bundle`]: what Gatekeeper shall be told, before it is written down.
//!
//! PSP admits a pod when *some* usable policy accepts it; Gatekeeper admits it when *all* constraints hold.
//! So all policies and all grants are parameters of one constraint, and its template looks for one that fits.
//!
//! `bundle` is the result; `policies` merges policies and drops redundant ones, `tables` has very many of them,
//! `mutators` chooses which defaults are set where, and `enforcement` splits the constraint by namespace.

use std::collections::BTreeSet;

pub use bundle::{
    Bundle, CONSTRAINT_KIND, Constraint, ConstraintParameters, EnforcementAction, Grants,
    PlanOptions, Tables,
};
pub use enforcement::{Overlap, Stages};
pub use labels::{LabelOperator, LabelRequirement, LabelSelector};
pub use mutator::{Hindrance, Mutator, Namespaces, PodSelector, UnsetDefault};
pub use namespace_pattern::{NamespacePattern, NamespacePatternError};
pub use tables::{FEWEST, Family, Pattern, outline};

use crate::access::Access;
use crate::api::policy::PodSecurityPolicySpec;
use crate::controls::translate::Parameters;
use crate::input::Inventory;
use crate::version::Version;

use policies::Policies;

mod bundle;
mod enforcement;
mod labels;
mod mutator;
mod mutators;
mod namespace_pattern;
mod policies;
mod tables;

/// The name of the constraint; that of a list of namespaces has an ending.
const CONSTRAINT_NAME: &str = "pod-security-policies";

/// With more policies and grants than this they become [`Tables`].
///
/// Up to here a person can edit the constraint, and a review costs about a millisecond.
const MOST_IN_PARAMETERS: usize = 200;

/// The first release of Gatekeeper whose mutators can be kept to CREATE.
const KNOWS_OPERATIONS: Version = Version::new(3, 23);

/// Plans what to render for an inventory and what is known of who can use its policies.
pub fn plan(inventory: &Inventory, access: &Access<'_>, options: PlanOptions) -> Bundle {
    let Policies {
        kept,
        merged,
        grants,
        mut diagnostics,
    } = policies::policies(inventory, access.grants(), options);
    let mutators = mutators::choose(inventory, access, options);
    diagnostics.extend(mutators.diagnostics);
    diagnostics.sort();
    let policies_kept = kept.len();
    let grants_kept = grants.values().map(Grants::len).sum();
    let (parameters, tables) = if policies_kept + grants_kept > MOST_IN_PARAMETERS {
        let (families, policies) = tables::families(&kept);
        let tables = Tables {
            families,
            policies,
            grants,
        };
        (None, Some(tables))
    } else {
        let parameters = ConstraintParameters {
            policies: kept,
            grants,
        };
        (Some(parameters), None)
    };
    Bundle {
        constraints: vec![Constraint {
            name: CONSTRAINT_NAME.to_owned(),
            enforcement_action: options.enforcement_action,
            namespaces: BTreeSet::new(),
            excluded_namespaces: BTreeSet::new(),
            parameters,
        }],
        mutators: mutators.mutators,
        mutators_know_operations: options.gatekeeper >= KNOWS_OPERATIONS,
        expand: false,
        tables,
        policies_kept,
        grants_kept,
        policies: inventory
            .policies
            .iter()
            .map(|it| it.name.clone())
            .collect(),
        merged,
        unset: mutators.unset,
        diagnostics,
    }
}

/// Returns what the constraint says of one policy, of all controls together.
pub fn parameters(spec: &PodSecurityPolicySpec, options: PlanOptions) -> Parameters {
    policies::parameters(spec, options)
}
