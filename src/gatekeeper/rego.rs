//! Rego as Gatekeeper loads it.
//!
//! Gatekeeper 3.23 with frameworks/constraint, `pkg/client/drivers/rego/compilers.go` and `pkg/regorewriter/`.
//! What the engine is known to read or evaluate otherwise than OPA is refused, or rewritten by [`super::hoist`].

use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroUsize};

use regorus::utils::limits::PolicyLengthConfig;
use regorus::{CompiledPolicy, Engine};
use serde_json::Value;

use super::ReviewError;
use super::document::Object;
use super::hoist::hoist;
use super::syntax::{self, Expr};

/// Why Rego is not compiled.
enum Trouble {
    /// Gatekeeper does not accept it.
    Refused(String),
    /// We cannot tell what it evaluates to.
    Unknown(String),
}

/// A path of names, such as `data.lib.pod.containers`.
type Path = Vec<String>;

/// Compiles the modules of a template into a policy that evaluates its `violation`.
pub(super) fn compile(
    object: &Object,
    entry: &str,
    libs: &[String],
    v1: bool,
) -> Result<CompiledPolicy, ReviewError> {
    compile_modules(entry, libs, v1).map_err(|trouble| match trouble {
        Trouble::Refused(reason) => object.error(format!("Rego: {reason}")),
        Trouble::Unknown(reason) => object.unsupported(format!("Rego: {reason}")),
    })
}

fn compile_modules(entry: &str, libs: &[String], v1: bool) -> Result<CompiledPolicy, Trouble> {
    let mut engine = new_engine(v1);
    let mut package = String::new();
    let mut calls = BTreeMap::new();
    for (index, text) in std::iter::once(entry)
        .chain(libs.iter().map(String::as_str))
        .enumerate()
    {
        let is_lib = index > 0;
        let tree = parse(text, v1).map_err(Trouble::Unknown)?;
        check(&tree, text, is_lib)?;
        add_calls(&mut calls, &tree, text);
        let text = hoist(text.to_owned(), |text| parse(text, v1)).map_err(Trouble::Unknown)?;
        let added = engine.add_policy(format!("module {index}"), text);
        let added = added.map_err(|error| Trouble::Unknown(error.to_string()))?;
        if !is_lib {
            package = added;
        }
    }
    if let Some(function) = calls.keys().find(|it| is_recursive(&calls, it)) {
        return Err(Trouble::Refused(format!(
            "`{}` calls itself",
            function.join(".")
        )));
    }
    engine
        .compile_with_entrypoint(&format!("{package}.violation").into())
        .map_err(|error| Trouble::Unknown(error.to_string()))
}

fn new_engine(v1: bool) -> Engine {
    let mut engine = Engine::new();
    engine.set_rego_v0(!v1);
    // OPA has no such limits, and tables of many tenants have long lines.
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MAX,
        max_file_bytes: NonZeroUsize::MAX,
        max_lines: NonZeroUsize::MAX,
    });
    engine
}

/// Parses a module into its syntax tree.
pub(super) fn parse(text: &str, v1: bool) -> Result<Value, String> {
    let mut engine = new_engine(v1);
    let parsed = engine.add_policy("module".to_owned(), text.to_owned());
    let json = parsed.and_then(|_| engine.get_ast_as_json());
    let json = json.map_err(|error| error.to_string())?;
    let mut modules: Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    Ok(modules
        .pointer_mut("/0/ast")
        .map(Value::take)
        .unwrap_or_default())
}

fn check(module: &Value, text: &str, is_lib: bool) -> Result<(), Trouble> {
    if is_lib && !matches!(syntax::package(module).as_slice(), ["lib", _, ..]) {
        return Err(Trouble::Refused(
            "the package of a library must be below `lib`".to_owned(),
        ));
    }
    if !is_lib && !syntax::rules(module).any(|(path, _)| path.first() == Some(&"violation")) {
        return Err(Trouble::Refused("there is no rule `violation`".to_owned()));
    }
    for import in syntax::imports(module) {
        if !matches!(import.as_slice(), ["future", ..] | ["data", "lib", ..]) {
            return Err(Trouble::Refused(format!(
                "bad import `{}`",
                import.join(".")
            )));
        }
    }
    for (path, rule) in syntax::rules(module) {
        let bodies = rule.pointer("/Spec/bodies").and_then(Value::as_array);
        let chained = bodies.into_iter().flatten().skip(1);
        if chained
            .into_iter()
            .any(|it| it.get("is_else") == Some(&Value::Bool(false)))
        {
            return Err(Trouble::Unknown(format!(
                "`{}` has chained bodies",
                path.join(".")
            )));
        }
    }
    let mut expressions = Vec::new();
    syntax::expressions(
        module.get("rules").unwrap_or(&Value::Null),
        &mut expressions,
    );
    let is_data = |it: &Expr<'_>| it.kind == "Var" && it.text("value") == Some("data");
    for expr in &expressions {
        if expr.child("refr").is_some_and(|it| is_data(&it)) {
            return Err(data_reference(&expr.path()));
        }
        let function = expr.child("fcn").and_then(Expr::span);
        if function.is_some_and(|it| !text.get(it.end..).unwrap_or_default().starts_with('(')) {
            let reason = "a parenthesis after white space, which is read as a call";
            return Err(Trouble::Unknown(reason.to_owned()));
        }
    }
    if expressions.iter().any(is_data) {
        return Err(Trouble::Refused("a reference to all of `data`".to_owned()));
    }
    Ok(())
}

fn data_reference(path: &[&str]) -> Trouble {
    match path {
        ["data", "inventory"] => {
            Trouble::Unknown("`data.inventory` comes from outside the manifests".to_owned())
        }
        // Gatekeeper moves the packages of libraries and misses references in comprehensions and composite values.
        ["data", "lib"] => Trouble::Unknown(
            "a reference to `data.lib` is undefined in some places; import the library".to_owned(),
        ),
        _ => Trouble::Refused("a reference to `data` outside `data.lib`".to_owned()),
    }
}

/// Notes which functions each function calls; the engine does not survive endless recursion.
fn add_calls(calls: &mut BTreeMap<Path, BTreeSet<Path>>, module: &Value, text: &str) {
    let owned = |path: &[&str]| path.iter().map(|it| (*it).to_owned()).collect::<Path>();
    let mut package = vec!["data"];
    package.extend(syntax::package(module));
    let aliases = syntax::aliases(module, text);
    for (name, rule) in syntax::rules(module) {
        let callee = |path: Vec<&str>| match path.split_first() {
            Some((&"data", _)) | None => owned(&path),
            Some((first, rest)) => match aliases.get(first) {
                Some(alias) => owned(&[alias.as_slice(), rest].concat()),
                None => owned(&[package.as_slice(), &path].concat()),
            },
        };
        let mut expressions = Vec::new();
        syntax::expressions(rule, &mut expressions);
        let callees = expressions.iter().filter_map(|it| it.child("fcn"));
        let callees = callees.map(|it| callee(it.path()));
        let function = owned(&[package.as_slice(), &name].concat());
        calls.entry(function).or_default().extend(callees);
    }
}

fn is_recursive(calls: &BTreeMap<Path, BTreeSet<Path>>, function: &Path) -> bool {
    let mut seen = BTreeSet::new();
    let mut pending = vec![function];
    while let Some(next) = pending.pop() {
        for callee in calls.get(next).into_iter().flatten() {
            if callee == function {
                return true;
            }
            if seen.insert(callee) {
                pending.push(callee);
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIB: &str = "package lib.q\nk := 1\nf(x) { x == 1 }\n";

    #[track_caller]
    fn compiled(rules: &str, lib: &str) -> Result<(), (bool, String)> {
        let entry = format!("package a\n{rules}\n");
        match compile_modules(&entry, &[lib.to_owned()], false) {
            Ok(_) => Ok(()),
            Err(Trouble::Refused(reason)) => Err((true, reason)),
            Err(Trouble::Unknown(reason)) => Err((false, reason)),
        }
    }

    const VIOLATION: &str = "violation[{\"msg\": \"m\"}] { true }\n";

    #[test]
    fn imported_libraries_and_future_keywords_are_accepted() {
        let rules = "import data.lib.q\nimport data.lib.q as r\nimport future.keywords.in\n";
        let body = "violation[{\"msg\": \"m\"}] { not q.f(r.k) }";
        assert_eq!(compiled(&format!("{rules}{body}"), LIB), Ok(()));
    }

    #[test]
    fn what_gatekeeper_refuses_to_load_is_refused() {
        for (rules, lib) in [
            ("deny[1] { true }".to_owned(), LIB),
            (VIOLATION.to_owned(), "package q\n"),
            (VIOLATION.to_owned(), "package lib\n"),
            (format!("import data.inventory\n{VIOLATION}"), LIB),
            (format!("import input.review\n{VIOLATION}"), LIB),
            (format!("{VIOLATION}p {{ data.constraints.x }}"), LIB),
            (format!("{VIOLATION}p {{ x := \"lib\"; data[x] }}"), LIB),
            (format!("{VIOLATION}p {{ f(data) }}\nf(x) {{ x }}"), LIB),
            (format!("{VIOLATION}f(x) {{ g(x) }}\ng(x) {{ f(x) }}"), LIB),
            (VIOLATION.to_owned(), "package lib.q\nf(x) { f(x) }\n"),
        ] {
            let refused = compiled(&rules, lib).unwrap_err();
            assert!(refused.0, "{rules}: {refused:?}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_never_compiled() {
        for rules in [
            "p { data.inventory.cluster }",
            "p { x := [1 | data.lib.q.k]; x }",
            "f(a) = y { y := 1 } { y := 2 }",
            "p { x := input.x\n(1 - x) >= 0 }",
        ] {
            let unknown = compiled(&format!("{VIOLATION}{rules}"), LIB).unwrap_err();
            assert!(!unknown.0, "{rules}: {unknown:?}");
        }
    }
}
