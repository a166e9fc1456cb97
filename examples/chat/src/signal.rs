//! Signals that ask the program to stop.

/// Completes on Ctrl-C, and on Unix also on SIGTERM.
pub(crate) async fn stop_signal() {
    let interrupt = async {
        tokio::signal::ctrl_c()
            .await
            .expect("signals can be listened to")
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened to");
        tokio::select! { () = interrupt => {}, _ = terminate.recv() => {} }
    }
    #[cfg(not(unix))]
    interrupt.await;
}
