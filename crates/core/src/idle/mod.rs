//! What is done to an environment that nobody uses: pure over time.
//!
//! ```text
//! Rules (platform, flavor, team, environment) ┐
//! Activity (what the agent's report means)    ├─► step ─► IdleStatus to write, stages to tell of, size of the pod,
//! IdleStatus as it was written last           │          whether to stop it, when to look again
//! Clocks                                      ┘
//! ```
//!
//! Idle time counts in the `hours` of the rules, where they have some, and else always.
//!
//! The status is the only memory. A stage is told of before it is written there, under a name that is made of the stage and
//! of the last sign of life: who dies in between tells it again under the same name. What is carried out (the pod's size,
//! the stop) is compared with what is there and not with what was done.

mod condition;
mod hours;
mod ladder;
mod message;
mod period;
mod rules;
mod size;
mod step;
mod stop;
mod terminals;

pub use condition::verdict;
pub use hours::{Day, HoursError, Range, WorkingHours, Written};
pub use message::message;
pub use period::{Notice, notification_id, owed, period};
pub use rules::{Around, Level, Limit, Rules, check, rules};
pub use size::{Size, is_still_small, released, resize};
pub use step::{Input, Step, Stop, step};
pub use stop::stopped;
pub use terminals::on_terminals;
