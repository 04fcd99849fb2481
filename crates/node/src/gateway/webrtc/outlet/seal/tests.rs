use super::*;

const PROFILES: [Profile; 3] = [Profile::Aes128CmSha1, Profile::Aes128Gcm, Profile::Aes256Gcm];

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn material(profile: Profile) -> Vec<u8> {
    (0..2 * (profile.key_bytes() + profile.salt_bytes())).map(|at| at as u8).collect()
}

/// Our sealer, and the opener that the peer has.
fn pair(profile: Profile) -> (Sealer, Opener) {
    let material = material(profile);
    let (client, _) = MasterKey::both(profile, &material).unwrap();
    (Sealer::new(&client).unwrap(), Opener::new(&client).unwrap())
}

#[test]
fn keys_are_derived_as_in_appendix_b_3_of_rfc_3711() {
    let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
    let master = MasterKey { profile: Profile::Aes128CmSha1, key: &key, salt: &salt };
    let derived = |label, count| {
        let mut out = vec![0; count];
        master.derive(label, &mut out).unwrap();
        out
    };
    assert_eq!(derived(0, 16), hex("C61E7A93744F39EE10734AFE3FF7A087"));
    assert_eq!(derived(2, 14), hex("30CBBC08863D8C85D49DB34A9AE1"));
    assert_eq!(derived(1, 20), hex("CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"));
}

#[test]
fn rtp_is_sealed_as_in_section_16_1_1_of_rfc_7714() {
    let key = UnboundKey::new(&AES_128_GCM, &hex("000102030405060708090a0b0c0d0e0f")).unwrap();
    let salt = *hex("517569642070726f2071756f").first_chunk().unwrap();
    let keys = || Keys::Gcm { key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &[0; 16]).unwrap()), salt };
    let sealer = Sealer { rtp: Keys::Gcm { key: LessSafeKey::new(key), salt }, rtcp: keys(), rtcp_index: 0 };
    let mut packet = hex(
        "8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573",
    );
    sealer.rtp(&mut packet, 0, 12, (0x5501_a0b2, 0xf17b)).unwrap();
    assert_eq!(
        packet,
        hex("8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b
             36de3adf 8833899d 7f27beb1 6a9152cf 765ee439 0cce")
    );
}

/// The packets with which libsrtp checks itself, under the key of appendix B.3 of RFC 3711.
#[test]
fn counter_mode_with_sha_1_seals_as_libsrtp_does() {
    let (key, salt) = (hex("E1F97A0D3E018BE0D64FA32C06DE4139"), hex("0EC675AD498AFEEBB6960B3AABE6"));
    let mut sealer =
        Sealer::new(&MasterKey { profile: Profile::Aes128CmSha1, key: &key, salt: &salt }).unwrap();
    let mut media = [hex("800f1234 decafbad cafebabe"), vec![0xab; 16]].concat();
    sealer.rtp(&mut media, 0, 12, (0xcafe_babe, 0x1234)).unwrap();
    assert_eq!(
        media,
        hex("800f1234 decafbad cafebabe 4e55dc4c e79978d8 8ca4d215 949d2402 b78d6acc 99ea179b 8dbb")
    );
    sealer.rtcp_index = 1;
    let mut report = [hex("81c8000b cafebabe"), vec![0xab; 16]].concat();
    sealer.rtcp(&mut report, 0xcafe_babe).unwrap();
    assert_eq!(
        report,
        hex("81c8000b cafebabe 7128035b e487b9bd bef89041 f977a5a8 80000001 993e08cd 54d6c123 0798")
    );
}

#[test]
fn reports_come_out_as_they_went_in_and_once() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        for round in 0..3_u8 {
            let report = [&[0x81, 201, 0, 7, 1, 2, 3, 4][..], &[round; 24]].concat();
            let mut packet = report.clone();
            sealer.rtcp(&mut packet, 0x0102_0304).unwrap();
            assert_ne!(packet[8..32], report[8..], "{profile:?}: nothing is encrypted");
            let mut copy = packet.clone();
            assert_eq!(opener.rtcp(&mut copy), Some(&report[..]), "{profile:?}");
            assert_eq!(opener.rtcp(&mut packet), None, "{profile:?}: a repeat is taken");
        }
    }
}

#[test]
fn what_was_changed_on_the_way_is_not_opened() {
    for profile in PROFILES {
        let (mut sealer, mut opener) = pair(profile);
        let mut packet = [&[0x81, 201, 0, 7, 1, 2, 3, 4][..], &[9; 24]].concat();
        sealer.rtcp(&mut packet, 0x0102_0304).unwrap();
        for at in 0..packet.len() {
            let mut damaged = packet.clone();
            damaged[at] ^= 1;
            assert_eq!(opener.rtcp(&mut damaged), None, "{profile:?}: byte {at}");
            assert_eq!(opener.rtcp(&mut packet[..at].to_vec()), None, "{profile:?}: {at} bytes");
        }
        assert!(opener.rtcp(&mut packet).is_some());
    }
}

#[test]
fn fuzz_what_is_no_report_is_not_opened_and_never_panics() {
    let mut random = testkit::Random::seeded(7);
    for profile in PROFILES {
        let (_, mut opener) = pair(profile);
        for _ in 0..2000 {
            let length = random.below(80);
            assert_eq!(opener.rtcp(&mut random.bytes(length)), None);
        }
    }
}
