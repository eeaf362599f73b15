//! Where in an object something is.

use std::fmt;

/// The way from an object to a value in it, printed as Kubernetes prints it: `spec.hostPorts[0].min`,
/// `metadata.annotations[team]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

/// One step of a [`Path`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'p> {
    /// A field of an object with known fields.
    Field(&'p str),
    /// A key of an object with keys of the user's.
    Key(&'p str),
    /// An item of a list.
    Index(usize),
}

impl<'p> Path<'p> {
    /// A field of the whole object.
    pub(super) fn root(field: &'p str) -> Self {
        Self {
            parent: None,
            step: Step::Field(field),
        }
    }

    /// A step further, or the first one.
    pub(super) fn step(parent: Option<&'p Path<'p>>, step: Step<'p>) -> Self {
        Self { parent, step }
    }

    pub(super) fn field(&'p self, field: &'p str) -> Self {
        Self::step(Some(self), Step::Field(field))
    }

    pub(super) fn key(&'p self, key: &'p str) -> Self {
        Self::step(Some(self), Step::Key(key))
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        Self::step(Some(self), Step::Index(index))
    }

    /// The steps from the object on.
    pub(super) fn steps(&self) -> Vec<Step<'p>> {
        let mut steps = self.parent.map(Path::steps).unwrap_or_default();
        steps.push(self.step);
        steps
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.parent, self.step) {
            (None, Step::Field(name) | Step::Key(name)) => f.write_str(name),
            (None, Step::Index(index)) => write!(f, "[{index}]"),
            (Some(parent), Step::Field(field)) => write!(f, "{parent}.{field}"),
            (Some(parent), Step::Key(key)) => write!(f, "{parent}[{key}]"),
            (Some(parent), Step::Index(index)) => write!(f, "{parent}[{index}]"),
        }
    }
}
