//! Bundles on their way to hosts.
//!
//! Owns: reading an offered file from a byte on. Promises: a few at a time, the others wait for their turn; the file is
//! read by a thread of its own in pieces, so that a slow disk keeps no command waiting. Does not: know bundles; a
//! host verifies what it got.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use lifeboat_model::Sha256Hex;
use lifeboat_model::agent::ControllerMessage;
use tokio::net::TcpStream;
use tokio::sync::mpsc::channel;
use tokio_rustls::server::TlsStream;

use super::lines::{say, write};
use super::port::Shared;

/// Bytes of one piece.
const PIECE: usize = 256 * 1024;

/// Gives the bundle of `digest` from byte `offset` on.
pub(super) async fn give_bundle(
    shared: &Shared,
    stream: &mut TlsStream<TcpStream>,
    digest: Sha256Hex,
    offset: u64,
) -> io::Result<()> {
    let path = shared.controller.ledger.book().offers.get(&digest).cloned();
    let refused = |reason: String| ControllerMessage::Refused { reason };
    let Some(path) = path else {
        let reason = format!("no bundle of release {} is offered", digest.short());
        return say(stream, &refused(reason)).await;
    };
    let Ok(_turn) = shared.downloads.acquire().await else { return Ok(()) };
    let opened = File::open(&path).and_then(|mut file| {
        let len = file.metadata()?.len();
        file.seek(SeekFrom::Start(offset.min(len)))?;
        Ok((file, len))
    });
    let (mut file, len) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let reason = format!("the bundle {} cannot be read on the controller: {error}", path.display());
            return say(stream, &refused(reason)).await;
        }
    };
    say(stream, &ControllerMessage::Bundle { len }).await?;
    let (pieces, mut read) = channel::<io::Result<Vec<u8>>>(2);
    tokio::task::spawn_blocking(move || {
        let mut left = len.saturating_sub(offset);
        while left > 0 {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(PIECE);
            let mut piece = vec![0; want];
            let got = file.read_exact(&mut piece).map(|()| piece);
            let failed = got.is_err();
            // Nobody waits for it any more if the host went away.
            if pieces.blocking_send(got).is_err() || failed {
                return;
            }
            left -= want as u64;
        }
    });
    while let Some(piece) = read.recv().await {
        // An error ends the connection; the host goes on where it ended.
        write(stream, &piece?).await?;
    }
    // The end of TLS, so that a cut connection is told from a whole download.
    tokio::io::AsyncWriteExt::shutdown(stream).await
}
