//! The report as HTML: one file, no script, nothing fetched, styles inline as mail programs want them.

use std::fmt::Write as _;

use super::{Environment, Weekly, change, chart, hours, percent, team_name, text::link};
use crate::money;

const CELL: &str = "padding:4px 10px;border-bottom:1px solid #d9e2ec;text-align:left";
const NUMBER: &str = "padding:4px 10px;border-bottom:1px solid #d9e2ec;text-align:right";

/// Text that cannot become markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c if c.is_control() && c != '\n' => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// The report as HTML; `console`: address of the console, for links.
pub fn html(weekly: &Weekly, console: Option<&str>) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write_page(&mut page, weekly, console);
    page
}

fn write_page(out: &mut String, weekly: &Weekly, console: Option<&str>) -> std::fmt::Result {
    let title = format!(
        "Development environments of {}, week {}",
        team_name(&weekly.team),
        weekly.week
    );
    let title = escape(&title);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title></head>\n\
         <body style=\"font-family:sans-serif;color:#1f2933;background:#ffffff;max-width:680px;margin:0 auto;padding:16px\">\n\
         <h1 style=\"font-size:20px\">{title}</h1>\n"
    )?;
    figures(out, weekly)?;
    charts(out, weekly)?;
    days(out, weekly)?;
    wasteful(out, weekly, console)?;
    too_large(out, weekly, console)?;
    out.push_str("<p style=\"font-size:12px;color:#52606d\">Hours are those in which environments took room on a node. Wasted is what idle environments \
        cost, and of the others what was set aside and not used. All environments are in the attached file.</p>\n</body></html>\n");
    Ok(())
}

fn figures(out: &mut String, weekly: &Weekly) -> std::fmt::Result {
    let total = &weekly.report.total;
    let currency = escape(&weekly.report.currency);
    let money = |micros: i64| format!("{} {currency}", money::cents(micros));
    out.push_str("<table role=\"presentation\" style=\"border-collapse:collapse;width:100%\"><tr>");
    for (what, value, note) in [
        (
            "Compute hours",
            hours(total.running_seconds),
            change(total.running_seconds, weekly.before.running_seconds),
        ),
        (
            "Idle hours",
            hours(total.idle_seconds),
            change(total.idle_seconds, weekly.before.idle_seconds),
        ),
        (
            "Cost",
            money(total.cost.total()),
            change(total.cost.total(), weekly.before.cost.total()),
        ),
        (
            "Wasted",
            money(total.waste_micros),
            change(total.waste_micros, weekly.before.waste_micros),
        ),
    ] {
        write!(
            out,
            "<td style=\"padding:10px;background:#f0f4f8;border:4px solid #ffffff;width:25%;vertical-align:top\">{what}<br>\
             <strong style=\"font-size:18px\">{value}</strong><br><span style=\"font-size:11px;color:#52606d\">{note}</span></td>"
        )?;
    }
    out.push_str("</tr></table>\n");
    writeln!(
        out,
        "<p>Of what was set aside, {} of the processors and {} of the memory were used.</p>",
        percent(total.cpu_used()),
        percent(total.memory_used())
    )
}

fn charts(out: &mut String, weekly: &Weekly) -> std::fmt::Result {
    let label = |date: &str| date.get(5..).unwrap_or(date).to_owned();
    let of_days = |split: fn(&super::Day) -> (i64, i64)| -> Vec<chart::Bar> {
        let bars = weekly.days.iter().map(|day| {
            let (a, b) = split(day);
            (label(&day.date), a, b)
        });
        bars.collect()
    };
    let time = of_days(|day| {
        (
            day.total.running_seconds - day.total.idle_seconds,
            day.total.idle_seconds,
        )
    });
    let cost = of_days(|day| {
        (
            day.total.cost.total() - day.total.waste_micros,
            day.total.waste_micros,
        )
    });
    let title = format!("Cost in {}", weekly.report.currency);
    writeln!(
        out,
        "<div>{}</div>",
        chart::bars("Compute hours", "in use", "idle", &time, hours)
    )?;
    writeln!(
        out,
        "<div>{}</div>",
        chart::bars(&title, "used", "wasted", &cost, money::cents)
    )
}

fn head(out: &mut String, caption: &str, headings: &[&str]) -> std::fmt::Result {
    write!(
        out,
        "<table style=\"border-collapse:collapse;width:100%;font-size:13px;margin-top:12px\"><caption style=\"text-align:left;font-weight:bold;font-size:15px;padding:4px 0\">{caption}</caption><tr>"
    )?;
    for (place, heading) in headings.iter().enumerate() {
        let style = if place == 0 { CELL } else { NUMBER };
        write!(out, "<th scope=\"col\" style=\"{style}\">{heading}</th>")?;
    }
    out.push_str("</tr>\n");
    Ok(())
}

fn row(out: &mut String, first: &str, numbers: &[String]) -> std::fmt::Result {
    write!(
        out,
        "<tr><th scope=\"row\" style=\"{CELL};font-weight:normal\">{first}</th>"
    )?;
    for number in numbers {
        write!(out, "<td style=\"{NUMBER}\">{number}</td>")?;
    }
    out.push_str("</tr>\n");
    Ok(())
}

fn days(out: &mut String, weekly: &Weekly) -> std::fmt::Result {
    head(out, "Days", &["Day", "Hours", "Idle", "Cost", "Wasted"])?;
    for day in &weekly.days {
        let total = &day.total;
        let numbers = [
            hours(total.running_seconds),
            hours(total.idle_seconds),
            money::cents(total.cost.total()),
            money::cents(total.waste_micros),
        ];
        row(out, &escape(&day.date), &numbers)?;
    }
    out.push_str("</table>\n");
    Ok(())
}

/// Name, whose it is, and a link where there is a console.
fn named(environment: &Environment, console: Option<&str>) -> String {
    let (namespace, name) = (&environment.namespace, &environment.name);
    let text = escape(&format!("{namespace}/{name}"));
    let text = match console {
        Some(console) => format!(
            "<a href=\"{}\">{text}</a>",
            escape(&link(console, namespace, name))
        ),
        None => text,
    };
    format!(
        "{text}<br><span style=\"color:#52606d\">{}</span>",
        escape(&environment.owner)
    )
}

fn wasteful(out: &mut String, weekly: &Weekly, console: Option<&str>) -> std::fmt::Result {
    let wasteful = weekly.wasteful();
    if wasteful.is_empty() {
        return Ok(());
    }
    head(
        out,
        "Most wasteful",
        &[
            "Environment",
            "Flavor",
            "Hours",
            "Idle",
            "Cost",
            "Wasted",
            "To stop it",
        ],
    )?;
    for environment in wasteful {
        let total = &environment.total;
        let command = format!(
            "devctl suspend {} -n {}",
            environment.name, environment.namespace
        );
        let numbers = [
            escape(&environment.flavor),
            hours(total.running_seconds),
            hours(total.idle_seconds),
            money::cents(total.cost.total()),
            money::cents(total.waste_micros),
            format!("<code style=\"font-size:11px\">{}</code>", escape(&command)),
        ];
        row(out, &named(environment, console), &numbers)?;
    }
    out.push_str("</table>\n");
    Ok(())
}

fn too_large(out: &mut String, weekly: &Weekly, console: Option<&str>) -> std::fmt::Result {
    let mut is_any = false;
    for (environment, fit) in weekly.too_large() {
        if !std::mem::replace(&mut is_any, true) {
            head(
                out,
                "Larger than needed",
                &[
                    "Environment",
                    "Flavor",
                    "Processors used",
                    "Memory used",
                    "Would do",
                    "Saves",
                ],
            )?;
        }
        let total = &environment.total;
        let numbers = [
            escape(&environment.flavor),
            percent(total.cpu_used()),
            percent(total.memory_used()),
            escape(&fit.flavor),
            money::cents(fit.saves_micros),
        ];
        row(out, &named(environment, console), &numbers)?;
    }
    if is_any {
        out.push_str("</table>\n");
    }
    Ok(())
}
