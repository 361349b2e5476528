"""docs/confidential.md written down a second time: every value of vectors.json follows from the ones it is made of.

  python3 test/vectors/confidential/check.py        (needs the package cryptography)
"""
import base64
import hashlib
import hmac
import json
import pathlib
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHUNK = 65536
V = json.loads(pathlib.Path(__file__).with_name("vectors.json").read_text())
KEY = bytes.fromhex(V["contentKey"])
checked = 0


def same(found, wanted, what):
    global checked
    checked += 1
    if found != wanted:
        raise SystemExit(f"{what}: {found!r}, but vectors.json has {wanted!r}")


def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).digest()


def sha(message):
    return hashlib.sha256(message).digest()


def extract(salt, ikm):
    return mac(salt or bytes(32), ikm)


def expand(prk, info, length):
    out, block, count = b"", b"", 1
    while len(out) < length:
        block = mac(prk, block + info + bytes([count]))
        out, count = out + block, count + 1
    return out[:length]


def hkdf(key, info):
    return expand(extract(b"", key), info, 32)


def cid(text):
    assert text[0] == "b"
    body = text[1:].upper()
    return base64.b32decode(body + "=" * (-len(body) % 8))


class Link(str):
    pass


def head(major, value):
    if value < 24:
        return bytes([major << 5 | value])
    for code, form in ((24, ">B"), (25, ">H"), (26, ">I"), (27, ">Q")):
        if value < 1 << 8 * struct.calcsize(form):
            return bytes([major << 5 | code]) + struct.pack(form, value)
    raise ValueError(value)


def cbor(value):
    """Canonical dag-cbor: shortest heads, keys by length and then by bytes, links as tag 42."""
    if isinstance(value, Link):
        data = b"\0" + cid(value)
        return head(6, 42) + head(2, len(data)) + data
    if isinstance(value, int):
        return head(0, value)
    if isinstance(value, bytes):
        return head(2, len(value)) + value
    if isinstance(value, str):
        data = value.encode()
        return head(3, len(data)) + data
    if isinstance(value, list):
        return head(4, len(value)) + b"".join(map(cbor, value))
    items = sorted(((key.encode(), item) for key, item in value.items()), key=lambda pair: (len(pair[0]), pair[0]))
    return head(5, len(items)) + b"".join(head(3, len(key)) + key + cbor(item) for key, item in items)


def stream(key, plain):
    """STREAM: chunks of 64 KiB, nonce = u88(i) || final flag."""
    count = max(1, -(-len(plain) // CHUNK))
    out = b""
    for i in range(count):
        nonce = i.to_bytes(11, "big") + bytes([i == count - 1])
        out += AESGCM(key).encrypt(nonce, plain[i * CHUNK : (i + 1) * CHUNK], None)
    return out


def plain_of(size):
    return bytes(i % 251 for i in range(size))


def same_sealed(sealed, case, what):
    if "sealed" in case:
        same(sealed.hex(), case["sealed"], what)
        return
    same(sha(sealed).hex(), case["sealedSha256"], what)
    same(sealed[-32:].hex(), case["sealedEnd"], what)


for case in V["inputs"]:
    plain, index = plain_of(case["sizeBytes"]), case["index"]
    key = hkdf(KEY, b"fogproof/sealed-input@1\0" + struct.pack(">I", index))
    same_sealed(stream(key, plain), case, f"input {index}")
    salt = bytes.fromhex(case["salt"])
    commitment = sha(b"fogproof/input-commitment@1\0" + salt + sha(plain))
    same(commitment.hex(), case["commitment"], f"commitment {index}")

for case in V["outputs"]:
    plain, path = plain_of(case["sizeBytes"]), case["path"].encode()
    subject = struct.pack(">I", len(path)) + path + sha(plain)
    synthetic = mac(hkdf(KEY, b"fogproof/output-mac@1"), subject)
    same(synthetic.hex(), case["synthetic"], f"synthetic of {case['path']}")
    key = hkdf(KEY, b"fogproof/sealed-output@1\0" + synthetic)
    same_sealed(synthetic + stream(key, plain), case, f"output {case['path']}")

for case in V["events"]:
    key = hkdf(KEY, b"fogproof/sealed-events@1\0" + cid(V["lease"]))
    sealed = AESGCM(key).encrypt(case["index"].to_bytes(12, "big"), cbor(case["event"]), None)
    same(sealed.hex(), case["sealed"], f"event {case['index']}")

metrics = V["metrics"]
keyed = mac(hkdf(KEY, b"fogproof/metrics@1"), bytes.fromhex(metrics["metricsHash"]))
same(keyed.hex(), metrics["keyed"], "metrics hash")

binding = V["binding"]
fields = dict(binding["fields"])
for name in ("nonce", "requesterKey", "encryptionKey", "signingKey"):
    fields[name] = bytes.fromhex(fields[name])
fields["job"], fields["lease"] = Link(fields["job"]), Link(fields["lease"])
runtime_data = cbor(fields)
same(runtime_data.hex(), binding["runtimeData"], "runtime data")
report_data = hashlib.sha512(b"fogproof/attest@1\0" + runtime_data).digest()
same(report_data.hex(), binding["reportData"], "report data")
same(sha(b"fogproof/attest-gpu@1\0" + report_data).hex(), binding["gpuNonce"], "nonce of the GPUs")


def hpke_seal(case, info, aad, plain):
    """RFC 9180, base mode: KEM 0x0020, KDF 0x0001, AEAD 0x0002."""
    raw = (Encoding.Raw, PublicFormat.Raw)
    ephemeral = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["ephemeralPrivateKey"]))
    recipient = X25519PrivateKey.from_private_bytes(bytes.fromhex(case["recipientPrivateKey"])).public_key()
    enc, public = ephemeral.public_key().public_bytes(*raw), recipient.public_bytes(*raw)
    same(public.hex(), case["encryptionKey"], "encryption key")
    kem, suite = b"KEM" + b"\0\x20", b"HPKE" + b"\0\x20" + b"\0\x01" + b"\0\x02"

    def labelled_extract(suite_id, salt, label, ikm):
        return extract(salt, b"HPKE-v1" + suite_id + label + ikm)

    def labelled_expand(suite_id, prk, label, about, length):
        return expand(prk, struct.pack(">H", length) + b"HPKE-v1" + suite_id + label + about, length)

    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    prk = labelled_extract(kem, b"", b"eae_prk", shared)
    secret = labelled_expand(kem, prk, b"shared_secret", enc + public, 32)
    context = b"\0" + labelled_extract(suite, b"", b"psk_id_hash", b"") + labelled_extract(suite, b"", b"info_hash", info)
    schedule = labelled_extract(suite, secret, b"secret", b"")
    key = labelled_expand(suite, schedule, b"key", context, 32)
    nonce = labelled_expand(suite, schedule, b"base_nonce", context, 12)
    return enc, AESGCM(key).encrypt(nonce, plain, aad)


case = V["release"]
secrets = cbor(
    {
        "type": "fogproof/released-secrets@1",
        "contentKey": KEY,
        "salts": [bytes.fromhex(salt) for salt in case["salts"]],
    }
)
info = b"fogproof/release@1\0" + sha(bytes.fromhex(case["evidence"]))
encapsulated, sealed = hpke_seal(case, info, cid(V["job"]), secrets)
same(encapsulated.hex(), case["encapsulatedKey"], "encapsulated key")
same(sealed.hex(), case["sealedSecrets"], "sealed secrets")

case = V["statement"]
content = cbor(
    {
        "job": Link(V["job"]),
        "lease": Link(V["lease"]),
        "nonce": bytes.fromhex(case["nonce"]),
        "inputs": sha(b"".join(bytes.fromhex(one) for one in case["commitments"])),
        "outputRoot": Link(case["outputRoot"]),
    }
)
same((b"fogproof/attested-result@1\0" + sha(content)).hex(), case["message"], "statement")

print(f"{checked} values agree")
