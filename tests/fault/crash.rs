//! Killed before and after every single write of every story, the operator ends where it would have ended.

use anyhow::ensure;
use devserver_testkit::{
    cluster::root,
    crash::{CASE, Ending, Story as _, everywhere, is_wanted, undisturbed},
};
use serde_json::{Value, json};

use super::tales::Tale;

/// Rewrites the golden file when set.
const UPDATE: &str = "UPDATE_GOLDEN";

async fn survives(tale: Tale) -> anyhow::Result<()> {
    if !is_wanted(tale) {
        return Ok(());
    }
    let ending = Box::pin(undisturbed(tale)).await?;
    if std::env::var_os(CASE).is_none() && !tale.restarts() {
        as_committed(tale.name(), &ending)?;
    }
    let survived = Box::pin(everywhere(tale, &ending)).await?;
    println!(
        "{}: {} writes, {survived} crashes survived",
        tale.name(),
        ending.writes.len()
    );
    Ok(())
}

/// A change that adds a write shows in review.
pub(super) fn as_committed(name: &str, ending: &Ending) -> anyhow::Result<()> {
    let path = root().join(format!("tests/golden/writes-{name}.json"));
    let actual = json!({"count": ending.writes.len(), "writes": ending.writes});
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(
            &path,
            format!("{}\n", serde_json::to_string_pretty(&actual)?),
        )?;
    }
    let committed: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
    ensure!(
        committed == actual,
        "{name} writes {actual}, committed are {committed}; run with {UPDATE}=1 when that is meant"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_creation_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Create).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_full_creation_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::CreateFull).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_change_of_image_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Image).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_change_of_flavor_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Flavor).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_change_of_the_default_flavor_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::DefaultFlavor).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_growing_home_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Grow).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_change_of_keys_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Keys).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_change_of_exposure_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Expose).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_suspension_and_resumption_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::Suspend).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_an_expiry_it_ends_the_same() -> anyhow::Result<()> {
    survives(Tale::Expire).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_deletion_before_it_runs_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::DeleteEarly).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_deletion_and_new_creation_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::Recreate).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_a_creation_with_editor_docker_and_rights_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::FeaturesCreate).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_withdrawing_editor_docker_and_rights_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::FeaturesWithdraw).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_around_any_write_of_the_end_of_one_with_editor_docker_and_rights_it_ends_the_same()
-> anyhow::Result<()> {
    survives(Tale::FeaturesExpire).await
}

/// What the API server stores for a creation: each object once, and the status twice.
#[test]
fn a_creation_takes_two_writes_more_than_it_has_objects() -> anyhow::Result<()> {
    for (name, objects) in [("create", 8), ("create-full", 10), ("features-create", 10)] {
        let path = root().join(format!("tests/golden/writes-{name}.json"));
        let committed: Value = serde_json::from_str(&std::fs::read_to_string(path)?)?;
        let count = committed.get("count").and_then(Value::as_u64);
        ensure!(
            count.is_some_and(|c| c <= objects + 2),
            "{name}: {count:?} writes"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nightly: ten minutes, because each crash tells the whole ladder"]
async fn killed_around_any_write_of_the_ladder_for_idle_ones_it_ends_the_same() -> anyhow::Result<()>
{
    survives(Tale::Idle).await
}
