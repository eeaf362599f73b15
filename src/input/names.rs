//! The forms of names that Kubernetes 1.24 demands, in the words in which it complains.
//!
//! `apimachinery/pkg/util/validation/validation.go`.

const QUALIFIED: &str = "consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
     alphanumeric character";
const QUALIFIED_HINT: &str = "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";

/// What is wrong with a name that must be a DNS subdomain.
pub(super) fn dns_subdomain(name: &str) -> Vec<String> {
    const PATTERN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
    let mut faults = Vec::new();
    if name.len() > 253 {
        faults.push(too_long(253));
    }
    if !name.split('.').all(is_dns_label) {
        faults.push(format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '{PATTERN}')"
        ));
    }
    faults
}

/// What is wrong with the name of a namespace.
pub(super) fn dns_label(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if name.len() > 63 {
        faults.push(too_long(63));
    }
    if !is_dns_label(name) {
        faults.push(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
             with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    faults
}

/// What is wrong with the name of a role or a binding.
///
/// `apimachinery/pkg/api/validation/path/name.go`, `IsValidPathSegmentName`.
pub(super) fn path_segment(name: &str) -> Vec<String> {
    if [".", ".."].contains(&name) {
        return vec![format!("may not be '{name}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|it| name.contains(**it))
        .map(|it| format!("may not contain '{it}'"))
        .collect()
}

/// What is wrong with the key of a label or an annotation, or with the name of a finalizer.
pub(super) fn qualified_name(name: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let parts: Vec<&str> = name.split('/').collect();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(
                    dns_subdomain(prefix)
                        .iter()
                        .map(|it| format!("prefix part {it}")),
                );
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name must {QUALIFIED} {QUALIFIED_HINT} with an optional DNS subdomain prefix and '/' (e.g. \
                 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push(format!("name part {}", too_long(63)));
    }
    if !is_qualified(name) {
        faults.push(format!("name part must {QUALIFIED} {QUALIFIED_HINT}"));
    }
    faults
}

/// What is wrong with the value of a label.
pub(super) fn label_value(value: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if value.len() > 63 {
        faults.push(too_long(63));
    }
    if !value.is_empty() && !is_qualified(value) {
        faults.push(format!(
            "a valid label must be an empty string or {QUALIFIED} (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
             used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        ));
    }
    faults
}

/// The pattern of [`is_sysctl_pattern`], as the API server quotes it.
pub(super) const SYSCTL_PATTERN: &str =
    r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?\.)*([a-z0-9][-_a-z0-9]*)?[a-z0-9*]";
/// How long a sysctl or its pattern may be.
pub(super) const SYSCTL_LENGTH: usize = 253;

/// Whether this names a sysctl, or with a `*` at its end several.
///
/// `pkg/apis/policy/validation/validation.go`, `IsValidSysctlPattern`.
pub(super) fn is_sysctl_pattern(name: &str) -> bool {
    let lower = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    let inner = |it: &u8| lower(*it) || matches!(it, b'-' | b'_');
    let segment = |it: &str| enclosed(it.as_bytes(), lower, inner);
    let (before, last) = name
        .rsplit_once('.')
        .map_or((None, name), |(before, last)| (Some(before), last));
    let last_segment = match last.as_bytes().split_last() {
        Some((end, [])) => lower(*end) || *end == b'*',
        Some((end, [first, middle @ ..])) => {
            (lower(*end) || *end == b'*') && lower(*first) && middle.iter().all(inner)
        }
        None => false,
    };
    name.len() <= SYSCTL_LENGTH
        && last_segment
        && before.is_none_or(|it| it.split('.').all(segment))
}

fn is_dns_label(label: &str) -> bool {
    let lower = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit();
    enclosed(label.as_bytes(), lower, |it| lower(*it) || *it == b'-')
}

fn is_qualified(name: &str) -> bool {
    let alphanumeric = |it: u8| it.is_ascii_alphanumeric();
    enclosed(name.as_bytes(), alphanumeric, |it| {
        alphanumeric(*it) || matches!(it, b'-' | b'_' | b'.')
    })
}

/// Whether the first and the last byte are of one kind, and those between of another.
fn enclosed(name: &[u8], end: impl Fn(u8) -> bool, inner: impl Fn(&u8) -> bool) -> bool {
    match name {
        [] => false,
        [only] => end(*only),
        [first, middle @ .., last] => end(*first) && end(*last) && middle.iter().all(inner),
    }
}

fn too_long(length: usize) -> String {
    format!("must be no more than {length} characters")
}
