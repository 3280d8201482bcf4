//! `serve` under a service manager: sockets that it passes, and what it is told.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use super::Place;
use super::serve::Serving;
use crate::architecture::root;

fn place() -> Place {
    let spec = "version: 1\ngateway: {listen: \"127.0.0.1:0\", auth: \"off\"}\nproviders: {mock: {}}\n\
                models: {fast: {targets: [\"mock/m@text=hello\"]}}\ntelemetry: {access_log: \"off\"}\n";
    Place::new().file("gateway.yaml", spec)
}

/// Starts `serve` with these sockets as descriptors 3 and 4, as systemd does.
fn passing(place: &Place, names: &str, sockets: [OwnedFd; 2]) -> Command {
    let [first, second] = sockets;
    let mut command = Command::new("sh");
    let script = "exec 3<&0 4<&1 >&2 </dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" serve --watch off";
    // What it prints goes where its log goes, for its own output is a socket here.
    command.args(["-c", script, env!("CARGO_BIN_EXE_bifrostctl")]).current_dir(place.path()).env("LISTEN_FDNAMES", names);
    command.stdin(Stdio::from(first)).stdout(Stdio::from(second)).stderr(Stdio::piped());
    command
}

fn says_ready(address: &str) -> bool {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text.contains("\"ready\"")
}

#[test]
fn sockets_that_are_passed_are_served_and_stay_when_the_gateway_ends() {
    let place = place();
    let clients = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = clients.local_addr().unwrap().to_string();
    std::fs::create_dir(place.path().join(".bifrost")).unwrap();
    let path = place.path().join(".bifrost/admin.sock");
    let admin = UnixListener::bind(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sockets = || [OwnedFd::from(admin.try_clone().unwrap()), OwnedFd::from(clients.try_clone().unwrap())];
    let mut child = passing(&place, "admin:clients", sockets()).spawn().unwrap();
    // A connection waits in the socket until somebody serves it.
    assert!(says_ready(&address));
    let done = place.run(&["status", "-v"]);
    assert!(done.code == 0 && done.stdout.contains(&address), "{done:?}");
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(path.exists(), "the file is whose the socket is");

    // An admin socket that others may open is not served.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660)).unwrap();
    let done = passing(&place, "admin:clients", sockets()).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("others than its owner may open"), "{said}");
    // Nor is one that the spec does not name.
    let elsewhere = UnixListener::bind(place.path().join("other.sock")).unwrap();
    let done = passing(&place, "", [clients.try_clone().unwrap().into(), elsewhere.into()]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("`gateway.admin` is another place"), "{said}");
    // A socket that cannot be what its name says is told.
    let done = passing(&place, "clients", [admin.into(), clients.into()]).output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.code() == Some(1) && said.contains("passed as clients cannot be used"), "{said}");
}

#[test]
fn systemds_own_activation_starts_it_with_the_first_connection() {
    const ACTIVATE: &str = "/usr/bin/systemd-socket-activate";
    if !std::path::Path::new(ACTIVATE).exists() {
        return;
    }
    let place = place();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(ACTIVATE);
    command.args(["-l", &address, "--fdname=clients", env!("CARGO_BIN_EXE_bifrostctl"), "serve", "--watch", "off"]);
    let mut child = command.current_dir(place.path()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while TcpStream::connect(&address).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "it listens");
        std::thread::yield_now();
    }
    assert!(says_ready(&address));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_service_manager_is_told_of_start_reload_and_end() {
    let place = place();
    let told = UnixDatagram::bind(place.path().join("notify.sock")).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let next = || {
        let mut buffer = [0; 512];
        let length = told.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut command = place.command(&["serve", "--watch", "off"]);
    command.env("NOTIFY_SOCKET", place.path().join("notify.sock"));
    let serving = Serving::of(command);
    let ready = next();
    assert!(ready.contains("READY=1") && ready.contains(&format!("MAINPID={}", serving.pid())), "{ready}");
    serving.signal(Signal::HUP);
    let reloading = next();
    assert!(reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="), "{reloading}");
    assert!(next().contains("READY=1"));
    serving.signal(Signal::TERM);
    assert!(next().contains("STOPPING=1"));
    assert_eq!(serving.end().0, 0);
}

#[test]
fn the_units_start_what_there_is_and_agree_with_each_other() {
    let read = |name: &str| std::fs::read_to_string(root().join("kits/systemd").join(name)).unwrap();
    let (service, socket) = (read("bifrostctl.service"), read("bifrostctl.socket"));
    let value = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    let start = value(&service, "ExecStart");
    let args: Vec<&str> = start.split_whitespace().skip(1).chain(["--help"]).collect();
    assert_eq!(super::run(&args).code, 0, "{start}");
    assert_eq!((value(&service, "Type").as_str(), value(&service, "Requires").as_str()), ("notify", "bifrostctl.socket"));
    assert_eq!(value(&service, "NotifyAccess"), "all", "what `upgrade` starts says that it is the main process");
    assert_eq!(value(&socket, "FileDescriptorName"), "clients");
    let stop: u64 = value(&service, "TimeoutStopSec").trim_end_matches('s').parse().unwrap();
    assert!(stop > 120 + 5, "longer than the drain and the last words");
}
