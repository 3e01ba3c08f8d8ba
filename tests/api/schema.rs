//! How the three kinds present themselves.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use devserver_api::crds;
use devserver_testkit::{cluster::crds_folder, sample, with_namespace};
use http::Request;
use serde_json::Value;

#[test]
fn the_committed_definitions_are_what_the_code_says() -> anyhow::Result<()> {
    for (file, crd) in crds::all() {
        let path = crds_folder().join(file);
        let committed =
            std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        ensure!(
            committed == crds::yaml(&crd)?,
            "{file} is stale; run `make generate`"
        );
    }
    let files = std::fs::read_dir(crds_folder())?.count();
    ensure!(
        files == crds::all().len(),
        "there are {files} files for {} definitions",
        crds::all().len()
    );
    Ok(())
}

#[tokio::test]
async fn the_short_names_and_the_category_are_known() -> anyhow::Result<()> {
    with_namespace("short names", async |scene| {
        let list = scene
            .client()
            .list_api_group_resources("devserver.io/v1")
            .await?;
        let found: BTreeMap<&str, (Vec<String>, Vec<String>)> = list
            .resources
            .iter()
            .filter(|r| !r.name.contains('/'))
            .map(|r| {
                let short = r.short_names.clone().unwrap_or_default();
                (
                    r.name.as_str(),
                    (short, r.categories.clone().unwrap_or_default()),
                )
            })
            .collect();
        for (plural, short) in [
            ("devservers", "dsv"),
            ("devserverflavors", "dsf"),
            ("devserverusers", "dsu"),
        ] {
            let expected = (vec![short.to_owned()], vec!["devserver-io".to_owned()]);
            ensure!(found.get(plural) == Some(&expected), "{plural}: {found:?}");
        }
        Ok(())
    })
    .await
}

#[tokio::test]
async fn kubectl_get_shows_phase_flavor_owner_age_and_expiry() -> anyhow::Result<()> {
    with_namespace("columns", async |scene| {
        scene
            .create(&sample::devserver(sample::NAME, "any"))
            .await?;
        let address = format!(
            "/apis/devserver.io/v1/namespaces/{}/devservers",
            scene.namespace()
        );
        // What kubectl asks for: the server makes the table.
        let request = Request::get(address)
            .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
            .body(Vec::new())?;
        let table: Value = scene.client().request(request).await?;
        let columns: Vec<&str> = table
            .pointer("/columnDefinitions")
            .and_then(Value::as_array)
            .context("no table")?
            .iter()
            .filter_map(|c| c.pointer("/name")?.as_str())
            .collect();
        let expected = [
            "Name", "Phase", "Flavor", "Owner", "Age", "Expires", "Message",
        ];
        ensure!(columns == expected, "{columns:?}");
        let owner = table.pointer("/rows/0/cells/3").and_then(Value::as_str);
        ensure!(owner == Some(sample::OWNER), "{table}");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn an_unknown_field_is_named_by_strict_validation() -> anyhow::Result<()> {
    with_namespace("unknown field", async |scene| {
        let mut object = serde_json::to_value(sample::devserver(sample::NAME, "any"))?;
        let spec = object
            .pointer_mut("/spec")
            .and_then(Value::as_object_mut)
            .context("no spec")?;
        spec.insert("hostNetwork".to_owned(), true.into());
        let address = format!(
            "/apis/devserver.io/v1/namespaces/{}/devservers?fieldValidation=Strict",
            scene.namespace()
        );
        let request = Request::post(address)
            .header("Content-Type", "application/json")
            .body(object.to_string().into_bytes())?;
        let message = devserver_e2e::refusal(scene.client().request::<Value>(request).await)?;
        ensure!(message.contains("spec.hostNetwork"), "{message}");
        Ok(())
    })
    .await
}
