//! Who is logged in: all of it is in an encrypted cookie, so that any replica knows and none remembers.

use http::{HeaderMap, HeaderValue};
use serde::{Deserialize, Serialize};

use crate::{
    cookies,
    identity::Identity,
    seal::{self, Sealer},
};

/// A login.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// User name as Kubernetes knows it.
    pub user: String,
    /// Whether they administrate.
    pub is_admin: bool,
    /// When they logged in, in seconds since 1970.
    pub issued: i64,
    /// When it ends.
    pub expires: i64,
    /// What each form must send back.
    pub csrf: String,
}

impl Session {
    /// Begins now.
    pub fn begin(identity: Identity, now: i64, lifetime: u64) -> Self {
        Self {
            user: identity.user,
            is_admin: identity.is_admin,
            issued: now,
            expires: now.saturating_add_unsigned(lifetime),
            csrf: seal::secret(),
        }
    }

    /// The session of a request, if it has one that has not ended.
    pub fn of(headers: &HeaderMap, sealer: &Sealer, now: i64) -> Option<Self> {
        let cookie = cookies::read(headers, cookies::SESSION)?;
        let session: Self = sealer.open(cookies::SESSION, cookie)?;
        (session.issued <= now.saturating_add(CLOCKS) && now < session.expires).then_some(session)
    }

    /// The cookie that carries it.
    pub fn cookie(&self, sealer: &Sealer) -> Option<HeaderValue> {
        let seconds = u64::try_from(self.expires.saturating_sub(self.issued)).ok()?;
        cookies::set(
            cookies::SESSION,
            &sealer.seal(cookies::SESSION, self)?,
            seconds,
        )
    }
}

/// Seconds by which the clocks of replicas may differ.
const CLOCKS: i64 = 60;

#[cfg(test)]
mod tests {
    use http::header;

    use super::*;

    #[test]
    fn it_comes_back_until_it_ends_and_not_after() {
        let sealer = Sealer::new(&[1; 64]).unwrap();
        let alice = Identity {
            user: "alice".into(),
            is_admin: false,
        };
        let session = Session::begin(alice, 1000, 60);
        let set = session.cookie(&sealer).unwrap();
        let text = set.to_str().unwrap();
        assert!(text.starts_with("__Host-devserver-session="));
        assert!(
            text.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"),
            "{text}"
        );
        assert!(text.len() < 1024);
        let pair = text.split(';').next().unwrap();
        let headers =
            HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(pair).unwrap())]);
        assert_eq!(Session::of(&headers, &sealer, 1059), Some(session));
        assert_eq!(Session::of(&headers, &sealer, 1060), None);
        assert_eq!(
            Session::of(&headers, &Sealer::new(&[2; 64]).unwrap(), 1001),
            None
        );
        assert_eq!(Session::of(&HeaderMap::new(), &sealer, 1001), None);
    }
}
