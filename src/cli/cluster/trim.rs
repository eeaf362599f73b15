//! What of an object is not needed, or nobody's business.

use serde_json::Value;

use super::Env;

/// Where kubectl keeps what was applied, secrets included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// What stands for a value that was taken away.
const REDACTED: &str = "REDACTED";

/// Takes away the status and what clients keep in the metadata for themselves, and perhaps the values of environment variables.
pub(super) fn trim(object: &mut Value, env: Env) {
    if let Some(object) = object.as_object_mut() {
        object.remove("status");
    }
    // Pod templates, and templates of those, have metadata of their own.
    walk(object, env);
}

fn walk(value: &mut Value, env: Env) {
    match value {
        Value::Object(members) => {
            if let Some(Value::Object(metadata)) = members.get_mut("metadata") {
                metadata.remove("managedFields");
                if let Some(Value::Object(annotations)) = metadata.get_mut("annotations") {
                    annotations.remove(LAST_APPLIED);
                }
            }
            if let Some(Value::Array(variables)) = members.get_mut("env")
                && env == Env::Redacted
            {
                for value in variables.iter_mut().filter_map(|it| it.get_mut("value")) {
                    *value = REDACTED.into();
                }
            }
            members.values_mut().for_each(|it| walk(it, env));
        }
        Value::Array(items) => items.iter_mut().for_each(|it| walk(it, env)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment() -> Value {
        let metadata = json!({
            "name": "web",
            "managedFields": [{ "manager": "kubectl" }],
            "annotations": { LAST_APPLIED: "hunter2", "a": "b" },
        });
        json!({
            "metadata": metadata,
            "spec": { "template": {
                "metadata": metadata,
                "spec": {
                    "initContainers": [{ "name": "a", "env": [{ "name": "B", "value": "hunter2" }] }],
                    "containers": [{ "name": "c", "env": [
                        { "name": "D", "value": "hunter2" },
                        { "name": "E", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
                    ] }],
                },
            } },
            "status": { "replicas": 1 },
        })
    }

    #[test]
    fn values_of_the_environment_go_wherever_they_are() {
        let mut object = deployment();
        trim(&mut object, Env::Redacted);
        let metadata = json!({ "name": "web", "annotations": { "a": "b" } });
        let expected = json!({
            "metadata": metadata,
            "spec": { "template": {
                "metadata": metadata,
                "spec": {
                    "initContainers": [{ "name": "a", "env": [{ "name": "B", "value": "REDACTED" }] }],
                    "containers": [{ "name": "c", "env": [
                        { "name": "D", "value": "REDACTED" },
                        { "name": "E", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
                    ] }],
                },
            } },
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn what_was_applied_goes_even_if_the_environment_stays() {
        let mut object = deployment();
        trim(&mut object, Env::Kept);
        let text = object.to_string();
        assert_eq!(text.matches("hunter2").count(), 2, "{text}");
        assert!(!text.contains(LAST_APPLIED), "{text}");
    }
}
