use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use testkit::Random;

const SECRET: &str = "a secret of thirty-two bytes, as it must be";
const OTHER: &str = "another secret of thirty-two bytes or more";
const NOW: u64 = 1_800_000_000;

const ED_PUBLIC: &str = include_str!("test_keys/ed25519.pub.pem");
const ED_PRIVATE: &str = include_str!("test_keys/ed25519.pem");
const EC_PUBLIC: &str = include_str!("test_keys/p256.pub.pem");
const EC_PRIVATE: &str = include_str!("test_keys/p256.pem");
const RSA_PUBLIC: &str = include_str!("test_keys/rsa.pub.pem");
const RSA_PRIVATE: &str = include_str!("test_keys/rsa.pem");

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn shared() -> Jwt {
    Jwt { secret: Some(SECRET.into()), ..Jwt::default() }
}

fn tokens(rule: Jwt) -> Tokens {
    Tokens::new(&[rule]).unwrap()
}

fn public(name: &str) -> Jwt {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/auth/jwt/test_keys");
    Jwt { public_key: Some(folder.join(name)), ..Jwt::default() }
}

fn claims() -> Value {
    json!({"exp": NOW + 60, "act": "publish", "path": "live/*", "sub": "alice"})
}

/// The claims with some of them changed; `null` takes one away.
#[expect(clippy::needless_pass_by_value, reason = "so that a test says with(json!({…}))")]
fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (key, value) in changes.as_object().unwrap() {
        let map = claims.as_object_mut().unwrap();
        if value.is_null() { drop(map.remove(key)) } else { drop(map.insert(key.clone(), value.clone())) }
    }
    claims
}

fn sign(claims: &Value) -> String {
    sign_as(&Header::default(), claims, &EncodingKey::from_secret(SECRET.as_bytes()))
}

fn sign_as(header: &Header, claims: &Value, key: &EncodingKey) -> String {
    jsonwebtoken::encode(header, claims, key).unwrap()
}

/// A token with any header, signed by HMAC over what it says.
fn forge(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
    let signature = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn verify(tokens: &Tokens, token: &str) -> Result<Verified, TokenError> {
    verify_at(tokens, token, "live/alice", NOW, "192.0.2.7")
}

fn verify_at(tokens: &Tokens, token: &str, path: &str, now: u64, peer: &str) -> Result<Verified, TokenError> {
    let path = BroadcastPath::parse(path).unwrap();
    let wanted = Wanted { action: Action::Publish, path: &path, peer: peer.parse().unwrap() };
    tokens.verify(token, &wanted, at(now))
}

#[track_caller]
fn refused(changes: Value, expect: TokenError) {
    assert_eq!(verify(&tokens(shared()), &sign(&with(changes))), Err(expect));
}

#[test]
fn a_good_token_says_who_and_until_when() {
    let found = verify(&tokens(shared()), &sign(&claims()));
    let expires = at(NOW + 65);
    let rule = "jwt 1".to_owned();
    assert_eq!(found, Ok(Verified { rule, subject: Some("alice".into()), expires }), "leeway included");
}

#[test]
fn a_token_that_was_good_before_is_held_to_its_claims_again() {
    let (here, there) = (tokens(shared()), Jwt { secret: Some(OTHER.into()), ..Jwt::default() });
    let token = sign(&with(json!({"ip": "192.0.2.7"})));
    let first = verify(&here, &token);
    assert!(first.is_ok());
    assert_eq!(verify(&here, &token), first);
    assert_eq!(verify_at(&here, &token, "live/alice", NOW + 65, "192.0.2.7"), Err(TokenError::Expired));
    assert_eq!(verify_at(&here, &token, "other/alice", NOW, "192.0.2.7"), Err(TokenError::Path));
    assert_eq!(verify_at(&here, &token, "live/alice", NOW, "192.0.2.8"), Err(TokenError::Address));
    assert_eq!(here.verify_administrator(&token, [192, 0, 2, 7].into(), at(NOW)), Err(TokenError::Action));
    assert_eq!(verify(&tokens(there), &token), Err(TokenError::Signature), "other keys know nothing of it");
    let altered = token.replace('.', ".A");
    assert!(verify(&here, &altered).is_err());
    assert_eq!(verify(&here, &token), first);
}

#[test]
fn each_claim_that_does_not_hold_is_told() {
    refused(json!({"exp": NOW - 6}), TokenError::Expired);
    refused(json!({"exp": null}), TokenError::Malformed("it has no exp"));
    refused(json!({"exp": -1}), TokenError::Malformed("its times are not seconds since 1970"));
    refused(json!({"exp": 1e300}), TokenError::Malformed("its times are not seconds since 1970"));
    refused(json!({"exp": "soon"}), TokenError::Malformed("its claims can't be read"));
    refused(json!({"nbf": NOW + 60}), TokenError::NotYet);
    refused(json!({"aud": "elsewhere"}), TokenError::Audience);
    refused(json!({"act": "play"}), TokenError::Action);
    refused(json!({"act": null}), TokenError::Action);
    refused(json!({"act": ["play", "record"]}), TokenError::Action);
    refused(json!({"path": "live/bob"}), TokenError::Path);
    refused(json!({"path": "v/live/*"}), TokenError::Path);
    refused(json!({"path": null}), TokenError::Malformed("it has no path"));
    refused(json!({"path": "live"}), TokenError::Malformed("its path is no pattern"));
    refused(json!({"ip": "192.0.2.8"}), TokenError::Address);
    refused(json!({"ip": "10.0.0.0/8"}), TokenError::Address);
    refused(json!({"ip": "here"}), TokenError::Malformed("its ip is no address or network"));
    refused(json!({"role": "admin"}), TokenError::Action);
    refused(json!({"role": "god"}), TokenError::Malformed("its claims can't be read"));
    let texts = [TokenError::Expired, TokenError::Path, TokenError::Signature].map(|e| e.to_string());
    assert_eq!(
        texts,
        ["the token has expired", "the token is for another path", "the token has a wrong signature"]
    );
}

#[test]
fn each_claim_that_holds_is_accepted() {
    let tokens = tokens(shared());
    for changes in [
        json!({"exp": NOW - 4}),
        json!({"exp": NOW as f64 + 0.5}),
        json!({"nbf": NOW + 4}),
        json!({"act": ["play", "publish"]}),
        json!({"path": "live/alice"}),
        json!({"path": "**"}),
        json!({"ip": "192.0.2.7"}),
        json!({"ip": "192.0.2.0/24"}),
        json!({"ip": "::ffff:192.0.2.7"}),
        json!({"something": {"else": 1}}),
    ] {
        let found = verify(&tokens, &sign(&with(changes.clone())));
        assert!(found.is_ok(), "{changes} {found:?}");
    }
    let mapped =
        verify_at(&tokens, &sign(&with(json!({"ip": "192.0.2.7"}))), "live/x", NOW, "::ffff:192.0.2.7");
    assert!(mapped.is_ok(), "an IPv4 client on an IPv6 socket");
}

#[test]
fn audience_and_issuer_must_be_those_of_the_rule() {
    let rule = Jwt { audience: Some("us".into()), issuer: Some("shop".into()), ..shared() };
    let tokens = tokens(rule);
    let found = |changes| verify(&tokens, &sign(&with(changes))).map(|_| ());
    assert_eq!(found(json!({"aud": "us", "iss": "shop"})), Ok(()));
    assert_eq!(found(json!({"aud": ["them", "us"], "iss": "shop"})), Ok(()));
    assert_eq!(found(json!({"aud": "them", "iss": "shop"})), Err(TokenError::Audience));
    assert_eq!(found(json!({"iss": "shop"})), Err(TokenError::Audience));
    assert_eq!(found(json!({"aud": "us"})), Err(TokenError::Issuer));
    assert_eq!(found(json!({"aud": "us", "iss": "else"})), Err(TokenError::Issuer));
}

#[test]
fn a_rule_may_hold_its_tokens_to_some_paths() {
    let tokens = tokens(Jwt { path: "live/alice".parse().unwrap(), ..shared() });
    assert!(verify_at(&tokens, &sign(&claims()), "live/alice", NOW, "::1").is_ok());
    assert_eq!(verify_at(&tokens, &sign(&claims()), "live/bob", NOW, "::1"), Err(TokenError::Path));
}

#[test]
fn every_kind_of_public_key_checks_its_own_algorithm_only() {
    let cases = [
        ("ed25519.pub.pem", Algorithm::EdDSA, EncodingKey::from_ed_pem(ED_PRIVATE.as_bytes())),
        ("p256.pub.pem", Algorithm::ES256, EncodingKey::from_ec_pem(EC_PRIVATE.as_bytes())),
        ("rsa.pub.pem", Algorithm::RS256, EncodingKey::from_rsa_pem(RSA_PRIVATE.as_bytes())),
    ]
    .map(|(name, algorithm, key)| (name, algorithm, key.unwrap()));
    for (name, algorithm, _) in &cases {
        let tokens = tokens(public(name));
        for (_, other, key) in &cases {
            let token = sign_as(&Header::new(*other), &claims(), key);
            assert_eq!(verify(&tokens, &token).is_ok(), algorithm == other, "{name} {other:?}");
        }
        assert_eq!(verify(&tokens, &sign(&claims())), Err(TokenError::Signature));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    for (name, pem) in
        [("ed25519.pub.pem", ED_PUBLIC), ("p256.pub.pem", EC_PUBLIC), ("rsa.pub.pem", RSA_PUBLIC)]
    {
        let tokens = tokens(public(name));
        let raw = public_key(pem.as_bytes()).unwrap().1.try_get_as_bytes().unwrap().to_vec();
        for secret in [pem.as_bytes(), pem.trim().as_bytes(), &raw] {
            for algorithm in ["HS256", "RS256", "ES256", "EdDSA", "HS384", "PS256"] {
                let token = forge(&json!({"alg": algorithm, "typ": "JWT"}), &claims(), secret);
                assert_eq!(verify(&tokens, &token), Err(TokenError::Signature), "{name} {algorithm}");
            }
        }
    }
}

#[test]
fn forgeries_are_refused() {
    let tokens = tokens(shared());
    for algorithm in ["none", "None", "nOnE", "", "HS1"] {
        let header = json!({"alg": algorithm, "typ": "JWT"});
        let token = forge(&header, &claims(), SECRET.as_bytes());
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        for token in [token.clone(), format!("{unsigned}."), unsigned.to_owned()] {
            assert!(matches!(verify(&tokens, &token), Err(TokenError::Malformed(_))), "{token}");
        }
    }
    let good = sign(&claims());
    let (message, signature) = good.rsplit_once('.').unwrap();
    let other = sign_as(&Header::default(), &claims(), &EncodingKey::from_secret(OTHER.as_bytes()));
    assert_eq!(verify(&tokens, &other), Err(TokenError::Signature), "another key");
    assert_eq!(verify(&tokens, &format!("{message}.")), Err(TokenError::Signature), "no signature");
    let (head, _) = message.split_once('.').unwrap();
    let more = URL_SAFE_NO_PAD.encode(with(json!({"path": "**"})).to_string());
    assert_eq!(
        verify(&tokens, &format!("{head}.{more}.{signature}")),
        Err(TokenError::Signature),
        "other claims"
    );
    let hs512 =
        sign_as(&Header::new(Algorithm::HS512), &claims(), &EncodingKey::from_secret(SECRET.as_bytes()));
    assert_eq!(verify(&tokens, &hs512), Err(TokenError::Signature), "another algorithm of the same secret");
    let critical =
        forge(&json!({"alg": "HS256", "crit": ["b64"], "b64": true}), &claims(), SECRET.as_bytes());
    assert_eq!(verify(&tokens, &critical), Err(TokenError::Malformed("it has critical headers")));
    let twice = format!("{{\"exp\":{},\"act\":\"play\",\"act\":\"publish\",\"path\":\"**\"}}", NOW + 60);
    let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(twice));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let twice =
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes())));
    assert_eq!(verify(&tokens, &twice), Err(TokenError::Malformed("its claims can't be read")));
    let long = format!("{good}{}", "A".repeat(TOKEN_BYTES_MAX));
    assert_eq!(verify(&tokens, &long), Err(TokenError::Malformed("it is too long")));
    assert_eq!(verify(&Tokens::default(), &good), Err(TokenError::Signature), "no key, no token");
}

#[test]
fn a_kid_chooses_the_key() {
    let named = |kid: &str, secret: &str| Jwt {
        kid: Some(kid.into()),
        secret: Some(secret.into()),
        ..Jwt::default()
    };
    let tokens = Tokens::new(&[named("old", OTHER), named("new", SECRET)]).unwrap();
    let token = |kid: Option<&str>| {
        let header = Header { kid: kid.map(str::to_owned), ..Header::default() };
        sign_as(&header, &claims(), &EncodingKey::from_secret(SECRET.as_bytes()))
    };
    assert_eq!(verify(&tokens, &token(Some("new"))).map(|v| v.rule).as_deref(), Ok("new"));
    assert_eq!(verify(&tokens, &token(None)).map(|v| v.rule).as_deref(), Ok("new"));
    assert_eq!(verify(&tokens, &token(Some("old"))), Err(TokenError::Signature));
    assert_eq!(verify(&tokens, &token(Some("else"))), Err(TokenError::Signature));
}

#[test]
fn an_administrator_neither_publishes_nor_the_other_way_round() {
    let admin = tokens(Jwt { admin: true, ..shared() });
    let peer = "::1".parse().unwrap();
    let role = |tokens: &Tokens, claims: Value| {
        tokens.verify_administrator(&sign(&claims), peer, at(NOW)).map(|a| a.role)
    };
    let operator = json!({"exp": NOW + 60, "role": "operator"});
    assert_eq!(role(&admin, operator.clone()), Ok(Role::Operator));
    assert_eq!(verify(&admin, &sign(&operator)), Err(TokenError::Action));
    assert_eq!(role(&admin, claims()), Err(TokenError::Action));
    assert_eq!(role(&admin, with(json!({"role": "admin"}))), Err(TokenError::Action), "never both");
    assert_eq!(role(&tokens(shared()), operator), Err(TokenError::Action), "the key may not");
    assert_eq!(role(&admin, json!({"exp": NOW - 60, "role": "admin"})), Err(TokenError::Expired));
    assert!(Role::Viewer < Role::Operator && Role::Operator < Role::Admin);
}

#[test]
fn what_we_mint_is_accepted() {
    let rule = Jwt {
        kid: Some("k".into()),
        audience: Some("us".into()),
        issuer: Some("i".into()),
        admin: true,
        ..shared()
    };
    let rules = [public("rsa.pub.pem"), rule.clone()];
    let tokens = tokens(rule);
    let mint = |right: Right| {
        let ip = "192.0.2.0/24".parse().ok();
        let mint = Mint { right: right.clone(), expires: at(NOW + 9), subject: Some("s".into()), ip };
        Signer::choose(&rules, None, &right).unwrap().mint(&mint).unwrap()
    };
    let publish = mint(Right::Publish("live/*".parse().unwrap()));
    assert_eq!(verify(&tokens, &publish).map(|v| v.rule).as_deref(), Ok("k"));
    let claims = URL_SAFE_NO_PAD.decode(publish.split('.').nth(1).unwrap()).unwrap();
    assert!(String::from_utf8(claims).unwrap().contains("\"exp\":1800000009,"), "a whole number");
    assert_eq!(verify_at(&tokens, &publish, "live/alice", NOW, "::1"), Err(TokenError::Address));
    assert_eq!(verify(&tokens, &mint(Right::Play("live/*".parse().unwrap()))), Err(TokenError::Action));
    let admin = mint(Right::Administrate(Role::Viewer));
    let found = tokens.verify_administrator(&admin, "192.0.2.1".parse().unwrap(), at(NOW));
    assert_eq!(found.map(|a| a.role), Ok(Role::Viewer));
}

#[test]
fn minting_says_what_is_missing() {
    let admin = Right::Administrate(Role::Admin);
    let error = |rules: &[Jwt], kid| Signer::choose(rules, kid, &admin).unwrap_err().to_string();
    assert!(error(&[], None).contains("no [[auth.jwt]] with a secret is configured"));
    assert!(error(&[public("rsa.pub.pem")], None).contains("with a secret"));
    assert!(error(&[shared()], Some("k")).contains("is called \"k\""));
    assert!(error(&[shared()], None).contains("admin = true"));
}

#[test]
fn a_file_that_holds_no_public_key_is_refused_by_name() {
    let error = |name: &str| Tokens::new(&[public(name)]).unwrap_err().to_string();
    assert!(error("missing.pem").contains("can't read auth.jwt.public_key"));
    assert!(error("ed25519.pem").contains("ed25519.pem is no public key"), "a private key");
    assert!(error("p384.pub.pem").contains("is no public key"), "no curve of ours");
}

#[test]
fn a_thousand_mutations_of_a_token_are_refused() {
    let tokens = tokens(shared());
    let good = sign(&claims());
    assert!(verify(&tokens, &good).is_ok());
    let mut random = Random::seeded(3);
    let mut seen = 0;
    while seen < 1000 {
        let mutated = String::from_utf8_lossy(&random.mutate(good.as_bytes())).into_owned();
        if mutated != good {
            seen += 1;
            assert!(verify(&tokens, &mutated).is_err(), "{mutated}");
        }
    }
}

#[test]
fn fuzz_claims() {
    // Signed anew after the damage, so that the claims are reached.
    let tokens = tokens(shared());
    let text =
        with(json!({"nbf": 1, "aud": ["a"], "iss": "i", "ip": "10.0.0.0/8", "role": "admin"})).to_string();
    let head = URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\"}");
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let mut random = Random::seeded(4);
    for _ in 0..3000 {
        let message = format!("{head}.{}", URL_SAFE_NO_PAD.encode(random.mutate(text.as_bytes())));
        let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes()));
        let token = format!("{message}.{signature}");
        assert!(verify(&tokens, &token).is_err(), "an administrator's token never publishes");
        let _ = tokens.verify_administrator(&token, "::1".parse().unwrap(), at(NOW));
        let header =
            URL_SAFE_NO_PAD.encode(random.mutate(b"{\"alg\":\"HS256\",\"kid\":\"a\",\"crit\":[\"x\"]}"));
        let _ = verify(&tokens, &format!("{header}.e30.AA"));
        let _ = public_key(&random.mutate(RSA_PUBLIC.as_bytes()));
        let _ = public_key(&random.mutate(EC_PUBLIC.as_bytes()));
    }
}
