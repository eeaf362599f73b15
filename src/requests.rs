//! Which admission requests are worth asking, and what they look like to admission.

mod prepare;

pub use prepare::prepare;
