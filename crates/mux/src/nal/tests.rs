//! Access units as encoders send them, and what becomes of them.

use super::*;
use testkit::Random;

/// 640x360, as x264 writes it.
const AVCC: &[u8] = &[
    0x01, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0x00, 0x18, 0x67, 0x4d, 0x40, 0x1e, 0xec, 0xa0, 0x50, 0x17, 0xfc,
    0xb8, 0x08, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x19, 0x07, 0x8b, 0x16, 0xcb, 0x01, 0x00,
    0x05, 0x68, 0xeb, 0xe3, 0xcb, 0x20,
];
/// 320x180, as x265 writes it.
const HVCC: &[u8] = &[
    0x01, 0x01, 0x60, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x3c, 0xf0, 0x00, 0xfc, 0xfd,
    0xf8, 0xf8, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff,
    0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0x95, 0x98,
    0x09, 0xa1, 0x00, 0x01, 0x00, 0x2b, 0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00,
    0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x3c, 0xa0, 0x0a, 0x08, 0x0b, 0x9f, 0x79, 0x65, 0x66, 0x92, 0x4c,
    0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40, 0xa2, 0x00,
    0x01, 0x00, 0x07, 0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40,
];
/// 1920x1080, as x265 writes it.
const OTHER_HVCC: &[u8] = &[
    0x01, 0x02, 0x20, 0x00, 0x00, 0x00, 0x90, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78, 0xf0, 0x00, 0xfc, 0xfd,
    0xfa, 0xfa, 0x00, 0x00, 0x0f, 0x03, 0xa0, 0x00, 0x01, 0x00, 0x18, 0x40, 0x01, 0x0c, 0x01, 0xff, 0xff,
    0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0x95, 0x98,
    0x09, 0xa1, 0x00, 0x01, 0x00, 0x2c, 0x42, 0x01, 0x01, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00,
    0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe4, 0xd9, 0x65, 0x66, 0x92,
    0x4c, 0xaf, 0x01, 0x68, 0x08, 0x00, 0x00, 0x03, 0x00, 0x08, 0x00, 0x00, 0x03, 0x00, 0xc8, 0x40, 0xa2,
    0x00, 0x01, 0x00, 0x07, 0x44, 0x01, 0xc1, 0x72, 0xb4, 0x62, 0x40,
];
const SLICE: &[u8] = &[0x65, 0x88, 0x84];

fn avc() -> Normaliser {
    Normaliser::new(Codec::H264, &Bytes::from_static(AVCC)).unwrap()
}

fn unit_of(units: &[&[u8]], length_bytes: usize) -> Bytes {
    let one = |unit: &&[u8]| [&(unit.len() as u32).to_be_bytes()[4 - length_bytes..], *unit].concat();
    units.iter().map(one).collect::<Vec<_>>().concat().into()
}

fn sets(normaliser: &Normaliser) -> Vec<Bytes> {
    match &normaliser.sets {
        Sets::Avc(config) => [&config.sps[..], &config.pps[..]].concat(),
        Sets::Hevc(config) => [&config.vps[..], &config.sps[..], &config.pps[..]].concat(),
    }
}

/// Same size, other level.
fn other_sps() -> Vec<u8> {
    let mut sps = sets(&avc())[0].to_vec();
    sps[3] += 1;
    sps
}

#[test]
fn what_has_nothing_to_strip_is_not_copied() {
    let mut normaliser = avc();
    for payload in
        [unit_of(&[SLICE, &[6, 1, 2]], 4), Bytes::from_static(&[0, 0, 0, 9, 1]), Bytes::from_static(&[1])]
    {
        let normal = normaliser.normal(true, &payload);
        assert_eq!(normal.payload.as_ptr(), payload.as_ptr());
        assert_eq!(normal, Normal { payload, reconfigured: false });
    }
}

#[test]
fn delimiters_and_repeated_sets_are_stripped() {
    let hevc = Normaliser::new(Codec::H265, &Bytes::from_static(HVCC)).unwrap();
    for (mut normaliser, delimiter, slice) in
        [(avc(), &[9, 0xf0][..], SLICE), (hevc, &[0x46, 1, 0x50], &[0x26, 1, 7])]
    {
        let repeated = sets(&normaliser);
        let mut all = vec![delimiter];
        all.extend(repeated.iter().map(|s| &s[..]));
        assert_eq!(
            normaliser.normal(true, &unit_of(&all, 4)),
            Normal { payload: Bytes::new(), reconfigured: false }
        );
        all.extend([slice, slice]);
        let expect = Normal { payload: unit_of(&[slice, slice], 4), reconfigured: false };
        let whole = unit_of(&all, 4);
        let normal = normaliser.normal(true, &whole);
        assert_eq!(normal, expect);
        assert!(
            whole.as_ptr_range().contains(&normal.payload.as_ptr()),
            "what is stripped at the start costs no copy"
        );
        // A parameter set between two slices, too.
        all.insert(all.len() - 1, &repeated[0]);
        assert_eq!(normaliser.normal(true, &unit_of(&all, 4)), expect);
    }
}

#[test]
fn a_keyframe_takes_new_sets_over_and_other_pictures_keep_them() {
    let mut normaliser = avc();
    let sps = other_sps();
    let payload = unit_of(&[&sps, SLICE], 4);
    let kept = normaliser.normal(false, &payload);
    assert_eq!(kept, Normal { payload: payload.clone(), reconfigured: false });
    let taken = normaliser.normal(true, &payload);
    assert_eq!(taken, Normal { payload: unit_of(&[SLICE], 4), reconfigured: true });
    let config = AvcConfig::parse(normaliser.record()).unwrap();
    assert_eq!((&config.sps[0][..], config.pps.len(), config.profile[2]), (&sps[..], 1, sps[3]));
    assert!(!normaliser.normal(true, &payload).reconfigured, "the same again is no news");
}

#[test]
fn sets_alone_are_taken_over_too() {
    let mut normaliser = avc();
    let taken = normaliser.normal(false, &unit_of(&[&other_sps()], 4));
    assert_eq!(taken, Normal { payload: Bytes::new(), reconfigured: true });
}

#[test]
fn hevc_sets_are_taken_over() {
    let mut normaliser = Normaliser::new(Codec::H265, &Bytes::from_static(HVCC)).unwrap();
    let other = Normaliser::new(Codec::H265, &Bytes::from_static(OTHER_HVCC)).unwrap();
    let mut all = sets(&other);
    all.push(Bytes::from_static(&[0x26, 1, 7]));
    let units: Vec<&[u8]> = all.iter().map(|u| &u[..]).collect();
    assert!(normaliser.normal(true, &unit_of(&units, 4)).reconfigured);
    assert_eq!(sets(&normaliser), sets(&other));
    assert_eq!(HevcConfig::parse(normaliser.record()).unwrap().size(), Some((1920, 1080)));
}

#[test]
fn sets_that_cannot_be_read_stay_where_they_are() {
    let mut normaliser = avc();
    let payload = unit_of(&[&[0x67, 0x4d], SLICE], 4);
    assert_eq!(normaliser.normal(true, &payload), Normal { payload, reconfigured: false });
}

#[test]
fn shorter_lengths_become_four_bytes() {
    let mut record = AVCC.to_vec();
    record[4] = 0xfd;
    let mut normaliser = Normaliser::new(Codec::H264, &record.into()).unwrap();
    assert_eq!(normaliser.record()[..], *AVCC);
    let normal = normaliser.normal(false, &unit_of(&[&[9, 0xf0], SLICE], 2));
    assert_eq!(normal.payload, unit_of(&[SLICE], 4));
}

#[test]
fn fuzz_normal_form_never_panics_and_stays_normal() {
    let mut random = Random::seeded(41);
    for _ in 0..5000 {
        let (codec, record) = [(Codec::H264, AVCC), (Codec::H265, HVCC)][random.below(2)];
        let damaged = if random.below(3) == 0 { random.mutate(record) } else { record.to_vec() };
        let Some(mut normaliser) = Normaliser::new(codec, &damaged.into()) else { continue };
        let mut all = sets(&normaliser);
        all.extend([Bytes::from_static(SLICE), other_sps().into()]);
        for _ in 0..3 {
            let at = random.below(all.len());
            let wild = random.mutate(&all[at]);
            let whole = unit_of(&[&all[random.below(all.len())], &wild, SLICE], normaliser.length_bytes);
            let payload: Bytes = if random.below(2) == 0 { random.mutate(&whole).into() } else { whole };
            let keyframe = random.below(2) == 0;
            let normal = normaliser.normal(keyframe, &payload);
            if normal.reconfigured {
                assert!(Normaliser::new(codec, normaliser.record()).is_some_and(|n| n.length_bytes == 4));
            }
            let again = normaliser.normal(keyframe, &normal.payload);
            assert!(normaliser.length_bytes != 4 || again.payload == normal.payload, "normal form is stable");
        }
    }
}
