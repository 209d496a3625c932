//! The watches of the controller.

use std::future::ready;

use futures::stream::{self, Stream, StreamExt};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use crate::api_server::{ApiError, chain};
use crate::process::{RepeatedErrors, warn_if_new};

/// An event of one watch, or its error.
pub(super) type News<K> = Result<watcher::Event<K>, watcher::Error>;

/// Lists and watches, and waits longer after each error that follows another.
pub(super) fn news<K>(api: Api<K>, config: watcher::Config) -> impl Stream<Item = News<K>> + Send
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    with_late_start(watcher(api, config)).default_backoff()
}

/// Passes on that a list begins only when something of it has come. Before a list that is refused `watcher` says that it begins, too,
/// and each time the wait would start again from the shortest.
fn with_late_start<K>(news: impl Stream<Item = News<K>>) -> impl Stream<Item = News<K>> {
    let mut has_begun = false;
    news.flat_map(move |event| {
        let is_start = matches!(event, Ok(watcher::Event::Init));
        let start = (event.is_ok() && !is_start && has_begun).then_some(Ok(watcher::Event::Init));
        has_begun = is_start || (event.is_err() && has_begun);
        stream::iter(start.into_iter().chain(Some(event).filter(|_| !is_start)))
    })
}

/// Leaves out the errors, which it logs when they are new.
pub(super) fn logged<T>(requests: impl Stream<Item = Result<T, watcher::Error>>) -> impl Stream<Item = T> {
    let logged = RepeatedErrors::default();
    requests.filter_map(move |request| {
        let request = request.map_err(cause);
        if let Err(error) = &request {
            warn_if_new!(logged, error, {}, "a watch for per-pod Services failed, trying again: {error}");
        }
        ready(request.ok())
    })
}

/// The message of the API server, which the error of a watch contains twice.
fn cause(error: watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => ApiError::from(error).to_string(),
        watcher::Error::WatchError(status) => format!("{}: {}", status.code, status.message),
        error @ watcher::Error::NoResourceVersion => chain(&error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use k8s_openapi::api::core::v1 as core;
    use kube::core::Status;
    use tokio::time::Instant;

    use super::*;

    fn refused() -> News<core::ConfigMap> {
        let status = Status { code: 403, message: "forbidden".to_owned(), ..Status::default() };
        Err(watcher::Error::WatchError(status.boxed()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_is_refused_is_asked_for_less_and_less_often() {
        let tries = stream::iter(0..20).flat_map(|_| stream::iter([Ok(watcher::Event::Init), refused()]));
        let start = Instant::now();
        let errors = with_late_start(tries).default_backoff().filter(|event| ready(event.is_err()));
        assert_eq!(errors.count().await, 20);
        assert!(start.elapsed() > Duration::from_secs(300), "{:?}", start.elapsed());
    }

    #[tokio::test]
    async fn a_list_begins_with_what_comes_of_it() {
        use watcher::Event::{Apply, Init, InitApply, InitDone};
        let object = core::ConfigMap::default;
        let news = vec![
            Ok(Init),
            refused(),
            Ok(Init),
            Ok(InitApply(object())),
            Ok(InitDone),
            Ok(Apply(object())),
            Ok(Init),
            Ok(InitDone),
        ];
        let passed: Vec<News<core::ConfigMap>> = with_late_start(stream::iter(news)).collect().await;
        let names: Vec<&str> = passed
            .iter()
            .map(|event| match event {
                Ok(Init) => "init",
                Ok(InitApply(_)) => "listed",
                Ok(InitDone) => "done",
                Ok(_) => "changed",
                Err(_) => "error",
            })
            .collect();
        assert_eq!(names, ["error", "init", "listed", "done", "changed", "init", "done"]);
    }
}
