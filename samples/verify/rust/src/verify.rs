//! Verifies Gatehouse access tokens with jsonwebtoken.

use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

const LONGEST_LIFETIME: u32 = 30 * 86_400;
const TOLERANCE: u32 = 5;

#[derive(Debug, Deserialize, PartialEq)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub sid: String,
    pub jti: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub iat: u32,
    pub exp: u32,
    #[serde(default, deserialize_with = "not_null")]
    pub nbf: Option<u32>,
    #[serde(default, deserialize_with = "not_null")]
    pub aud: Option<Audience>,
    pub profile_version: Option<u32>,
    pub software_level: Option<String>,
    pub hardware_background: Option<String>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Whose tokens are good, and for whom.
pub struct Verifier<'a> {
    pub issuer: &'a str,
    /// None: a token that has an audience is refused.
    pub audience: Option<&'a str>,
    /// The one that is expected, ES256 or HS256; the token has no say in it.
    pub algorithm: Algorithm,
    /// From a kid to a key. For ES256 it looks it up in the issuer's JWK set, fetched and cached; for HS256 it is the
    /// shared secret, whatever the kid.
    pub find_key: &'a dyn Fn(&str) -> Option<DecodingKey>,
    /// Seconds since 1970.
    pub now: &'a dyn Fn() -> u64,
}

impl Verifier<'_> {
    /// The claims of a good token; what is wrong with a bad one.
    pub fn verify(&self, token: &str) -> Result<Claims, String> {
        if token.len() > 8192 {
            return Err("too large".into());
        }
        // Exactly alg, typ and kid: no crit, jwk or jku.
        let header = decode_header(token).map_err(|error| error.to_string())?;
        let kid = header.kid.clone().unwrap_or_default();
        if header
            != (Header {
                kid: Some(kid.clone()),
                ..Header::new(self.algorithm)
            })
            || !is_short_text(&kid)
        {
            return Err("header".into());
        }
        let key = (self.find_key)(&kid).ok_or("no such key")?;

        let mut validation = Validation::new(self.algorithm);
        validation.leeway = TOLERANCE.into();
        validation.set_issuer(&[self.issuer]);
        validation.set_required_spec_claims(&["iss", "sub", "exp"]);
        if let Some(audience) = self.audience {
            validation.set_audience(&[audience]);
        }
        let claims = decode::<Claims>(token, &key, &validation)
            .map_err(|error| error.to_string())?
            .claims;
        if self.is_sound(&claims) {
            Ok(claims)
        } else {
            Err("claims".into())
        }
    }

    /// jsonwebtoken checks no iat, takes the type for any other claim, and takes a missing aud for a good one.
    fn is_sound(&self, claims: &Claims) -> bool {
        let (now, tolerance) = ((self.now)(), u64::from(TOLERANCE));
        let begins = u64::from(claims.iat.max(claims.nbf.unwrap_or(0)));
        claims.iss == self.issuer
            && claims.kind == "access" // and no refresh token
            && self.is_meant(claims.aud.as_ref())
            && is_uuid(&claims.sub)
            && is_uuid(&claims.sid)
            && is_short_text(&claims.jti)
            && claims.exp > claims.iat
            && claims.exp - claims.iat <= LONGEST_LIFETIME
            && begins <= now + tolerance
            && now < u64::from(claims.exp) + tolerance
    }

    fn is_meant(&self, aud: Option<&Audience>) -> bool {
        match (aud, self.audience) {
            (None, audience) => audience.is_none(),
            (Some(Audience::One(one)), Some(audience)) => one == audience,
            (Some(Audience::Several(several)), Some(audience)) => several.iter().any(|one| one == audience),
            (Some(_), None) => false,
        }
    }
}

fn is_uuid(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let fits = |(at, byte): (usize, u8)| {
        if [8, 13, 18, 23].contains(&at) {
            byte == b'-'
        } else {
            is_digit(byte)
        }
    };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

fn is_short_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= 128
}

fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}
