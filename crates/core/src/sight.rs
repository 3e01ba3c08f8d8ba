//! Whose usage and costs somebody may see.

use devserver_api::costs::Sight;

use crate::Platform;

/// What that user may see: their own, the teams that the platform says they lead, and everything where the cluster gives
/// them the right to read all reports.
pub fn sight(platform: &Platform, user: &str, reads_all: bool) -> Sight {
    let teams = platform.teams.iter();
    let theirs = teams.filter(|(_, team)| reads_all || team.leads.iter().any(|lead| lead == user));
    Sight {
        all: reads_all,
        user: Some(user.to_owned()).filter(|user| !user.is_empty()),
        teams: theirs.map(|(name, _)| name.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_see_the_teams_that_name_them_and_readers_see_all() {
        let text =
            "teams: {genomics: {leads: [alice]}, imaging: {leads: [bob, alice]}, portal: {}}";
        let platform = Platform::parse(text).unwrap();
        let of = |user, reads_all| sight(&platform, user, reads_all);
        let names = |sight: &Sight| sight.teams.iter().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(names(&of("alice", false)), "genomics imaging");
        assert_eq!(names(&of("bob", false)), "imaging");
        assert_eq!(names(&of("carol", false)), "");
        assert_eq!(names(&of("carol", true)), "genomics imaging portal");
        assert!(of("carol", true).all && !of("alice", false).all);
        assert_eq!(of("", false), Sight::default());
    }

    #[test]
    fn a_lead_without_a_name_is_refused() {
        for text in ["teams: {a: {leads: ['']}}", "teams: {a: {leads: ['x y']}}"] {
            let error = Platform::parse(text).unwrap_err().to_string();
            assert!(error.contains("leads"), "{error}");
        }
    }
}
