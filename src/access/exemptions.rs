//! What Gatekeeper's webhooks are not asked about, as its chart configures them.

use std::collections::BTreeMap;

use crate::input::Inventory;

/// The label of namespaces that Gatekeeper's webhooks are not asked about.
pub const IGNORE_LABEL: &str = "admission.gatekeeper.sh/ignore";

/// The namespace of Gatekeeper itself, which its webhooks are not asked about.
pub const OWN_NAMESPACE: &str = "gatekeeper-system";

/// The service account of Gatekeeper, whose requests its webhooks let pass.
pub const OWN_ACCOUNT: &str = "system:serviceaccount:gatekeeper-system:gatekeeper-admin";

/// Returns the namespaces of the input that are exempt, sorted.
pub fn ignored_namespaces(inventory: &Inventory) -> impl Iterator<Item = &str> {
    let is_ignored = |(name, labels): &(&String, &BTreeMap<String, String>)| {
        *name == OWN_NAMESPACE || labels.contains_key(IGNORE_LABEL)
    };
    let namespaces = inventory.namespaces.iter().filter(is_ignored);
    namespaces.map(|(name, _)| name.as_str())
}
