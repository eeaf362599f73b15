//! The host paths that pods may mount: `allowedHostPaths`.
//!
//! ## PSP
//!
//! Kubernetes 1.24, `pkg/security/podsecuritypolicy/provider.go` and `util/util.go`.
//! No entries allow every path.
//! Else the path of a `hostPath` volume must have one of the prefixes, compared byte by byte up to the end of a segment, after one
//! trailing slash is cut off both; nothing else is cleaned.
//! Where only read-only entries match, every mount of the volume in any container must be read-only; a writable match wins.
//! A volume whose type is not allowed is not looked at here.
//! Nothing is defaulted.
//!
//! ## Gatekeeper
//!
//! `allowedHostPaths` travels as a sorted list.
//! `templates/rego/lib/host_paths.rego` judges it.
//!
//! ## Losses
//!
//! None.

use serde_json::json;

use super::probe::Probe;
use super::translate::{Parameters, Translate, allows_volume, parameters};
use super::volumes::{is_allowed, volume_type};
use super::{Control, FieldError, Semantics, quoted};
use crate::api::core::{Pod, Volume};
use crate::api::policy::{AllowedHostPath, PodSecurityPolicy, PodSecurityPolicySpec};

/// The control `host_paths`.
#[derive(Clone, Copy, Debug)]
pub struct HostPaths;

impl Control for HostPaths {
    fn name(&self) -> &'static str {
        "host-paths"
    }

    fn fields(&self) -> &'static [&'static str] {
        &["allowedHostPaths"]
    }

    fn probes(&self, psp: &PodSecurityPolicySpec) -> Vec<Probe> {
        let mut paths = vec!["/".to_owned(), "/etc".to_owned()];
        for it in &psp.allowed_host_paths {
            let prefix = it.path_prefix.trim_end_matches('/');
            paths.push(it.path_prefix.clone());
            paths.extend(["", "/", "/sub", "x", "//sub"].map(|end| format!("{prefix}{end}")));
            let parent = prefix.rsplit_once('/').map_or("", |it| it.0);
            paths.push(format!("{parent}/"));
        }
        paths.sort();
        paths.dedup();
        paths
            .into_iter()
            .filter(|it| !it.is_empty())
            .flat_map(|path| {
                [Some(true), Some(false), None]
                    .map(|it| Probe::volume("hostPath", json!({ "path": path }), it))
            })
            .collect()
    }
}

impl Semantics for HostPaths {
    fn validate_volume(
        &self,
        acc: &mut Vec<FieldError>,
        psp: &PodSecurityPolicy,
        pod: &Pod,
        volume: &Volume<'_>,
    ) {
        if volume_type(volume) != "hostPath" || !is_allowed(psp, volume) {
            return;
        }
        let path = volume.string(&["hostPath", "path"]);
        match access(&psp.spec.allowed_host_paths, path) {
            Access::Writable => {}
            Access::ReadOnly => {
                for container in pod.containers() {
                    for (index, (name, read_only)) in container.volume_mounts().enumerate() {
                        if name == volume.name() && !read_only {
                            let path = format!("{}.volumeMounts[{index}].readOnly", container.at);
                            acc.push(FieldError::invalid(path, false, "must be read-only"));
                        }
                    }
                }
            }
            Access::None => {
                let field = format!("{}.hostPath.pathPrefix", volume.path());
                let detail = "is not allowed to be used";
                acc.push(FieldError::invalid(field, quoted(path), detail));
            }
        }
    }
}

impl Translate for HostPaths {
    fn parameters(&self, psp: &PodSecurityPolicySpec) -> Parameters {
        let mut paths = psp.allowed_host_paths.clone();
        paths.sort();
        paths.dedup();
        let paths: Vec<_> = paths
            .iter()
            .map(|it| json!({ "pathPrefix": it.path_prefix, "readOnly": it.read_only }))
            .collect();
        parameters([("allowedHostPaths", json!(paths))])
    }

    fn covers(&self, wide: &PodSecurityPolicySpec, narrow: &PodSecurityPolicySpec) -> bool {
        wide.allowed_host_paths.is_empty()
            || !allows_volume(narrow, "hostPath")
            || (!narrow.allowed_host_paths.is_empty()
                && narrow.allowed_host_paths.iter().all(|it| {
                    wide.allowed_host_paths.iter().any(|outer| {
                        outer.path_prefix == it.path_prefix && (it.read_only || !outer.read_only)
                    })
                }))
    }
}

/// What a policy allows on a host path.
enum Access {
    None,
    ReadOnly,
    Writable,
}

fn access(entries: &[AllowedHostPath], path: &str) -> Access {
    let matching = || {
        entries
            .iter()
            .filter(|it| has_path_prefix(path, &it.path_prefix))
    };
    if entries.is_empty() || matching().any(|it| !it.read_only) {
        Access::Writable
    } else if matching().next().is_some() {
        Access::ReadOnly
    } else {
        Access::None
    }
}

fn has_path_prefix(path: &str, prefix: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|it| it.is_empty() || it.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::controls::testing::{check, check_covers, check_parameters, owned, policy};

    fn entries(entries: &[(&str, bool)]) -> PodSecurityPolicy {
        let entries = entries.iter().map(|(prefix, read_only)| AllowedHostPath {
            path_prefix: (*prefix).to_owned(),
            read_only: *read_only,
        });
        policy(|it| it.allowed_host_paths = entries.collect())
    }

    #[track_caller]
    fn check_path(psp: &PodSecurityPolicy, path: &str, allowed: bool) {
        let pod = json!({ "spec": { "volumes": [{ "name": "v", "hostPath": { "path": path } }] } });
        let error = format!(
            "spec.volumes[0].hostPath.pathPrefix: Invalid value: \"{path}\": is not allowed to be used"
        );
        let errors: Vec<&str> = (!allowed).then_some(error.as_str()).into_iter().collect();
        check(&HostPaths, psp, pod, &errors);
    }

    #[test]
    fn a_prefix_ends_where_a_segment_ends() {
        for prefix in ["/foo", "/foo/"] {
            let psp = entries(&[(prefix, false)]);
            for path in ["/foo", "/foo/", "/foo/bar"] {
                check_path(&psp, path, true);
            }
            for path in ["/foobar", "/", "/etc/foo", "foo"] {
                check_path(&psp, path, false);
            }
        }
    }

    #[test]
    fn the_root_allows_every_absolute_path_and_no_entries_allow_all() {
        check_path(&entries(&[("/", false)]), "/any/where", true);
        check_path(&entries(&[("/", false)]), "relative", false);
        check_path(&entries(&[]), "relative", true);
    }

    #[test]
    fn a_prefix_with_two_slashes_at_its_end_keeps_one() {
        check_path(&entries(&[("/foo//", false)]), "/foo/bar", false);
        check_path(&entries(&[("/foo//", false)]), "/foo//", true);
        check_path(&entries(&[("/foo//", false)]), "/foo/", false);
    }

    #[test]
    fn where_only_read_only_entries_match_every_mount_must_be_read_only() {
        let mounts = json!([{ "name": "v", "readOnly": true }, { "name": "v" }, { "name": "w" }]);
        let pod = |path: &str| {
            json!({ "spec": {
                "volumes": [{ "name": "v", "hostPath": { "path": path } }],
                "initContainers": [{ "name": "i", "volumeMounts": mounts }],
                "ephemeralContainers": [{ "name": "e", "volumeMounts": mounts }],
            } })
        };
        let problem = "volumeMounts[1].readOnly: Invalid value: false: must be read-only";
        let errors = [
            format!("spec.initContainers[0].{problem}"),
            format!("spec.ephemeralContainers[0].{problem}"),
        ];
        let psp = entries(&[("/foo", true), ("/foo/bar", false)]);
        check(
            &HostPaths,
            &psp,
            pod("/foo/x"),
            &errors.each_ref().map(String::as_str),
        );
        check(&HostPaths, &psp, pod("/foo/bar/x"), &[]);
        check_path(&psp, "/foo/x", true);
    }

    #[test]
    fn a_volume_that_may_not_be_there_is_not_looked_at() {
        let mut psp = entries(&[("/foo", false)]);
        psp.spec.volumes = vec!["secret".to_owned()];
        check_path(&psp, "/bar", true);
    }

    #[test]
    fn a_policy_covers_another_whose_entries_it_has_at_least_as_writable() {
        for (wide, narrow, covers) in [
            (vec![], vec![], true),
            (vec![], vec![("/a", false)], true),
            (vec![("/a", false)], vec![], false),
            (vec![("/a", false)], vec![("/a", false)], true),
            (vec![("/a", false)], vec![("/a", true)], true),
            (vec![("/a", true)], vec![("/a", true)], true),
            (vec![("/a", true)], vec![("/a", false)], false),
            (vec![("/a", false)], vec![("/b", true)], false),
            (vec![("/a", false), ("/b", true)], vec![("/b", true)], true),
            (
                vec![("/a", false)],
                vec![("/a", false), ("/b", true)],
                false,
            ),
            (vec![("/a", true)], vec![("/b", true), ("/a", true)], false),
        ] {
            check_covers(&HostPaths, &entries(&wide), &entries(&narrow), covers);
        }
    }

    #[test]
    fn a_policy_without_host_paths_is_covered_whatever_it_lists() {
        for (volumes, covers) in [(["secret"], true), (["hostPath"], false), (["*"], false)] {
            let mut narrow = entries(&[("/b", false)]);
            narrow.spec.volumes = owned(&volumes);
            // It is `volumes` that refuses such pods.
            let wide = entries(&[("/a", false)]);
            assert_eq!(HostPaths.covers(&wide.spec, &narrow.spec), covers);
        }
    }

    #[test]
    fn the_entries_travel_sorted_and_each_once() {
        let psp = entries(&[("/b", true), ("/a", false), ("/b", true)]);
        let paths = json!([
            { "pathPrefix": "/a", "readOnly": false },
            { "pathPrefix": "/b", "readOnly": true },
        ]);
        check_parameters(&HostPaths, &psp, &json!({ "allowedHostPaths": paths }));
    }
}
