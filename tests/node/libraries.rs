//! Clients that are no OpenSSH: the libraries that Ansible, Fabric and people's own programs are made with.

use anyhow::ensure;

use crate::visitor::Visitor;

/// Python of the system, for which the packages are installed (`tests/packages`).
const PYTHON: &str = "/usr/bin/python3";

/// Runs the script with where the gateway is and who comes; what it printed.
fn run(visitor: &Visitor, script: &str, more: &[&str]) -> anyhow::Result<String> {
    let known = std::fs::read_to_string(visitor.user.file("known"))?;
    let (host, port) = (visitor.gateway.host.as_str(), visitor.gateway.port);
    // These know no alias for a host key: the gateway has the name it is called by.
    let named: String = known
        .lines()
        .map(|line| match line.strip_prefix("gw ") {
            Some(key) => format!("[{host}]:{port} {key}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    let file = visitor.user.file("known-by-address");
    std::fs::write(&file, named)?;
    let (port, key, file) = (
        port.to_string(),
        visitor.user.key(),
        file.display().to_string(),
    );
    let mut words = vec!["-c", script, host, &port, &visitor.owner, &key, &file];
    words.extend(more);
    visitor.user.run(PYTHON, words)
}

#[tokio::test(flavor = "multi_thread")]
async fn paramiko_jumps_through_the_gateway() -> anyhow::Result<()> {
    let visitor = Visitor::new("paramiko").await?;
    let said = run(&visitor, include_str!("clients/with_paramiko.py"), &[])?;
    ensure!(said == "user dev exit 42\nup True\ndown True", "{said}");
    visitor.user.leave().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn asyncssh_jumps_through_the_gateway_and_signals_pass_both_ways() -> anyhow::Result<()> {
    let visitor = Visitor::new("asyncssh").await?;
    let folder = visitor.user.file("").display().to_string();
    let script = include_str!("clients/with_asyncssh.py");
    let said = run(&visitor, script, &[&folder])?;
    ensure!(
        said == "user dev exit 42\nended by TERM\nsent TERM\nmany True\nfile True",
        "{said}"
    );
    visitor.user.leave().await;
    Ok(())
}
