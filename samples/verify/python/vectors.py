"""Runs the vectors of test/vectors/verifier against verify.py: python vectors.py tokens.json"""

import json
import sys

import jwt

from verify import verify

# Bad vectors that pass, with the reason. None of them can be made without the key.
REPEATED = "json.loads takes a member given twice for its last value, wherever it is read"
BOM = "json.loads skips a byte order mark"
UNREAD = "a claim this program does not read: check its form where it is used"
LAXER = {
    f"{algorithm}-{case}": reason
    for algorithm in ("hs256", "es256")
    for case, reason in {
        "header-repeated-alg": REPEATED,
        "header-repeated-kid": REPEATED,
        "header-bom": BOM,
        "payload-bom": BOM,
        "payload-repeated-sub": REPEATED,
        "payload-repeated-exp": REPEATED,
        "payload-repeated-inside": REPEATED,
        "claim-profile-version": UNREAD,
        "claim-profile-level": UNREAD,
    }.items()
}


def main(path):
    with open(path, encoding="utf-8") as file:
        vectors = json.load(file)
    keys = {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(vectors["jwks"]).keys}

    def run(vector):
        setup = vectors["verifiers"][vector["verifier"]]
        (algorithm,) = setup["algorithms"]
        find_key = keys.get if "jwks" in setup else lambda kid: setup["secrets"][0].encode()
        return verify(
            vector["token"],
            find_key,
            algorithm=algorithm,
            issuer=vectors["issuer"],
            audience=setup["audience"],
            now=lambda: vectors["now"],
        )

    wrong, good, bad, taken = [], 0, 0, 0
    for vector in vectors["good"]:
        if vector["verifier"] not in ("hs256", "es256", "hs256-no-audience"):
            continue
        good += 1
        try:
            if run(vector) != vector["claims"]:
                wrong.append(f"{vector['id']}: other claims")
        except jwt.InvalidTokenError as error:
            wrong.append(f"{vector['id']}: refused: {error}")
    for vector in vectors["bad"]:
        if vector["verifier"] not in ("hs256", "es256", "hs256-no-audience"):
            continue
        bad += 1
        try:
            run(vector)
            accepted = True
        except jwt.InvalidTokenError:
            accepted = False
        taken += accepted
        if accepted != (vector["id"] in LAXER):
            wrong.append(f"{vector['id']}: {'accepted' if accepted else 'listed as laxer, and refused'}")
    for line in wrong:
        print(line)
    print(f"{good} good, {bad} bad, {taken} of them taken all the same, {len(wrong)} wrong")
    return 1 if wrong or good == 0 or bad == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
