//! What the operator has people told stands on their terminals, once, and is no sign of life.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::thread;
use std::time::Duration;

use devserver_activity::{Deed, NOTICE_HEADER, Notice, NoticeStage, Report, digest};
use jiff::{SignedDuration, Timestamp};
use nix::sched::{CloneFlags, setns};

mod rig;

use rig::{ask, eventually, first_process, is_root};

/// The kernel keeps the times of terminals to eight seconds.
const GRAIN: Duration = Duration::from_secs(10);

fn question(token: &str, notice: &Notice) -> String {
    format!(
        "Authorization: Bearer {token}\r\n{NOTICE_HEADER}: {}",
        notice.text()
    )
}

/// The report, once a terminal with a program in the foreground is there.
fn seen() -> Option<Report> {
    let report = ask("Authorization: Bearer right").ok()?;
    (!report.foreground.is_empty()).then_some(report)
}

fn notice() -> Notice {
    let (now, hours) = (Timestamp::now(), SignedDuration::from_hours);
    Notice {
        since: now.checked_sub(hours(23)).unwrap(),
        stage: NoticeStage::Noticed,
        round: 0,
        next: Some((Deed::Terminate, now.checked_add(hours(1)).unwrap())),
    }
}

/// Asks again and again, as the operator does.
fn told(notice: &Notice) {
    for _ in 0..3 {
        ask(&question("right", notice)).unwrap();
    }
}

fn visit(count: impl Fn() -> usize) {
    let before = eventually("the terminal is seen", seen);
    thread::sleep(GRAIN);
    let mut notice = notice();
    assert!(ask(&question("wrong", &notice)).is_err());
    assert_eq!(count(), 0, "not for everybody");
    told(&notice);
    eventually("it stands there", || (count() > 0).then_some(()));
    notice.stage = NoticeStage::Warned;
    told(&notice);
    eventually("the next stage stands there", || {
        (count() > 1).then_some(())
    });
    let looked = Timestamp::now();
    let after = eventually("it is looked at anew", || {
        seen().filter(|report| report.sampled_at > looked)
    });
    assert_eq!(count(), 2, "each once");
    assert_eq!(after.typed, before.typed, "nobody typed");
    let printed = |report: &Report| report.foreground.first().and_then(|one| one.last_output);
    assert_eq!(
        printed(&after),
        printed(&before),
        "the program printed nothing"
    );
}

#[test]
fn people_are_told_once_by_the_operator_alone_and_that_is_no_sign_of_life() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let access = format!(r#"{{"tokenSha256":"{}"}}"#, digest("right"));
    fs::write(folder.path().join("activity.json"), access).unwrap();
    let shown = folder.path().join("shown");
    // A terminal with a program in the foreground that prints nothing.
    let terminal = format!(
        "sleep 1000 | SHELL=/bin/bash script -qfc 'exec sleep 999' {} >/dev/null &",
        shown.display()
    );
    let (_running, agent) = first_process(folder.path(), &terminal);
    let network = fs::File::open(format!("/proc/{agent}/ns/net")).unwrap();
    let count = move || {
        let text = fs::read_to_string(&shown).unwrap_or_default();
        text.matches("Nobody seems to use this environment").count()
    };
    let visitor = thread::spawn(move || {
        setns(network, CloneFlags::CLONE_NEWNET).unwrap();
        visit(count);
    });
    visitor.join().unwrap();
}
