//! The page of usage and costs: the numbers of the ledger, one's own, and nothing of others.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Context as _, ensure};
use devserver_api::{
    DevServer, money,
    usage::{PATH, SERVICE, TOKEN_HEADER, UsageReport},
};
use devserver_e2e::is_running;
use devserver_testkit::{
    Operator, Scene,
    kubelet::Fortune,
    sample,
    wait::{self, Seen},
    with_namespace,
};
use k8s_openapi::api::{
    core::v1::ServiceAccount,
    rbac::v1::{Role, RoleBinding},
};
use kube::{Api, api::PostParams};
use serde_json::json;

use crate::{
    browser::{Answer, Browser},
    ledger,
    rig::{CONSOLE, More, Rig},
};

/// A cent is spent in two seconds, so that a minute is seen on the page.
pub fn config(folder: &tempfile::TempDir, lead: &str) -> String {
    let path = folder.path().join("ledger.db");
    format!(
        "usage: {{databaseFile: {}, currency: EUR, prices: [{{from: 2020-01-01, cpuMicrosPerCoreHour: 36000000, memoryMicrosPerGibHour: 4000}}]}}\n\
         teams: {{genomics: {{leads: [{lead}], budget: {{microsPerMonth: 500000000}}}}, imaging: {{budget: {{microsPerMonth: 700000000}}}}}}",
        path.display()
    )
}

/// An environment of somebody's that runs.
async fn runs(
    scene: &Scene,
    name: &str,
    owner: &str,
    team: &str,
    flavor: &str,
) -> anyhow::Result<()> {
    let servers: Api<DevServer> = scene.api();
    let mut server = sample::devserver(name, flavor);
    server.spec.owner = Some(owner.to_owned());
    server.spec.team = Some(team.to_owned());
    servers.create(&PostParams::default(), &server).await?;
    scene.status(name, "runs", is_running).await?;
    Ok(())
}

/// What somebody asks of the operator directly; the status and the body.
pub async fn ask(
    operator: &Operator,
    path: &str,
    headers: &[(&str, &str)],
) -> anyhow::Result<(String, String)> {
    let mut lines = String::new();
    for (name, value) in headers {
        write!(lines, "{name}: {value}\r\n")?;
    }
    let answer = operator.usage(path, &lines).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no body")?;
    let status = head.split(' ').nth(1).context("no status")?;
    Ok((status.to_owned(), body.to_owned()))
}

/// The whole ledger by environment, as `devctl usage` gets it.
async fn whole(operator: &Operator, token: &str) -> anyhow::Result<UsageReport> {
    let now = jiff::Timestamp::now().as_second();
    let (since, until) = (now - 86_400, now + 86_400);
    let path = format!("{PATH}?since={since}&until={until}&by=environment");
    let (status, body) = ask(operator, &path, &[(TOKEN_HEADER, token)]).await?;
    ensure!(status == "200", "{status}: {body}");
    Ok(serde_json::from_str(&body)?)
}

/// A token of the account that may read everything.
pub async fn reader(scene: &Scene, name: &str) -> anyhow::Result<String> {
    let accounts: Api<ServiceAccount> = scene.api();
    let made = serde_json::from_value(json!({"metadata": {"name": name}}))?;
    accounts.create(&PostParams::default(), &made).await?;
    ledger::token(&accounts, name).await
}

/// The JSON of the page's own link.
async fn told(browser: &mut Browser) -> anyhow::Result<UsageReport> {
    let path = "/usage/usage.json?period=this-month&by=environment&whose=mine";
    let answer = browser.get(CONSOLE, path).await?.expect(200)?;
    Ok(serde_json::from_str(&answer.text)?)
}

fn cost_of(report: &UsageReport, name: &str) -> i64 {
    let mut lines = report.lines.iter();
    let line = lines.find(|line| line.name.ends_with(&format!("/{name}")));
    line.map_or(0, |line| line.total_cost_micros)
}

/// Waits until something of both is counted: the ledger is written once a minute.
async fn until_both_cost(operator: &Operator, token: &str) -> anyhow::Result<()> {
    wait::until(
        "both have cost something",
        Duration::from_secs(150),
        async || {
            let report = whole(operator, token).await?;
            let costs = ["hers", "strange"].map(|name| cost_of(&report, name));
            Ok(Seen::when(
                costs.iter().all(|cost| *cost > 0),
                format!("{costs:?}"),
            ))
        },
    )
    .await
}

/// The same browser, for a look that may be repeated.
fn again(browser: &Browser) -> Browser {
    Browser {
        address: browser.address,
        cookies: browser.cookies.clone(),
    }
}

#[tokio::test]
async fn c13_the_page_of_costs_has_the_ledgers_numbers_and_nothing_of_others() -> anyhow::Result<()>
{
    with_namespace("console usage", async |scene| {
        let folder = tempfile::tempdir()?;
        let configure = |_: &str, lead: &str| config(&folder, lead);
        let more = More {
            ledger: Some(&configure),
            ..More::default()
        };
        let rig = Rig::with(&scene, more).await?;
        let operator = rig.ledger.as_ref().context("no ledger")?;
        let _kubelet = scene.kubelet(Fortune::Ready);
        let flavor = scene.flavor("small", "500m", "1Gi").await?;
        let (alice, lead) = (&rig.account.username, &rig.other.username);
        runs(&scene, "hers", alice, "genomics", &flavor).await?;
        runs(&scene, "strange", "somebody-else", "imaging", &flavor).await?;
        let token = reader(&scene, SERVICE).await?;
        until_both_cost(operator, &token).await?;
        own_numbers(&rig, operator, &token).await?;
        let mut lead = rig.login(lead).await?;
        leads_and_readers(&rig, &mut lead).await?;
        operator.kill().await?;
        let page = lead.get(CONSOLE, "/usage").await?.expect(503)?;
        ensure!(page.text.contains("Nobody can say"), "{}", page.text);
        Ok(())
    })
    .await
}

/// What alice sees is what the ledger has of her.
async fn own_numbers(rig: &Rig, operator: &Operator, token: &str) -> anyhow::Result<()> {
    let mut alice = rig.login(&rig.account.username).await?;
    let home = alice.get(CONSOLE, "/").await?.expect(200)?;
    ensure!(home.text.contains("href=\"/usage\""), "no way to the page");
    // A batch may be written in between; then all is asked anew.
    let page = wait::until(
        "page and ledger agree",
        Duration::from_secs(60),
        async || {
            let before = whole(operator, token).await?;
            let mut another = again(&alice);
            let file = told(&mut another).await?;
            let page = another.get(CONSOLE, "/usage").await?.expect(200)?;
            let after = whole(operator, token).await?;
            let hers = cost_of(&before, "hers");
            ensure!(file.lines.len() == 1, "{file:?}");
            let agrees = before.lines == after.lines
                && file.total.total_cost_micros == hers
                && page
                    .text
                    .contains(&format!("<b>{}</b>", money::cents(hers)));
            Ok(if agrees {
                Seen::Yes(page)
            } else {
                Seen::NotYet(format!("{hers}: {file:?}\n{}", page.text))
            })
        },
    )
    .await?;
    keep(&page)?;
    ensure!(page.text.contains("/hers</th>"), "{}", page.text);
    ensure!(!page.text.contains("strange"), "{}", page.text);
    ensure!(
        !page.text.contains("genomics"),
        "what the team spends is told: {}",
        page.text
    );
    let csv = alice.get(CONSOLE, "/usage/usage.csv").await?.expect(200)?;
    ensure!(
        csv.text.lines().count() == 2 && csv.text.contains("/hers,"),
        "{}",
        csv.text
    );
    is_closed(&mut alice).await
}

/// What is not hers is not there, and what means nothing is told.
async fn is_closed(alice: &mut Browser) -> anyhow::Result<()> {
    for path in [
        "/usage?whose=all",
        "/usage?whose=team:genomics",
        "/usage?whose=team:imaging",
        "/usage?whose=team:",
        "/usage/usage.json?whose=all",
        "/usage/usage.csv?whose=team:genomics",
        "/usage/secrets",
    ] {
        alice.get(CONSOLE, path).await?.expect(404)?;
    }
    for path in [
        "/usage?owner=somebody-else",
        "/usage?period=for-ever",
        "/usage?by=secret",
    ] {
        alice.get(CONSOLE, path).await?.expect(422)?;
    }
    Ok(())
}

/// The page, for those who want to look at it.
fn keep(page: &Answer) -> anyhow::Result<()> {
    if let Some(path) = std::env::var_os("DEVSERVER_USAGE_PAGE") {
        std::fs::write(path, &page.text)?;
    }
    Ok(())
}

/// As the chart would make it.
fn role_of_readers() -> anyhow::Result<Role> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../charts/devserver-platform/templates/usage/rbac.yaml"
    );
    let text = std::fs::read_to_string(path)?;
    let rules = text
        .split("name: devserver-usage-reader")
        .nth(1)
        .context("no Role")?;
    let rules = rules
        .split("rules:")
        .nth(1)
        .and_then(|rest| rest.split("{{").next())
        .context("no rules")?;
    let rules: serde_json::Value = serde_saphyr::from_str(rules)?;
    let role = json!({"metadata": {"name": "reader"}, "rules": rules});
    Ok(serde_json::from_value(role)?)
}

/// Who leads a team sees the team; an administrator of the console sees no more, unless the cluster says so.
async fn leads_and_readers(rig: &Rig, lead: &mut Browser) -> anyhow::Result<()> {
    let team = lead
        .get(CONSOLE, "/usage?whose=team:genomics&by=environment")
        .await?
        .expect(200)?;
    ensure!(
        team.text.contains("/hers</th>") && !team.text.contains("strange"),
        "{}",
        team.text
    );
    ensure!(
        team.text.contains("of 500.00 EUR in this month"),
        "{}",
        team.text
    );
    for path in ["/usage?whose=all", "/usage?whose=team:imaging"] {
        lead.get(CONSOLE, path).await?.expect(404)?;
    }
    let role = role_of_readers()?;
    rig.scene
        .api()
        .create(&PostParams::default(), &role)
        .await?;
    let binding: RoleBinding = serde_json::from_value(json!({
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "devserver-admins"}],
    }))?;
    rig.scene
        .api()
        .create(&PostParams::default(), &binding)
        .await?;
    wait::until("readers see all", Duration::from_secs(30), async || {
        let all = again(lead)
            .get(CONSOLE, "/usage?whose=all&by=environment")
            .await?;
        let sees = ["/hers</th>", "/strange</th>"]
            .iter()
            .all(|name| all.text.contains(name));
        Ok(Seen::when(sees, format!("{} {}", all.status, all.text)))
    })
    .await?;
    // Whoever reads everything through the console is in its group: alice is not.
    let mut alice = rig.login(&rig.account.username).await?;
    alice.get(CONSOLE, "/usage?whose=all").await?.expect(404)?;
    Ok(())
}

#[tokio::test]
async fn without_a_ledger_there_is_no_page_of_costs_and_no_way_to_one() -> anyhow::Result<()> {
    with_namespace("console no usage", async |scene| {
        let rig = Rig::new(&scene).await?;
        let mut alice = rig.login(&rig.account.username).await?;
        let home = alice.get(CONSOLE, "/").await?.expect(200)?;
        ensure!(!home.text.contains("/usage"), "{}", home.text);
        for path in ["/usage", "/usage/usage.csv"] {
            alice.get(CONSOLE, path).await?.expect(404)?;
        }
        Ok(())
    })
    .await
}
