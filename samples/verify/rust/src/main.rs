//! Runs the vectors of test/vectors/verifier against verify.rs: cargo run -- tokens.json

mod verify;

use std::process::ExitCode;

use jsonwebtoken::{Algorithm, DecodingKey, jwk::JwkSet};
use serde_json::Value;
use verify::{Claims, Verifier};

/// Bad vectors that pass, with the reason. None of them can be made without the key.
const LAXER: [(&str, &str); 2] = [
    ("hs256-payload-repeated-inside", REPEATED),
    ("es256-payload-repeated-inside", REPEATED),
];
const REPEATED: &str = "serde_json takes a member given twice for its last value, where no struct names it";

fn main() -> ExitCode {
    let path = std::env::args().nth(1).expect("tokens.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
    let jwks: JwkSet = serde_json::from_value(vectors["jwks"].clone()).expect("a JWK set");
    let (mut good, mut bad, mut taken, mut wrong) = (0, 0, 0, Vec::new());
    for vector in covered(&vectors["good"]) {
        good += 1;
        let expected: Claims = serde_json::from_value(vector["claims"].clone()).expect("claims");
        match run(&vectors, &jwks, vector) {
            Ok(claims) if claims == expected => (),
            Ok(_) => wrong.push(format!("{}: other claims", vector["id"])),
            Err(error) => wrong.push(format!("{}: refused: {error}", vector["id"])),
        }
    }
    for vector in covered(&vectors["bad"]) {
        bad += 1;
        let is_laxer = LAXER.iter().any(|(id, _)| vector["id"] == *id);
        let outcome = run(&vectors, &jwks, vector);
        taken += i32::from(outcome.is_ok());
        match outcome {
            Ok(_) if !is_laxer => wrong.push(format!("{}: accepted", vector["id"])),
            Err(_) if is_laxer => wrong.push(format!("{}: listed as laxer, and refused", vector["id"])),
            _ => (),
        }
    }
    for line in &wrong {
        println!("{line}");
    }
    println!(
        "{good} good, {bad} bad, {taken} of them taken all the same, {} wrong",
        wrong.len()
    );
    if wrong.is_empty() && good > 0 && bad > 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn covered(list: &Value) -> impl Iterator<Item = &Value> {
    let is_covered = |vector: &&Value| {
        ["hs256", "es256", "hs256-no-audience"]
            .iter()
            .any(|name| vector["verifier"] == *name)
    };
    list.as_array().expect("a list").iter().filter(is_covered)
}

fn run(vectors: &Value, jwks: &JwkSet, vector: &Value) -> Result<Claims, String> {
    let setup = &vectors["verifiers"][vector["verifier"].as_str().expect("a name")];
    let is_public = setup.get("jwks").is_some();
    let find_public = |kid: &str| jwks.find(kid).and_then(|jwk| DecodingKey::from_jwk(jwk).ok());
    let find_secret = |_: &str| {
        setup["secrets"][0]
            .as_str()
            .map(|secret| DecodingKey::from_secret(secret.as_bytes()))
    };
    let verifier = Verifier {
        issuer: vectors["issuer"].as_str().expect("an issuer"),
        audience: setup["audience"].as_str(),
        algorithm: if is_public { Algorithm::ES256 } else { Algorithm::HS256 },
        find_key: if is_public { &find_public } else { &find_secret },
        now: &|| vectors["now"].as_u64().expect("a time"),
    };
    verifier.verify(vector["token"].as_str().expect("a token"))
}
