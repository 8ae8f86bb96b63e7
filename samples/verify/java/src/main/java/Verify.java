import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JOSEObjectType;
import com.nimbusds.jose.JWSHeader;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.DefaultJOSEObjectTypeVerifier;
import com.nimbusds.jose.proc.JWSKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.util.Base64URL;
import com.nimbusds.jose.util.JSONObjectUtils;
import com.nimbusds.jwt.JWTClaimsSet;
import com.nimbusds.jwt.SignedJWT;
import com.nimbusds.jwt.proc.BadJWTException;
import com.nimbusds.jwt.proc.DefaultJWTClaimsVerifier;
import com.nimbusds.jwt.proc.DefaultJWTProcessor;
import java.text.ParseException;
import java.time.Clock;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/** Verifies Gatehouse access tokens with nimbus-jose-jwt. */
public final class Verify {
  private static final Pattern UUID = Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
  private static final Set<String> HEADER = Set.of("alg", "typ", "kid");
  private static final long LONGEST_LIFETIME = 30 * 86_400;
  private static final int TOLERANCE = 5;

  private final DefaultJWTProcessor<SecurityContext> processor = new DefaultJWTProcessor<>();
  private final String audience;
  private final Clock clock;

  /**
   * @param audience null: a token that has an audience is refused
   * @param keys for ES256 a JWSVerificationKeySelector of the issuer's JWK set, which JWKSourceBuilder.create(url)
   *     fetches and caches; for HS256 a SingleKeyJWSKeySelector. It says which algorithm is expected, not the token
   */
  public Verify(String issuer, String audience, JWSKeySelector<SecurityContext> keys, Clock clock) {
    this.audience = audience;
    this.clock = clock;
    // The type tells an access token from a refresh token.
    JWTClaimsSet exactly = new JWTClaimsSet.Builder().issuer(issuer).claim("type", "access").build();
    Set<String> required = Set.of("sub", "sid", "jti", "iat", "exp");
    DefaultJWTClaimsVerifier<SecurityContext> claims =
        new DefaultJWTClaimsVerifier<>(audience, exactly, required) {
          @Override
          protected Date currentTime() {
            return Date.from(clock.instant());
          }
        };
    claims.setMaxClockSkew(TOLERANCE);
    processor.setJWTClaimsSetVerifier(claims);
    processor.setJWSTypeVerifier(new DefaultJOSEObjectTypeVerifier<>(JOSEObjectType.JWT));
    processor.setJWSKeySelector(keys);
  }

  /** The claims of a good token. */
  public Map<String, Object> verify(String token) throws BadJOSEException, JOSEException, ParseException {
    if (token.length() > 8192) throw new BadJWTException("too large");
    SignedJWT jwt = parse(token);
    if (!isOurForm(token, jwt)) throw new BadJWTException("form");
    processor.process(jwt, null);
    Map<String, Object> claims = jwt.getPayload().toJSONObject();
    if (!isSound(claims)) throw new BadJWTException("claims");
    return claims;
  }

  /** The library answers a header of null with a NullPointerException: a stranger's fault, and none of ours. */
  private static SignedJWT parse(String token) throws ParseException {
    try {
      return SignedJWT.parse(token);
    } catch (RuntimeException error) {
      throw new ParseException("form", 0);
    }
  }

  /** Exactly alg, typ and kid, so no crit, jwk or jku; and one spelling: the library's base64 passes over odd ones. */
  private static boolean isOurForm(String token, SignedJWT jwt) throws ParseException {
    JWSHeader header = jwt.getHeader();
    return JSONObjectUtils.parse(header.getParsedBase64URL().decodeToString()).keySet().equals(HEADER)
        && header.getType().getType().equals("JWT")
        && isShortText(header.getKeyID())
        && token.equals(jwt.serialize())
        && Stream.of(jwt.getParsedParts()).allMatch(part -> Base64URL.encode(part.decode()).equals(part));
  }

  private boolean isSound(Map<String, Object> claims) {
    long now = clock.instant().getEpochSecond();
    return isSecond(claims.get("iat"))
        && isSecond(claims.get("exp"))
        && (!claims.containsKey("nbf") || isSecond(claims.get("nbf")))
        && isInTime((long) claims.get("iat"), (long) claims.get("exp"), now)
        && isMeant(claims)
        && isUuid(claims.get("sub"))
        && isUuid(claims.get("sid"))
        && isShortText(claims.get("jti"));
  }

  private static boolean isInTime(long iat, long exp, long now) {
    return exp > iat && exp - iat <= LONGEST_LIFETIME && iat <= now + TOLERANCE && now < exp + TOLERANCE;
  }

  private boolean isMeant(Map<String, Object> claims) {
    if (audience == null) return !claims.containsKey("aud");
    Object aud = claims.get("aud");
    return audience.equals(aud)
        || (aud instanceof List<?> list && list.stream().allMatch(String.class::isInstance) && list.contains(audience));
  }

  private static boolean isSecond(Object value) {
    return value instanceof Long second && second >= 0 && second <= 0xffff_ffffL;
  }

  private static boolean isUuid(Object value) {
    return value instanceof String text && UUID.matcher(text).matches();
  }

  private static boolean isShortText(Object value) {
    return value instanceof String text && !text.isEmpty() && text.length() <= 128;
  }
}
