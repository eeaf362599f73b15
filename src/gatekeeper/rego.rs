//! Rego as Gatekeeper loads it.
//!
//! Gatekeeper 3.23 with frameworks/constraint, `pkg/client/drivers/rego/compilers.go` and `pkg/regorewriter/`.
//! What the engine is known to read or evaluate otherwise than OPA is refused, or rewritten by [`super::hoist`].

use std::collections::{BTreeMap, BTreeSet};

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
        let tree = parse(text, v1).map_err(Trouble::Refused)?;
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
        .map_err(|error| Trouble::Refused(error.to_string()))
}

fn new_engine(v1: bool) -> Engine {
    let mut engine = Engine::new();
    engine.set_rego_v0(!v1);
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
    let is_data = |it: Expr<'_>| it.kind == "Var" && it.text("value") == Some("data");
    let mut roots = 0; // references that begin with `data.lib`, each with one `data`
    for expr in &expressions {
        if expr.child("refr").is_some_and(is_data) {
            match expr.path().as_slice() {
                ["data", "lib"] => roots += 1,
                ["data", "inventory"] => {
                    let reason = "`data.inventory` comes from outside the manifests";
                    return Err(Trouble::Unknown(reason.to_owned()));
                }
                _ => {
                    return Err(Trouble::Refused(
                        "a reference to `data` outside `data.lib`".to_owned(),
                    ));
                }
            }
        }
        let function = expr.child("fcn").and_then(Expr::span);
        if function.is_some_and(|it| !text.get(it.end..).unwrap_or_default().starts_with('(')) {
            let reason = "a parenthesis after white space, which is read as a call";
            return Err(Trouble::Unknown(reason.to_owned()));
        }
    }
    if expressions.iter().filter(|it| is_data(**it)).count() > roots {
        return Err(Trouble::Refused("a reference to all of `data`".to_owned()));
    }
    Ok(())
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
