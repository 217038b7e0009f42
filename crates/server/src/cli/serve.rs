//! `lifeboatd run`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_model::chain;
use lifeboat_wire::{ServerKeys, write_durably};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::notify::tell_systemd;
use crate::{Controller, serve_agents, serve_hub};

/// How often the server's certificate and the revocation list are made anew; both live for weeks.
const RENEWAL: Duration = Duration::from_secs(86_400);

/// Serves until it is told to stop.
pub(crate) async fn serve(
    controller: Controller,
    port_file: Option<&Path>,
) -> Result<(), Box<dyn std::error::Error>> {
    raise_file_limit();
    let controller = Arc::new(controller);
    let keys = Arc::new(controller.server_keys()?);
    let listen = controller.settings.listen;
    let listener =
        TcpListener::bind(listen).await.map_err(|error| format!("listening on {listen}: {error}"))?;
    let address = listener.local_addr()?;
    controller.keep_port(address.port());
    let socket = controller.settings.socket.clone();
    let hub = tokio::spawn({
        let (controller, socket) = (Arc::clone(&controller), socket.clone());
        async move {
            let served = serve_hub(controller, &socket).await;
            served.map_err(|error| format!("the control socket {}: {error}", socket.display()))
        }
    });
    let agents = tokio::spawn(serve_agents(Arc::clone(&controller), Arc::clone(&keys), listener));
    let renewing = tokio::spawn(renew_for_ever(Arc::clone(&controller), keys));
    if let Some(path) = port_file {
        write_durably(path, format!("{}\n", reachable(address)).as_bytes())?;
    }
    eprintln!(
        "lifeboatd: pool {}: listening on {address}, programs at {}",
        controller.authority.pool(),
        socket.display()
    );
    tell_systemd("READY=1");
    let (mut stop, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = stop.recv() => {}
        _ = interrupt.recv() => {}
        ended = hub => ended??,
        ended = agents => ended??,
    }
    // Nothing is to be finished: what was answered is on stable storage.
    tell_systemd("STOPPING=1");
    renewing.abort();
    eprintln!("lifeboatd: stopped");
    Ok(())
}

/// A connection is an open file, and the usual limit is 1024.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // A lower limit turns peers away, and says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// An address that can be dialled on this computer.
fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() { SocketAddr::from(([127, 0, 0, 1], address.port())) } else { address }
}

async fn renew_for_ever(controller: Arc<Controller>, keys: Arc<ServerKeys>) {
    loop {
        tokio::time::sleep(RENEWAL).await;
        let renewed = controller.renew_server_keys(&keys).and_then(|()| controller.publish_revocations());
        if let Err(error) = renewed {
            eprintln!("lifeboatd: {}", chain(&error));
        }
    }
}
