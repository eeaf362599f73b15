//! Policies that are alike but for values such as ids.

use std::collections::BTreeMap;

use crate::input::Inventory;
use crate::plan::{FEWEST, PlanOptions, outline, parameters};

/// Which policies are alike but for values such as ids, by name.
#[derive(Debug, Default)]
pub(super) struct Similar<'a> {
    by_policy: BTreeMap<&'a str, usize>,
    /// How many policies are of the kind, by its number.
    sizes: BTreeMap<usize, usize>,
}

impl<'a> Similar<'a> {
    pub(super) fn new(inventory: &'a Inventory, options: PlanOptions) -> Self {
        let mut numbers = BTreeMap::<String, usize>::new();
        let mut res = Self::default();
        for psp in &inventory.policies {
            let next = numbers.len();
            let outline = outline(&parameters(&psp.spec, options));
            let number = *numbers.entry(outline).or_insert(next);
            res.by_policy.insert(&psp.name, number);
            *res.sizes.entry(number).or_default() += 1;
        }
        res
    }

    /// The number of the policy's kind, if enough others are of the same.
    pub(super) fn of(&self, policy: &str) -> Option<usize> {
        let number = self.by_policy.get(policy)?;
        let size = self.sizes.get(number)?;
        (*size >= FEWEST).then_some(*number)
    }
}
