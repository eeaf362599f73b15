//! What several tests do alike.

use std::collections::BTreeSet;

use psp2gatekeeper::access::Access;
use psp2gatekeeper::input::Inventory;
use psp2gatekeeper::loss::Loss;
use psp2gatekeeper::losses;
use psp2gatekeeper::plan::{Bundle, PlanOptions, plan};
use psp2gatekeeper::resolve;

/// Plans what to render for an inventory, and finds the losses.
pub(crate) fn planned(inventory: &Inventory, options: PlanOptions) -> (Bundle, Vec<Loss>) {
    let grants = resolve::grants(inventory);
    let bystanders = BTreeSet::new();
    let access = Access::new(inventory, &grants, &bystanders);
    let bundle = plan(inventory, &access, options);
    let losses = losses::find(inventory, &access, &bundle, options);
    (bundle, losses)
}
