//! A stand-in for a gateway's admin API on a Unix socket: answers what a test says and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// One call as it came.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Value,
}

/// The stand-in. Its thread ends with the process.
pub(crate) struct Fake {
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    /// Listens on `dir/admin.sock`; `answer` gets each call with its place among all, from 0.
    pub(crate) fn start(dir: &Path, mut answer: impl FnMut(usize, &Asked) -> (u16, Value) + Send + 'static) -> Self {
        let listener = UnixListener::bind(dir.join("admin.sock")).unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let call = read(&mut stream);
                let place = {
                    let mut kept = kept.lock().unwrap();
                    kept.push(call.clone());
                    kept.len() - 1
                };
                let (status, body) = answer(place, &call);
                // A text is metrics, anything else JSON.
                let (kind, body) = match body {
                    Value::String(text) => ("text/plain", text),
                    body => ("application/json", body.to_string()),
                };
                let head =
                    format!("HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                // A client that has gone is its own affair.
                let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
            }
        });
        Self { asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn read(stream: &mut UnixStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let length = lines.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    Asked { line: lines.remove(0), headers: lines, body: serde_json::from_slice(&body).unwrap_or(Value::Null) }
}
