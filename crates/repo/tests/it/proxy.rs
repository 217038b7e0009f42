//! A proxy between reader and server that cuts connections, and a server that says what it is told to say.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// Cuts every connection after some bytes of the answers. Its threads end with the test program.
pub(crate) struct CuttingProxy {
    pub(crate) port: u16,
    /// Bytes sent to the reader, heads included.
    pub(crate) sent: Arc<AtomicU64>,
    pub(crate) cuts: Arc<AtomicUsize>,
}

impl CuttingProxy {
    /// `cut_after(n)` says after how many bytes the n-th connection is cut.
    pub(crate) fn start(server: u16, cut_after: impl Fn(usize) -> u64 + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sent, cuts) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
        let (sent_by, cuts_by) = (Arc::clone(&sent), Arc::clone(&cuts));
        thread::spawn(move || {
            for (number, client) in listener.incoming().flatten().enumerate() {
                let mut up = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (mut questions, mut to_server) = (client.try_clone().unwrap(), up.try_clone().unwrap());
                thread::spawn(move || {
                    // Ends when one of both closes.
                    let _ = std::io::copy(&mut questions, &mut to_server);
                });
                let (sent, cuts, mut left) = (Arc::clone(&sent_by), Arc::clone(&cuts_by), cut_after(number));
                let mut client = client;
                thread::spawn(move || {
                    let mut buf = [0_u8; 16 * 1024];
                    while let Ok(got @ 1..) = up.read(&mut buf) {
                        let pass = usize::try_from(left).unwrap_or(usize::MAX).min(got);
                        if client.write_all(buf.get(..pass).unwrap()).is_err() {
                            break;
                        }
                        sent.fetch_add(pass as u64, Ordering::SeqCst);
                        left -= pass as u64;
                        if left == 0 {
                            cuts.fetch_add(1, Ordering::SeqCst);
                            break;
                        }
                    }
                    // Either may be gone already.
                    let _ = client.shutdown(Shutdown::Both);
                    let _ = up.shutdown(Shutdown::Both);
                });
            }
        });
        Self { port, sent, cuts }
    }
}

/// One request's first line and headers, in lower case.
pub(crate) type Question = Vec<String>;

/// Answers every request with what `answer` writes, then closes.
pub(crate) fn serve(answer: impl Fn(&Question, &mut TcpStream) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            thread::spawn(move || {
                let mut question = Vec::new();
                for line in BufReader::new(client.try_clone().unwrap()).lines() {
                    match line {
                        Ok(line) if !line.is_empty() => question.push(line.to_lowercase()),
                        Ok(_) | Err(_) => break,
                    }
                }
                answer(&question, &mut client);
                let _ = client.shutdown(Shutdown::Both);
            });
        }
    });
    port
}
