#!/usr/bin/env bash
# Expected: put_object(IfNoneMatch="*") shows who came first. A 412 means that another writer's object was there before;
# a single writer never gets one. And the client's own retry is safe, because the request is the same.
#
# Seen instead: when the answer to a PUT is lost on its way, botocore sends the PUT again by itself. The first one has
# succeeded, so its own object is in the way: a single writer gets 412 PreconditionFailed for a write that succeeded.
# IfMatch (replace what I read) fails likewise: by then the object has the new ETag. In Python only RetryAttempts = 1 in
# the error shows it; the store's access log has two PUTs, 200 and 412.
#
# Output with boto3 1.44.5, botocore 1.44.8, the S3 of moto 5.2.5, and between them a relay that closes the connection
# once instead of passing on a 200 (in all three of botocore's retry modes, each with its default number of attempts),
# in short:
#   IfNoneMatch "*": PreconditionFailed, RetryAttempts 1; the object is there, with our bytes
#   IfMatch of the old ETag: PreconditionFailed, RetryAttempts 1; the object has our new bytes
#
# Affected: locks and leader elections on S3 (the winner believes that it lost, and none is at work), table formats that
# commit by a conditional PUT (the commit is reported as lost and repeated), and exactly-once writers.
# Workaround: after a 412 read the object and compare it with what was sent (without KMS its ETag is the MD5 of the
# bytes; a writer's id in the content or the metadata is safer), or set max_attempts to 1 and do the same by hand.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip -q --disable-pip-version-check install --no-compile \
    boto3==1.44.5 botocore==1.44.8 'moto[s3]==5.2.5' flask==3.1.3 flask-cors==6.0.5

timeout 200 venv/bin/python - <<'PYTHON'
import http.client
import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore
import moto
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

logging.getLogger("werkzeug").setLevel(logging.ERROR)
print(f"boto3 {boto3.__version__}, botocore {botocore.__version__}, moto {moto.__version__}")
store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
store.start()
lose_next_answer = threading.Event()
answers: list[int] = []


class Relay(BaseHTTPRequestHandler):
    """Hands requests on to the store and its answers back, but for one answer to a PUT."""

    protocol_version = "HTTP/1.1"

    def relay(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        to_store = http.client.HTTPConnection(*store.get_host_and_port())
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        to_store.request(self.command, self.path, body, headers)
        answer = to_store.getresponse()
        content = answer.read()
        to_store.close()
        if self.command == "PUT":
            answers.append(answer.status)
            if answer.status == 200 and lose_next_answer.is_set():
                lose_next_answer.clear()
                self.close_connection = True
                return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_HEAD = do_PUT = relay

    def log_message(self, *_: object) -> None:
        """Nothing: what counts is in `answers`."""


relay = ThreadingHTTPServer(("127.0.0.1", 0), Relay)
threading.Thread(target=relay.serve_forever, daemon=True).start()


def refused(s3, bucket: str, body: bytes, **condition: str) -> None:
    lose_next_answer.set()
    answers.clear()
    try:
        s3.put_object(Bucket=bucket, Key="lock", Body=body, **condition)
    except ClientError as error:
        code, retries = error.response["Error"]["Code"], error.response["ResponseMetadata"]["RetryAttempts"]
    else:
        raise AssertionError(f"{condition}: not refused")
    stands = s3.get_object(Bucket=bucket, Key="lock")["Body"].read()
    print(f"{bucket:8} {list(condition)[0]:11} {code}, RetryAttempts {retries}, store: {answers}, holds {stands}")
    assert (code, retries, answers, stands) == ("PreconditionFailed", 1, [200, 412], body)


for mode in ("legacy", "standard", "adaptive"):
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{relay.server_port}",
        region_name="us-east-1",
        aws_access_key_id="reader",
        aws_secret_access_key="local-only",
        config=Config(retries={"mode": mode}),
    )
    s3.create_bucket(Bucket=mode)
    refused(s3, mode, b"first", IfNoneMatch="*")
    refused(s3, mode, b"second", IfMatch=s3.head_object(Bucket=mode, Key="lock")["ETag"])
relay.shutdown()
store.stop()
PYTHON
