//! What a cluster has of the kinds that `migrate` writes.

use anyhow::bail;

use super::failure::{self, Failure, Forbidden};
use super::{Cluster, Resource, resource};
use crate::manifest::{Folder, Manifest};

/// The kinds that `migrate` writes, ConstraintTemplates first: where they are not served there is no Gatekeeper.
const RESOURCES: [Resource; 6] = [
    resource("templates.gatekeeper.sh", "constrainttemplates"),
    resource("mutations.gatekeeper.sh", "assign"),
    resource("mutations.gatekeeper.sh", "assignmetadata"),
    resource("mutations.gatekeeper.sh", "modifyset"),
    resource("expansion.gatekeeper.sh", "expansiontemplate"),
    resource("constraints.gatekeeper.sh", "podsecuritypolicyadmission"),
];

impl Cluster<'_> {
    /// Reads all objects of the kinds that `migrate` writes, whoever wrote them; nothing where Gatekeeper is not installed.
    ///
    /// A kind that is not served has no objects: that of the constraint comes with its template.
    ///
    /// # Errors
    ///
    /// When kubectl cannot be run, or the cluster cannot be read; with everything that it does not let us read.
    pub(crate) fn written(self) -> anyhow::Result<Option<Vec<Manifest>>> {
        let mut res = Vec::new();
        let mut forbidden = Vec::new();
        for resource in RESOURCES {
            let read = self.get(resource, &mut |object| {
                res.push(Manifest {
                    folder: Folder::Templates,
                    kind: resource.argument(),
                    name: format!("number {}", res.len() + 1),
                    text: object.to_string(),
                });
                Ok(())
            });
            match read {
                Err(Failure::NotServed(_)) if resource.name == "constrainttemplates" => {
                    return Ok(None);
                }
                Ok(()) | Err(Failure::NotServed(_)) => {}
                Err(Failure::Forbidden(message)) => forbidden.push(Forbidden { resource, message }),
                Err(Failure::Other(error)) => {
                    return Err(error.context(format!("could not read `{}`", resource.argument())));
                }
            }
        }
        if !forbidden.is_empty() {
            bail!(failure::what_is_missing(&forbidden));
        }
        Ok(Some(res))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::CONSTRAINT_KIND;

    #[test]
    fn the_resource_of_a_constraint_is_its_kind_in_lower_case() {
        let [.., constraints] = RESOURCES;
        assert_eq!(constraints.name, CONSTRAINT_KIND.to_lowercase());
    }
}
