//! Chunks to messages.

use super::{
    CHUNK_BYTES_MAX, CHUNK_STREAMS_MAX, DEFAULT_CHUNK_BYTES, EXTENDED, MESSAGE_BYTES_MAX, PARTIAL_BYTES_MAX,
};
use crate::{Error, Message};
use bytes::{Buf, BytesMut};

/// Reassembles messages from the bytes of one direction of a connection.
#[derive(Debug)]
pub struct Reader {
    input: BytesMut,
    chunk_bytes: usize,
    streams: Vec<ChunkStream>,
    partial_bytes: usize,
}

/// What the chunks of one chunk stream share.
#[derive(Debug, Default)]
struct ChunkStream {
    id: u32,
    kind: u8,
    length: usize,
    message_stream: u32,
    timestamp: u32,
    /// The last timestamp field: a delta, or the absolute value of a type-0 header.
    field: u32,
    extended: bool,
    /// `field` was absolute: a type-0 header came last.
    absolute: bool,
    partial: BytesMut,
}

/// A parsed chunk header.
#[derive(Clone, Copy)]
struct Header {
    bytes: usize,
    format: u8,
    kind: u8,
    length: usize,
    message_stream: u32,
    field: u32,
    extended: bool,
}

/// Input is kept in blocks of this size; messages are slices of them.
const INPUT_BYTES: usize = 16 << 10;

impl Default for Reader {
    fn default() -> Self {
        Reader {
            input: BytesMut::with_capacity(INPUT_BYTES),
            chunk_bytes: DEFAULT_CHUNK_BYTES,
            streams: Vec::new(),
            partial_bytes: 0,
        }
    }
}

impl Reader {
    /// Takes bytes in. They are bounded by what [`Reader::message`] leaves, less than one chunk.
    pub fn push(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// The peer sends chunks of at most this payload from now on. More than a message can have is the same as that.
    ///
    /// # Errors
    /// For zero.
    pub fn set_chunk_bytes(&mut self, bytes: u32) -> Result<(), Error> {
        if bytes == 0 {
            return Err(Error::ChunkSize(bytes));
        }
        self.chunk_bytes = bytes.min(CHUNK_BYTES_MAX) as usize;
        Ok(())
    }

    /// The peer gives a half-sent message up.
    pub fn abort(&mut self, chunk_stream: u32) {
        if let Some(stream) = self.streams.iter_mut().find(|s| s.id == chunk_stream) {
            self.partial_bytes -= stream.partial.len();
            stream.partial.clear();
        }
    }

    /// The next whole message, if it is all here.
    ///
    /// # Errors
    /// When the peer breaks the format or a limit; the connection can't go on then.
    pub fn message(&mut self) -> Result<Option<Message>, Error> {
        loop {
            let Some((id, basic, format)) = basic_header(&self.input) else { return Ok(None) };
            let index = self.stream(id)?;
            let Some(header) = self.header(index, basic, format)? else { return Ok(None) };
            let stream = &mut self.streams[index];
            let have = stream.partial.len();
            let take = header.length.saturating_sub(have).min(self.chunk_bytes);
            if self.input.len() < header.bytes + take {
                // A message is assembled chunk by chunk, so what waits here stays below one chunk. A length is only a
                // claim; room grows by doubling as bytes come.
                let missing = header.bytes + take - self.input.len();
                self.input.reserve(missing.min(FIRST_RESERVE_BYTES));
                return Ok(None);
            }
            if have == 0 {
                stream.begin(&header);
                if take < header.length {
                    stream.partial.reserve(header.length.min(take * RESERVE_CHUNKS).min(FIRST_RESERVE_BYTES));
                }
            }
            self.input.advance(header.bytes);
            if have + take < header.length {
                if self.partial_bytes + take > PARTIAL_BYTES_MAX {
                    return Err(Error::OverBudget);
                }
                stream.partial.extend_from_slice(&self.input[..take]);
                self.input.advance(take);
                self.partial_bytes += take;
                continue;
            }
            self.partial_bytes -= have;
            // A message of one chunk is a slice of what was read, with no copy and no allocation of its own.
            let payload = if have == 0 {
                self.input.split_to(take).freeze()
            } else {
                stream.partial.extend_from_slice(&self.input[..take]);
                self.input.advance(take);
                stream.partial.split().freeze()
            };
            return Ok(Some(Message {
                kind: stream.kind,
                timestamp: stream.timestamp,
                message_stream: stream.message_stream,
                payload,
            }));
        }
    }

    fn stream(&mut self, id: u32) -> Result<usize, Error> {
        if let Some(index) = self.streams.iter().position(|s| s.id == id) {
            return Ok(index);
        }
        if self.streams.len() >= CHUNK_STREAMS_MAX {
            return Err(Error::TooManyChunkStreams);
        }
        self.streams.push(ChunkStream { id, ..ChunkStream::default() });
        Ok(self.streams.len() - 1)
    }

    /// The message header behind a basic header of `basic` bytes; `None` while it isn't all here.
    fn header(&self, index: usize, basic: usize, format: u8) -> Result<Option<Header>, Error> {
        let stream = &self.streams[index];
        let size = [11, 7, 3, 0][usize::from(format & 3)];
        let Some(b) = self.input.get(basic..basic + size) else { return Ok(None) };
        let mut header = Header {
            bytes: basic + size,
            format,
            kind: stream.kind,
            length: stream.length,
            message_stream: stream.message_stream,
            field: stream.field,
            extended: stream.extended,
        };
        if format < 3 {
            header.field = u24(&b[..3]);
            header.extended = header.field == EXTENDED;
        }
        if format < 2 {
            header.length = u24(&b[3..6]) as usize;
            header.kind = b[6];
        }
        if format == 0 {
            header.message_stream = u32::from_le_bytes([b[7], b[8], b[9], b[10]]);
        }
        if header.length > MESSAGE_BYTES_MAX {
            return Err(Error::MessageTooLong(header.length));
        }
        if format == 3 && stream.kind == 0 {
            return Err(Error::NoHeader);
        }
        if header.extended && !self.extend(&mut header, stream) {
            return Ok(None);
        }
        Ok(Some(header))
    }

    /// Reads the extended timestamp; false while it isn't here.
    ///
    /// DEVIATION: RTMP 1.0 §5.3.1.3 repeats it on type-3 chunks; some encoders leave it out there. It is taken
    /// as repeated when the four bytes have the value that is expected.
    fn extend(&self, header: &mut Header, stream: &ChunkStream) -> bool {
        let Some(b) = self.input.get(header.bytes..header.bytes + 4) else { return false };
        let value = u32::from_be_bytes([b[0], b[1], b[2], b[3]]);
        if header.format < 3 {
            header.field = value;
            header.bytes += 4;
        } else if value == stream.field || value == stream.timestamp {
            header.bytes += 4;
        }
        true
    }
}

impl ChunkStream {
    fn begin(&mut self, header: &Header) {
        self.kind = header.kind;
        self.length = header.length;
        self.message_stream = header.message_stream;
        self.extended = header.extended;
        self.field = header.field;
        if header.format < 3 {
            self.absolute = header.format == 0;
        }
        // DEVIATION: RTMP 1.0 §5.3.1.2.4 lets a type-3 chunk after a type-0 one repeat the absolute time as a
        // delta; encoders that send this mean the same time again.
        self.timestamp = match header.format {
            0 => header.field,
            3 if self.absolute => self.timestamp,
            _ => self.timestamp.wrapping_add(header.field),
        };
    }
}

/// A length field alone must not make us allocate; at most this much is reserved on its word.
const FIRST_RESERVE_BYTES: usize = 64 << 10;
/// When a message begins, its chunk stream gets room for so many chunks like the first: 64 KiB for OBS's, and 2 KiB for a
/// peer that hasn't set a size.
const RESERVE_CHUNKS: usize = 16;

/// Chunk stream id, bytes of the basic header and format. RTMP 1.0 §5.3.1.1.
fn basic_header(b: &[u8]) -> Option<(u32, usize, u8)> {
    let first = *b.first()?;
    let (id, bytes) = match first & 0x3f {
        0 => (u32::from(*b.get(1)?) + 64, 2),
        1 => (u32::from(*b.get(2)?) * 256 + u32::from(*b.get(1)?) + 64, 3),
        id => (u32::from(id), 1),
    };
    Some((id, bytes, first >> 6))
}

fn u24(b: &[u8]) -> u32 {
    u32::from_be_bytes([0, b[0], b[1], b[2]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MessageKind, write_message};

    fn read_all(bytes: &[u8], step: usize, chunk: u32) -> Vec<Message> {
        let mut reader = Reader::default();
        reader.set_chunk_bytes(chunk).unwrap();
        let mut messages = Vec::new();
        for piece in bytes.chunks(step) {
            reader.push(piece);
            while let Some(message) = reader.message().unwrap() {
                messages.push(message);
            }
        }
        messages
    }

    #[test]
    fn messages_survive_any_chunk_size_and_any_split() {
        for (length, timestamp, chunk) in
            [(1, 0, 128), (500, 77, 128), (70_000, 0x0100_0000, 4096), (129, 0xff_ffff, 128)]
        {
            let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut out = BytesMut::new();
            for offset in 0..3 {
                let parts = [&payload[..length / 3], &payload[length / 3..]];
                write_message(&mut out, 6, MessageKind::Video, 1, timestamp + offset, chunk, &parts);
            }
            for step in [1, 7, 4096, out.len()] {
                let messages = read_all(&out, step, chunk as u32);
                assert_eq!(messages.len(), 3);
                assert!(
                    messages
                        .iter()
                        .zip(0..)
                        .all(|(m, i)| m.payload == payload && m.timestamp == timestamp + i)
                );
            }
        }
    }

    #[test]
    fn extended_timestamps_on_type_3_chunks_may_be_left_out() {
        let mut out = BytesMut::new();
        write_message(&mut out, 4, MessageKind::Audio, 1, 0x0123_4567, 128, &[&[9; 200]]);
        let with = out.to_vec();
        // 1 + 11 + 4 header bytes, 128 of payload, then the type-3 byte and the repeated timestamp.
        let without = [&with[..145], &with[149..]].concat();
        for bytes in [with, without] {
            let messages = read_all(&bytes, 3, 128);
            assert_eq!((messages.len(), messages[0].timestamp), (1, 0x0123_4567));
            assert_eq!(messages[0].payload, vec![9; 200]);
        }
    }

    #[test]
    fn deltas_add_up() {
        // Type 0 at 1000, type 1 and type 2 with a delta of 20, type 3 that begins a message: 20 again.
        let bytes = [
            &[4, 0, 3, 232, 0, 0, 1, 8, 1, 0, 0, 0, 1][..],
            &[0x44, 0, 0, 20, 0, 0, 2, 8, 2, 2],
            &[0x84, 0, 0, 20, 3, 3],
            &[0xc4, 4, 4],
        ]
        .concat();
        let times: Vec<u32> = read_all(&bytes, 1, 128).iter().map(|m| m.timestamp).collect();
        assert_eq!(times, [1000, 1020, 1040, 1060]);
    }

    #[test]
    fn a_peer_that_breaks_limits_is_refused() {
        let mut reader = Reader::default();
        reader.push(&[4, 0, 0, 0, 0xff, 0xff, 0xff, 9, 1, 0, 0, 0]);
        assert_eq!(reader.message(), Err(Error::MessageTooLong(0xff_ffff)));
        let mut reader = Reader::default();
        reader.push(&[0xc9, 1, 2, 3]);
        assert_eq!(reader.message(), Err(Error::NoHeader));
        assert_eq!(Reader::default().set_chunk_bytes(0), Err(Error::ChunkSize(0)));
    }

    /// The type-0 header of a video message.
    fn head(chunk_stream: u8, length: usize) -> Vec<u8> {
        let [_, high, middle, low] = (length as u32).to_be_bytes();
        vec![chunk_stream, 0, 0, 0, high, middle, low, 9, 1, 0, 0, 0]
    }

    #[test]
    fn every_chunk_size_that_peers_set_is_taken() {
        for chunk in [1, 128, 4096, 60_000, 65_536, 0xff_ffff, 128 << 20, 0x7fff_ffff] {
            let mut out = BytesMut::new();
            write_message(&mut out, 6, MessageKind::Video, 1, 40, chunk as usize, &[&[7; 100_000]]);
            let messages = read_all(&out, 1460, chunk);
            assert_eq!((messages.len(), messages[0].payload.len()), (1, 100_000), "{chunk}");
        }
    }

    #[test]
    fn memory_grows_with_what_comes_and_not_with_what_is_claimed() {
        let mut reader = Reader::default();
        reader.set_chunk_bytes(0x7fff_ffff).unwrap();
        reader.push(&head(4, MESSAGE_BYTES_MAX));
        for sent in (0..MESSAGE_BYTES_MAX).step_by(16 << 10) {
            assert_eq!(reader.message(), Ok(None));
            let room = reader.input.capacity();
            assert!(room <= 2 * sent + 2 * FIRST_RESERVE_BYTES, "{room} bytes for {sent}");
            reader.push(&[1; 16 << 10]);
        }
        assert_eq!(reader.message().unwrap().unwrap().payload.len(), MESSAGE_BYTES_MAX);
        // The first chunk of a long message on every chunk stream.
        let mut reader = Reader::default();
        for id in 3..3 + CHUNK_STREAMS_MAX as u8 {
            let basic = if id < 64 { vec![id] } else { vec![0, id - 64] };
            reader.push(&[&basic, &head(0, MESSAGE_BYTES_MAX)[1..], &[0; DEFAULT_CHUNK_BYTES]].concat());
            assert_eq!(reader.message(), Ok(None));
        }
        let room: usize = reader.streams.iter().map(|s| s.partial.capacity()).sum();
        assert!(room <= CHUNK_STREAMS_MAX * 2 * RESERVE_CHUNKS * DEFAULT_CHUNK_BYTES, "{room}");
    }

    #[test]
    fn half_sent_messages_beyond_the_budget_are_refused_and_given_up_ones_free_it() {
        let half = |id| [head(id, MESSAGE_BYTES_MAX), vec![0; 6 << 20]].concat();
        let reader_of = |ids: &[u8]| {
            let mut reader = Reader::default();
            reader.set_chunk_bytes(6 << 20).unwrap();
            for id in ids {
                reader.push(&half(*id));
                assert_eq!(reader.message(), Ok(None));
            }
            reader
        };
        let mut reader = reader_of(&[4, 5]);
        reader.push(&half(6));
        assert_eq!(reader.message(), Err(Error::OverBudget));
        let mut reader = reader_of(&[4, 5]);
        reader.abort(4);
        reader.push(&half(6));
        assert_eq!(reader.message(), Ok(None));
        assert_eq!(reader.partial_bytes, 12 << 20);
    }

    #[test]
    fn more_chunk_streams_than_any_encoder_uses_are_refused() {
        let message = |id: u8| [&[0, id], &head(0, 1)[1..], &[5]].concat();
        let mut reader = Reader::default();
        for id in 0..CHUNK_STREAMS_MAX as u8 {
            reader.push(&message(id));
            assert!(reader.message().unwrap().is_some());
        }
        reader.push(&message(3));
        assert!(reader.message().unwrap().is_some(), "one that is known goes on");
        reader.push(&message(CHUNK_STREAMS_MAX as u8));
        assert_eq!(reader.message(), Err(Error::TooManyChunkStreams));
    }
}
