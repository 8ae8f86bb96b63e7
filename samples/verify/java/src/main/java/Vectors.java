import com.nimbusds.jose.JOSEException;
import com.nimbusds.jose.JWSAlgorithm;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.jwk.source.ImmutableJWKSet;
import com.nimbusds.jose.proc.BadJOSEException;
import com.nimbusds.jose.proc.JWSKeySelector;
import com.nimbusds.jose.proc.JWSVerificationKeySelector;
import com.nimbusds.jose.proc.SecurityContext;
import com.nimbusds.jose.proc.SingleKeyJWSKeySelector;
import com.nimbusds.jose.util.JSONObjectUtils;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.text.ParseException;
import java.time.Clock;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import javax.crypto.spec.SecretKeySpec;

/** Runs the vectors of test/vectors/verifier against Verify.java: mvn compile exec:java -Dexec.args=tokens.json */
public final class Vectors {
  private static final Set<String> COVERED = Set.of("hs256", "es256", "hs256-no-audience");

  /** Bad vectors that pass, with the reason. None of them can be made without the key. */
  private static final Map<String, String> LAXER = new HashMap<>();

  static {
    String bom = "the library's JSON reader skips a byte order mark";
    String repeated = "the library's JSON reader takes a member given twice for its last value, further inside";
    String unread = "a claim this program does not read: check its form where it is used";
    for (String algorithm : List.of("hs256", "es256")) {
      LAXER.put(algorithm + "-header-bom", bom);
      LAXER.put(algorithm + "-payload-bom", bom);
      LAXER.put(algorithm + "-payload-repeated-inside", repeated);
      LAXER.put(algorithm + "-claim-profile-version", unread);
      LAXER.put(algorithm + "-claim-profile-level", unread);
    }
  }

  private final Map<String, Object> vectors;
  private int taken = 0;
  private int wrong = 0;

  private Vectors(Map<String, Object> vectors) {
    this.vectors = vectors;
  }

  public static void main(String[] arguments) throws Exception {
    Vectors run = new Vectors(JSONObjectUtils.parse(Files.readString(Path.of(arguments[0]), StandardCharsets.UTF_8)));
    int good = run.accept();
    int bad = run.refuse();
    System.out.printf("%d good, %d bad, %d of them taken all the same, %d wrong%n", good, bad, run.taken, run.wrong);
    if (run.wrong > 0 || good == 0 || bad == 0) System.exit(1);
  }

  private int accept() throws Exception {
    List<Map<String, Object>> list = covered("good");
    for (Map<String, Object> vector : list) {
      try {
        if (!verifier(vector).verify((String) vector.get("token")).equals(vector.get("claims")))
          complain(vector, "other claims");
      } catch (BadJOSEException | JOSEException | ParseException error) {
        complain(vector, "refused: " + error.getMessage());
      }
    }
    return list.size();
  }

  private int refuse() throws Exception {
    List<Map<String, Object>> list = covered("bad");
    for (Map<String, Object> vector : list) {
      boolean isLaxer = LAXER.containsKey(vector.get("id"));
      try {
        verifier(vector).verify((String) vector.get("token"));
        taken++;
        if (!isLaxer) complain(vector, "accepted");
      } catch (BadJOSEException | JOSEException | ParseException error) {
        if (isLaxer) complain(vector, "listed as laxer, and refused");
      }
    }
    return list.size();
  }

  private Verify verifier(Map<String, Object> vector) throws Exception {
    Map<String, Object> setups = JSONObjectUtils.getJSONObject(vectors, "verifiers");
    Map<String, Object> setup = JSONObjectUtils.getJSONObject(setups, (String) vector.get("verifier"));
    boolean isPublic = setup.containsKey("jwks");
    JWSKeySelector<SecurityContext> keys =
        isPublic
            ? new JWSVerificationKeySelector<>(JWSAlgorithm.ES256, publicKeys())
            : new SingleKeyJWSKeySelector<>(JWSAlgorithm.HS256, secretKey((List<?>) setup.get("secrets")));
    Clock clock = Clock.fixed(Instant.ofEpochSecond((Long) vectors.get("now")), ZoneOffset.UTC);
    return new Verify((String) vectors.get("issuer"), (String) setup.get("audience"), keys, clock);
  }

  private ImmutableJWKSet<SecurityContext> publicKeys() throws ParseException {
    return new ImmutableJWKSet<>(JWKSet.parse(JSONObjectUtils.getJSONObject(vectors, "jwks")));
  }

  private static SecretKeySpec secretKey(List<?> secrets) {
    return new SecretKeySpec(secrets.get(0).toString().getBytes(StandardCharsets.UTF_8), "HmacSHA256");
  }

  private List<Map<String, Object>> covered(String name) throws ParseException {
    return List.of(JSONObjectUtils.getJSONObjectArray(vectors, name)).stream()
        .filter(vector -> COVERED.contains(vector.get("verifier")))
        .toList();
  }

  private void complain(Map<String, Object> vector, String what) {
    wrong++;
    System.out.println(vector.get("id") + ": " + what);
  }
}
