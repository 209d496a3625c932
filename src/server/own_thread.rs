//! A listener that is served by a thread of its own.

use std::future::Future;
use std::io;
use std::thread;

use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// Serves the socket on a new thread until `stop` is told or dropped. The future ends when the thread does.
pub(super) fn serve<F>(
    socket: TcpListener,
    stop: oneshot::Receiver<()>,
    work: impl FnOnce(TcpListener) -> F + Send + 'static,
) -> io::Result<impl Future<Output = ()> + Send + 'static>
where
    F: Future<Output = ()>,
{
    let socket = socket.into_std()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let (ended, end) = oneshot::channel::<()>();
    thread::Builder::new().name("ops".to_owned()).spawn(move || {
        runtime.block_on(async {
            let Ok(socket) = TcpListener::from_std(socket) else { return };
            tokio::select! {
                () = work(socket) => {}
                _ = stop => {}
            }
        });
        drop(ended);
    })?;
    Ok(async move {
        let _ = end.await;
    })
}
