//! What client and keeper say to each other: a letter, a length, and so many bytes.

use std::io::{self, Read, Write};

/// Longest content; each side reads less at a time.
pub const MOST: usize = 64 * 1024;
/// Rows and columns.
pub type Size = (u16, u16);

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Client: shows the session from now on, in a window of that size.
    Attach(Size),
    /// Client: the window has another size.
    Resize(Size),
    /// Either: what was typed, or what is shown.
    Data(Vec<u8>),
    /// Client: what is kept there?
    Ask,
    /// Keeper: the answer.
    Told(Vec<u8>),
    /// Keeper: the program ended with that status.
    Exit(u8),
}

impl Frame {
    /// Sends it as a whole.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let size = |(rows, columns): Size| [rows.to_be_bytes(), columns.to_be_bytes()].concat();
        let (letter, content) = match self {
            Self::Attach(window) => (b'A', size(*window)),
            Self::Resize(window) => (b'R', size(*window)),
            Self::Data(bytes) => (b'D', bytes.clone()),
            Self::Ask => (b'?', Vec::new()),
            Self::Told(bytes) => (b'T', bytes.clone()),
            Self::Exit(status) => (b'X', vec![*status]),
        };
        let length = u32::try_from(content.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut whole = Vec::with_capacity(content.len() + 5);
        whole.push(letter);
        whole.extend(length.to_be_bytes());
        whole.extend(content);
        to.write_all(&whole)
    }

    /// Waits for the next; `None` when the other side has hung up.
    pub fn read(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut head = [0; 5];
        match from.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        let [letter, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        // The screen that a client gets first may be larger than what is read at a time.
        if length > 16 * MOST {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut content = vec![0; length];
        from.read_exact(&mut content)?;
        let size = || match *content.as_slice() {
            [a, b, c, d] => Ok((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
            _ => Err(io::Error::from(io::ErrorKind::InvalidData)),
        };
        Ok(Some(match letter {
            b'A' => Self::Attach(size()?),
            b'R' => Self::Resize(size()?),
            b'D' => Self::Data(content),
            b'?' => Self::Ask,
            b'T' => Self::Told(content),
            b'X' => Self::Exit(content.first().copied().unwrap_or(1)),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_read_as_it_was_written() {
        let frames = [
            Frame::Attach((24, 80)),
            Frame::Resize((u16::MAX, 0)),
            Frame::Data(b"\x1b[2J".to_vec()),
            Frame::Data(Vec::new()),
            Frame::Ask,
            Frame::Told(b"x".to_vec()),
            Frame::Exit(143),
        ];
        let mut wire = Vec::new();
        for frame in &frames {
            frame.write(&mut wire).unwrap();
        }
        let mut from = wire.as_slice();
        for frame in frames {
            assert_eq!(Frame::read(&mut from).unwrap(), Some(frame));
        }
        assert_eq!(Frame::read(&mut from).unwrap(), None);
    }

    #[test]
    fn what_is_no_frame_is_refused_without_taking_memory_for_it() {
        for wire in [&b"D\xff\xff\xff\xff"[..], b"Z\0\0\0\0", b"A\0\0\0\x01x"] {
            assert!(Frame::read(&mut &*wire).is_err(), "{wire:?}");
        }
        assert!(Frame::read(&mut &b"D\0\0\0\x05ab"[..]).is_err(), "cut off");
    }
}
