//! Writes a cluster with a policy for each tenant, the pods that run in it, or requests to create them: something large to try the program on.
//!
//! ```text
//! cargo run --release --example tenants -- cluster TENANTS > cluster.yaml
//! cargo run --release --example tenants -- pods PODS WORKLOADS TENANTS > pods.json
//! cargo run --release --example tenants -- requests REQUESTS TENANTS > requests.jsonl
//! cargo run --release --example tenants -- operator-requests REQUESTS TENANTS > requests.jsonl
//! ```

use std::io::{self, BufWriter, Write};

use anyhow::{Context, bail};

#[expect(dead_code, reason = "benchmarks choose sizes, which are given here")]
#[path = "../benches/tenants.rs"]
mod tenants;

const USAGE: &str = "say `cluster TENANTS`, `pods PODS WORKLOADS TENANTS`, or `requests` or `operator-requests` with `REQUESTS TENANTS`";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((what, numbers)) = arguments.split_first() else {
        bail!("{USAGE}");
    };
    let numbers: Vec<usize> = numbers
        .iter()
        .map(|it| {
            it.parse()
                .with_context(|| format!("`{it}` is not a number"))
        })
        .collect::<Result<_, _>>()?;
    let mut out = BufWriter::new(io::stdout().lock());
    match (what.as_str(), numbers.as_slice()) {
        ("cluster", [tenants]) => out.write_all(tenants::cluster(*tenants).as_bytes())?,
        ("pods", [pods, workloads, tenants]) if workloads * tenants > 0 => {
            tenants::pods(&mut out, *pods, *workloads, *tenants)?;
        }
        ("requests" | "operator-requests", [requests, tenants]) if *tenants > 0 => {
            let by_operator = what.starts_with("operator");
            tenants::requests(&mut out, *requests, *tenants, by_operator)?;
        }
        _ => bail!("{USAGE}"),
    }
    Ok(out.flush()?)
}
