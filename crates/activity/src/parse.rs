//! Reads what an environment says. Its user may be root in it and say anything: a report is bounded, its words hold no
//! character that could do something to whoever prints, logs or queries them, and its times are the agent's own claims.

use jiff::Timestamp;

use crate::Report;

/// Longest report that is read, in bytes.
pub const LONGEST_REPORT: usize = 64 * 1024;
/// Entries of a list that are kept.
const LONGEST_LIST: usize = 64;
/// Characters of a word that are kept.
const LONGEST_WORD: usize = 200;

/// Why a report was not taken.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// More than [`LONGEST_REPORT`].
    #[error("the report is longer than {LONGEST_REPORT} bytes")]
    TooLong,
    /// Not the JSON of a report.
    #[error("the report is not understood: {0}")]
    Syntax(#[from] serde_json::Error),
}

impl Report {
    /// Reads a report and cuts it to its bounds.
    pub fn parse(text: &[u8]) -> Result<Self, Unreadable> {
        if text.len() > LONGEST_REPORT {
            return Err(Unreadable::TooLong);
        }
        let mut report: Self = serde_json::from_slice(text)?;
        report.bound();
        Ok(report)
    }

    /// Nothing is later than the report itself, lists and words are short, words hold plain characters only.
    pub fn bound(&mut self) {
        let at = self.at;
        let past = |instant: &mut Timestamp| *instant = (*instant).min(at);
        let maybe = |instant: &mut Option<Timestamp>| *instant = instant.map(|i| i.min(at));
        past(&mut self.sampled_at);
        past(&mut self.started_at);
        word(&mut self.boot_id);
        maybe(&mut self.typed.last);
        if let Some(editor) = &mut self.editor {
            maybe(&mut editor.heartbeat);
            maybe(&mut editor.edited);
        }
        let meters = [
            self.editor.as_mut().map(|editor| &mut editor.traffic),
            self.cpu.as_mut().map(|cpu| &mut cpu.working),
            self.disk.as_mut(),
            self.network.as_mut(),
            self.gpu.as_mut(),
        ];
        for meter in meters.into_iter().flatten() {
            meter.levels.retain(|level, _| level.is_power_of_two());
            meter.levels.values_mut().for_each(past);
        }
        self.foreground.truncate(LONGEST_LIST);
        for one in &mut self.foreground {
            word(&mut one.program);
            past(&mut one.since);
            maybe(&mut one.last_output);
        }
        self.programs.truncate(LONGEST_LIST);
        for program in &mut self.programs {
            word(&mut program.name);
            past(&mut program.since);
            past(&mut program.last);
        }
        self.holds.truncate(LONGEST_LIST);
        for hold in &mut self.holds {
            word(&mut hold.by);
            word(&mut hold.what);
            past(&mut hold.since);
        }
        maybe(&mut self.memory.last_oom);
        self.git.truncate(LONGEST_LIST);
        self.git
            .iter_mut()
            .for_each(|repository| word(&mut repository.path));
        maybe(&mut self.git_checked_at);
    }
}

fn word(text: &mut String) {
    *text = plain(text);
}

/// A word of a stranger for people and programs to read: letters and digits of any language, blanks and what is usual in
/// names of files and programs; a question mark for everything else: quotes, brackets, control characters, and those that turn
/// the direction of a line. At most 200 characters.
pub fn plain(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || " ._-/+:=@,~%#()".contains(c);
    text.chars()
        .take(LONGEST_WORD)
        .map(|c| if is_plain(c) { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAST: &str = r#"{"at":"2026-01-01T10:00:00Z","sampledAt":"2026-01-01T10:00:00Z","startedAt":"2026-01-01T09:00:00Z""#;

    fn with(rest: &str) -> Report {
        Report::parse(format!("{LEAST},{rest}}}").as_bytes()).unwrap()
    }

    #[test]
    fn a_report_with_nothing_in_it_is_one_and_rubbish_is_none() {
        let report = Report::parse(format!("{LEAST}}}").as_bytes()).unwrap();
        assert_eq!(report.cpu, None);
        for rubbish in ["", "{}", "[]", "null", r#"{"at":1}"#] {
            assert!(Report::parse(rubbish.as_bytes()).is_err(), "{rubbish}");
        }
        let long = vec![b' '; LONGEST_REPORT + 1];
        assert!(matches!(Report::parse(&long), Err(Unreadable::TooLong)));
    }

    #[test]
    fn nothing_it_tells_of_lies_in_the_future_but_the_end_of_a_hold() {
        let report = with(
            r#""typed":{"last":"2030-01-01T00:00:00Z"},"network":{"total":1,"levels":{"64":"2030-01-01T00:00:00Z"}},
               "holds":[{"by":"a","since":"2030-01-01T00:00:00Z","until":"2030-01-01T00:00:00Z"}]"#,
        );
        assert_eq!(report.typed.last, Some(report.at));
        assert_eq!(report.network.unwrap().last_at_least(64), Some(report.at));
        assert_eq!(report.holds[0].since, report.at);
        assert!(report.holds[0].until > report.at);
    }

    #[test]
    fn d12_words_of_an_environment_can_do_nothing_to_who_reads_them() {
        let report = with(
            r#""programs":[{"name":"x\"} or vector(1) #\n\u001b[2J\u202e<script>'; DROP TABLE","since":"2026-01-01T10:00:00Z","last":"2026-01-01T10:00:00Z"}]"#,
        );
        let name = &report.programs[0].name;
        for bad in [
            '"', '\'', '\n', '\u{1b}', '\u{202e}', '<', '{', '}', '[', ';', '`', '\\', '$', '|',
            '*',
        ] {
            assert!(!name.contains(bad), "{name:?}");
        }
        assert!(name.starts_with("x?? or vector(1)"), "{name:?}");
    }

    #[test]
    fn lists_and_words_are_cut() {
        let one = format!(r#"{{"path":"{}"}}"#, "ä".repeat(300));
        let report = with(&format!(r#""git":[{}]"#, vec![one; 100].join(",")));
        assert_eq!(report.git.len(), LONGEST_LIST);
        assert_eq!(report.git[0].path.chars().count(), LONGEST_WORD);
    }

    proptest! {
        #[test]
        fn d12_no_text_is_too_strange(text in any::<Vec<u8>>()) {
            let _ = Report::parse(&text);
        }

        #[test]
        fn d12_no_word_keeps_what_could_do_harm(mut text in any::<String>()) {
            word(&mut text);
            prop_assert!(text.chars().count() <= LONGEST_WORD);
            prop_assert!(text.chars().all(|c| c.is_alphanumeric() || !c.is_control() && c.is_ascii()));
        }
    }
}
