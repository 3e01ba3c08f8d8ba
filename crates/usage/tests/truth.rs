//! The ledger against a world whose truth is known to the second: whatever happens to the operator, the sums are right.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use std::collections::BTreeMap;

use common::{Book, Fact, World, flush, subject};
use devserver_usage::{Meter, Moment, Phase};
use proptest::prelude::*;

/// Midday: midnight is crossed in most worlds.
const BEGIN: i64 = 1_796_040_000;

/// What one environment does next, and for how many seconds.
#[derive(Clone, Debug)]
enum Act {
    Run,
    Stop,
    Idle,
    Team(u8),
    Resize(i64),
    MakeAgain,
    Gone,
}

fn act() -> impl Strategy<Value = (Act, i64)> {
    let act = prop_oneof![
        4 => Just(Act::Run),
        2 => Just(Act::Stop),
        2 => Just(Act::Idle),
        2 => (0_u8..3).prop_map(Act::Team),
        1 => (1_i64..16).prop_map(Act::Resize),
        1 => Just(Act::MakeAgain),
        1 => Just(Act::Gone),
    ];
    (act, 1_800_i64..10_800)
}

/// One environment's life, from a beginning.
fn life(number: usize, begin: i64, acts: &[(Act, i64)]) -> Vec<Fact> {
    let mut generation = 0;
    let uid = |generation: i32| format!("env{number}.{generation}");
    let mut now = begin;
    let mut facts = Vec::new();
    let mut is = subject(&uid(0), "a", 2);
    let mut there = true;
    for (act, seconds) in acts {
        match act {
            Act::Run | Act::Idle => {
                let phase = if matches!(act, Act::Run) {
                    Phase::Running
                } else {
                    Phase::Idle
                };
                let cores = is.flavor.trim_start_matches("cpu-").parse().unwrap();
                is = subject(&is.uid, &is.team, cores);
                is.phase = phase;
            }
            Act::Stop => is = is.stopped(),
            Act::Team(team) => is.team = format!("team{team}"),
            Act::Resize(cores) => is = subject(&is.uid, &is.team, *cores),
            Act::MakeAgain => {
                generation += 1;
                is.uid = uid(generation);
            }
            Act::Gone => {
                there = false;
                generation += 1;
            }
        }
        if there {
            facts.push(Fact {
                from: now,
                to: now + seconds,
                subject: is.clone(),
            });
        }
        if !there && !matches!(act, Act::Gone) {
            there = true;
            is.uid = uid(generation);
        }
        now += seconds;
    }
    facts
}

/// What happens to the operator: after so many seconds …
#[derive(Clone, Debug)]
enum Trouble {
    /// … it is killed and back after so many.
    Restart(i64),
    /// … another one believes to lead for so long, too.
    TwoLead(i64),
    /// … an answer of the database is lost, though it had written.
    AnswerLost,
    /// … the API server's clock jumps by so much.
    Jump(i64),
}

fn trouble(jumps: bool) -> impl Strategy<Value = (i64, Trouble)> {
    let jump = if jumps { 2 } else { 0 };
    let what = prop_oneof![
        4 => (5_i64..90).prop_map(Trouble::Restart),
        2 => (30_i64..600).prop_map(Trouble::TwoLead),
        2 => Just(Trouble::AnswerLost),
        jump => prop_oneof![60_i64..7_200, -7_200_i64..-60].prop_map(Trouble::Jump),
    ];
    (7_200_i64..28_800, what)
}

/// One operator: looks every few seconds, writes every minute.
struct Operator {
    meter: Meter,
    last: Option<i64>,
}

impl Operator {
    fn start(book: &Book) -> Self {
        Self {
            meter: Meter::new(book.state()),
            last: None,
        }
    }

    fn look(&mut self, world: &World, now: i64, shift: i64) {
        let moment = Moment {
            wall: now + shift,
            elapsed: self.last.map(|last| now - last),
        };
        self.meter.look(moment, &world.seen(now, shift));
        self.last = Some(now);
    }
}

fn run(world: &World, until: i64, step: i64, troubles: &[(i64, Trouble)]) -> Book {
    let mut book = Book::default();
    let (mut one, mut other) = (Some(Operator::start(&book)), None);
    let (mut now, mut shift, mut other_until, mut back_at) = (BEGIN, 0, 0, 0);
    let mut coming = troubles.iter().scan(BEGIN, |at, (wait, what)| {
        *at += wait;
        Some((*at, what.clone()))
    });
    let mut next = coming.next();
    while now <= until {
        if let Some((_, what)) = next.take_if(|(at, _)| *at <= now) {
            match what {
                Trouble::Restart(down) => (one, back_at) = (None, now + down),
                Trouble::TwoLead(long) => {
                    (other, other_until) = (Some(Operator::start(&book)), now + long);
                }
                Trouble::AnswerLost => {
                    if let Some(one) = &mut one {
                        book.write(&one.meter.batch(false).unwrap_or_default());
                    }
                }
                Trouble::Jump(by) => shift += by,
            }
            next = coming.next();
        }
        if one.is_none() && now >= back_at {
            one = Some(Operator::start(&book));
        }
        other = other.filter(|_| now < other_until);
        for operator in [&mut one, &mut other].into_iter().flatten() {
            operator.look(world, now, shift);
            if (now - BEGIN) % 60 == 0 {
                // Whoever lost the race goes on as after a start.
                if !flush(&mut operator.meter, &mut book) {
                    operator.last = None;
                }
            }
        }
        now += step;
    }
    if let Some(mut one) = one {
        one.look(world, until, shift);
        flush(&mut one.meter, &mut book);
    }
    book
}

/// Sums of the ledger against the truth: `allowed` is the error in basis points of all, plus `slack` core-milli-seconds.
fn compare(world: &World, book: &Book, until: i64, basis_points: i64) {
    for key in [
        (|_| "all".to_owned()) as fn(&devserver_usage::Subject) -> String,
        |s| s.team.clone(),
        |s| s.flavor.clone(),
        |s| s.uid.clone(),
    ] {
        let truth = world.cpu((BEGIN, until), key);
        let counted = book.cpu(key);
        let all: i64 = truth.values().sum();
        let differences: BTreeMap<&String, i64> = truth
            .keys()
            .chain(counted.keys())
            .map(|key| {
                let of = |sums: &BTreeMap<String, i64>| sums.get(key).copied().unwrap_or_default();
                (key, of(&counted) - of(&truth))
            })
            .collect();
        let error: i64 = differences
            .values()
            .map(|d| d.abs())
            .max()
            .unwrap_or_default();
        assert!(
            error * 10_000 <= all * basis_points,
            "error {error} of {all}: {differences:?}\ntruth {truth:?}\ncounted {counted:?}"
        );
    }
}

fn world(lives: &[(i64, Vec<(Act, i64)>)]) -> World {
    let lives = lives.iter().enumerate();
    let facts = lives.flat_map(|(number, (begin, acts))| life(number, BEGIN + begin, acts));
    World::new(facts.collect())
}

fn lives() -> impl Strategy<Value = Vec<(i64, Vec<(Act, i64)>)>> {
    let one = (0_i64..7_200, prop::collection::vec(act(), 4..12));
    prop::collection::vec(one, 3..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn restarts_two_leaders_and_lost_answers_cost_less_than_one_percent(
        lives in lives(),
        troubles in prop::collection::vec(trouble(false), 0..8),
    ) {
        let world = world(&lives);
        let until = BEGIN + 86_400;
        let book = run(&world, until, 5, &troubles);
        book.check(false);
        compare(&world, &book, until, 100);
    }

    #[test]
    fn clocks_that_jump_cost_less_than_one_percent(
        lives in lives(),
        troubles in prop::collection::vec(trouble(true), 0..6),
    ) {
        let world = world(&lives);
        let until = BEGIN + 86_400;
        let book = run(&world, until, 5, &troubles);
        book.check(true);
        compare(&world, &book, until, 100);
    }
}

#[test]
fn e4_a_pod_that_is_restarted_every_59_seconds_and_a_team_that_changes_mid_hour_are_counted() {
    let mut facts = Vec::new();
    let mut now = BEGIN;
    while now < BEGIN + 14_400 {
        let team = if (now - BEGIN) / 1_817 % 2 == 0 {
            "a"
        } else {
            "b"
        };
        let runs = subject("env0.0", team, 4);
        facts.push(Fact {
            from: now,
            to: now + 59,
            subject: runs.clone(),
        });
        facts.push(Fact {
            from: now + 59,
            to: now + 61,
            subject: runs.stopped(),
        });
        now += 61;
    }
    let world = World::new(facts);
    let until = BEGIN + 14_400;
    let book = run(&world, until, 1, &[]);
    book.check(false);
    compare(&world, &book, until, 100);
}
