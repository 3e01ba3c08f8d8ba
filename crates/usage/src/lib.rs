//! The ledger of usage and money.
//!
//! ```text
//! watches ─► Seen ─┐                        ┌─► Store (SQLite, PostgreSQL) ─┐
//! clocks ──► Moment┴─► Meter ─► Batch ──────┘                               ├─► Report ─► table, CSV, OpenCost's names, weekly mail
//!                       ▲  one transaction, counted once                    │
//!                       └──────────────── State, after a start ◄────────────┘            Prices ─► money
//! ```
//!
//! Everything but [`store`] is pure: what was seen and what time it is are arguments. Time is in seconds since the epoch,
//! money in millionths of a currency, amounts in whole units: nothing here is a floating point number.

pub mod fit;
pub mod meter;
pub mod offer;
pub mod opencost;
pub mod price;
pub mod price_list;
pub mod report;
pub mod sight;
pub mod store;
pub mod subject;
pub mod weekly;
pub mod window;

pub use devserver_api::money;
pub use meter::{Batch, Interval, Meter, Moment, Open, Seen, State, Used};
pub use price::Prices;
pub use report::{By, Filter, Line, Report, Total};
pub use store::{Store, StoreError};
pub use subject::{Amounts, Phase, Subject};
pub use window::Window;
