//! The table of routes: the one place that says what can be asked. `docs/api.md` repeats it, and a test
//! holds the two against each other.

use http::Method;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, StrDeserializer};
use skyhaul_model::{JobId, JobKey};

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    ShowEngine,
    StopEngine,
    StayEngine,
    ListJobs,
    Submit,
    ShowJob,
    FindJob,
    UpdateJob,
    SetIntent,
    SetHold,
    Retry,
    Relist,
    AddWindows,
    SetChecksums,
    WorkOn,
    Remove,
    ListFiles,
    ListWindows,
    ListTroubles,
    Invalidate,
    AwaitChange,
    ShowProgress,
    FollowProgress,
    PlaceOrder,
    ShowBoard,
    FollowBoard,
    ShowSeries,
    ShowLimits,
    SetLimits,
    OpenDashboard,
    ShowMetrics,
}

/// One way to ask.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) action: Action,
}

/// All of them.
pub(crate) const ROUTES: [Route; 31] = [
    Route { method: Method::GET, path: "/v1/engine", action: Action::ShowEngine },
    Route { method: Method::POST, path: "/v1/engine/stop", action: Action::StopEngine },
    Route { method: Method::POST, path: "/v1/engine/stay", action: Action::StayEngine },
    Route { method: Method::GET, path: "/v1/jobs", action: Action::ListJobs },
    Route { method: Method::POST, path: "/v1/jobs", action: Action::Submit },
    Route { method: Method::GET, path: "/v1/jobs/{id}", action: Action::ShowJob },
    Route { method: Method::GET, path: "/v1/jobs/by-key/{key}", action: Action::FindJob },
    Route { method: Method::PATCH, path: "/v1/jobs/{id}", action: Action::UpdateJob },
    Route { method: Method::PUT, path: "/v1/jobs/{id}/intent", action: Action::SetIntent },
    Route { method: Method::PUT, path: "/v1/jobs/{id}/hold", action: Action::SetHold },
    Route { method: Method::POST, path: "/v1/jobs/{id}/retry", action: Action::Retry },
    Route { method: Method::POST, path: "/v1/jobs/{id}/relist", action: Action::Relist },
    Route { method: Method::PUT, path: "/v1/jobs/{id}/checksums", action: Action::SetChecksums },
    Route { method: Method::POST, path: "/v1/jobs/{id}/work", action: Action::WorkOn },
    Route { method: Method::DELETE, path: "/v1/jobs/{id}", action: Action::Remove },
    Route { method: Method::GET, path: "/v1/jobs/{id}/files", action: Action::ListFiles },
    Route { method: Method::GET, path: "/v1/jobs/{id}/windows", action: Action::ListWindows },
    Route { method: Method::POST, path: "/v1/jobs/{id}/windows", action: Action::AddWindows },
    Route { method: Method::GET, path: "/v1/jobs/{id}/troubles", action: Action::ListTroubles },
    Route { method: Method::POST, path: "/v1/jobs/{id}/invalidate", action: Action::Invalidate },
    Route { method: Method::GET, path: "/v1/changes", action: Action::AwaitChange },
    Route { method: Method::GET, path: "/v1/progress", action: Action::ShowProgress },
    Route { method: Method::GET, path: "/v1/events", action: Action::FollowProgress },
    Route { method: Method::POST, path: "/v1/orders", action: Action::PlaceOrder },
    Route { method: Method::GET, path: "/v1/board", action: Action::ShowBoard },
    Route { method: Method::GET, path: "/v1/board/events", action: Action::FollowBoard },
    Route { method: Method::GET, path: "/v1/series", action: Action::ShowSeries },
    Route { method: Method::GET, path: "/v1/limits", action: Action::ShowLimits },
    Route { method: Method::PUT, path: "/v1/limits", action: Action::SetLimits },
    Route { method: Method::POST, path: "/v1/dashboard", action: Action::OpenDashboard },
    Route { method: Method::GET, path: "/metrics", action: Action::ShowMetrics },
];

/// What a path names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The job, by number.
    pub(crate) job: Option<JobId>,
    /// The job, by its query's key.
    pub(crate) key: Option<JobKey>,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// This.
    Route(Action, Subject),
    /// Something that can only be asked with these methods.
    OtherMethods(Vec<Method>),
    /// Nothing that there is.
    Nothing,
}

/// Looks a request up in the table.
pub(crate) fn find(method: &Method, path: &str) -> Found {
    let mut others = Vec::new();
    for route in &ROUTES {
        match subject(route.path, path) {
            Some(subject) if route.method == *method => return Found::Route(route.action, subject),
            Some(_) => others.push(route.method.clone()),
            None => {}
        }
    }
    if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
}

/// What `path` names if it has the form of `pattern`.
fn subject(pattern: &str, path: &str) -> Option<Subject> {
    let mut subject = Subject::default();
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        let part = parts.next()?;
        match wanted {
            "{id}" => subject.job = Some(job_id(part)?),
            "{key}" => subject.key = Some(job_key(part)?),
            literal if literal == part => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(subject)
}

fn job_id(part: &str) -> Option<JobId> {
    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| part.parse().ok().map(JobId))?
}

fn job_key(part: &str) -> Option<JobKey> {
    let is_key = part.len() == 64 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let text: StrDeserializer<'_, ValueError> = part.into_deserializer();
    is_key.then(|| JobKey::deserialize(text).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u64) -> Subject {
        Subject { job: Some(JobId(id)), key: None }
    }

    #[test]
    fn paths_name_their_subjects() {
        let key = "ab".repeat(32);
        let found = |method: Method, path: &str| find(&method, path);
        assert_eq!(found(Method::GET, "/v1/jobs/7"), Found::Route(Action::ShowJob, job(7)));
        assert_eq!(found(Method::PUT, "/v1/jobs/7/intent"), Found::Route(Action::SetIntent, job(7)));
        let Found::Route(Action::FindJob, subject) = found(Method::GET, &format!("/v1/jobs/by-key/{key}"))
        else {
            panic!("the key is not found")
        };
        assert_eq!(subject.key.unwrap().as_str(), key);
    }

    #[test]
    fn what_is_not_in_the_table_is_nothing() {
        let paths = [
            "",
            "/",
            "/v1",
            "/v1/",
            "/v2/jobs",
            "/v1/jobs/",
            "/v1/jobs/x",
            "/v1/jobs/-1",
            "/v1/jobs/+1",
            "/v1/jobs/99999999999999999999",
            "/v1/jobs/7/",
            "/v1/jobs//files",
            "/v1/jobs/7/files/8",
            "/v1/jobs/by-key/abc",
            "/v1/jobs/{id}",
        ];
        for path in paths {
            assert_eq!(find(&Method::GET, path), Found::Nothing, "{path}");
        }
    }

    #[test]
    fn a_wrong_method_is_told_the_right_ones() {
        let methods = vec![Method::GET, Method::PATCH, Method::DELETE];
        assert_eq!(find(&Method::POST, "/v1/jobs/7"), Found::OtherMethods(methods));
        assert_eq!(find(&Method::HEAD, "/v1/events"), Found::OtherMethods(vec![Method::GET]));
    }

    #[test]
    fn every_route_finds_itself() {
        for route in &ROUTES {
            let path = route.path.replace("{id}", "3").replace("{key}", &"0".repeat(64));
            let Found::Route(action, _) = find(&route.method, &path) else { panic!("{path} is not found") };
            assert_eq!(action, route.action, "{path}");
        }
    }

    #[test]
    fn the_page_has_the_table() {
        let page = include_str!("../../../../docs/api.md");
        let row = |line: &str| {
            let (method, rest) = line.strip_prefix("| `")?.split_once("` `")?;
            let (path, _) = rest.split_once('`')?;
            path.starts_with('/').then(|| format!("{method} {path}"))
        };
        let told: Vec<_> = page.lines().filter_map(row).collect();
        let stands: Vec<_> = ROUTES.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(told, stands);
    }
}
