//! Ganeti's `hroller`, the real program, if it is installed.
//!
//! Owns: its input (the text form of htools(1)), its run with a limit, the reading of its answer. Promises: every move
//! it lists is played on the same field; what does not fit there is an error. Does not: install it.
//!
//! By its man page all guests move back to where they were after every group; these moves are not listed, so each
//! listed one counts twice.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lifeboat_model::World;

use super::even::spread;
use super::field::{Cost, Field, Names, overhead, send, upgrade};

/// Where Debian's package `ganeti-htools-3.0` has it.
const PLACES: [&str; 2] = ["/usr/lib/ganeti/3.0/usr/bin/hroller", "/usr/bin/hroller"];

/// The program and its version; or why it cannot be used.
pub(crate) fn find() -> Result<(PathBuf, String), String> {
    let path = PLACES
        .iter()
        .map(Path::new)
        .find(|path| path.exists())
        .ok_or("hroller is not installed (Debian: ganeti-htools-3.0 and libpcre3)".to_owned())?;
    let done = Command::new(path).arg("--version").stdin(Stdio::null()).output();
    let done = done.map_err(|error| format!("{} cannot be started: {error}", path.display()))?;
    let text = String::from_utf8_lossy(&done.stdout);
    let version = text.lines().next().unwrap_or_default().trim().to_owned();
    if !done.status.success() || version.is_empty() {
        let why = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{} does not run: {}", path.display(), why.trim()));
    }
    Ok((path.to_owned(), version))
}

/// Asks it for groups and moves, and plays them.
///
/// # Errors
/// Why there is no answer that can be played.
pub(crate) fn roll(
    program: &Path,
    limit: Duration,
    world: &World,
    field: &Field,
    names: &Names<'_>,
) -> Result<Cost, String> {
    let file = std::env::temp_dir().join(format!("lifeboat-bench-hroller-{}", std::process::id()));
    let answer = std::fs::write(&file, text(world, field))
        .map_err(|error| format!("{}: {error}", file.display()))
        .and_then(|()| ask(program, &file, limit));
    let _ = std::fs::remove_file(&file);
    let (answer, seconds) = answer?;
    let mut cost = play(&answer, field.clone(), names)?;
    cost.think = Some(seconds);
    Ok(cost)
}

fn text(world: &World, field: &Field) -> String {
    let mut text = "default|bench-group|preferred||\n\n".to_owned();
    for (index, host) in world.hosts().enumerate() {
        let (all, used) = (host.memory.0, field.load_of(index));
        let role = if world.coordinator() == Some(&host.id) { 'M' } else { 'N' };
        let guests = field.on[index].len();
        let free = 1_000_000 - guests;
        let _ = writeln!(
            text,
            "{}|{all}|0|{}|1000000|{free}|1000|{role}|bench-group|1||N|0|0|1.0",
            host.id,
            all - used
        );
    }
    text.push('\n');
    for guest in world.guests() {
        let (id, memory, host) = (&guest.id, guest.memory.0, &guest.host);
        let _ = writeln!(text, "{id}|{memory}|1|1|running|Y|{host}||ext||1");
    }
    text.push_str("\n\n");
    text.push_str("|1024,1,1024,1,1,1|128,1,1,1,0,1;1048576,8,1048576,16,8,12|ext,drbd,plain|100.0|32.0\n");
    text
}

fn ask(program: &Path, file: &Path, limit: Duration) -> Result<(String, f64), String> {
    let answer = file.with_extension("out");
    let out = std::fs::File::create(&answer).map_err(|error| format!("{}: {error}", answer.display()))?;
    let began = Instant::now();
    let mut child = Command::new(program)
        .arg("-t")
        .arg(file)
        .args(["--print-moves", "--no-headers"])
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break Ok(status),
            Ok(None) if began.elapsed() > limit => {
                let _ = child.kill();
                let _ = child.wait();
                break Err(format!("no answer within {} s", limit.as_secs()));
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => break Err(error.to_string()),
        }
    };
    let seconds = began.elapsed().as_secs_f64();
    let text = std::fs::read_to_string(&answer).map_err(|error| format!("{}: {error}", answer.display()));
    let _ = std::fs::remove_file(&answer);
    if !status?.success() {
        return Err("it ended with an error".to_owned());
    }
    Ok((text?, seconds))
}

/// A line of hosts begins a group; the indented lines after it are guests and where they go meanwhile.
fn play(answer: &str, mut field: Field, names: &Names<'_>) -> Result<Cost, String> {
    let number = |map: &std::collections::BTreeMap<&str, usize>, name: &str| {
        map.get(name).copied().ok_or_else(|| format!("its answer names {name}, which is not in the pool"))
    };
    let mut lines = answer.lines().peekable();
    let mut seen = 0;
    while let Some(line) = lines.next() {
        let hosts: Vec<usize> =
            line.split(',').map(|name| number(&names.host, name.trim())).collect::<Result<_, _>>()?;
        seen += hosts.len();
        for &host in &hosts {
            field.close(host);
        }
        let mut moved = Vec::new();
        while let Some(line) = lines.next_if(|line| line.starts_with(' ')) {
            let (guest, to) = line.trim().split_once(' ').ok_or("a line of its answer has no target")?;
            let (guest, to) = (number(&names.guest, guest)?, number(&names.host, to.trim())?);
            if !field.may(guest, to) {
                return Err(format!("its answer overfills a host: {}", line.trim()));
            }
            moved.push((guest, field.at[guest], to));
            field.shift(guest, to);
        }
        let mut sent = std::collections::BTreeMap::<usize, (u64, u64)>::new();
        let mut received = std::collections::BTreeMap::<usize, u64>::new();
        for &(guest, from, to) in &moved {
            let sent = sent.entry(from).or_default();
            *sent = (sent.0 + field.size[guest], sent.1 + 1);
            *received.entry(to).or_default() += field.size[guest];
        }
        let slowest = sent.values().map(|&(mib, guests)| send(mib) + overhead(guests));
        let slowest = slowest.chain(received.values().map(|&mib| send(mib))).max().unwrap_or(0);
        for &host in &hosts {
            field.take_down(host);
        }
        for &host in &hosts {
            field.bring_up(host);
        }
        for (guest, from, _) in moved {
            field.shift(guest, from);
        }
        field.cost.millis += 2 * slowest + upgrade();
    }
    if seen != field.hosts() {
        return Err(format!("its answer has {seen} of {} hosts", field.hosts()));
    }
    Ok(spread(field))
}
