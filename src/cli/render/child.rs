//! Programs that render, with limits.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::sources::MAX_BYTES;

/// How long one rendering may take.
const LIMIT: Duration = Duration::from_secs(60);

/// How often a program that has closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(5);

/// Runs a program and returns what it prints, or why that is of no use. Without `network` it is told to use none: proxies that do
/// not answer, and no protocol but files for git.
pub(super) fn output(program: &str, arguments: &[&Path], network: bool) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if !network {
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env(variable, "http://127.0.0.1:9");
        }
        command.env("NO_PROXY", "").env("no_proxy", "").env("GIT_ALLOW_PROTOCOL", "file");
    }
    let mut child = command.spawn().map_err(|error| format!("cannot run {program}: {error}"))?;
    let end = Instant::now() + LIMIT;
    let (out, errors) = (reader(child.stdout.take()), reader(child.stderr.take()));
    let printed = until(end, &out, &mut child, program)?;
    let complaint = until(end, &errors, &mut child, program)?;
    let status = wait(end, &mut child, program)?;
    if !status.success() {
        return Err(format!("{program} failed: {}", reason(&String::from_utf8_lossy(&complaint))));
    }
    if printed.len() as u64 > MAX_BYTES {
        return Err(format!("{program} prints more than {} MiB", MAX_BYTES >> 20));
    }
    String::from_utf8(printed).map_err(|_| format!("{program} prints something that is not UTF-8 text"))
}

/// The last error, which may take several lines, or else the last line.
fn reason(complaint: &str) -> String {
    let is_reason = |line: &&str| !line.is_empty() && !line.starts_with("Use --debug flag");
    let lines: Vec<&str> = complaint.lines().map(str::trim).filter(is_reason).collect();
    let start = lines.iter().rposition(|line| line.starts_with("Error:"));
    let reason = lines.get(start.unwrap_or(lines.len().saturating_sub(1))..).unwrap_or_default().join(" ");
    if reason.is_empty() { "no reason is given".to_owned() } else { reason }
}

fn reader(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // After an error, only the part that was read before it is available.
            let _ = pipe.take(MAX_BYTES + 1).read_to_end(&mut bytes);
        }
        // The receiver is gone after a time-out.
        let _ = sender.send(bytes);
    });
    receiver
}

fn until(
    end: Instant,
    from: &Receiver<Vec<u8>>,
    child: &mut Child,
    program: &str,
) -> Result<Vec<u8>, String> {
    let left = end.saturating_duration_since(Instant::now());
    from.recv_timeout(left).map_err(|_| give_up(child, program))
}

fn wait(end: Instant, child: &mut Child, program: &str) -> Result<ExitStatus, String> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if Instant::now() < end => thread::sleep(POLL),
            Ok(None) => return Err(give_up(child, program)),
            Err(error) => return Err(format!("cannot wait for {program}: {error}")),
        }
    }
}

fn give_up(child: &mut Child, program: &str) -> String {
    // It has ended already where it cannot be ended.
    let _ = child.kill();
    let _ = child.wait();
    format!("{program} took longer than {} seconds", LIMIT.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error() {
        for (complaint, expected) in [
            ("Error: a\nUse it\n", "Error: a Use it"),
            (
                "# warning: x\nError: trouble with `\npath: a\n`: no such file\n",
                "Error: trouble with ` path: a `: no such file",
            ),
            (
                "Error: execution error at (c/a.yaml:1:2): n is needed\n\nUse --debug flag to render out invalid YAML\n",
                "Error: execution error at (c/a.yaml:1:2): n is needed",
            ),
            ("one\ntwo\n\n", "two"),
            ("\n", "no reason is given"),
        ] {
            assert_eq!(reason(complaint), expected);
        }
    }
}
