//! Killed while it recovers from having been killed, the operator still ends where it would have ended.

use anyhow::ensure;
use devserver_testkit::{
    chance::{Chance, number},
    crash::{Pair, Story as _, twice, undisturbed},
};

use super::{nightly::alone, tales::Tale};

/// Pairs of one story at most; more are sampled.
const LIMIT: &str = "CRASH_PAIRS";
/// Chooses the sample.
const SEED: &str = "CRASH_SEED";
/// More than any story of today has; a pair takes about a second on two cores.
const USUAL: u64 = 200;

async fn survives_twice(tale: Tale) -> anyhow::Result<()> {
    let wanted = Pair::wanted(tale)?;
    if wanted.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let ending = Box::pin(undisturbed(tale)).await?;
    let limit = usize::try_from(number(LIMIT, USUAL)?)?;
    let writes = ending.writes.len();
    let pairs = match wanted {
        Some(one) => one,
        None => Pair::sample(writes, limit, Chance::from_env(SEED, 1)?),
    };
    let begun = std::time::Instant::now();
    let outcome = Box::pin(twice(tale, &ending, pairs)).await?;
    let (told, once) = (outcome.told, outcome.crashed_once);
    println!(
        "{}: {told} of {} pairs of crashes survived in {} s; {once} recoveries were over before the second crash",
        tale.name(),
        Pair::all(writes).len(),
        begun.elapsed().as_secs(),
    );
    // Otherwise this would be the test of single crashes under another name.
    ensure!(once * 4 <= told, "{once} of {told} had only one crash");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "nightly: hundreds of runs"]
async fn two_crashes_in_a_row_change_nothing() -> anyhow::Result<()> {
    let _alone = alone().await;
    for tale in Tale::ALL {
        // What stops has no fixed number of writes to count pairs of; and pairs are told side by side.
        if !tale.restarts() && tale.at_once() > 1 {
            survives_twice(tale).await?;
        }
    }
    Ok(())
}
