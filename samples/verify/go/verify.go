// Verifies Gatehouse access tokens with golang-jwt.
package main

import (
	"errors"
	"math"
	"regexp"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var compact = regexp.MustCompile(`^[\w-]+\.[\w-]+\.[\w-]+$`)
var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

const longestLifetime = 30 * 86400

// Verifier says whose tokens are good, and for whom.
type Verifier struct {
	Issuer   string
	Audience string // "": a token that has an audience is refused
	// Algorithm is the one that is expected, "ES256" or "HS256"; the token has no say in it.
	Algorithm string
	// FindKey leads from a kid to a key. For ES256 it looks it up in the issuer's JWK set, fetched and cached; for HS256
	// it is the shared secret, whatever the kid.
	FindKey func(kid string) (any, error)
	Now     func() time.Time
}

// Verify returns the claims of a good token.
func (v Verifier) Verify(token string) (jwt.MapClaims, error) {
	if len(token) > 8192 || !compact.MatchString(token) { // golang-jwt passes over line breaks
		return nil, errors.New("form")
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods([]string{v.Algorithm}),
		jwt.WithIssuer(v.Issuer),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(5 * time.Second),
		jwt.WithTimeFunc(v.Now),
		jwt.WithStrictDecoding(),
	}
	if v.Audience != "" {
		options = append(options, jwt.WithAudience(v.Audience))
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.NewParser(options...).ParseWithClaims(token, claims, v.keyOf); err != nil {
		return nil, err
	}
	if !v.sound(claims) {
		return nil, errors.New("claims")
	}
	return claims, nil
}

// keyOf takes no header but exactly alg, typ and kid, and so no crit, jwk or jku.
func (v Verifier) keyOf(token *jwt.Token) (any, error) {
	kid, _ := token.Header["kid"].(string)
	if len(token.Header) != 3 || token.Header["typ"] != "JWT" || kid == "" || len(kid) > 128 {
		return nil, errors.New("header")
	}
	return v.FindKey(kid)
}

func (v Verifier) sound(claims jwt.MapClaims) bool {
	sub, _ := claims["sub"].(string)
	sid, _ := claims["sid"].(string)
	jti, _ := claims["jti"].(string)
	iat, exp := second(claims["iat"]), second(claims["exp"])
	nbf, hasNbf := claims["nbf"]
	return claims["type"] == "access" && // and no refresh token
		v.isFor(claims) &&
		uuid.MatchString(sub) && uuid.MatchString(sid) &&
		jti != "" && len(jti) <= 128 &&
		iat >= 0 && exp > iat && exp-iat <= longestLifetime &&
		(!hasNbf || second(nbf) >= 0)
}

// isFor: golang-jwt looks for the audience that is asked for, and asks nothing where none is.
func (v Verifier) isFor(claims jwt.MapClaims) bool {
	_, present := claims["aud"]
	return present == (v.Audience != "")
}

// second is a whole number of seconds until 2106, or -1.
func second(value any) float64 {
	number, isNumber := value.(float64)
	if !isNumber || number != math.Trunc(number) || number < 0 || number > 0xffffffff {
		return -1
	}
	return number
}
