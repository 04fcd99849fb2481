//! A playlist compressed for one viewer, with a query behind each of its URLs.
//!
//! What repeats in the playlist is looked for once. For a viewer only the bits are written: how far back a repetition lies
//! grows by as many queries as stand between, and each query but the first repeats the one before. One block with the fixed codes:
//! RFC 1951 §3.2.6; RFC 1952.

use crate::text::UrlEnd;
use flate2::Crc;

/// What a playlist is made of, for any query.
#[derive(Debug)]
pub(crate) struct Splice(Vec<Step>);

/// In the order of the playlist.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many bytes as they are.
    Literals(usize),
    /// So many bytes that were there before, so far back without queries, with so many queries between.
    Again { length: usize, back: usize, over: usize },
    /// A URL ends: the byte before its query.
    Query(u8),
}

/// A repetition costs about three literals.
const AGAIN_BYTES_MIN: usize = 4;
/// RFC 1951 §3.2.5.
const AGAIN_BYTES_MAX: usize = 258;
const BACK_BYTES_MAX: usize = 32 << 10;
/// Places that are compared for the longest repetition.
const CANDIDATES_MAX: usize = 16;
/// RFC 1952 §2.3: deflate, no name, no date, any system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

impl Splice {
    pub(crate) fn new(plain: &[u8], ends: &[UrlEnd]) -> Splice {
        let (mut steps, mut places) = (Vec::new(), Places::new(plain));
        let (mut at, mut passed) = (0, 0);
        loop {
            if let Some(end) = ends.get(passed).filter(|end| end.at == at) {
                steps.push(Step::Query(end.joint()));
                passed += 1;
            }
            if at == plain.len() {
                return Splice(steps);
            }
            // The next query comes in between there.
            let room = ends.get(passed).map_or(plain.len(), |end| end.at) - at;
            let (from, length) = places.longest(at, room, ends);
            if length >= AGAIN_BYTES_MIN {
                let over = passed - ends.partition_point(|end| end.at <= from);
                steps.push(Step::Again { length, back: at - from, over });
            } else if let Some(Step::Literals(count)) = steps.last_mut() {
                *count += 1;
            } else {
                steps.push(Step::Literals(1));
            }
            let taken = if length >= AGAIN_BYTES_MIN { length } else { 1 };
            (at..at + taken).for_each(|place| places.note(place));
            at += taken;
        }
    }

    /// Compresses `whole`: `plain` with `query` behind each URL.
    pub(crate) fn gzip(&self, plain: &[u8], query: &[u8], whole: &[u8]) -> Vec<u8> {
        let mut out = Deflated::new(plain.len() / 2 + query.len());
        let (mut at, mut last_query) = (0, None);
        for step in &self.0 {
            match *step {
                Step::Literals(count) => {
                    out.literals(&plain[at..at + count]);
                    at += count;
                }
                Step::Again { length, back, over } => {
                    out.again(&plain[at..at + length], back + over * (query.len() + 1));
                    at += length;
                }
                Step::Query(joint) => {
                    out.literals(&[joint]);
                    match last_query.replace(out.bytes) {
                        Some(before) => out.again(query, out.bytes - before),
                        None => out.literals(query),
                    }
                }
            }
        }
        out.finish(whole)
    }
}

/// Where each run of a few bytes was seen.
struct Places<'a> {
    plain: &'a [u8],
    /// The newest place of each hash, and for each place the one before, both plus one.
    newest: Vec<usize>,
    before: Vec<usize>,
}

impl<'a> Places<'a> {
    const HASHES: usize = 1 << 11;

    fn new(plain: &'a [u8]) -> Places<'a> {
        Places { plain, newest: vec![0; Places::HASHES], before: vec![0; plain.len()] }
    }

    fn hash(&self, at: usize) -> Option<usize> {
        let four: [u8; AGAIN_BYTES_MIN] = self.plain.get(at..at + AGAIN_BYTES_MIN)?.try_into().ok()?;
        Some(u32::from_le_bytes(four).wrapping_mul(0x9e37_79b1) as usize >> 21 & (Places::HASHES - 1))
    }

    fn note(&mut self, at: usize) {
        let Some(hash) = self.hash(at) else { return };
        self.before[at] = std::mem::replace(&mut self.newest[hash], at + 1);
    }

    /// Where the longest of what follows at `at` was before, of at most `room` bytes and without a query inside, and its length.
    fn longest(&self, at: usize, room: usize, ends: &[UrlEnd]) -> (usize, usize) {
        let Some(hash) = self.hash(at) else { return (0, 0) };
        let (mut best, mut place) = ((0, 0), self.newest[hash]);
        for _ in 0..CANDIDATES_MAX {
            let Some(from) = place.checked_sub(1) else { break };
            let inside = ends.get(ends.partition_point(|end| end.at <= from));
            let most = inside.map_or(room, |end| room.min(end.at - from)).min(AGAIN_BYTES_MAX);
            let same = self.plain[at..].iter().zip(&self.plain[from..]).take(most);
            let length = same.take_while(|(now, then)| now == then).count();
            if length > best.1 {
                best = (from, length);
            }
            place = self.before[from];
        }
        best
    }
}

/// Bits, the lowest of each byte first.
struct Deflated {
    out: Vec<u8>,
    waiting: u64,
    count: u32,
    /// What they stand for so far.
    bytes: usize,
}

impl Deflated {
    fn new(usual: usize) -> Deflated {
        let mut out = Vec::with_capacity(usual);
        out.extend_from_slice(&HEAD);
        let mut deflated = Deflated { out, waiting: 0, count: 0, bytes: 0 };
        // The last block, and the fixed codes. RFC 1951 §3.2.3.
        deflated.put(0b011, 3);
        deflated
    }

    fn put(&mut self, bits: u32, count: u32) {
        self.waiting |= u64::from(bits) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push(self.waiting as u8);
            self.waiting >>= 8;
            self.count -= 8;
        }
    }

    /// A code, which begins with its highest bit. RFC 1951 §3.1.1.
    fn code(&mut self, code: u32, count: u32) {
        self.put(code.reverse_bits() >> (32 - count), count);
    }

    /// A literal, the end of the block, or a length's code. RFC 1951 §3.2.6.
    fn symbol(&mut self, symbol: u32) {
        match symbol {
            0..144 => self.code(0x30 + symbol, 8),
            144..256 => self.code(0x190 + symbol - 144, 9),
            256..280 => self.code(symbol - 256, 7),
            _ => self.code(0xc0 + symbol - 280, 8),
        }
    }

    fn literals(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.symbol(u32::from(*byte)));
        self.bytes += bytes.len();
    }

    /// Bytes that stood `back` bytes before.
    fn again(&mut self, bytes: &[u8], back: usize) {
        for some in bytes.chunks(AGAIN_BYTES_MAX) {
            if some.len() < AGAIN_BYTES_MIN || back > BACK_BYTES_MAX {
                self.literals(some);
                continue;
            }
            self.length(some.len() as u32 - 3);
            self.distance(back as u32 - 1);
            self.bytes += some.len();
        }
    }

    /// A length less the least one, 3. RFC 1951 §3.2.5.
    fn length(&mut self, less: u32) {
        match less {
            255 => self.symbol(285),
            0..8 => self.symbol(257 + less),
            _ => {
                let extra = less.ilog2() - 2;
                self.symbol(257 + 4 * (extra + 1) + (less >> extra & 3));
                self.put(less & ((1 << extra) - 1), extra);
            }
        }
    }

    /// A distance less the least one, 1. RFC 1951 §3.2.5.
    fn distance(&mut self, less: u32) {
        if less < 4 {
            return self.code(less, 5);
        }
        let extra = less.ilog2() - 1;
        self.code(2 * (extra + 1) + (less >> extra & 1), 5);
        self.put(less & ((1 << extra) - 1), extra);
    }

    /// The end, with what is checked of `whole`. RFC 1952 §2.3.1.
    fn finish(mut self, whole: &[u8]) -> Vec<u8> {
        self.symbol(256);
        self.put(0, (8 - self.count % 8) % 8);
        let mut crc = Crc::new();
        crc.update(whole);
        self.out.extend_from_slice(&crc.sum().to_le_bytes());
        self.out.extend_from_slice(&crc.amount().to_le_bytes());
        self.out
    }
}

#[cfg(test)]
mod tests {
    use crate::text::Text;
    use flate2::read::GzDecoder;
    use std::io::Read;
    use testkit::Random;

    /// Plain and unpacked are the same; bytes of both forms.
    #[track_caller]
    fn check(playlist: &str, query: &str) -> (usize, usize) {
        let text = Text::new(playlist.to_owned());
        let (plain, packed) = (text.with_query(query), text.with_query_gzip(query));
        let (mut decoder, mut unpacked) = (GzDecoder::new(&packed[..]), String::new());
        decoder.read_to_string(&mut unpacked).unwrap();
        assert_eq!(unpacked.as_bytes(), plain, "with {query:?}");
        assert!(decoder.into_inner().is_empty(), "nothing behind its end");
        (plain.len(), packed.len())
    }

    fn playlist(parts: usize) -> String {
        let part = |n: usize| {
            let (msn, part) = (897_877_220 + n / 4, n % 4);
            let end = if part == 3 { format!("#EXTINF:2.00000,\nseg-{msn}.m4s\n") } else { String::new() };
            format!("#EXT-X-PART:DURATION=0.50000,URI=\"part-{msn}-{part}.m4s\"\n{end}")
        };
        let head = "#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init-0.mp4\"\n";
        head.to_owned() + &(0..parts).map(part).collect::<String>()
    }

    #[test]
    fn a_playlist_with_a_token_is_packed_as_tightly_as_without() {
        let token: String =
            "token=eyJhbGciOiJIUzI1NiJ9.".chars().chain(('a'..='z').cycle().take(200)).collect();
        let (plain, packed) = check(&playlist(24), &token);
        assert!(packed * 5 < plain, "{packed} of {plain} bytes");
    }

    #[test]
    fn lengths_and_distances_are_coded_at_all_their_bounds() {
        for length in [1, 2, 3, 4, 10, 11, 18, 19, 130, 131, 257, 258, 259, 260, 262, 516, 1030, 9000] {
            let query = format!("token={}", "x1y2z3".repeat(length).chars().take(length).collect::<String>());
            check(&playlist(9), &query);
        }
        // Farther back than can be said.
        check(&playlist(40), &"q".repeat(40_000));
        for gap in [1, 2, 3, 4, 5, 8, 9, 16, 17, 4096, 4097, 32_764, 32_765, 40_000] {
            check(&format!("#abcdefgh{}abcdefgh\nurl\n", "-".repeat(gap)), "t=1");
        }
    }

    #[test]
    fn odd_texts_are_packed_too() {
        for playlist in
            ["", "\n", "url", "#", "a\nb\nc", "a\r\na\r\na", "#X:URI=\"u?v\"\nu?v\n", "é直播🎥\né直播🎥\n"]
        {
            check(playlist, "token=t");
            check(playlist, "");
        }
    }

    #[test]
    fn fuzz_texts_and_queries_come_out_as_they_went_in() {
        let mut random = Random::seeded(1951);
        let whole = playlist(12);
        for _ in 0..2000 {
            let text = random.mutate(whole.as_bytes());
            let query = random.mutate(b"token=abcabcabcabc.0123456789&vhost=v");
            check(&String::from_utf8_lossy(&text), &String::from_utf8_lossy(&query));
        }
    }
}
