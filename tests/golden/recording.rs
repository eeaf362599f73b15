//! What a run writes, and what it wrote when it was recorded.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::Failed;

use crate::case::{Case, files_below};

/// Where the ConstraintTemplate goes.
const TEMPLATE: &str = "output/1-templates/constrainttemplate-podsecuritypolicyadmission.yaml";

/// What a run writes: `stderr.txt`, and the files below `output/`.
#[derive(Debug)]
pub(crate) struct Recording {
    /// The files as they were written.
    pub(crate) written: BTreeMap<String, String>,
    /// The files as they are recorded, with the Rego cut out.
    recorded: BTreeMap<String, String>,
}

impl Recording {
    /// Runs the case and takes down what comes out.
    pub(crate) fn of(case: &Case) -> Result<Self, Failed> {
        let workplace = tempfile::tempdir()?;
        for (name, text) in files_below(&case.folder.join("input"))? {
            write_file(&workplace.path().join("input").join(name), &text)?;
        }
        let output = Command::new(env!("CARGO_BIN_EXE_psp2gatekeeper"))
            .args(&case.arguments)
            .args(["--out-dir", "output"])
            .current_dir(workplace.path())
            .stdin(Stdio::null())
            .output()?;
        let stderr = String::from_utf8(output.stderr)?;
        if output.status.code() != Some(case.exit_code) {
            return Err(format!("{}; it said:\n{stderr}", output.status).into());
        }
        if !output.stdout.is_empty() {
            return Err("it wrote to stdout, where an output directory was given".into());
        }
        let mut written = BTreeMap::from([("stderr.txt".to_owned(), stderr)]);
        for (name, text) in files_below(&workplace.path().join("output"))? {
            written.insert(format!("output/{name}"), text);
        }
        if case.exit_code == 2 && written.len() > 1 {
            return Err("it could not do what was asked and wrote files all the same".into());
        }
        let mut recorded = written.clone();
        // It follows from the other files, the Rego included.
        recorded.remove("output/SHA256SUMS");
        if !case.with_rego
            && let Some(template) = recorded.get_mut(TEMPLATE)
        {
            *template = without_rego(template)?;
        }
        Ok(Self { written, recorded })
    }

    /// Reads what was recorded.
    pub(crate) fn read(folder: &Path) -> Result<BTreeMap<String, String>, Failed> {
        let stderr = fs::read_to_string(folder.join("stderr.txt")).unwrap_or_default();
        let mut res = BTreeMap::from([("stderr.txt".to_owned(), stderr)]);
        for (name, text) in files_below(&folder.join("output"))? {
            res.insert(format!("output/{name}"), text);
        }
        Ok(res)
    }

    /// Records.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), Failed> {
        if folder.join("output").exists() {
            fs::remove_dir_all(folder.join("output"))?;
        }
        for (name, text) in &self.recorded {
            write_file(&folder.join(name), text)?;
        }
        Ok(())
    }

    /// Compares with what was recorded.
    pub(crate) fn compare(&self, earlier: &BTreeMap<String, String>) -> Result<(), Failed> {
        let differences = differences(earlier, &self.recorded);
        if differences.is_empty() {
            return Ok(());
        }
        Err(format!(
            "{differences}If this is meant, record it with `UPDATE_GOLDEN=1 cargo test --test golden` and read the diff."
        )
        .into())
    }
}

/// Cuts out of a ConstraintTemplate the Rego that stands in `templates/rego`, and names the file instead.
///
/// So a recording shows what is peculiar to its case, and both together are still every byte that was written.
fn without_rego(template: &str) -> Result<String, Failed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/rego");
    let mut res = template.to_owned();
    for (name, rego) in files_below(&root)? {
        for indent in [8, 10, 12, 14] {
            let margin = " ".repeat(indent);
            let text: Vec<String> = rego
                .trim_end()
                .lines()
                .map(|line| match line {
                    "" => String::new(),
                    line => format!("{margin}{line}"),
                })
                .collect();
            let mark = format!("{margin}# templates/rego/{name}\n");
            res = res.replace(&format!("{}\n", text.join("\n")), &mark);
        }
    }
    Ok(res)
}

fn differences(earlier: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> String {
    let mut res = String::new();
    for (name, text) in now {
        match earlier.get(name) {
            None => drop(writeln!(res, "{name} is written, and not recorded.")),
            Some(recorded) if recorded == text => {}
            Some(recorded) => {
                let line = recorded
                    .lines()
                    .zip(text.lines())
                    .take_while(|(old, new)| old == new)
                    .count();
                let of = |text: &str| text.lines().nth(line).unwrap_or("(the end)").to_owned();
                let _ = writeln!(
                    res,
                    "{name} differs from line {} on.\n- {}\n+ {}",
                    line + 1,
                    of(recorded),
                    of(text)
                );
            }
        }
    }
    for name in earlier.keys().filter(|it| !now.contains_key(*it)) {
        let _ = writeln!(res, "{name} is recorded, and the run does not write it.");
    }
    res
}

fn write_file(path: &Path, text: &str) -> Result<(), Failed> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(path, text)?;
    Ok(())
}

/// The comparison itself: a missing, a changed and a superfluous file are each told.
pub(crate) fn tells_files_apart() -> Result<(), Failed> {
    let files = |of: &[(&str, &str)]| -> BTreeMap<String, String> {
        of.iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    };
    let now = files(&[("a", "1\n2\n"), ("b", ""), ("c", "")]);
    let told = differences(&files(&[("a", "1\n3\n"), ("b", ""), ("d", "")]), &now);
    let expected = "a differs from line 2 on.\n- 3\n+ 2\nc is written, and not recorded.\nd is recorded, and the run does not write it.\n";
    if told != expected || !differences(&now, &now).is_empty() {
        return Err(told.into());
    }
    Ok(())
}
