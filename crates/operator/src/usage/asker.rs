//! Who asks for a report, and whose usage they may see.
//!
//! Two kinds of tokens open reports, both made for this audience alone and checked by the API server each time:
//!
//! - that of the ServiceAccount `devserver-usage`, which only those can make whom RBAC lets: it sees everything;
//! - that of an account which RBAC lets impersonate people (the console's). It names one, with the headers by which the API
//!   server takes that, and gets what that person may see: everything only where RBAC would give them the first kind.

use devserver_api::{
    costs::{GROUP_HEADER, Sight, USER_HEADER},
    usage::{AUDIENCE, PORT, SERVICE, TOKEN_HEADER},
};
use devserver_core::{Platform, sight::sight};
use futures::future::try_join_all;
use http::HeaderMap;
use k8s_openapi::api::{
    authentication::v1::{TokenReview, TokenReviewSpec, UserInfo},
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
};
use kube::{Api, Client, api::PostParams};

use crate::error::{Error, bounded};

/// Longest token that is looked at.
const TOKEN: usize = 16_384;
/// Groups of one person at most; the console names two.
const GROUPS: usize = 16;
/// Group of everybody whom the API server knows; it adds that one itself when somebody is impersonated.
const AUTHENTICATED: &str = "system:authenticated";

/// Asks the API server who somebody is and what they may.
#[derive(Clone)]
pub struct Gate {
    client: Client,
    namespace: String,
}

/// Somebody as they are named: user and groups.
struct Person {
    user: String,
    groups: Vec<String>,
}

impl Gate {
    /// For the platform's namespace.
    pub fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    /// Whose usage the sender may see; `None`: nobody that is known, or nobody who may ask in that name.
    pub async fn sight(
        &self,
        headers: &HeaderMap,
        platform: &Platform,
    ) -> Result<Option<Sight>, Error> {
        let Some(account) = self.account(headers).await? else {
            return Ok(None);
        };
        let reader = format!("system:serviceaccount:{}:{SERVICE}", self.namespace);
        if account.username.as_deref() == Some(&reader) {
            let all = Sight {
                all: true,
                ..sight(platform, "", true)
            };
            // It stands for nobody in particular.
            return Ok((!names_somebody(headers)).then_some(all));
        }
        let Some(person) = person(headers) else {
            return Ok(None);
        };
        if !self.may_speak_for(&account, &person).await? {
            return Ok(None);
        }
        let reads_all = self.reads_all(&person).await?;
        Ok(Some(sight(platform, &person.user, reads_all)))
    }

    /// Whose token it is, if it is made for us and still good.
    async fn account(&self, headers: &HeaderMap) -> Result<Option<UserInfo>, Error> {
        let token = headers
            .get(TOKEN_HEADER)
            .and_then(|value| value.to_str().ok());
        let Some(token) = token.filter(|token| !token.is_empty() && token.len() <= TOKEN) else {
            return Ok(None);
        };
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: token.to_owned(),
                audiences: Some(vec![AUDIENCE.to_owned()]),
            },
            ..TokenReview::default()
        };
        let api: Api<TokenReview> = Api::all(self.client.clone());
        let answer = bounded("check a token", api.create(&PostParams::default(), &review)).await?;
        let status = answer.status.unwrap_or_default();
        let mut audiences = status.audiences.iter().flatten();
        let is_for_us = audiences.any(|audience| audience == AUDIENCE);
        let is_good = status.authenticated == Some(true) && is_for_us;
        Ok(status.user.filter(|_| is_good))
    }

    /// Whether the API server would take the account's word that it is that person, in each of the groups.
    async fn may_speak_for(&self, account: &UserInfo, person: &Person) -> Result<bool, Error> {
        let account = Person {
            user: account.username.clone().unwrap_or_default(),
            groups: account.groups.clone().unwrap_or_default(),
        };
        let impersonates = |resource: &str, name: &String| ResourceAttributes {
            verb: Some("impersonate".to_owned()),
            resource: Some(resource.to_owned()),
            name: Some(name.clone()),
            ..ResourceAttributes::default()
        };
        let user = [impersonates("users", &person.user)];
        let groups = person.groups.iter().map(|g| impersonates("groups", g));
        self.may(&account, user.into_iter().chain(groups)).await
    }

    /// Whether somebody could make the first kind of token, and use it.
    async fn reads_all(&self, person: &Person) -> Result<bool, Error> {
        let right = |verb: &str, resource: &str, part: &str, name: &str| ResourceAttributes {
            namespace: Some(self.namespace.clone()),
            verb: Some(verb.to_owned()),
            resource: Some(resource.to_owned()),
            subresource: Some(part.to_owned()),
            name: Some(name.to_owned()),
            ..ResourceAttributes::default()
        };
        let rights = [
            right("create", "serviceaccounts", "token", SERVICE),
            right("get", "services", "proxy", &format!("{SERVICE}:{PORT}")),
        ];
        let mut groups = person.groups.clone();
        groups.push(AUTHENTICATED.to_owned());
        let person = Person {
            user: person.user.clone(),
            groups,
        };
        self.may(&person, rights.into_iter()).await
    }

    /// Whether somebody may all of that.
    async fn may(
        &self,
        person: &Person,
        rights: impl Iterator<Item = ResourceAttributes>,
    ) -> Result<bool, Error> {
        let answers = try_join_all(rights.map(|right| self.may_one(person, right))).await?;
        Ok(answers.into_iter().all(|may| may))
    }

    async fn may_one(&self, person: &Person, right: ResourceAttributes) -> Result<bool, Error> {
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(person.user.clone()),
                groups: Some(person.groups.clone()),
                resource_attributes: Some(right),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let params = PostParams::default();
        let asked = api.create(&params, &review);
        let answer = bounded("ask what somebody may", asked).await?;
        let status = answer.status.unwrap_or_default();
        Ok(status.allowed && status.denied != Some(true))
    }
}

fn names_somebody(headers: &HeaderMap) -> bool {
    let mut names = headers.keys();
    names.any(|name| name.as_str().starts_with("impersonate-"))
}

/// Who is named; `None`: nobody, or somebody in a way that could be read in two ways, or one of Kubernetes' own.
fn person(headers: &HeaderMap) -> Option<Person> {
    let mut names = headers
        .keys()
        .filter(|name| name.as_str().starts_with("impersonate-"));
    // What is not looked at here is not taken for nothing.
    let is_known = names.all(|name| [USER_HEADER, GROUP_HEADER].contains(&name.as_str()));
    let mut users = headers.get_all(USER_HEADER).iter();
    let (user, second) = (users.next()?.to_str().ok()?, users.next());
    let groups: Option<Vec<String>> = headers
        .get_all(GROUP_HEADER)
        .iter()
        .map(|value| value.to_str().ok().map(str::to_owned))
        .collect();
    let groups = groups?;
    let is_plain = |name: &str| !name.is_empty() && !name.starts_with("system:");
    let is_one = is_known && second.is_none() && groups.len() <= GROUPS;
    (is_one && is_plain(user) && groups.iter().all(|g| is_plain(g))).then(|| Person {
        user: user.to_owned(),
        groups,
    })
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn named(pairs: &[(&'static str, &'static str)]) -> Option<(String, Vec<String>)> {
        let mut headers = HeaderMap::new();
        for &(name, value) in pairs {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        person(&headers).map(|person| (person.user, person.groups))
    }

    #[test]
    fn b6_one_person_is_named_or_nobody() {
        let alice = named(&[
            (USER_HEADER, "alice"),
            (GROUP_HEADER, "devserver-users"),
            (GROUP_HEADER, "devserver-admins"),
        ]);
        let (user, groups) = alice.unwrap();
        assert_eq!((user.as_str(), groups.len()), ("alice", 2));
        for wrong in [
            &[][..],
            &[(USER_HEADER, "")],
            &[(USER_HEADER, "alice"), (USER_HEADER, "bob")],
            &[(USER_HEADER, "system:admin")],
            &[(USER_HEADER, "alice"), (GROUP_HEADER, "system:masters")],
            &[(USER_HEADER, "alice"), ("impersonate-uid", "1")],
            &[(GROUP_HEADER, "devserver-users")],
        ] {
            assert_eq!(named(wrong), None, "{wrong:?}");
        }
    }
}
