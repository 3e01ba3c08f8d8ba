//! `devctl admin user`: from nothing to a user who works with the file they were given, and back.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::{Context as _, ensure};
use devserver_api::{DevServer, DevServerUser};
use devserver_testkit::{account::Account, devctl, sample, users::User, with_namespace};
use k8s_openapi::api::{
    authentication::v1::SelfSubjectReview, certificates::v1::CertificateSigningRequest,
    core::v1::Namespace, rbac::v1::RoleBinding,
};
use kube::{
    Api, Client, Config, ResourceExt as _,
    api::{ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

/// An administrator at the command line, and an operator that looks after what they make.
struct Desk {
    account: Account,
    admin: User,
}

impl Desk {
    async fn new(scene: &devserver_testkit::Scene) -> anyhow::Result<Self> {
        let account = Account::new(scene).await?;
        scene.operator_with(&account.settings(None)).await?;
        let admin = User {
            client: scene.client(),
            config: scene.cluster().config.clone(),
        };
        Ok(Self { account, admin })
    }

    async fn devctl(&self, arguments: &[&str]) -> anyhow::Result<(Option<i32>, String)> {
        let ran = devctl::run(&self.account.scene, &self.admin, arguments).await?;
        let text = [ran.stdout, ran.stderr].concat();
        Ok((ran.status.code(), String::from_utf8(text)?))
    }

    /// What devctl says when it does what it was asked for.
    async fn succeeds(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let (code, said) = self.devctl(arguments).await?;
        ensure!(code == Some(0), "{said}");
        Ok(said)
    }

    /// Has credentials of ten minutes for the user written to a file.
    async fn kubeconfig(&self, file: &Path, more: &[&str]) -> anyhow::Result<()> {
        let path = file.display().to_string();
        let mut arguments = vec!["admin", "user", "kubeconfig", &self.account.username];
        arguments.extend(["--expiration", "10m", "--file", &path]);
        arguments.extend(more);
        self.succeeds(&arguments).await.map(drop)
    }

    /// Makes what devctl made one of the scene's users, so that its operator looks after it.
    async fn hand_over(&self) -> anyhow::Result<()> {
        let user = self.account.sample(json!({}))?;
        let metadata = json!({"metadata": {
            "labels": user.metadata.labels, "ownerReferences": user.metadata.owner_references,
        }});
        self.account.patch(metadata).await?;
        self.account
            .status("is ready", devserver_testkit::account::is_ready)
            .await
            .map(drop)
    }
}

/// A client made of a file, as any program makes one.
async fn client(file: &Path) -> anyhow::Result<(Client, Config)> {
    let kubeconfig = Kubeconfig::read_from(file)?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok((Client::try_from(config.clone())?, config))
}

async fn who(client: Client) -> anyhow::Result<(String, Vec<String>)> {
    let api: Api<SelfSubjectReview> = Api::all(client);
    let answer = api
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = answer.status.and_then(|s| s.user_info).context("nobody")?;
    Ok((
        user.username.unwrap_or_default(),
        user.groups.unwrap_or_default(),
    ))
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn an_administrator_gives_a_user_a_file_that_works_and_expires() -> anyhow::Result<()> {
    with_namespace("devctl user", async |scene| {
        let desk = Desk::new(&scene).await?;
        let name = desk.account.username.clone();
        let create = ["admin", "user", "create", &name, "--team", "genomics"];
        desk.succeeds(&[&create[..], &["--quota", "devservers=3"]].concat())
            .await?;
        desk.hand_over().await?;
        let made = desk.account.users().get(&name).await?;
        ensure!(
            made.spec
                .quota
                .contains_key("count/devservers.devserver.io"),
            "{:?}",
            made.spec
        );
        let said = desk.succeeds(&["admin", "user", "list"]).await?;
        ensure!(said.contains(&name) && said.contains("genomics"), "{said}");

        let folder = tempfile_folder()?;
        let file = folder.path().join("alice.kubeconfig");
        desk.kubeconfig(&file, &[]).await?;
        let bits = std::fs::metadata(&file)?.permissions().mode() & 0o777;
        ensure!(bits == 0o600, "{bits:o}");
        let (alice, config) = client(&file).await?;
        ensure!(
            config.default_namespace == desk.account.namespace(),
            "{}",
            config.default_namespace
        );
        let (username, groups) = who(alice.clone()).await?;
        ensure!(
            username == name && groups.contains(&"devserver-users".to_owned()),
            "{username} {groups:?}"
        );
        let servers: Api<DevServer> = Api::default_namespaced(alice);
        servers
            .create(
                &PostParams::default(),
                &sample::devserver(sample::NAME, "any"),
            )
            .await?;
        // The request is not left lying about.
        let requests: Api<CertificateSigningRequest> = Api::all(scene.client());
        let left = requests.list(&ListParams::default()).await?;
        ensure!(
            !left.iter().any(|r| r.name_any().contains(&name)),
            "a request is left"
        );

        desk.kubeconfig(&file, &["--token"]).await?;
        let (program, _) = client(&file).await?;
        let (username, _) = who(program.clone()).await?;
        ensure!(username.ends_with(&format!(":{name}-sa")), "{username}");
        let servers: Api<DevServer> = Api::default_namespaced(program);
        ensure!(
            servers.list(&ListParams::default()).await?.items.len() == 1,
            "its machines"
        );
        Ok(())
    })
    .await
}

#[allow(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn deleting_a_user_with_machines_asks_and_takes_only_what_was_meant() -> anyhow::Result<()> {
    with_namespace("devctl delete", async |scene| {
        let desk = Desk::new(&scene).await?;
        let name = desk.account.username.clone();
        desk.account.ready(json!({})).await?;
        let server = sample::devserver(sample::NAME, "any");
        desk.account
            .api::<DevServer>()
            .create(&PostParams::default(), &server)
            .await?;
        // Nobody is there to be asked.
        for arguments in [
            vec!["admin", "user", "delete", &name],
            vec!["admin", "user", "delete", &name, "--delete-namespace"],
        ] {
            let (code, said) = desk.devctl(&arguments).await?;
            ensure!(
                code == Some(1) && said.contains(sample::NAME) && said.contains("--yes"),
                "{said}"
            );
        }
        desk.account.users().get(&name).await?;
        let delete = ["admin", "user", "delete", &name, "--yes"];
        let said = desk.succeeds(&delete).await?;
        ensure!(said.contains("stays"), "{said}");
        ensure!(
            desk.account.users().get_opt(&name).await?.is_none(),
            "the user is there"
        );
        desk.account.api::<DevServer>().get(sample::NAME).await?;
        let (code, said) = desk.devctl(&delete).await?;
        ensure!(code == Some(3) && said.contains("not found"), "{said}");
        // With everything, when that is what is meant.
        devserver_testkit::wait::until(
            "the rights are gone",
            devserver_testkit::scene::PATIENCE,
            async || {
                let left = desk
                    .account
                    .api::<RoleBinding>()
                    .list(&ListParams::default())
                    .await?
                    .items
                    .len();
                Ok(devserver_testkit::wait::Seen::when(left == 0, left))
            },
        )
        .await?;
        desk.account.ready(json!({})).await?;
        desk.succeeds(&[&delete[..], &["--delete-namespace"]].concat())
            .await?;
        let namespace = Api::<Namespace>::all(scene.client())
            .get_opt(&desk.account.namespace())
            .await?;
        ensure!(
            namespace.is_none_or(|n| n.metadata.deletion_timestamp.is_some()),
            "the namespace stays"
        );
        Ok(())
    })
    .await
}

#[tokio::test]
async fn who_is_no_administrator_is_told_so_and_a_namespace_of_others_gets_no_credentials()
-> anyhow::Result<()> {
    with_namespace("devctl rights", async |scene| {
        let desk = Desk::new(&scene).await?;
        let name = desk.account.username.clone();
        desk.account.ready(json!({})).await?;
        let person = desk.account.person().await?;
        for arguments in [
            vec!["admin", "user", "list"],
            vec!["admin", "user", "create", "mallory"],
            vec!["admin", "user", "kubeconfig", &name],
            vec!["admin", "user", "delete", &name, "--yes"],
        ] {
            let ran = devctl::run(&scene, &person, &arguments).await?;
            let said = String::from_utf8(ran.stderr)?;
            ensure!(
                ran.status.code() == Some(4) && said.contains("administrator"),
                "{arguments:?}: {said}"
            );
        }
        // Without a namespace that is the user's there is nothing to give credentials for.
        let namespaces: Api<Namespace> = Api::all(scene.client());
        let taken = Patch::Merge(
            json!({"metadata": {"labels": {"devserver.io/namespace-of": "somebody-else"}}}),
        );
        namespaces
            .patch(&desk.account.namespace(), &PatchParams::default(), &taken)
            .await?;
        desk.account
            .patch(json!({"spec": {"teams": ["a"]}}))
            .await?;
        desk.account
            .status("the name is taken", |s| s.namespace.is_none())
            .await?;
        let (code, said) = desk.devctl(&["admin", "user", "kubeconfig", &name]).await?;
        ensure!(
            code == Some(7) && !said.contains("client-key-data"),
            "{said}"
        );
        let all: Api<DevServerUser> = desk.account.users();
        all.get(&name).await?;
        Ok(())
    })
    .await
}

fn tempfile_folder() -> anyhow::Result<Folder> {
    let path = std::env::temp_dir().join(format!("devctl-user-{}", sample::word(8)));
    std::fs::create_dir(&path)?;
    Ok(Folder(path))
}

/// Removed with what is in it.
struct Folder(std::path::PathBuf);

impl Folder {
    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
