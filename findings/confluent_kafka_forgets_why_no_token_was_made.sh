#!/usr/bin/env bash
# Expected: `oauth_cb` is the program's function that makes a token for OAUTHBEARER. When it raises, since the credentials
# are missing or the provider does not answer, that exception leaves the constructor of the client, or is the cause of the
# one that does; and at once, since no token can come any more.
#
# Seen instead: each constructor waits ten seconds, and then raises a KafkaException that knows only of a timeout. The
# program's own exception is nowhere in it, neither as cause nor as context.
#
# Output with confluent-kafka 2.16.1 (no broker is needed):
#   Producer: KafkaException "OAuth token not set within 10 seconds timeout", cause None, waited 10 s
#   AdminClient: KafkaException "OAuth token not set within 10 seconds timeout", cause None, waited 10 s
#   Consumer: KafkaException "OAuth token not set within 10 seconds timeout", cause None, waited 10 s
#
# Affected: whoever connects to Amazon MSK by IAM, or makes tokens otherwise: "there are no AWS credentials" becomes a
# timeout, as if the cluster were away.
# Workaround: make a first token before the client is created, where its failure can be seen; in the function itself catch
# what is expected, log it, and return the token before, which librdkafka refuses by itself once it has expired.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check confluent-kafka==2.16.1
cat > look.py <<'END'
import time
from confluent_kafka import Consumer, KafkaException, Producer
from confluent_kafka.admin import AdminClient


def make_token(_config):
    raise ValueError("the role has no credentials")


settings = {
    "bootstrap.servers": "127.0.0.1:1",
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "OAUTHBEARER",
    "oauth_cb": make_token,
    "log_level": 0,
}
seen = {}
for kind, more in ((Producer, {}), (AdminClient, {}), (Consumer, {"group.id": "g"})):
    begun = time.monotonic()
    try:
        kind({**settings, **more})
        seen[kind.__name__] = "made"
    except KafkaException as failure:
        text = failure.args[0].str()
        seen[kind.__name__] = f'KafkaException "{text}", cause {failure.__cause__ or failure.__context__}'
    seen[kind.__name__] += f", waited {time.monotonic() - begun:.0f} s"
for name, what in seen.items():
    print(f"{name}: {what}")
timed_out = 'KafkaException "OAuth token not set within 10 seconds timeout", cause None, waited 10 s'
assert seen == dict.fromkeys(("Producer", "AdminClient", "Consumer"), timed_out), seen
END
env/bin/python look.py
