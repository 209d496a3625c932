//! One connection, from its first request to its close.

use axum::{Router, http::HeaderValue, http::header::CONNECTION};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tower::ServiceExt;

use super::{
    Limits,
    activity::{Activity, Monitored, Phase},
};

/// How far the end of the server has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ServerStage {
    /// Everything as usual.
    Serve,
    /// Each answer asks the client to close the connection.
    Drain,
    /// No new connections; each ends with what it has in flight.
    Close,
}

/// Serves requests until the client closes, a limit is reached or the server ends.
pub(super) async fn run<S>(
    socket: S,
    router: Router,
    limits: Limits,
    stage: watch::Receiver<ServerStage>,
    activity: Activity,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    activity.enter(Phase::New);
    let socket = TokioIo::new(Monitored::new(socket, activity.clone()));
    let service = service_fn(|request: hyper::Request<Incoming>| {
        activity.enter(Phase::Busy);
        let answer = router.clone().oneshot(request);
        let (activity, stage) = (activity.clone(), stage.clone());
        async move {
            let mut response = answer.await?;
            if *stage.borrow() >= ServerStage::Drain {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            activity.enter(Phase::Idle);
            Ok::<_, std::convert::Infallible>(response)
        }
    });
    let connection = builder(&limits).serve_connection(socket, service);
    tokio::pin!(connection);
    let mut closing = false;
    loop {
        tokio::select! {
            biased;
            end = connection.as_mut() => return log_end(end),
            phase = activity.overdue(&limits) => {
                tracing::debug!(?phase, "connection closed: it took too long");
                if !matches!(phase, Phase::New | Phase::Idle) {
                    return;
                }
                activity.enter(Phase::Closing);
                connection.as_mut().graceful_shutdown();
            }
            () = activity.give_way_requested() => {
                if matches!(activity.phase(), Phase::New | Phase::Idle) {
                    tracing::debug!("connection closed: it rested, and another one came");
                    return;
                }
                // A request came in between: it is answered first.
                connection.as_mut().graceful_shutdown();
            }
            () = close_requested(stage.clone(), &activity), if !closing => {
                closing = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// hyper takes no smaller buffer. Its own bound of 400 KiB would be too much for each of a thousand connections.
const LEAST_BUFFER: usize = 64 << 10;

fn builder(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.max_header_size(limits.head_bytes).max_buf_size(limits.head_bytes.max(LEAST_BUFFER));
    builder.header_read_timeout(None);
    builder
}

async fn close_requested(mut stage: watch::Receiver<ServerStage>, activity: &Activity) {
    let is_requested = stage.wait_for(|stage| *stage >= ServerStage::Close).await.is_ok();
    if is_requested {
        activity.between_heads().await;
    } else {
        std::future::pending::<()>().await;
    }
}

fn log_end(end: hyper::Result<()>) {
    if let Err(error) = end {
        tracing::debug!(error = &error as &dyn std::error::Error, "connection broke");
    }
}
