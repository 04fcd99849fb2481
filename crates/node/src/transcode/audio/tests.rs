//! Clicks go in at known times; when do they come out?

use super::aac::AacDecoder;
use super::opus::{OpusCoder, OpusSound};
use super::*;
use media::{Frame, Timestamp, Track, TrackId};
use syom::EncodeOptions;
use testkit::Random;

/// Seconds between clicks.
const EVERY: f64 = 1.0;
const FIRST: f64 = 0.5;

/// Sound of so many seconds with a short burst of 1 kHz at every click, and faint noise.
fn clicks(seconds: usize, rate: u32) -> Vec<f32> {
    let mut random = Random::seeded(9);
    (0..seconds * rate as usize)
        .map(|n| {
            let noise = random.below(1000) as f32 / 1e6;
            let after = (n as f64 / f64::from(rate) - FIRST).rem_euclid(EVERY);
            let burst =
                if after < 0.005 { (after * 1000.0 * std::f64::consts::TAU).sin() as f32 * 0.8 } else { 0.0 };
            noise + burst
        })
        .collect()
}

fn frame(micros: f64, payload: Bytes) -> Frame {
    let at = Timestamp::from_micros(micros as i64);
    Frame { dts: at, pts: at, keyframe: true, payload }
}

/// The same as an AAC track at any rate, beginning at `start` microseconds; what a publisher's encoder sends.
fn aac_frames(sound: &[Vec<f32>], rate: u32, start: f64) -> (Track, Vec<Frame>) {
    let mut encoder = syom::Encoder::new(rate, sound.len(), &EncodeOptions::raw()).expect("an encoder");
    let track = Track::new(TrackId::AUDIO, Codec::Aac, Bytes::copy_from_slice(encoder.asc()));
    let planes: Vec<&[f32]> = sound.iter().map(Vec::as_slice).collect();
    let mut frames = Vec::new();
    encoder
        .feed(&planes, |unit| {
            let at = (frames.len() as f64 - 1.0) * 1024.0 / f64::from(rate) * 1e6;
            frames.push(frame(start + at, Bytes::copy_from_slice(unit.payload)));
            Ok(())
        })
        .expect("encoded");
    (track, frames)
}

fn opus_frames(sound: &[Vec<f32>], start: f64) -> (Track, Vec<Frame>) {
    let mut coder = OpusCoder::new(sound.len()).expect("a coder");
    let track = Track::new(TrackId::AUDIO, Codec::Opus, coder.config());
    let frames = (0..sound[0].len() / 960)
        .map(|n| {
            let block: Vec<Vec<f32>> = sound.iter().map(|p| p[n * 960..(n + 1) * 960].to_vec()).collect();
            let at = (n as f64 * 960.0 - 312.0) / 48_000.0 * 1e6;
            frame(start + at, coder.encode(&block).expect("coded"))
        })
        .collect();
    (track, frames)
}

/// When a burst begins, in seconds, as a player of these frames hears them.
fn heard(track: &Track, frames: &[Frame]) -> Vec<f64> {
    let mut decoder: Box<dyn Decode> = match track.codec {
        Codec::Aac => Box::new(AacDecoder::new(&track.config).expect("a decoder")),
        _ => Box::new(OpusSound::new(&track.config).expect("a decoder")),
    };
    let (mut sound, mut times) = (Sound::default(), Vec::<f64>::new());
    for frame in frames {
        decoder.decode(&frame.payload, &mut sound).expect("what we code can be decoded");
        for (n, sample) in sound.planes[0].iter().enumerate() {
            let at = frame.pts.as_micros() as f64 / 1e6 + n as f64 / f64::from(sound.rate);
            if sample.abs() > 0.3 && times.last().is_none_or(|last| at - last > EVERY / 2.0) {
                times.push(at);
            }
        }
    }
    times
}

fn converted(track: &Track, to: Codec, frames: &[Frame]) -> (Track, Vec<Frame>) {
    let mut converter = Converter::new(track, to).expect("a converter");
    let mut out = Vec::new();
    frames.iter().for_each(|frame| converter.convert(frame, &mut out));
    assert_eq!(converter.errors(), 0);
    assert!(out.iter().zip(out.iter().skip(1)).all(|(a, b)| a.dts <= b.dts), "time never goes back");
    (converter.track(TrackId::AUDIO), out)
}

/// All bursts are heard where they were, within 3 ms.
#[track_caller]
fn check(times: &[f64], expect: usize) {
    assert!(times.len() >= expect, "{} of {expect} clicks: {times:?}", times.len());
    for (n, time) in times.iter().enumerate() {
        let off = time - (1000.0 + FIRST + n as f64 * EVERY);
        assert!(off.abs() < 0.003, "click {n} is {off} s off");
    }
}

const START: f64 = 1000e6;

#[test]
fn aac_becomes_opus_with_its_clicks_where_they_were() {
    for (rate, channels) in [(44_100, 2), (48_000, 2), (48_000, 1), (32_000, 2)] {
        let sound = vec![clicks(6, rate); channels];
        let (track, frames) = aac_frames(&sound, rate, START);
        check(&heard(&track, &frames), 6);
        let (track, out) = converted(&track, Codec::Opus, &frames);
        assert_eq!((track.codec, track.audio_format().channels), (Codec::Opus, channels as u8));
        check(&heard(&track, &out), 6);
    }
}

#[test]
fn opus_becomes_aac_with_its_clicks_where_they_were() {
    for channels in [1, 2] {
        let sound = vec![clicks(6, RATE); channels];
        let (track, frames) = opus_frames(&sound, START);
        check(&heard(&track, &frames), 6);
        let (track, out) = converted(&track, Codec::Aac, &frames);
        let format = track.audio_format();
        assert_eq!((track.codec, format.sample_rate, format.channels), (Codec::Aac, RATE, channels as u8));
        check(&heard(&track, &out), 5);
    }
}

#[test]
fn surround_becomes_stereo() {
    let silent = vec![0.0; 6 * 48_000];
    let mut sound = vec![silent; 6];
    // AAC's order: left, right, center, low, behind.
    sound[2] = clicks(6, 48_000);
    sound[2].iter_mut().for_each(|s| *s *= 1.2);
    let (track, frames) = aac_frames(&sound, 48_000, START);
    assert_eq!(track.audio_format().channels, 6);
    let (track, out) = converted(&track, Codec::Opus, &frames);
    assert_eq!(track.audio_format().channels, 2);
    assert!(!out.is_empty());
    let mut decoder = OpusSound::new(&track.config).expect("a decoder");
    let (mut sound, mut loudest) = (Sound::default(), [0.0_f32; 2]);
    for frame in &out {
        decoder.decode(&frame.payload, &mut sound).expect("decoded");
        for (loudest, plane) in loudest.iter_mut().zip(&sound.planes) {
            *loudest = plane.iter().fold(*loudest, |most, s| most.max(s.abs()));
        }
    }
    assert!(
        loudest.iter().all(|l| (0.15..0.5).contains(l)),
        "the center is heard on both sides: {loudest:?}"
    );
}

/// Decodes a byte to 1,024 samples of silence, with a click at its beginning if the byte says so.
#[derive(Debug)]
struct Marked(u32);

impl Decode for Marked {
    fn decode(&mut self, payload: &[u8], sound: &mut Sound) -> Result<(), Error> {
        sound.lay_out(self.0, [mix::Place::Center]);
        sound.planes[0].resize(1024, 0.0);
        sound.planes[0][0] = f32::from(payload[0]);
        Ok(())
    }

    fn usual_samples(&self) -> usize {
        1024
    }
}

/// Writes where the loudest sample of a frame is, if there is a click.
#[derive(Debug)]
struct Loudest;

impl Encode for Loudest {
    fn frame_samples(&self) -> usize {
        960
    }

    fn delay_samples(&self) -> usize {
        0
    }

    fn config(&self) -> Bytes {
        Bytes::new()
    }

    fn encode(&mut self, planes: &[Vec<f32>]) -> Result<Bytes, Error> {
        let (at, most) = planes[0].iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).expect("samples");
        Ok(if *most > 0.4 {
            Bytes::from((at as u32).to_be_bytes().to_vec())
        } else {
            Bytes::from_static(&[0])
        })
    }
}

#[test]
fn with_jittered_milliseconds_and_a_fast_clock_sound_stays_with_the_pictures() {
    let mut random = Random::seeded(4);
    let mut converter = Converter::of(Box::new(Marked(44_100)), Box::new(Loudest), Codec::Opus, 1);
    let (mut out, mut marks, mut worst) = (Vec::new(), Vec::new(), 0.0_f64);
    // The sound card of the publisher is off the clock of its timestamps by as much in three minutes as a bad one in an hour: 360
    // ms. The hour itself is the clock's own test.
    let frame_seconds = 1024.0 / 44_100.0 * 1.002;
    for n in 0..(180.0 / frame_seconds) as u64 {
        let at = 10.0 + n as f64 * frame_seconds;
        let is_mark = n % 100 == 0;
        if is_mark {
            marks.push(at);
        }
        let jitter = random.below(9) as f64 - 4.0;
        let millis = Timestamp::from_millis((at * 1000.0 + jitter).round() as i64);
        let payload = Bytes::from(vec![u8::from(is_mark)]);
        converter.convert(&Frame { dts: millis, pts: millis, keyframe: true, payload }, &mut out);
        for frame in out.drain(..) {
            if let Ok(sample) = <[u8; 4]>::try_from(&frame.payload[..]) {
                let heard = frame.pts.as_micros() as f64 / 1e6
                    + f64::from(u32::from_be_bytes(sample)) / f64::from(RATE);
                worst = worst.max((heard - marks.remove(0)).abs());
            }
        }
    }
    assert!(marks.len() <= 1, "every click came out");
    assert!(worst < 0.010, "at worst {worst} s from the pictures");
}

#[test]
fn after_a_gap_sound_goes_on_where_the_source_does() {
    let (track, frames) = opus_frames(&[clicks(6, RATE)], START);
    // Two seconds are missing.
    let kept: Vec<Frame> = frames.iter().take(100).chain(frames.iter().skip(200)).cloned().collect();
    let (track, out) = converted(&track, Codec::Aac, &kept);
    let times = heard(&track, &out);
    let expect = [1000.5, 1001.5, 1004.5];
    assert!(
        times.len() >= 3 && times.iter().zip(expect).all(|(time, e)| (time - e).abs() < 0.003),
        "{times:?}"
    );
    // A publisher that comes back with a younger timeline doesn't turn time back.
    let mut back = frames.clone();
    back.extend(frames.iter().take(50).cloned());
    converted(
        &Track::new(TrackId::AUDIO, Codec::Opus, OpusCoder::new(1).expect("coder").config()),
        Codec::Aac,
        &back,
    );
}

#[test]
fn a_broken_frame_is_silence_and_the_rest_stays_in_time() {
    for to in [Codec::Aac, Codec::Opus] {
        let (track, mut frames) = match to {
            Codec::Aac => opus_frames(&[clicks(6, RATE)], START),
            _ => aac_frames(&[clicks(6, 44_100)], 44_100, START),
        };
        for n in [60, 61, 62, 63] {
            frames[n].payload = Bytes::from_static(&[0xff; 40]);
        }
        let mut converter = Converter::new(&track, to).expect("a converter");
        let mut out = Vec::new();
        frames.iter().for_each(|frame| converter.convert(frame, &mut out));
        assert!(converter.errors() > 0, "{to:?}");
        let times = heard(&converter.track(TrackId::AUDIO), &out);
        let last = times.last().copied().unwrap_or_default();
        assert!((last - 1005.5).abs() < 0.003 || (last - 1004.5).abs() < 0.003, "{to:?}: {times:?}");
    }
}

#[test]
fn what_cannot_be_converted_is_told() {
    let track = |codec, config: &'static [u8]| Track::new(TrackId::AUDIO, codec, Bytes::from_static(config));
    assert!(matches!(Converter::new(&track(Codec::Mp3, &[]), Codec::Aac), Err(Error::Codecs { .. })));
    assert!(matches!(Converter::new(&track(Codec::Aac, &[1]), Codec::Opus), Err(Error::Configuration(_))));
    let quad = b"OpusHead\x01\x04\0\0\0\0\0\0\0\0\xff";
    assert!(matches!(
        Converter::new(&track(Codec::Opus, quad), Codec::Aac),
        Err(Error::Configuration(_)) | Ok(_)
    ));
}

#[test]
fn fuzz_broken_sound_and_configurations_never_panic() {
    let mut random = Random::seeded(77);
    let (aac, aac_frames) = aac_frames(&[clicks(1, 44_100), clicks(1, 44_100)], 44_100, START);
    let (opus, opus_frames) = opus_frames(&[clicks(1, RATE), clicks(1, RATE)], START);
    for (track, frames, to) in [(aac, aac_frames, Codec::Opus), (opus, opus_frames, Codec::Aac)] {
        let mut converter = Converter::new(&track, to).expect("a converter");
        let mut out = Vec::new();
        for round in 0..2000 {
            let frame = &frames[random.below(frames.len())];
            let payload = Bytes::from(random.mutate(&frame.payload));
            if payload.is_empty() {
                continue;
            }
            let pts = Timestamp::from_micros(frame.pts.as_micros() + random.below(100_000) as i64 * 1000);
            converter.convert(&Frame { payload, dts: pts, pts, keyframe: true }, &mut out);
            out.clear();
            if round % 20 == 0 {
                let config = Bytes::from(random.mutate(&track.config));
                // Refused or not, it goes on.
                let _ = converter.retrack(&Track::new(TrackId::AUDIO, track.codec, config));
            }
        }
    }
}
