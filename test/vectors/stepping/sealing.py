"""Makes sealing.json anew: docs/stepping.md section 6.3 with Python's cryptography, which shares nothing with our code."""
import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def seal(key: bytes, info: bytes, plain: bytes) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=hashlib.sha256(plain).digest(), info=info).derive(key)
    return AESGCM(derived).encrypt(bytes(12), plain, None)


def count_up(length: int, start: int) -> bytes:
    return bytes((start + 7 * index) % 256 for index in range(length))


def case(name: str, kind: str, key: bytes, plain: bytes) -> dict:
    digest = hashlib.sha256(plain).digest()
    sealed = seal(key, f"fogproof/snapshot-{kind}@1".encode(), plain)
    if kind == "body":
        sealed = digest + sealed
    out = {"case": name, "kind": kind, "key": key.hex(), "digest": digest.hex(), "plainBytes": len(plain)}
    if len(plain) <= 256:
        out |= {"plain": plain.hex(), "sealed": sealed.hex()}
    else:
        # plain byte i is (start + 7 i) mod 256
        out |= {"start": plain[0], "sealedSha256": hashlib.sha256(sealed).hexdigest(), "tag": sealed[-16:].hex()}
    return out


keys = [count_up(32, 1), bytes(32), bytes([255]) * 32]
cases = [
    case("an empty piece", "piece", keys[0], b""),
    case("a short piece", "piece", keys[0], b"the last piece of an output"),
    case("a piece of no whole block", "piece", keys[1], count_up(100, 3)),
    case("a page", "piece", keys[0], count_up(65536, 5)),
    case("a page under a key of ones", "piece", keys[2], count_up(65536, 5)),
    case("a body", "body", keys[0], count_up(200, 9)),
    case("a large body", "body", keys[1], count_up(100_000, 200)),
]
Path(__file__).with_name("sealing.json").write_text(json.dumps({"cases": cases}, indent=2) + "\n")
