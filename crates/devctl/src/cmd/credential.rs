//! `devctl credential`: what kubectl, devctl and client libraries call for a token (client.authentication.k8s.io/v1).

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    args::Credential,
    exit::Exit,
    failure::{Failure, Outcome},
    login::{
        oidc::{self, NotRenewed, Tokens},
        tokens::{Kept, Store},
    },
    output,
};

/// A token that ends so soon is renewed before, in seconds: a request takes time, and clocks differ.
const SOON: i64 = 30;

/// Prints a token that is good for a while.
pub async fn run(args: &Credential) -> Outcome<Exit> {
    let store = Store::of(&args.issuer, &args.client_id, &args.login)?;
    let now = Timestamp::now().as_second();
    let kept = match store.read()? {
        Some(kept) if is_good(&kept, now) => kept,
        _ => renewed(&store, args, now).await?,
    };
    output::print(&format!("{}\n", answer(&kept)))?;
    Ok(Exit::Ok)
}

fn is_good(kept: &Kept, now: i64) -> bool {
    kept.expires - SOON > now
}

async fn renewed(store: &Store, args: &Credential, now: i64) -> Outcome<Kept> {
    // Many commands may find the end of a token at once, and the one refresh token may be good for one use.
    let _lock = store.lock()?;
    let Some(kept) = store.read()? else {
        return Err(over("you are not logged in", "--console URL"));
    };
    if is_good(&kept, now) {
        return Ok(kept);
    }
    let again = format!("--console {}", kept.console);
    let is_same = kept.place.issuer == args.issuer && kept.place.client_id == args.client_id;
    let Some(token) = kept.refresh_token.as_deref().filter(|_| is_same) else {
        return Err(over("your login has ended", &again));
    };
    match oidc::refresh(&kept.place, token).await {
        Ok(tokens) => {
            let kept = with(kept, tokens);
            store.write(&kept)?;
            Ok(kept)
        }
        Err(NotRenewed::Over(why)) => Err(over("your login has ended", &again).because(why)),
        Err(NotRenewed::Away(failure)) => Err(failure),
    }
}

/// Providers that give no new refresh token mean that the old one stays.
fn with(kept: Kept, tokens: Tokens) -> Kept {
    Kept {
        id_token: tokens.id_token,
        expires: tokens.expires,
        refresh_token: tokens.refresh_token.or(kept.refresh_token),
        ..kept
    }
}

fn over(what: &str, how: &str) -> Failure {
    Failure::new(Exit::Forbidden, what).remedy(format!("log in: `devctl login {how}`"))
}

fn answer(kept: &Kept) -> Value {
    // Programs that ask keep the token until then.
    let ends = Timestamp::from_second(kept.expires - SOON).ok();
    json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": kept.id_token, "expirationTimestamp": ends.map(|t| t.to_string())},
    })
}

#[cfg(test)]
mod tests {
    use devserver_api::signpost::OidcPlace;

    use super::*;

    fn kept(expires: i64) -> Kept {
        Kept {
            place: OidcPlace {
                issuer: "https://i".into(),
                client_id: "devctl".into(),
                scopes: vec![],
                certificate_authority_data: None,
            },
            console: "https://c".into(),
            id_token: "t".into(),
            expires,
            refresh_token: Some("r".into()),
        }
    }

    #[test]
    fn a_token_is_told_as_kubernetes_conventions_want_it_and_renewed_before_it_ends() {
        assert!(is_good(&kept(1031), 1000));
        assert!(!is_good(&kept(1030), 1000));
        let expected = json!({
            "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
            "status": {"token": "t", "expirationTimestamp": "2026-01-01T00:00:00Z"},
        });
        assert_eq!(answer(&kept(1_767_225_630)), expected);
        let tokens = Tokens {
            id_token: "t2".into(),
            expires: 5,
            refresh_token: None,
        };
        let next = with(kept(1), tokens);
        assert_eq!(
            (
                next.id_token.as_str(),
                next.expires,
                next.refresh_token.as_deref()
            ),
            ("t2", 5, Some("r"))
        );
    }
}
