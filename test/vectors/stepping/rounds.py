"""Makes rounds.json anew: state roots of docs/stepping.md section 7, with nothing but Python's hashlib."""
import hashlib
import json
from pathlib import Path

PIECE = 65536


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def merkle(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, as it is written there."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0])
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1" + merkle(leaves[:k]) + merkle(leaves[k:]))


def content(start: int, length: int) -> bytes:
    """Byte i is (start + 7 i) mod 251; start 0 is all zeros."""
    return bytes((start + 7 * i) % 251 if start else 0 for i in range(length))


def case(name: str, files: dict[str, tuple[int, int]]) -> dict:
    leaves, pieces, seen, listed = [], [], {sha256(bytes(PIECE))}, []
    for path in sorted(files, key=lambda text: text.encode()):
        data = content(*files[path])
        digests = [sha256(data[at : at + PIECE]) for at in range(0, len(data), PIECE)]
        name_bytes = path.encode()
        head = b"\4" + len(name_bytes).to_bytes(4, "big") + name_bytes + len(data).to_bytes(8, "big")
        leaves.append(head + b"".join(digests))
        listed.append({"path": path, "start": files[path][0], "length": files[path][1]})
        for digest in digests:
            if digest not in seen:
                seen.add(digest)
                pieces.append(digest.hex())
    return {"case": name, "files": listed, "stateRoot": merkle(leaves).hex(), "pieces": pieces}


cases = [
    case("no file", {}),
    case("one empty file", {"/checkpoint/ROUND": (1, 0)}),
    case("one file", {"/checkpoint/ROUND": (49, 1)}),
    case(
        "pieces, the page of zeros, and one piece twice",
        {
            "/checkpoint/ROUND": (50, 1),
            "/checkpoint/a": (3, PIECE + 5),
            "/checkpoint/b": (3, PIECE),
            "/checkpoint/zeros": (0, 2 * PIECE + 1),
        },
    ),
    case(
        "paths in order of their bytes, not of UTF-16",
        {"/checkpoint/\U00010000": (1, 1), "/checkpoint/\ufffd": (2, 1), "/checkpoint/z/y": (3, 1), "/checkpoint/Z": (4, 1)},
    ),
]
target = Path(__file__).with_name("rounds.json")
target.write_text(json.dumps(cases, indent=2) + "\n")
