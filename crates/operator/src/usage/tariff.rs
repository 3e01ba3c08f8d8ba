//! What things cost now, for those who tell people before they choose.

use std::sync::{PoisonError, RwLock};

use devserver_api::FlavorCost;
use devserver_core::flavor::Ask;
use devserver_usage::{Prices, offer};

use crate::flavor::News;

/// The prices as the ledger has them; nothing is known before it was read. What was read stays when it cannot be read again:
/// prices do not become wrong by that.
pub struct Tariff {
    prices: RwLock<Option<Prices>>,
    news: News,
}

impl Tariff {
    /// Nothing is known yet; `news` is told of every change.
    pub fn new(news: News) -> Self {
        Self {
            prices: RwLock::new(None),
            news,
        }
    }

    /// What an environment of a flavor costs at that second; `None`: nobody knows yet.
    pub fn cost(&self, flavor: &str, ask: &Ask, second: i64) -> Option<FlavorCost> {
        let known = self.prices.read().unwrap_or_else(PoisonError::into_inner);
        let prices = known.as_ref()?;
        Some(offer::cost(prices, flavor, &ask.requests, second))
    }

    /// These are the prices.
    pub fn set(&self, prices: Prices) {
        let mut known = self.prices.write().unwrap_or_else(PoisonError::into_inner);
        if known.as_ref() != Some(&prices) {
            *known = Some(prices);
            self.news.notify_one();
        }
    }
}
