//! Counts what environments use and what it costs, and tells teams.
//!
//! ```text
//! caches ─► see, each second ─► Meter ─► one batch a minute ─► ledger ─► reports (HTTP), spent this month, weekly reports
//! ```
//!
//! It asks the API server for nothing but, where there is a metrics server, what pods use. The leader alone writes, and asks
//! right before each write whether it still leads; the ledger itself refuses whoever writes on top of what he has not read.

mod asker;
mod http;
mod look;
mod mail;
mod measure;
mod metrics;
mod spent;
mod tariff;
mod weekly;

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use devserver_core::{Platform, platform::UsageSettings};
use devserver_usage::{
    Meter, Moment, Prices, Store, StoreError, opencost, price::Point, price_list,
};
use kube::Client;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::{caches::Caches, clock::Clock, lease::Leadership};

pub use http::serve;
pub use metrics::UsageMetrics;
pub use spent::Spendings;
pub use tariff::Tariff;

/// Time between two looks into the caches. A pod that is restarted every minute is counted to the second by it.
const LOOK: Duration = Duration::from_secs(1);
/// Time between two writes, and between two looks at prices.
const WRITE: Duration = Duration::from_secs(60);
/// Time between two writes of what intervals that go on have used, and between two looks at what teams have spent.
const SELDOM: Duration = Duration::from_secs(300);
/// Time between two tries to reach the ledger.
const RETRY: Duration = Duration::from_secs(10);

/// The ledger of this process, opened when it is first needed.
pub struct Ledger {
    /// Configuration.
    pub settings: UsageSettings,
    store: tokio::sync::OnceCell<Store>,
}

impl Ledger {
    /// Not opened yet; `None`: the platform counts nothing.
    pub fn new(platform: &Platform) -> Option<Arc<Self>> {
        let settings = platform.usage.clone()?;
        Some(Arc::new(Self {
            settings,
            store: tokio::sync::OnceCell::new(),
        }))
    }

    /// The ledger. An error holds no password: the address is not in it.
    pub async fn store(&self) -> anyhow::Result<&Store> {
        self.store
            .get_or_try_init(async || {
                let url = match (
                    &self.settings.database_file,
                    &self.settings.database_url_file,
                ) {
                    (Some(path), _) => Store::file_url(path.as_ref()),
                    (None, Some(path)) => {
                        let url = std::fs::read_to_string(path);
                        url.with_context(|| format!("failed to read {path}"))?
                            .trim()
                            .to_owned()
                    }
                    (None, None) => anyhow::bail!("no database is configured"),
                };
                Ok(Store::open(&url).await?)
            })
            .await
    }
}

/// What counting needs.
pub struct Context {
    /// Connection to the API server.
    pub client: Client,
    /// Configuration.
    pub platform: Platform,
    /// The ledger.
    pub ledger: Arc<Ledger>,
    /// What the watches have seen.
    pub caches: Caches,
    /// Whether this process may write.
    pub leadership: Leadership,
    /// What time it is.
    pub clock: Arc<Clock>,
    /// Counters.
    pub metrics: Arc<UsageMetrics>,
    /// What teams have spent, told to those who decide.
    pub spendings: Arc<Spendings>,
    /// What things cost, told to those who choose.
    pub tariff: Arc<Tariff>,
}

/// Counts for as long as this process leads. Never ends by itself.
pub async fn control(context: Context) -> anyhow::Result<()> {
    let measured = measure::Measured::default();
    let looks = async {
        loop {
            if let Err(error) = count(&context, &measured).await {
                context.metrics.failed();
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the ledger cannot be used; what runs meanwhile is counted when it can be"
                );
                context.spendings.forget();
                sleep(RETRY).await;
            }
        }
    };
    tokio::select! {
        () = looks => {}
        () = measure::follow(&context.client, &measured) => {}
        () = weekly::follow(&context) => {}
    }
    anyhow::bail!("counting usage ended")
}

/// Tells when something is due that is done from time to time.
struct Due {
    every: Duration,
    last: Option<Duration>,
}

impl Due {
    fn every(every: Duration) -> Self {
        Self { every, last: None }
    }

    /// Whether it is due at that time of the steady clock; then it is not for a while.
    fn take(&mut self, steady: Duration) -> bool {
        let is_due = self
            .last
            .is_none_or(|last| steady.saturating_sub(last) >= self.every);
        if is_due {
            self.last = Some(steady);
        }
        is_due
    }
}

/// Counts until something fails; then everything that is not in the ledger is forgotten and found again by the next try.
async fn count(context: &Context, measured: &measure::Measured) -> anyhow::Result<()> {
    let store = context.ledger.store().await?;
    let mut meter = Meter::new(store.state().await?);
    let mut last: Option<Duration> = None;
    let (mut write_due, mut seldom) = (Due::every(WRITE), Due::every(SELDOM));
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = context.clock.read().now().as_second();
        let steady = context.clock.steady();
        // Whole seconds; the rest is left for the next look, so that no part of one is lost.
        let elapsed = last.map(|last| steady.saturating_sub(last).as_secs());
        if elapsed == Some(0) {
            continue;
        }
        last = Some(last.map_or(steady, |last| {
            last + Duration::from_secs(elapsed.unwrap_or_default())
        }));
        let moment = Moment {
            wall: now,
            elapsed: elapsed.and_then(|seconds| i64::try_from(seconds).ok()),
        };
        meter.look(moment, &look::seen(&context.caches, measured));
        context.metrics.looked(meter.open().count());
        if !write_due.take(steady) {
            continue;
        }
        let is_seldom = seldom.take(steady);
        write(context, store, &mut meter, is_seldom).await?;
        write_prices(context, store, now).await?;
        if is_seldom {
            context
                .spendings
                .read(&context.platform, store, now)
                .await?;
            context.metrics.spent(&context.platform, &context.spendings);
        }
    }
}

async fn write(
    context: &Context,
    store: &Store,
    meter: &mut Meter,
    with_use: bool,
) -> anyhow::Result<()> {
    let Some(batch) = meter.batch(with_use) else {
        return Ok(());
    };
    context.leadership.check()?;
    match store.write(&batch).await {
        Ok(()) => {
            meter.wrote(batch.number);
            context.metrics.wrote(batch.at);
            Ok(())
        }
        // Whether it was written is in the ledger; the next try begins with that.
        Err(error @ StoreError::Conflict) => Err(anyhow::Error::new(error)
            .context("another operator counts, too, or an answer was lost")),
        Err(error) => Err(error.into()),
    }
}

/// Prices that are new, or have changed, are noted; then those are told that count.
async fn write_prices(context: &Context, store: &Store, now: i64) -> anyhow::Result<()> {
    let currency = &context.ledger.settings.currency;
    let known = store.prices(currency).await?;
    let points = new_prices(context, &known, now)?;
    if points.is_empty() {
        context.tariff.set(known);
        return Ok(());
    }
    context.leadership.check()?;
    store.write_prices(&points).await?;
    context.tariff.set(store.prices(currency).await?);
    Ok(())
}

fn new_prices(context: &Context, known: &Prices, now: i64) -> anyhow::Result<Vec<Point>> {
    let settings = &context.ledger.settings;
    let mut points: Vec<Point> = price_list::configured(settings)
        .into_iter()
        .filter(|point| !known.has(point))
        .collect();
    points.extend(price_list::news(
        &context.caches.flavors.state(),
        settings,
        known,
        now,
    ));
    if let Some(path) = &settings.open_cost_prices_file {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let read = opencost::prices(&text, &settings.currency, now)
                    .with_context(|| format!("{path} cannot be used"))?;
                points.extend(price_list::changed(read, known, now));
            }
            Err(error) => {
                tracing::warn!(path, %error, "the prices of OpenCost cannot be read; those that are known stay");
            }
        }
    }
    Ok(points)
}
