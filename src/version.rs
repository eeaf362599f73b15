//! Releases, as far as they decide what may be written.

use std::fmt;
use std::str::FromStr;

/// A release without its patch level, printed as `1.24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl Version {
    /// Returns the release of these two numbers.
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// What is not a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a release such as `1.24` or `v3.23.1`")]
pub struct VersionError;

impl FromStr for Version {
    type Err = VersionError;

    /// Reads two numbers, and lets a `v` precede and a patch level follow them.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let numbers = text.strip_prefix('v').unwrap_or(text);
        let (major, rest) = numbers.split_once('.').ok_or(VersionError)?;
        let (minor, patch) = rest.split_once('.').unwrap_or((rest, "0"));
        let number = |it: &str| it.parse::<u32>().map_err(|_| VersionError);
        // What follows the patch level names a build or a pre-release.
        let patch = patch.split(['-', '+']).next().unwrap_or_default();
        number(patch)?;
        Ok(Self::new(number(major)?, number(minor)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read_as_people_write_them_and_compared_as_numbers() {
        for text in [
            "1.24",
            "v1.24",
            "1.24.17",
            "v1.24.17-gke.100",
            "1.24.3+k3s1",
        ] {
            assert_eq!(text.parse(), Ok(Version::new(1, 24)), "{text}");
        }
        for text in ["", "1", "1.", "1.x", "a.b", "1.24.", "latest", "-1.2"] {
            assert_eq!(text.parse::<Version>(), Err(VersionError), "{text}");
        }
        assert!(Version::new(1, 9) < Version::new(1, 24));
    }
}
