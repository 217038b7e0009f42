//! The socket itself.
//!
//! Owns: its file, its connections, the stream of events. Promises: only the owner of the process and root can open
//! it; a program that reads slowly or not at all costs its own connection. Does not: know what is asked.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifeboat_model::chain;
use lifeboat_wire::{HubAnswer, HubRequest, MAX_HUB_LINE, parse_line};
use rustix::fs::Mode;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::OwnedWriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer;
use crate::Controller;
use crate::event_log::Next;

/// Programs at the same time.
const CONNECTIONS: usize = 128;
/// Longest time that a program may take to read what it asked for.
const WRITE: Duration = Duration::from_secs(30);

/// Opens the socket at `path` and serves it until the process ends.
pub async fn serve_hub(controller: Arc<Controller>, path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    // Left by a process that was killed: the lock of the folder tells that it is gone.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    // Not for a moment may others open it.
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(before);
    let listener = listener?;
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                eprintln!("lifeboatd: accepting a program: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let controller = Arc::clone(&controller);
        tokio::spawn(async move {
            // Whatever ends it, the program asks again.
            let _ = talk(&controller, stream).await;
            drop(place);
        });
    }
}

async fn talk(controller: &Arc<Controller>, stream: UnixStream) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = Vec::new();
        (&mut reader).take(MAX_HUB_LINE as u64).read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Ok(());
        }
        match parse_line::<HubRequest>(&line) {
            Ok(HubRequest::Watch { stream, after }) => {
                return watch(controller, &mut writer, &mut reader, stream.as_deref(), after).await;
            }
            Ok(request) => {
                drop(line);
                say(&mut writer, &answer(controller, request).await).await?;
            }
            Err(error) => {
                let reason = format!("{}; are lifeboat and lifeboatd of the same version?", chain(&error));
                say(&mut writer, &HubAnswer::Refused { reason }).await?;
            }
        }
    }
}

async fn watch(
    controller: &Controller,
    writer: &mut OwnedWriteHalf,
    reader: &mut (impl tokio::io::AsyncRead + Unpin),
    stream: Option<&str>,
    after: u64,
) -> io::Result<()> {
    let events = &controller.events;
    let mut news = events.subscribe();
    let complete = stream == Some(events.stream()) && events.reaches(after);
    let newest = events.newest();
    let mut seen = if complete { after } else { newest };
    say(writer, &HubAnswer::Watching { stream: events.stream().to_owned(), newest, complete }).await?;
    let mut byte = [0];
    loop {
        match events.next(seen) {
            Next::Lines(lines, last) => {
                for line in lines {
                    write(writer, &line).await?;
                }
                seen = last;
            }
            // It connects again, and is told that it missed something.
            Next::Behind => return Ok(()),
            Next::Wait => {
                tokio::select! {
                    changed = news.changed() => changed.map_err(io::Error::other)?,
                    // A word here has no meaning; the end of the connection has.
                    got = reader.read(&mut byte) => if got? == 0 { return Ok(()) },
                }
            }
        }
    }
}

async fn say(writer: &mut OwnedWriteHalf, answer: &HubAnswer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer).map_err(io::Error::other)?;
    line.push(b'\n');
    write(writer, &line).await
}

async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> io::Result<()> {
    let written = timeout(WRITE, writer.write_all(bytes)).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}
