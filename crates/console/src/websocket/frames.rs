//! Where in a stream of bytes frames begin and end (RFC 6455, 5.2). Pure.
//!
//! Frames go on as they came, byte by byte: masks, fragments and compressed messages are the two ends' own business. Headers
//! are read by `tungstenite`, to know where something of ours may stand between two frames.

use std::io::Cursor;

use bytes::{Buf as _, Bytes, BytesMut};
use tungstenite::protocol::{
    CloseFrame,
    frame::{
        Frame, FrameHeader,
        coding::{Control, OpCode},
    },
};

/// Longest payload of a control frame.
const LONGEST_CONTROL: u64 = 125;

/// Bytes that are no frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these are no frames of a websocket")]
pub struct Broken;

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Frames of messages, or parts of one.
    Message(Bytes),
    /// A whole control frame.
    Control {
        /// As it came.
        raw: Bytes,
        /// Which one.
        what: Control,
        /// Its payload, without the mask.
        payload: Vec<u8>,
    },
}

impl Piece {
    /// As it came.
    pub fn raw(&self) -> &[u8] {
        match self {
            Self::Message(raw) | Self::Control { raw, .. } => raw,
        }
    }
}

/// One direction of a websocket.
#[derive(Debug, Default)]
pub struct Frames {
    /// What came and was not taken yet. Whoever reads puts more at its end.
    pub buffer: BytesMut,
    /// Bytes of the present frame's payload that are still to come.
    rest: u64,
}

/// What stands at the beginning of some bytes.
enum Start {
    /// Not a whole header yet.
    Partial,
    /// A frame of a message, and how much of it there is in all.
    Message { header: usize, payload: u64 },
    /// A control frame, and how long it is in all.
    Control {
        header: usize,
        what: Control,
        mask: Option<[u8; 4]>,
        length: usize,
    },
}

fn start(bytes: &[u8]) -> Result<Start, Broken> {
    let mut cursor = Cursor::new(bytes);
    let parsed = FrameHeader::parse(&mut cursor).map_err(|_| Broken)?;
    let Some((head, payload)) = parsed else {
        return Ok(Start::Partial);
    };
    let header = usize::try_from(cursor.position()).map_err(|_| Broken)?;
    match head.opcode {
        OpCode::Data(_) => Ok(Start::Message { header, payload }),
        OpCode::Control(what) => {
            if payload > LONGEST_CONTROL || !head.is_final {
                return Err(Broken);
            }
            let length = header + usize::try_from(payload).map_err(|_| Broken)?;
            Ok(Start::Control {
                header,
                what,
                mask: head.mask,
                length,
            })
        }
    }
}

impl Frames {
    /// The next piece that can go on; `None`: more has to come first.
    pub fn piece(&mut self) -> Result<Option<Piece>, Broken> {
        let mut taken = 0;
        loop {
            let bytes = self.buffer.get(taken..).unwrap_or_default();
            if self.rest > 0 {
                let there = usize::try_from(self.rest).map_or(bytes.len(), |r| r.min(bytes.len()));
                taken += there;
                self.rest -= there as u64;
                if self.rest > 0 {
                    break;
                }
                continue;
            }
            match start(bytes)? {
                Start::Partial => break,
                Start::Message { header, payload } => {
                    taken += header;
                    self.rest = payload;
                }
                // What stands before it goes first.
                Start::Control { .. } if taken > 0 => break,
                Start::Control { length, .. } if bytes.len() < length => break,
                Start::Control {
                    header,
                    what,
                    mask,
                    length,
                } => {
                    let raw = self.buffer.split_to(length).freeze();
                    let payload = unmasked(raw.slice(header..), mask);
                    return Ok(Some(Piece::Control { raw, what, payload }));
                }
            }
        }
        Ok((taken > 0).then(|| Piece::Message(self.buffer.split_to(taken).freeze())))
    }

    /// Whether all that was taken are whole frames: something of ours may come next.
    pub fn is_between(&self) -> bool {
        self.rest == 0
    }
}

fn unmasked(mut payload: Bytes, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask = mask.unwrap_or_default();
    let mut plain = Vec::with_capacity(payload.len());
    for key in mask.iter().cycle() {
        if !payload.has_remaining() {
            break;
        }
        plain.push(payload.get_u8() ^ key);
    }
    plain
}

/// A ping of ours, as a server sends it.
pub fn ping(payload: [u8; 8]) -> Vec<u8> {
    written(Frame::ping(payload.to_vec()), None)
}

/// A close frame of ours: without a mask as a server sends it, with one as a client does.
pub fn close(code: u16, reason: &'static str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let close = CloseFrame {
        code: code.into(),
        reason: reason.into(),
    };
    written(Frame::close(Some(close)), mask)
}

fn written(mut frame: Frame, mask: Option<[u8; 4]>) -> Vec<u8> {
    frame.header_mut().mask = mask;
    let mut bytes = Vec::new();
    // Into memory: this cannot fail.
    let _ = frame.format(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    /// Everything that comes out, and where in it something of ours could stand.
    fn through(parts: &[&[u8]]) -> Result<(Vec<Piece>, Vec<usize>), Broken> {
        let (mut frames, mut pieces, mut gaps, mut at) =
            (Frames::default(), Vec::new(), Vec::new(), 0);
        for part in parts {
            frames.buffer.extend_from_slice(part);
            while let Some(piece) = frames.piece()? {
                at += piece.raw().len();
                pieces.push(piece);
            }
            if frames.is_between() {
                gaps.push(at);
            }
        }
        Ok((pieces, gaps))
    }

    fn frame(size: usize, opcode: OpCode, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut frame = Frame::message(vec![7; size], OpCode::Data(Data::Binary), true);
        frame.header_mut().opcode = opcode;
        written(frame, mask)
    }

    #[test]
    fn control_frames_are_told_apart_and_read() {
        let message = frame(3, OpCode::Data(Data::Text), None);
        let pong = written(Frame::pong(b"12345678".to_vec()), Some([1, 2, 3, 4]));
        let all = [
            message.clone(),
            pong.clone(),
            message.clone(),
            close(1008, "no", None),
        ]
        .concat();
        let (pieces, _) = through(&[&all]).unwrap();
        assert_eq!(pieces[0], Piece::Message(message.clone().into()));
        let Piece::Control { what, payload, raw } = &pieces[1] else {
            panic!("{pieces:?}");
        };
        assert_eq!(
            (*what, payload.as_slice(), &raw[..]),
            (Control::Pong, &b"12345678"[..], &pong[..])
        );
        let Piece::Control { what, payload, .. } = &pieces[3] else {
            panic!("{pieces:?}");
        };
        assert_eq!(
            (*what, payload.as_slice()),
            (Control::Close, &b"\x03\xf0no"[..])
        );
    }

    #[test]
    fn what_is_no_frame_is_not_passed_on() {
        for bytes in [
            &[0x83, 0][..],       // an opcode that nobody has
            &[0x89, 126, 0, 200], // a control frame that is too long
            &[0x09, 0],           // a control frame in parts
        ] {
            assert_eq!(through(&[bytes]), Err(Broken), "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn however_it_arrives_it_goes_on_as_it_came_and_gaps_are_between_frames(
            sizes in prop::collection::vec((prop_oneof![0..200_usize, Just(65_536), Just(126)], 0..4_u8, any::<Option<[u8; 4]>>()), 1..12),
            cuts in prop::collection::vec(1..5000_usize, 1..40),
        ) {
            let (mut all, mut ends) = (Vec::new(), vec![0]);
            for (size, kind, mask) in sizes {
                let (size, opcode) = match kind {
                    0 => (size.min(125), OpCode::Control(Control::Ping)),
                    1 => (size, OpCode::Data(Data::Continue)),
                    _ => (size, OpCode::Data(Data::Binary)),
                };
                all.extend(frame(size, opcode, mask));
                ends.push(all.len());
            }
            let (mut parts, mut rest) = (Vec::new(), all.as_slice());
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (part, more) = rest.split_at((*cut).min(rest.len()));
                parts.push(part);
                rest = more;
            }
            let (pieces, gaps) = through(&parts).unwrap();
            let out: Vec<u8> = pieces.iter().flat_map(|p| p.raw().to_vec()).collect();
            prop_assert_eq!(out, all);
            for gap in gaps {
                prop_assert!(ends.contains(&gap), "{} is in a frame", gap);
            }
        }
    }
}
