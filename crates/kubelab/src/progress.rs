//! What happens and how long it takes: a spinner on a terminal, plain lines elsewhere.

use std::{
    io::{IsTerminal, Write},
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints one line per finished step, with the time since the start.
#[derive(Clone, Debug)]
pub struct Progress {
    started: Instant,
    output: Output,
}

#[derive(Clone, Debug)]
enum Output {
    Quiet,
    Lines,
    Terminal(Arc<ProgressBar>),
}

impl Progress {
    /// For a person or a log file, as standard error is.
    pub fn new() -> Self {
        let output = if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("[{elapsed:>6}] {spinner} {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(120));
            Output::Terminal(Arc::new(bar))
        } else {
            Output::Lines
        };
        Self {
            started: Instant::now(),
            output,
        }
    }

    /// Says nothing.
    pub fn quiet() -> Self {
        Self {
            started: Instant::now(),
            output: Output::Quiet,
        }
    }

    /// What is going on now; replaced by the next word, and printed on a terminal only.
    pub fn doing(&self, what: impl Into<String>) {
        if let Output::Terminal(bar) = &self.output {
            bar.set_message(what.into());
        }
    }

    /// What is finished; stays on the screen.
    pub fn done(&self, what: impl AsRef<str>) {
        let line = format!(
            "[{:5.1}s] {}",
            self.started.elapsed().as_secs_f64(),
            what.as_ref()
        );
        match &self.output {
            Output::Quiet => {}
            Output::Lines => {
                // Nobody is left to read it when standard error is closed.
                let _ = writeln!(std::io::stderr(), "{line}");
            }
            Output::Terminal(bar) => bar.println(line),
        }
    }

    /// Ends the spinner.
    pub fn finish(&self) {
        if let Output::Terminal(bar) = &self.output {
            bar.finish_and_clear();
        }
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
