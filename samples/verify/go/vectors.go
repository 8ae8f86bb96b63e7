package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type vector struct {
	ID, Verifier, Token string
	Claims              map[string]any
}

type vectors struct {
	Now       int64
	Issuer    string
	Verifiers map[string]struct {
		Algorithms []string
		Audience   string
		Secrets    []string
	}
	JWKS      struct{ Keys []map[string]any }
	Good, Bad []vector
}

// Bad vectors that pass, with the reason. None of them can be made without the key.
var laxer = map[string]string{}

func init() {
	const repeated = "encoding/json takes a member given twice for its last value, wherever it is read"
	const unread = "a claim this program does not read: check its form where it is used"
	for _, algorithm := range []string{"hs256", "es256"} {
		laxer[algorithm+"-header-repeated-alg"] = repeated
		laxer[algorithm+"-header-repeated-kid"] = repeated
		laxer[algorithm+"-payload-repeated-sub"] = repeated
		laxer[algorithm+"-payload-repeated-exp"] = repeated
		laxer[algorithm+"-payload-repeated-inside"] = repeated
		laxer[algorithm+"-claim-profile-version"] = unread
		laxer[algorithm+"-claim-profile-level"] = unread
	}
}

// Runs the vectors of test/vectors/verifier against verify.go: go run . tokens.json
func main() {
	content, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	var all vectors
	if err := json.Unmarshal(content, &all); err != nil {
		panic(err)
	}
	good, bad, taken, wrong := 0, 0, 0, 0
	complain := func(id string, what any) { wrong++; fmt.Printf("%s: %v\n", id, what) }
	for _, each := range all.Good {
		verifier, covered := all.verifier(each.Verifier)
		if !covered {
			continue
		}
		good++
		claims, err := verifier.Verify(each.Token)
		if err != nil {
			complain(each.ID, err)
		} else if !same(claims, each.Claims) {
			complain(each.ID, "other claims")
		}
	}
	for _, each := range all.Bad {
		verifier, covered := all.verifier(each.Verifier)
		if !covered {
			continue
		}
		bad++
		_, err := verifier.Verify(each.Token)
		_, isLaxer := laxer[each.ID]
		if err == nil {
			taken++
		}
		if err == nil && !isLaxer {
			complain(each.ID, "accepted")
		} else if err != nil && isLaxer {
			complain(each.ID, "listed as laxer, and refused")
		}
	}
	fmt.Printf("%d good, %d bad, %d of them taken all the same, %d wrong\n", good, bad, taken, wrong)
	if wrong > 0 || good == 0 || bad == 0 {
		os.Exit(1)
	}
}

func (all vectors) verifier(name string) (Verifier, bool) {
	setup := all.Verifiers[name]
	findKey := all.findPublic
	if name != "es256" {
		findKey = func(string) (any, error) { return []byte(setup.Secrets[0]), nil }
	}
	return Verifier{
		Issuer:    all.Issuer,
		Audience:  setup.Audience,
		Algorithm: setup.Algorithms[0],
		FindKey:   findKey,
		Now:       func() time.Time { return time.Unix(all.Now, 0) },
	}, name == "hs256" || name == "es256" || name == "hs256-no-audience"
}

func (all vectors) findPublic(kid string) (any, error) {
	for _, key := range all.JWKS.Keys {
		if key["kid"] == kid && key["alg"] == "ES256" && key["use"] == "sig" {
			return publicKey(key)
		}
	}
	return nil, errors.New("no such key")
}

// publicKey is the point of an EC key as a JWK has it (RFC 7518 section 6.2.1).
func publicKey(jwk map[string]any) (*ecdsa.PublicKey, error) {
	x, errX := base64.RawURLEncoding.DecodeString(fmt.Sprint(jwk["x"]))
	y, errY := base64.RawURLEncoding.DecodeString(fmt.Sprint(jwk["y"]))
	if err := errors.Join(errX, errY); err != nil {
		return nil, err
	}
	return ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, x...), y...))
}

func same(claims jwt.MapClaims, expected map[string]any) bool {
	text, err := json.Marshal(claims)
	var plain map[string]any
	return err == nil && json.Unmarshal(text, &plain) == nil && reflect.DeepEqual(plain, expected)
}
