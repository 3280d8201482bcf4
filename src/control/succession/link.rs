//! Messages and descriptors on a Unix socket: a length, then JSON. Blocks, with a limit on every wait.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest message. What is held of a hundred thousand accounts is a tenth of it.
const LARGEST: u32 = 256 << 20;
/// Most descriptors with one message.
const MOST: usize = 4;
const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST));

/// One end of the conversation.
#[derive(Debug)]
pub(super) struct Link(UnixStream);

impl Link {
    /// Takes a connection, on which nothing waits for ever.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(false)?;
        let link = Self(stream);
        link.patience(super::READY)?;
        Ok(link)
    }

    /// Sets how long each wait may be.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn patience(&self, most: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(most))?;
        self.0.set_write_timeout(Some(most))
    }

    /// Waits for messages without limit from here on.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn listen(&self) -> io::Result<()> {
        self.0.set_read_timeout(None)
    }

    /// Ends the conversation, also for whoever waits on another handle.
    pub(super) fn close(&self) {
        // One that is closed already needs nothing.
        let _ = self.0.shutdown(std::net::Shutdown::Both);
    }

    /// Makes another handle of the same end.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn duplicate(&self) -> io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    pub(super) fn send<T: Serialize>(&self, message: &T) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends a message, and descriptors with it.
    ///
    /// # Errors
    /// What the system says, a wait that is too long included.
    pub(super) fn send_with<T: Serialize>(&self, message: &T, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let body = serde_json::to_vec(message)?;
        let length = u32::try_from(body.len()).map_err(|_| io::Error::other("the message is too long"))?;
        let mut whole = length.to_be_bytes().to_vec();
        whole.extend(body);
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors"));
        }
        // Without a signal where nobody reads.
        let sent = sendmsg(self.0.as_fd(), &[IoSlice::new(&whole)], &mut control, SendFlags::NOSIGNAL)?;
        (&self.0).write_all(whole.get(sent..).unwrap_or_default())
    }

    pub(super) fn receive<T: DeserializeOwned>(&self) -> io::Result<T> {
        self.receive_with().map(|(message, _)| message)
    }

    /// Waits for a message, and the descriptors that come with it.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::UnexpectedEof`] where the other end is gone; a wait that is too long.
    pub(super) fn receive_with<T: DeserializeOwned>(&self) -> io::Result<(T, Vec<OwnedFd>)> {
        let mut length = [0; 4];
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(self.0.as_fd(), &mut [IoSliceMut::new(&mut length)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptors = descriptors.flatten().collect();
        if received.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        (&self.0).read_exact(length.get_mut(received.bytes..).unwrap_or_default())?;
        let length = u32::from_be_bytes(length);
        if length > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the message is too long"));
        }
        let mut body = Vec::new();
        let read = (&self.0).take(u64::from(length)).read_to_end(&mut body)?;
        if read < usize::try_from(length).unwrap_or(usize::MAX) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((serde_json::from_slice(&body)?, descriptors))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn messages_and_descriptors_come_as_they_went_and_an_end_is_told() {
        let (here, there) = UnixStream::pair().unwrap();
        let (here, there) = (Link::new(here).unwrap(), Link::new(there).unwrap());
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let long = "x".repeat(3 << 20);
        let sending = std::thread::spawn({
            let long = long.clone();
            move || {
                here.send_with(&"first", &[listener.as_fd(), listener.as_fd()]).unwrap();
                here.send(&long).unwrap();
            }
        });
        let (first, descriptors): (String, _) = there.receive_with().unwrap();
        assert_eq!((first.as_str(), descriptors.len()), ("first", 2));
        assert_eq!(there.receive::<String>().unwrap(), long);
        sending.join().unwrap();
        assert_eq!(there.receive::<String>().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        // The descriptor is the socket itself.
        let listener = UnixListener::from(descriptors.into_iter().next().unwrap());
        let _client = UnixStream::connect(&path).unwrap();
        listener.accept().unwrap();
    }

    #[test]
    fn a_wait_has_an_end() {
        let (here, _there) = UnixStream::pair().unwrap();
        let here = Link::new(here).unwrap();
        here.patience(Duration::from_millis(1)).unwrap();
        assert_eq!(here.receive::<String>().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
