//! Data messages of a channel that have come already go on together: one call to the kernel, and one to wake the reader.

use std::{collections::VecDeque, io::IoSlice};

use bytes::{Buf, Bytes};
use futures::FutureExt;
use russh::{ChannelMsg, ChannelReadHalf};

/// Most bytes that are gathered, and one message more.
const MOST: usize = 64 * 1024;

/// Bytes in the order in which they came, as they came.
#[derive(Debug, Default)]
pub struct Gathered {
    pieces: VecDeque<Bytes>,
    remaining: usize,
}

impl Gathered {
    /// Waits for a message and takes the data that is there. The answer is a message that is no data and comes after it, if
    /// there is one: `Some(None)` means the end of all messages.
    pub async fn fill(&mut self, from: &mut ChannelReadHalf) -> Option<Option<ChannelMsg>> {
        let mut next = from.wait().await;
        loop {
            match next {
                Some(ChannelMsg::Data { data }) => self.push(data),
                other => return Some(other),
            }
            if self.remaining >= MOST {
                return None;
            }
            next = from.wait().now_or_never()?;
        }
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.remaining += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl Buf for Gathered {
    fn remaining(&self) -> usize {
        self.remaining
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let pairs = into.iter_mut().zip(&self.pieces);
        pairs
            .map(|(slot, piece)| *slot = IoSlice::new(piece))
            .count()
    }

    fn advance(&mut self, mut count: usize) {
        self.remaining -= count;
        while count > 0 {
            let Some(piece) = self.pieces.front_mut() else {
                return;
            };
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.pieces.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gathered(pieces: &[&'static [u8]]) -> Gathered {
        let mut all = Gathered::default();
        for piece in pieces {
            all.push(Bytes::from_static(piece));
        }
        all
    }

    #[test]
    fn bytes_come_out_in_the_order_they_went_in_wherever_a_write_stopped() {
        for step in 1..=9 {
            let mut all = gathered(&[b"ab", b"", b"cde", b"f", b"ghi"]);
            let mut out = Vec::new();
            while all.has_remaining() {
                let count = step.min(all.chunk().len());
                out.extend_from_slice(all.chunk().get(..count).unwrap());
                all.advance(count);
            }
            assert_eq!(out, b"abcdefghi", "in steps of {step}");
        }
    }

    #[test]
    fn a_write_that_took_several_pieces_leaves_the_rest() {
        let mut all = gathered(&[b"ab", b"cde", b"f"]);
        all.advance(4);
        let mut slices = [IoSlice::new(&[]); 4];
        let count = all.chunks_vectored(&mut slices);
        let left: Vec<u8> = slices.iter().take(count).flat_map(|s| s.to_vec()).collect();
        assert_eq!(
            (count, left.as_slice(), all.remaining()),
            (2, &b"ef"[..], 2)
        );
    }
}
