"""A vendor of the test's own: a fresh key, licenses signed with it, an agent and a server."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from tenure._text import to_base64url
from tenure.keys import thumbprint

VECTORS = json.loads(
    (Path(__file__).parents[3] / "crates/license/vectors/license.json").read_text("utf-8")
)
_KEY = rsa.generate_private_key(65537, 2048)
_N = to_base64url(_KEY.public_key().public_numbers().n.to_bytes(256, "big"))
KID = thumbprint(_N)
JWKS = json.dumps({"keys": [{"kty": "RSA", "alg": "RS256", "kid": KID, "n": _N, "e": "AQAB"}]})


def sign(kind, claims):
    header = {"alg": "RS256", "typ": f"tenure-{kind}+jwt", "kid": KID}
    message = ".".join(to_base64url(json.dumps(part).encode()) for part in (header, claims))
    signature = _KEY.sign(message.encode(), padding.PKCS1v15(), SHA256())
    return f"{message}.{to_base64url(signature)}"


def license(**changes):
    """The metered license of the vectors, in force for a year from yesterday."""
    yesterday = int(time.time()) - 86_400
    claims = dict(VECTORS["licenses"][1]["claims"], iat=yesterday, exp=yesterday + 366 * 86_400)
    return sign("license", {**claims, **changes})


def revocations(epoch, *withdrawn):
    claims = {
        "iss": "urn:tenure:product:incidentfox", "aud": "urn:tenure:revocations",
        "iat": int(time.time()), "product": "incidentfox", "epoch": epoch,
        "withdrawn": list(withdrawn),
    }
    return sign("revocations", claims)


def lease(exp, **changes):
    claims = {
        "iss": "urn:tenure:product:incidentfox", "aud": "urn:tenure:lease", "sub": "ten_01",
        "iat": exp - 86_400, "exp": exp, "jti": "lea_01", "product": "incidentfox",
        "license": "lic_" + "1".rjust(32, "0"), "revision": 3, "instance": "ins_" + "7".rjust(32, "0"),
        "key": "k", "epoch": 0, "heartbeat_seconds": 300,
    }
    return sign("lease", {**claims, **changes})


class Other:
    """An HTTP server that answers from a table and remembers what it was asked."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        other = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length", 0))
                body = json.loads(self.rfile.read(length) or "null")
                other.asked.append((self.path, self.headers.get("Authorization"), body))
                status, answer = other.answers.get(self.path, (404, {"detail": "no such path"}))
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
