//! Rego as Gatekeeper loads it.

use regorus::{CompiledPolicy, Engine};

use super::ReviewError;
use super::document::Object;

/// Compiles the modules of a template into a policy that evaluates its `violation`.
pub(super) fn compile(
    object: &Object,
    entry: &str,
    libs: &[String],
    v1: bool,
) -> Result<CompiledPolicy, ReviewError> {
    let error = |error: anyhow::Error| object.error(format!("Rego: {error}"));
    let mut engine = Engine::new();
    engine.set_rego_v0(!v1);
    let package = engine
        .add_policy("template".to_owned(), entry.to_owned())
        .map_err(error)?;
    for (index, lib) in libs.iter().enumerate() {
        engine
            .add_policy(format!("lib {index}"), lib.clone())
            .map_err(error)?;
    }
    engine
        .compile_with_entrypoint(&format!("{package}.violation").into())
        .map_err(error)
}
