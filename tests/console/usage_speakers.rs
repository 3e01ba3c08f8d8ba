//! Who may ask for reports in whose name.

use anyhow::{Context as _, ensure};
use devserver_api::{
    costs,
    usage::{PATH, SERVICE, TOKEN_HEADER},
};
use devserver_testkit::with_namespace;

use crate::{
    ledger,
    rig::{More, Rig},
    usage::{ask, config, reader},
};

#[tokio::test]
async fn b6_reports_open_for_those_who_may_speak_for_the_user_and_for_what_the_user_may_see()
-> anyhow::Result<()> {
    with_namespace("usage speakers", async |scene| {
        let folder = tempfile::tempdir()?;
        let configure = |alice: &str, _: &str| config(&folder, alice);
        let more = More {
            ledger: Some(&configure),
            ..More::default()
        };
        let rig = Rig::with(&scene, more).await?;
        let operator = rig.ledger.as_ref().context("no ledger")?;
        let console = ledger::own_token(&scene.client()).await?;
        let (all, stranger) = (
            reader(&scene, SERVICE).await?,
            reader(&scene, "stranger").await?,
        );
        let alice = rig.account.username.as_str();
        let tokens = [console, stranger, all];
        for (what, token, named, query, expected) in cases(alice) {
            let token = tokens.get(token as usize).context("no token")?;
            let query = query.replace("ALICE", alice);
            for path in [PATH, costs::PATH] {
                let path = format!("{path}?since=1700000000&until=1700086400{query}");
                let mut headers = vec![(TOKEN_HEADER, token.as_str())];
                headers.extend(&named);
                let (status, body) = ask(operator, &path, &headers).await?;
                ensure!(status == expected, "{what}, {path}: {status}: {body}");
            }
        }
        Ok(())
    })
    .await
}

/// By whose token it is asked.
#[derive(Clone, Copy)]
enum Asks {
    Console,
    Stranger,
    Reader,
}

type Case<'a> = (
    &'static str,
    Asks,
    Vec<(&'static str, &'a str)>,
    &'static str,
    &'static str,
);

/// What is asked, by whom, in whose name, with which filter, and the answer.
#[allow(clippy::too_many_lines, reason = "a table")]
fn cases(alice: &str) -> Vec<Case<'_>> {
    let (user, group) = (costs::USER_HEADER, costs::GROUP_HEADER);
    vec![
        (
            "herself",
            Asks::Console,
            vec![(user, alice), (group, "devserver-users")],
            "&owner=ALICE",
            "200",
        ),
        (
            "her team",
            Asks::Console,
            vec![(user, alice)],
            "&team=genomics",
            "200",
        ),
        ("everybody", Asks::Console, vec![(user, alice)], "", "403"),
        (
            "somebody",
            Asks::Console,
            vec![(user, alice)],
            "&owner=bob",
            "403",
        ),
        (
            "another team",
            Asks::Console,
            vec![(user, alice)],
            "&team=imaging",
            "403",
        ),
        ("nobody named", Asks::Console, vec![], "", "401"),
        (
            "no such group",
            Asks::Console,
            vec![(user, alice), (group, "finance")],
            "&owner=ALICE",
            "401",
        ),
        (
            "Kubernetes' own",
            Asks::Console,
            vec![(user, alice), (group, "system:masters")],
            "",
            "401",
        ),
        (
            "an account",
            Asks::Console,
            vec![(user, "system:admin")],
            "",
            "401",
        ),
        (
            "a second name",
            Asks::Console,
            vec![(user, alice), (user, "bob")],
            "&owner=ALICE",
            "401",
        ),
        (
            "by a stranger",
            Asks::Stranger,
            vec![(user, alice)],
            "&owner=ALICE",
            "401",
        ),
        (
            "by the reader",
            Asks::Reader,
            vec![(user, alice)],
            "&owner=ALICE",
            "401",
        ),
        ("all by the reader", Asks::Reader, vec![], "", "200"),
    ]
}
