//! Whose tokens count, and how often one may ask.

use std::{
    net::SocketAddr,
    num::NonZeroU32,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, middleware::from_fn_with_state, routing::get};
use banyan_kernel::{Actor, Clock, Role, SystemClock};
use banyan_net::{
    Identity, Keys, Principal, identify,
    identity::{Limits, Oidc, OidcConfig, RatePerSecond},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, dangerous::insecure_decode, encode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

const HOUR: Duration = Duration::from_secs(3_600);
const ISSUER: &str = "https://accounts.example";
const AUDIENCE: &str = "banyan";
const CUSTOMER: &str = "00000000-0000-0000-0000-0000000a11ce";

fn keys() -> (TempDir, Keys) {
    let folder = tempfile::tempdir().expect("a folder");
    let keys = Keys::open(&folder.path().join("token-key.pem")).expect("a key");
    (folder, keys)
}

fn customer(keys: &Keys) -> String {
    let actor = Actor { role: Role::Customer, id: CUSTOMER.to_owned() };
    keys.mint(&actor, SystemClock.now(), HOUR).expect("a token")
}

fn rate(per_second: u32) -> RatePerSecond {
    RatePerSecond(NonZeroU32::new(per_second).expect("some"))
}

/// A server that tells whom it takes its client for.
async fn serve(identity: Identity) -> SocketAddr {
    let who = async |Principal(actor): Principal| actor.to_string();
    let router = Router::new().route("/", get(who)).layer(from_fn_with_state(identity, identify));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = tokio_util::sync::CancellationToken::new();
    tokio::spawn(banyan_net::serve(listener, router, banyan_net::ServerLimits::default(), stop));
    address
}

/// Status, and who one is or the problem's type.
async fn ask(address: SocketAddr, token: &str) -> (u16, String) {
    ask_for(address, "/", token).await
}

async fn ask_for(address: SocketAddr, path: &str, token: &str) -> (u16, String) {
    let client = banyan_net::client().build().expect("a client");
    let asked = client.get(format!("http://{address}{path}")).bearer_auth(token).send();
    let answer = asked.await.expect("an answer");
    let (status, text) = (answer.status().as_u16(), answer.text().await.expect("a text"));
    let kind = serde_json::from_str::<Value>(&text)
        .ok()
        .and_then(|problem| Some(problem["type"].as_str()?.to_owned()));
    (status, kind.unwrap_or(text))
}

#[tokio::test(start_paused = true)]
async fn a_rotation_is_noticed_while_running_and_two_keys_count_and_not_three() {
    let (folder, running) = keys();
    let path = folder.path().join("token-key.pem");
    let first = customer(&running);
    assert!(running.check(&first).is_ok());
    Keys::rotate(&path).expect("rotated");
    let second = customer(&Keys::open(&path).expect("keys"));
    assert!(running.check(&second).is_ok(), "the running shop looks again for a key it does not know");
    assert!(running.check(&first).is_ok(), "the key before the current one counts");
    Keys::rotate(&path).expect("rotated");
    let third = customer(&Keys::open(&path).expect("keys"));
    assert!(running.check(&third).is_ok() && running.check(&second).is_ok());
    assert_eq!(running.check(&first).expect_err("two rotations ago").kind, "/problems/token_invalid");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_newest_key_is_never_refused_however_fast_keys_are_rotated() {
    let (folder, running) = keys();
    let path = folder.path().join("token-key.pem");
    for _ in 0..20 {
        Keys::rotate(&path).expect("rotated");
        let token = customer(&Keys::open(&path).expect("keys"));
        assert!(running.check(&token).is_ok(), "no time has passed, and it counts");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_sealed_is_known_again_until_the_key_after_the_next_and_nothing_else_is() {
    let (folder, running) = keys();
    let path = folder.path().join("token-key.pem");
    let seal = running.seal(b"a list");
    assert!(running.is_sealed(b"a list", &seal));
    assert!(!running.is_sealed(b"another list", &seal));
    assert!(!running.is_sealed(b"a list", &seal[..15]), "a part of it is none");
    assert!(!running.is_sealed(b"a list", &[]));
    let (_elsewhere, other) = keys();
    assert!(!other.is_sealed(b"a list", &seal), "another shop's is none of ours");
    Keys::rotate(&path).expect("rotated");
    let beside = Keys::open(&path).expect("keys");
    assert!(running.is_sealed(b"a list", &beside.seal(b"a list")), "one that has rotated already");
    assert!(running.is_sealed(b"a list", &seal), "by the key before");
    Keys::rotate(&path).expect("rotated");
    assert!(Keys::open(&path).expect("keys").is_sealed(b"a list", &beside.seal(b"a list")));
    assert!(!Keys::open(&path).expect("keys").is_sealed(b"a list", &seal), "two rotations ago");
}

#[tokio::test]
async fn nobody_comes_from_outside_as_the_shop_itself() {
    let (_folder, keys) = keys();
    let mint = |role, id: &str| {
        keys.mint(&Actor { role, id: id.to_owned() }, SystemClock.now(), HOUR).expect("a token")
    };
    assert!(keys.check(&mint(Role::Service, "reports")).is_ok());
    for (role, id) in [
        (Role::System, "saga"),
        (Role::Customer, "not-a-uuid"),
        (Role::Staff, ""),
        (Role::Staff, "two words"),
        (Role::Staff, "https://accounts.example|alice"),
        (Role::Staff, &"x".repeat(129)),
    ] {
        assert!(keys.check(&mint(role, id)).is_err(), "{role:?} {id}");
    }
}

/// What a token says must be understood, and nobody here understands, makes it one that counts for nothing (RFC 7515, section 4.1.11).
#[tokio::test]
async fn a_token_that_says_what_must_be_understood_is_refused() {
    let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let path = folder.path().join("token-key.pem");
    let own = customer(&Keys::open(&path).expect("keys"));
    let pem = std::fs::read(&path).expect("the key");
    let sign = EncodingKey::from_ed_pem(&pem).expect("a key");
    for (token, key) in [(own, &sign), (issuer.token(|_| ()), &issuer.key.1)] {
        let said = insecure_decode::<Value>(&token).expect("a token");
        let again = |header: &Header| encode(header, &said.claims, key).expect("a token");
        assert_eq!(ask(address, &again(&said.header)).await.0, 200, "signed again it is as good");
        for names in [&["exp"][..], &["b64"], &[]] {
            let crit = Some(names.iter().map(|name| (*name).to_owned()).collect());
            let token = again(&Header { crit, ..said.header.clone() });
            assert_eq!(ask(address, &token).await, (401, "/problems/token_invalid".to_owned()), "{names:?}");
        }
    }
    // A value of null is as good as none to who parses the head, and the word stands there all the same.
    let said = insecure_decode::<Value>(&customer(&Keys::open(&path).expect("keys"))).expect("a token");
    let mut head = serde_json::to_value(&said.header).expect("JSON");
    head["crit"] = Value::Null;
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(&head), part(&said.claims));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &sign, said.header.alg).expect("signed");
    let token = format!("{message}.{signature}");
    assert_eq!(ask(address, &token).await, (401, "/problems/token_invalid".to_owned()));
}

/// An issuer: its current key, the set it publishes, and how often it was asked for it.
struct Issuer {
    key: (String, EncodingKey),
    asked: Arc<AtomicUsize>,
    set: Arc<Mutex<Value>>,
    /// Who holds it keeps the issuer from answering.
    busy: Arc<tokio::sync::Mutex<()>>,
    url: String,
}

/// A key pair as an issuer has it: what signs, and what is published.
fn pair(id: &str) -> (EncodingKey, Value) {
    use ed25519_dalek::{
        SigningKey,
        pkcs8::{EncodePrivateKey, spki::der::pem::LineEnding},
    };
    let mut secret = [7_u8; 32];
    secret[..id.len()].copy_from_slice(id.as_bytes());
    let key = SigningKey::from_bytes(&secret);
    let pem = key.to_pkcs8_pem(LineEnding::LF).expect("a key");
    let x = base64_url(key.verifying_key().as_bytes());
    let published = json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": id, "x": x});
    (EncodingKey::from_ed_pem(pem.as_bytes()).expect("a key"), published)
}

/// RFC 4648, section 5, without padding.
fn base64_url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letters = bytes.chunks(3).flat_map(|chunk| {
        let mut three = [0_u8; 3];
        three[..chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        (0..=chunk.len()).map(move |n| LETTERS[(bits >> (18 - 6 * n)) as usize & 63] as char)
    });
    letters.collect()
}

impl Issuer {
    async fn open() -> Self {
        let (sign, published) = pair("one");
        let set = Arc::new(Mutex::new(
            json!({"keys": [published, {"kty": "oct", "k": "c2VjcmV0", "kid": "shared", "alg": "HS256"}]}),
        ));
        let asked = Arc::<AtomicUsize>::default();
        let busy = Arc::<tokio::sync::Mutex<()>>::default();
        let (served, count, held) = (set.clone(), asked.clone(), busy.clone());
        let keys = get(async move || {
            count.fetch_add(1, Ordering::SeqCst);
            drop(held.lock().await);
            Json(served.lock().expect("no panic").clone())
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        tokio::spawn(axum::serve(listener, Router::new().route("/keys", keys)).into_future());
        Self { key: ("one".to_owned(), sign), asked, set, busy, url }
    }

    fn identity(&self, folder: &TempDir) -> Identity {
        let keys = Keys::open(&folder.path().join("token-key.pem")).expect("a key");
        let (issuer, audience) = (ISSUER.to_owned(), AUDIENCE.to_owned());
        let oidc = Oidc::new(OidcConfig { issuer, audience, jwks_url: self.url.clone() }).expect("a client");
        Identity::new(keys, Some(oidc), Limits::new(rate(1_000), rate(1_000)))
    }

    fn token(&self, change: impl FnOnce(&mut Value)) -> String {
        let now = SystemClock.now().unix_timestamp();
        let mut claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "alice", "exp": now + 3_600});
        change(&mut claims);
        let header = Header { kid: Some(self.key.0.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.key.1).expect("a token")
    }
}

#[tokio::test]
async fn an_issuers_tokens_count_when_all_of_them_is_right() {
    let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let (status, alice) = ask(address, &issuer.token(|_| ())).await;
    assert!(status == 200 && alice.starts_with("customer:"), "{status} {alice}");
    assert_eq!(ask(address, &issuer.token(|_| ())).await.1, alice, "the same person is the same customer");
    let staff = issuer.token(|claims| claims["banyan_role"] = "staff".into());
    // Not the shop's own `staff:alice`, whoever that is; and to be read by people.
    assert_eq!(ask(address, &staff).await, (200, format!("staff:{ISSUER}|alice")));
    let program = issuer.token(|claims| claims["banyan_role"] = "service".into());
    assert_eq!(ask(address, &program).await, (200, format!("service:{ISSUER}|alice")));
    let wrong: [fn(&mut Value); 5] = [
        |claims| claims["iss"] = "https://accounts.example/other".into(),
        |claims| claims["aud"] = "another shop".into(),
        |claims| claims["banyan_role"] = "system".into(),
        |claims| claims["banyan_role"] = "admin".into(),
        |claims| drop(claims.as_object_mut().expect("an object").remove("exp")),
    ];
    for (at, wrong) in wrong.into_iter().enumerate() {
        assert_eq!(
            ask(address, &issuer.token(wrong)).await,
            (401, "/problems/token_invalid".to_owned()),
            "case {at}"
        );
    }
    let old = issuer.token(|claims| claims["exp"] = 1_000_000_000.into());
    assert_eq!(ask(address, &old).await, (401, "/problems/token_expired".to_owned()));
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1, "the set was fetched once");
}

/// A published key that signs and checks alike would let anybody sign; and what is public is no secret to sign with.
#[tokio::test]
async fn a_public_key_is_no_secret() {
    let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "mallory", "exp": SystemClock.now().unix_timestamp() + 3_600});
    let x = issuer.set.lock().expect("no panic")["keys"][0]["x"].as_str().expect("a key").to_owned();
    for (id, secret) in [("one", x.as_bytes()), ("shared", b"secret")] {
        let header = Header { kid: Some(id.to_owned()), ..Header::new(Algorithm::HS256) };
        let token = encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("a token");
        assert_eq!(ask(address, &token).await, (401, "/problems/token_invalid".to_owned()), "{id}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_away_locks_out_its_own_alone() {
    let (folder, mut issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    issuer.url = "http://127.0.0.1:1/keys".to_owned();
    let identity = issuer.identity(&folder);
    let own = customer(&Keys::open(&folder.path().join("token-key.pem")).expect("keys"));
    let address = serve(identity).await;
    assert_eq!(ask(address, &issuer.token(|_| ())).await, (401, "/problems/token_invalid".to_owned()));
    assert_eq!(ask(address, &own).await, (200, format!("customer:{CUSTOMER}")));
}

/// As if so much time had passed; nothing else notices.
async fn later(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

/// A key that was lost is taken out of the set, and must not count as long as the process happens to live.
#[tokio::test]
async fn a_key_that_the_issuer_takes_back_counts_for_five_minutes_at_most() {
    let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let token = issuer.token(|_| ());
    assert_eq!(ask(address, &token).await.0, 200);
    *issuer.set.lock().expect("no panic") = json!({"keys": []});
    later(200).await;
    assert_eq!(ask(address, &token).await.0, 200, "nobody asks the issuer for each token");
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    later(50).await;
    assert_eq!(ask(address, &token).await.0, 200, "who asks does not wait for the set to be fetched anew");
    while ask(address, &token).await.0 != 401 {
        tokio::task::yield_now().await;
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 2, "in the background, once");
}

#[tokio::test]
async fn a_set_is_fetched_anew_before_it_is_used_when_nobody_used_it_for_long() {
    let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let token = issuer.token(|_| ());
    assert_eq!(ask(address, &token).await.0, 200);
    *issuer.set.lock().expect("no panic") = json!({"keys": []});
    later(301).await;
    assert_eq!(ask(address, &token).await.0, 401);
}

/// An issuer that is away for a while locks nobody out; for an hour, since nobody knows what it would say.
#[tokio::test]
async fn while_the_issuer_is_away_its_last_set_counts_for_an_hour() {
    let (folder, issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let token = issuer.token(|claims| claims["exp"] = (SystemClock.now().unix_timestamp() + 36_000).into());
    assert_eq!(ask(address, &token).await.0, 200);
    *issuer.set.lock().expect("no panic") = json!("it is not well");
    later(3_000).await;
    assert_eq!(ask(address, &token).await.0, 200);
    later(700).await;
    assert_eq!(ask(address, &token).await.0, 401);
}

#[tokio::test]
async fn an_issuer_that_hangs_keeps_nobody_waiting_whose_key_is_known() {
    let (folder, mut issuer) = (tempfile::tempdir().expect("a folder"), Issuer::open().await);
    let address = serve(issuer.identity(&folder)).await;
    let known = issuer.token(|_| ());
    assert_eq!(ask(address, &known).await.0, 200);
    // The keys are asked for again no sooner.
    later(11).await;
    let busy = issuer.busy.clone().lock_owned().await;
    issuer.key.0 = "unseen".to_owned();
    let unseen = issuer.token(|_| ());
    let waits = tokio::spawn(async move { ask(address, &unseen).await.0 });
    while issuer.asked.load(Ordering::SeqCst) < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(address, &known).await.0, 200);
    assert!(!waits.is_finished(), "it was answered while the issuer hung");
    drop(busy);
    assert_eq!(waits.await.expect("an answer"), 401);
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_served() {
    let (_folder, keys) = keys();
    let identity = Identity::new(keys.clone(), None, Limits::new(rate(1), rate(1)));
    let (address, token) = (serve(identity).await, customer(&keys));
    let mut last = ask(address, &token).await;
    // Two are a burst; on the slowest machine a few more, one for each second that passes.
    for _ in 0..1_000 {
        if last.0 == 429 {
            break;
        }
        last = ask(address, &token).await;
    }
    assert_eq!(last, (429, "/problems/too_many_requests".to_owned()));
    // Who looks whether the shop is well is never too many, with a token or without.
    for token in [&token, ""] {
        for _ in 0..20 {
            assert_ne!(ask_for(address, "/health/live", token).await.0, 429);
        }
    }
    let staff = keys.mint(&Actor { role: Role::Staff, id: "bob".to_owned() }, SystemClock.now(), HOUR);
    assert_eq!(ask(address, &staff.expect("a token")).await.0, 200);
}
