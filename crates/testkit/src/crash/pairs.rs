//! Two crashes in a row: killed at a write, started again, killed at a write of the recovery, started again.

use anyhow::{Context as _, bail, ensure};
use futures::{StreamExt as _, stream};
use serde_json::Value;

use super::{Case, Ending, Stage, Story};
use crate::{
    chance::Chance,
    proxy::{
        rule::{Action, Rule, Side},
        trace::Fate,
    },
    scene::PATIENCE,
    wait::{self, Seen},
    with_namespace,
};

/// Replays one pair, such as `create:5:after:2:before`: the second number counts the writes of the recovery.
pub const PAIR: &str = "CRASH_PAIR";
/// Runs at the same time. Each is mostly waiting.
const AT_ONCE: usize = 12;

/// Two crashes; the second one's write is counted from the first crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// Of the story.
    pub first: Case,
    /// Of the recovery.
    pub second: Case,
}

/// What became of the pairs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs {
    /// Told.
    pub told: usize,
    /// Of those, without the second crash: the recovery had fewer writes.
    pub crashed_once: usize,
}

impl Pair {
    /// Every pair of a story with that many writes.
    pub fn all(writes: usize) -> Vec<Self> {
        let mut pairs = Vec::new();
        for first in cases(1..=writes) {
            // Lost, the write itself comes again; committed, only what follows it.
            let left = match first.side {
                Side::Before => writes + 1 - first.write,
                Side::After => writes - first.write,
            };
            pairs.extend(cases(1..=left).map(|second| Self { first, second }));
        }
        pairs
    }

    /// `all`, or as many of them as there is time for, chosen by the seed.
    pub fn sample(writes: usize, limit: usize, mut chance: Chance) -> Vec<Self> {
        let mut pairs = Self::all(writes);
        if pairs.len() > limit {
            chance.shuffle(&mut pairs);
            pairs.truncate(limit);
        }
        pairs
    }

    /// The pair that [`PAIR`] names, when it is one of this story; else none of it. Absent, `None`.
    pub fn wanted<S: Story>(story: S) -> anyhow::Result<Option<Vec<Self>>> {
        let Ok(text) = std::env::var(PAIR) else {
            return Ok(None);
        };
        let (name, pair) = text
            .split_once(':')
            .with_context(|| format!("{PAIR}={text} is not story:write:side:write:side"))?;
        if name != story.name() {
            return Ok(Some(Vec::new()));
        }
        Ok(Some(vec![Self::read(pair)?]))
    }

    fn read(text: &str) -> anyhow::Result<Self> {
        let mut colons = text.match_indices(':').map(|(at, _)| at);
        let middle = colons.nth(1).context("write:side:write:side")?;
        let (first, second) = text.split_at(middle);
        Ok(Self {
            first: first.parse()?,
            second: second.trim_start_matches(':').parse()?,
        })
    }

    fn name(self) -> String {
        let word = |case: Case| format!("{}:{}", case.write, case.side.as_str());
        format!("{}:{}", word(self.first), word(self.second))
    }
}

fn cases(writes: std::ops::RangeInclusive<usize>) -> impl Iterator<Item = Case> {
    let sides = [Side::Before, Side::After];
    writes.flat_map(move |write| sides.map(|side| Case { write, side }))
}

/// Tells the story once for each pair.
pub async fn twice<S: Story>(story: S, ending: &Ending, pairs: Vec<Pair>) -> anyhow::Result<Pairs> {
    let told = pairs.len();
    let runs = pairs.into_iter().map(|pair| async move {
        let name = format!("{}:{}", story.name(), pair.name());
        let kills = crashed_twice(story, pair, &ending.state).await;
        kills.map_err(|why| format!("{name}: {why:#}"))
    });
    let outcomes: Vec<Result<u64, String>> =
        stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
    let crashed_once = outcomes.iter().filter(|o| matches!(o, Ok(1))).count();
    let failed: Vec<String> = outcomes.into_iter().filter_map(Result::err).collect();
    if failed.is_empty() {
        return Ok(Pairs { told, crashed_once });
    }
    bail!(
        "{} of {told} pairs of crashes were not survived; replay one with {PAIR}=story:write:side:write:side\n{}",
        failed.len(),
        failed.join("\n")
    )
}

/// How often the operator was killed.
async fn crashed_twice<S: Story>(story: S, pair: Pair, expected: &Value) -> anyhow::Result<u64> {
    let sentence = format!("{} {}", story.name(), pair.name());
    with_namespace(&sentence, async |scene| {
        let stage = Stage::set(scene, story).await?;
        story.prepare(&stage).await?;
        stage.rests().await?;
        let kept = stage.identities().await?;
        let proxy = stage.operator.proxy();
        // Both rules see every write from now on, so the second one's number counts from the first crash.
        for (nth, side) in [
            (pair.first.write, pair.first.side),
            (pair.first.write + pair.second.write, pair.second.side),
        ] {
            let nth = u64::try_from(nth)?;
            proxy.arm(Rule::nth_write(nth, Action::Kill(side)));
        }
        let reviver = stage.operator.revive();
        let told = async {
            story.act(&stage).await?;
            stage.converges(expected).await?;
            // A kill after the last commit may still be under way.
            stage.rests().await?;
            proxy.calm();
            stage.is_up_again().await
        }
        .await;
        reviver.abort();
        told?;
        let kills = stage.operator.kills();
        ensure!(
            matches!(kills, 1 | 2),
            "killed {kills} times: write {} never came",
            pair.first.write
        );
        stage.converges(expected).await?;
        stage.stays().await?;
        stage.kept(&kept, story).await?;
        stage.leaves_nothing(story).await?;
        Ok(kills)
    })
    .await
}

impl Stage {
    /// Every crash that was asked for has happened, and the operator is at work.
    async fn is_up_again(&self) -> anyhow::Result<()> {
        wait::until("every crash is over", PATIENCE, async || {
            let records = self.operator.trace().records();
            let hits = records.iter().filter(|r| matches!(r.fate, Fate::Hit(_)));
            let (hits, kills) = (hits.count(), self.operator.kills());
            let over = u64::try_from(hits)? == kills;
            Ok(Seen::when(over, format!("{hits} hits, {kills} kills")))
        })
        .await?;
        self.operator.wait_ready().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_as_it_is_printed() {
        for pair in Pair::all(4) {
            assert_eq!(Pair::read(&pair.name()).unwrap(), pair);
        }
        assert!(Pair::read("5:after").is_err());
    }

    #[test]
    fn the_second_crash_of_a_pair_is_within_what_is_left_of_the_story() {
        let pairs = Pair::all(9);
        // 9 + 8 + … + 1 lost and 8 + 7 + … + 0 committed, each with two sides.
        assert_eq!(pairs.len(), (45 + 36) * 2);
        assert_eq!(Pair::sample(9, 30, Chance::new(1)).len(), 30);
        assert_eq!(
            Pair::sample(9, 30, Chance::new(1)),
            Pair::sample(9, 30, Chance::new(1))
        );
    }
}
