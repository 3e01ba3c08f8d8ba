//! Ports of an environment that are shown in a browser: where each is, and how one more is declared.

use devserver_api::{DevServer, PortSpec, Share, port};
use kube::ResourceExt as _;
use serde_json::{Value, json};

use crate::{
    console::Console,
    entry, label,
    problem::Problem,
    session::Session,
    table::{Place, ServerId, Target},
};

use super::form::Form;

/// One port, as the page shows it.
pub struct Shown {
    /// What it is.
    pub name: String,
    /// Its number.
    pub number: u16,
    /// Whether everybody who is logged in may see it.
    pub is_shared: bool,
    /// Whether its owner wants everybody to see it.
    pub asks_all: bool,
    /// Whether it can be shared, or made private.
    pub can_change: bool,
    /// Where it is, for whom may go there.
    pub address: Option<String>,
}

/// The declared ports of an environment.
pub fn shown(
    console: &Console,
    session: &Session,
    server: &DevServer,
    id: &ServerId,
) -> Vec<Shown> {
    let address = |number: u16| {
        let place = Place {
            id: id.clone(),
            port: Target::Port(number),
        };
        let may = console.ask(|table| table.may_enter(&session.user, &place).is_some());
        may.then(|| entry::host(&console.config, &label::of_port(number, id)))
    };
    // Of what cannot be understood the condition tells.
    let declared = port::declared(&server.spec).unwrap_or_default();
    let shown = |(number, port): (u16, port::Port)| {
        let asks_all = port.share == Share::Authenticated;
        let may = console.config.allow_shared_ports;
        Shown {
            name: port.name,
            number,
            is_shared: asks_all && may,
            asks_all,
            can_change: asks_all || may,
            address: address(number),
        }
    };
    declared.into_iter().map(shown).collect()
}

fn number(form: &Form) -> Result<i32, Problem> {
    let number = form.get("port").and_then(|text| text.trim().parse().ok());
    number.ok_or_else(|| Problem::invalid("Say which port, such as 3000."))
}

/// The change that declares the port of a form, or says anew who may see it.
pub fn declare(server: &DevServer, uid: &str, form: &Form) -> Result<Value, Problem> {
    let number = number(form)?;
    let share = match form.get("share") {
        Some("Authenticated") => Some(Share::Authenticated),
        Some("Owner") | None => None,
        Some(_) => {
            return Err(Problem::invalid(
                "Say who may see it: Owner or Authenticated.",
            ));
        }
    };
    let named = form
        .get("name")
        .map(str::trim)
        .filter(|name| !name.is_empty());
    let name = named.map_or_else(|| format!("p{number}"), str::to_owned);
    let mut ports = server.spec.ports.clone();
    match ports.iter_mut().find(|port| port.port == number) {
        Some(port) => {
            port.share = share;
            port.name = named.map_or_else(|| port.name.clone(), str::to_owned);
        }
        None => ports.push(PortSpec {
            name,
            port: number,
            share,
        }),
    }
    Ok(change(server, uid, &ports))
}

/// The change that takes the port of a form away.
pub fn withdraw(server: &DevServer, uid: &str, form: &Form) -> Result<Value, Problem> {
    let number = number(form)?;
    let mut ports = server.spec.ports.clone();
    ports.retain(|port| port.port != number);
    Ok(change(server, uid, &ports))
}

/// With the version: what somebody else changed meanwhile is not overwritten.
fn change(server: &DevServer, uid: &str, ports: &[PortSpec]) -> Value {
    json!({
        "metadata": {"uid": uid, "resourceVersion": server.resource_version()},
        "spec": {"ports": ports},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> DevServer {
        serde_json::from_value(json!({
            "apiVersion": "devserver.io/v1", "kind": "DevServer", "metadata": {"name": "a", "resourceVersion": "7"},
            "spec": {"ssh": {}, "ports": [{"name": "web", "port": 3000}]},
        }))
        .unwrap()
    }

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form::of(pairs)
    }

    #[test]
    fn a_port_is_declared_shared_and_withdrawn() {
        let ports = |change: Result<Value, Problem>| change.unwrap()["spec"]["ports"].clone();
        let more = declare(&server(), "u1", &form(&[("port", " 8000 ")]));
        assert_eq!(
            more.as_ref().unwrap()["metadata"],
            json!({"uid": "u1", "resourceVersion": "7"})
        );
        assert_eq!(
            ports(more),
            json!([{"name": "web", "port": 3000}, {"name": "p8000", "port": 8000}])
        );
        let shared = declare(
            &server(),
            "u1",
            &form(&[("port", "3000"), ("share", "Authenticated")]),
        );
        assert_eq!(
            ports(shared),
            json!([{"name": "web", "port": 3000, "share": "Authenticated"}])
        );
        assert_eq!(
            ports(withdraw(&server(), "u1", &form(&[("port", "3000")]))),
            json!([])
        );
        for wrong in [
            &[("port", "x")][..],
            &[],
            &[("port", "1"), ("share", "Everybody")],
        ] {
            assert_eq!(
                declare(&server(), "u1", &form(wrong)).unwrap_err().reason,
                "invalid"
            );
        }
    }
}
