//! The report as plain text.

use std::fmt::Write as _;

use super::{Weekly, change, hours, percent, team_name};
use crate::money;

/// Subject of the mail.
pub fn subject_line(weekly: &Weekly) -> String {
    let total = &weekly.report.total;
    format!(
        "{}: {} {} in week {}, {} idle hours",
        team_name(&weekly.team),
        money::cents(total.cost.total()),
        weekly.report.currency,
        weekly.week,
        hours(total.idle_seconds),
    )
}

/// The report as plain text; `console`: address of the console, for links.
pub fn text(weekly: &Weekly, console: Option<&str>) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_text(&mut text, weekly, console);
    text
}

fn write_text(out: &mut String, weekly: &Weekly, console: Option<&str>) -> std::fmt::Result {
    let total = &weekly.report.total;
    let currency = &weekly.report.currency;
    writeln!(
        out,
        "Development environments of {}, week {}\n",
        team_name(&weekly.team),
        weekly.week
    )?;
    writeln!(
        out,
        "  Compute hours   {:>12}",
        hours(total.running_seconds)
    )?;
    writeln!(out, "  of them idle    {:>12}", hours(total.idle_seconds))?;
    writeln!(
        out,
        "  Cost            {:>12} {currency}  {}",
        money::cents(total.cost.total()),
        change(total.cost.total(), weekly.before.cost.total())
    )?;
    writeln!(
        out,
        "  of it wasted    {:>12} {currency}",
        money::cents(total.waste_micros)
    )?;
    writeln!(
        out,
        "  Processors used {:>12} of what is set aside",
        percent(total.cpu_used())
    )?;
    writeln!(
        out,
        "  Memory used     {:>12} of what is set aside\n",
        percent(total.memory_used())
    )?;
    writeln!(out, "Day            hours      idle          cost")?;
    for day in &weekly.days {
        writeln!(
            out,
            "{}  {:>8}  {:>8}  {:>12}",
            day.date,
            hours(day.total.running_seconds),
            hours(day.total.idle_seconds),
            money::cents(day.total.cost.total())
        )?;
    }
    write_wasteful(out, weekly, console)?;
    write_too_large(out, weekly)
}

fn write_wasteful(out: &mut String, weekly: &Weekly, console: Option<&str>) -> std::fmt::Result {
    let currency = &weekly.report.currency;
    let wasteful = weekly.wasteful();
    if !wasteful.is_empty() {
        writeln!(out, "\nMost wasteful")?;
    }
    for environment in wasteful {
        let total = &environment.total;
        writeln!(
            out,
            "  {}/{} ({}, {}): {} {currency} wasted, {} idle hours",
            environment.namespace,
            environment.name,
            environment.owner,
            environment.flavor,
            money::cents(total.waste_micros),
            hours(total.idle_seconds)
        )?;
        writeln!(
            out,
            "    devctl suspend {} -n {}",
            environment.name, environment.namespace
        )?;
        if let Some(console) = console {
            writeln!(
                out,
                "    {}",
                link(console, &environment.namespace, &environment.name)
            )?;
        }
    }
    Ok(())
}

fn write_too_large(out: &mut String, weekly: &Weekly) -> std::fmt::Result {
    let currency = &weekly.report.currency;
    let mut is_first = true;
    for (environment, fit) in weekly.too_large() {
        if std::mem::take(&mut is_first) {
            writeln!(out, "\nLarger than needed")?;
        }
        writeln!(
            out,
            "  {}/{}: {} uses {} of its processors and {} of its memory; {} would do and save {} {currency}",
            environment.namespace,
            environment.name,
            environment.flavor,
            percent(environment.total.cpu_used()),
            percent(environment.total.memory_used()),
            fit.flavor,
            money::cents(fit.saves_micros)
        )?;
    }
    Ok(())
}

/// Where the console shows an environment.
pub(super) fn link(console: &str, namespace: &str, name: &str) -> String {
    format!(
        "{}/environments/{namespace}/{name}",
        console.trim_end_matches('/')
    )
}
