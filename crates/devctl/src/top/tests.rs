use ratatui::{Terminal, backend::TestBackend};
use serde_json::{Value, json};

use super::*;

fn server(name: &str, more: &Value) -> DevServer {
    let mut object = json!({
        "apiVersion": "devserver.io/v1", "kind": "DevServer",
        "metadata": {"name": name, "namespace": "team", "generation": 1, "creationTimestamp": "2026-01-01T08:00:00Z"},
        "spec": {"owner": "alice@example.com", "flavor": "cpu-small", "ssh": {}},
        "status": {"phase": "Running", "observedGeneration": 1, "message": "runs and answers"},
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        object["status"][key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn state(servers: Vec<DevServer>) -> State {
    let mut state = State::new(Look {
        title: "namespace 'team' of context 'lab'".to_owned(),
        ..Look::default()
    });
    state.take(Event::Init);
    for server in servers {
        state.take(Event::InitApply(server));
    }
    state.take(Event::InitDone);
    state
}

fn frame(state: &mut State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let now = "2026-01-01T09:00:00Z".parse().unwrap();
    terminal
        .draw(|frame| draw(state, frame, now, &jiff::tz::TimeZone::UTC))
        .unwrap();
    terminal.backend().to_string()
}

fn names(state: &State) -> Vec<&str> {
    state.order.iter().map(|(_, name)| name.as_str()).collect()
}

#[test]
fn the_view_shows_who_has_what_and_how_it_is() {
    let failed = json!({"phase": "Failed", "message": "no image\x1b[2J", "expirationTime": "2026-01-01T10:30:00Z"});
    let pending = json!({"conditions": [{"type": "RestartPending", "status": "True", "reason": "TemplateChanged",
        "message": "image a becomes b", "lastTransitionTime": "2026-01-01T08:30:00Z"}]});
    let mut state = state(vec![server("broken", &failed), server("changed", &pending)]);
    insta::assert_snapshot!(frame(&mut state, 110, 7));
}

#[test]
fn enter_opens_the_reasons_and_escape_closes_them_before_it_ends_the_view() {
    let ends = json!({"expirationTime": "2026-01-01T10:30:00Z"});
    let mut state = state(vec![server("a", &ends)]);
    assert!(state.act(Action::Toggle));
    insta::assert_snapshot!(frame(&mut state, 80, 12));
    assert!(state.act(Action::Back));
    assert!(!frame(&mut state, 80, 12).contains("next:"));
    assert!(!state.act(Action::Back));
}

#[test]
fn a_thousand_are_scrolled_through_and_only_those_in_the_window_are_drawn() {
    let many = (0..1000)
        .map(|n| server(&format!("s{n:04}"), &json!({})))
        .collect();
    let mut state = state(many);
    let first = frame(&mut state, 100, 12);
    assert!(
        first.contains("1000 DevServers") && first.contains("s0000") && !first.contains("s0010"),
        "{first}"
    );
    state.act(Action::Last);
    let last = frame(&mut state, 100, 12);
    assert!(last.contains("s0999") && !last.contains("s0989"), "{last}");
    state.act(Action::Move(-500));
    assert!(frame(&mut state, 100, 12).contains("s0499"));
    state.act(Action::First);
    assert!(frame(&mut state, 100, 12).contains("s0000"));
}

#[test]
fn the_chosen_one_stays_chosen_when_others_come_and_a_neighbour_takes_the_place_of_one_that_went() {
    let mut state = state(vec![server("b", &json!({})), server("c", &json!({}))]);
    state.act(Action::Move(1));
    state.take(Event::Apply(server("a", &json!({}))));
    assert_eq!(state.chosen().unwrap().name_any(), "c");
    state.act(Action::Toggle);
    state.take(Event::Delete(server("c", &json!({}))));
    assert_eq!(state.chosen().unwrap().name_any(), "b");
    assert!(!state.is_open, "the pane was about one that is gone");
    state.take(Event::Init);
    assert_eq!(
        names(&state),
        ["a", "b"],
        "a list that is coming changes nothing yet"
    );
    state.take(Event::InitDone);
    assert!(state.chosen().is_none());
    assert!(state.act(Action::Toggle) && !state.is_open);
    assert!(frame(&mut state, 80, 6).contains("0 DevServers"));
}

#[test]
fn each_order_puts_first_what_is_looked_for() {
    let soon = json!({"expirationTime": "2026-01-01T10:00:00Z"});
    let late = json!({"expirationTime": "2026-01-02T10:00:00Z", "phase": "Failed"});
    let mut state = state(vec![
        server("a", &json!({})),
        server("b", &late),
        server("c", &soon),
    ]);
    for (sort, first) in [
        ("owner", "a"),
        ("phase", "b"),
        ("flavor", "a"),
        ("age", "a"),
        ("expires", "c"),
        ("name", "a"),
    ] {
        state.act(Action::Sort);
        assert_eq!((state.sort.word(), names(&state)[0]), (sort, first));
    }
    state.act(Action::Reverse);
    assert_eq!(names(&state), ["c", "b", "a"]);
}

#[test]
fn a_terminal_of_any_size_is_drawn_on() {
    let mut state = state(vec![server("a", &json!({}))]);
    state.act(Action::Toggle);
    for (width, height) in [(1, 1), (3, 2), (20, 5), (400, 100)] {
        frame(&mut state, width, height);
    }
}
