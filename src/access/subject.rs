//! What a subject of a binding stands for.

use crate::rbac::{SERVICE_ACCOUNTS, SubjectKey, service_account_of};

/// Returns the namespace and the name of the service account, if the subject is one.
pub fn service_account(subject: &SubjectKey) -> Option<(&str, &str)> {
    match subject {
        SubjectKey::User(name) => service_account_of(name),
        SubjectKey::Group(_) => None,
    }
}

/// Returns the one namespace whose pods can run as the subject, if there is one.
pub fn home(subject: &SubjectKey) -> Option<&str> {
    match subject {
        SubjectKey::User(_) => service_account(subject).map(|(namespace, _)| namespace),
        SubjectKey::Group(name) => name.strip_prefix(SERVICE_ACCOUNTS)?.strip_prefix(':'),
    }
}

/// Returns how a subject is called: `User alice`, `Group developers` or `ServiceAccount shop/web`.
pub fn subject_text(subject: &SubjectKey) -> String {
    match (service_account(subject), subject) {
        (Some((namespace, name)), _) => format!("ServiceAccount {namespace}/{name}"),
        (None, SubjectKey::User(name)) => format!("User {name}"),
        (None, SubjectKey::Group(name)) => format!("Group {name}"),
    }
}

/// A text that names no subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no subject; write `User NAME`, `Group NAME` or `ServiceAccount NAMESPACE/NAME`"
)]
pub struct ParseSubjectError(String);

/// Reads a subject as [`subject_text`] writes it.
///
/// # Errors
///
/// When the text has another form.
pub fn parse_subject(text: &str) -> Result<SubjectKey, ParseSubjectError> {
    let error = || ParseSubjectError(text.to_owned());
    let (kind, name) = text.split_once(' ').ok_or_else(error)?;
    if name.is_empty() {
        return Err(error());
    }
    match kind {
        "User" => Ok(SubjectKey::User(name.to_owned())),
        "Group" => Ok(SubjectKey::Group(name.to_owned())),
        "ServiceAccount" => {
            let (namespace, name) = name.split_once('/').ok_or_else(error)?;
            let user = crate::rbac::service_account_user(namespace, name);
            Ok(SubjectKey::User(user.username))
        }
        _ => Err(error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_read_as_it_is_written() {
        for text in ["User alice", "Group sre admins", "ServiceAccount shop/web"] {
            let subject = parse_subject(text).unwrap();
            assert_eq!(subject_text(&subject), text);
        }
        for text in ["alice", "User ", "ServiceAccount web", "Role x"] {
            assert!(parse_subject(text).is_err(), "{text}");
        }
    }
}
