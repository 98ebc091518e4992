"""A product over its life: offline, with an agent, with a server."""

import os
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import world
from tenure import State, Tenure, TenureError, TransportError, TrustSet
from tenure.client import StateFile
from tenure.sources import Agent, Server
from tenure.usage import QUEUE_MAX, Recorder

ROOT = Path(__file__).parents[1]
TRUST = TrustSet.from_jwks("incidentfox", world.JWKS)
KEY = world.VECTORS["license_keys"]["valid"][0]["text"]
MINE = "lic_" + "1".rjust(32, "0")


class Product(unittest.TestCase):
    def setUp(self):
        self.dir = Path(self.enterContextCompat(tempfile.TemporaryDirectory()))
        (self.dir / "keys.json").write_text(world.JWKS)
        (self.dir / "secret").write_text("s3cret\n")

    def enterContextCompat(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def other(self, answers):
        other = world.Other(answers)
        self.addCleanup(other.close)
        return other

    def product(self, **env):
        tenure = Tenure.from_env("incidentfox", world.JWKS, env)
        self.addCleanup(tenure.close)
        return tenure

    def agent(self, other):
        secret = str(self.dir / "secret")
        return self.product(TENURE_AGENT=other.address, TENURE_AGENT_SECRET_FILE=secret)

    def run_example(self, **env):
        path = os.pathsep.join(filter(None, (str(ROOT / "src"), os.environ.get("PYTHONPATH"))))
        command = [sys.executable, str(ROOT / "examples/product.py"), str(self.dir / "keys.json")]
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": path, **env}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)

    def test_the_example_runs_offline(self):
        ran = self.run_example(LICENSE_KEY=world.license())
        self.assertEqual(ran.stderr, "")
        lines = ran.stdout.splitlines()
        self.assertEqual(lines[0], "licensed to Acme Corp: active")
        self.assertEqual(lines[2][:20], "403 feature_missing ")
        self.assertEqual(lines[3], "200 limit_near Team limit: 5/5 (80% reached).")

    def test_the_example_refuses_to_start_without_a_genuine_license(self):
        ran = self.run_example(LICENSE_KEY=world.license() + "A")
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        self.assertIn("token_", ran.stderr)

    def test_the_example_runs_with_an_agent_and_sends_usage(self):
        other = self.other({"/v1/license": (200, {"license": world.license()}), "/v1/usage": (202, {})})
        secret = str(self.dir / "secret")
        ran = self.run_example(TENURE_AGENT=other.address, TENURE_AGENT_SECRET_FILE=secret)
        self.assertEqual(ran.stderr, "")
        path, bearer, events = other.asked[-1]
        self.assertEqual((path, bearer), ("/v1/usage", "Bearer s3cret"))
        self.assertEqual([(e["type"], e["data"]) for e in events], [("agent.run", {"runs": "1"})])

    def test_a_quota_is_used_and_recorded_in_one_call(self):
        path = "/v1/quota/agent_runs/consume"
        granted = {"allowed": True, "status": 200, "code": "ok", "message": None, "banner": False}
        other = self.other({"/v1/license": (200, {"license": world.license()}), path: (200, granted)})
        tenure = self.agent(other)
        used = tenure.consume("agent_runs", "agent.run", {"runs": "1"}, id="run-17")
        self.assertEqual((used.allowed, used.code), (True, "ok"))
        asked, bearer, body = other.asked[-1]
        self.assertEqual((asked, bearer), (path, "Bearer s3cret"))
        self.assertEqual(body["quantity"], "1")
        self.assertEqual((body["event"]["id"], body["event"]["type"]), ("run-17", "agent.run"))
        words = "Monthly quota exceeded: 3/3."
        refused = {"allowed": False, "status": 402, "code": "quota_exceeded", "message": words}
        other.answers[path] = (200, refused)
        used = tenure.consume("agent_runs", "agent.run", quantity="0.5")
        self.assertEqual((used.allowed, used.status, used.message), (False, 402, words))
        offline = self.product(LICENSE_KEY=world.license())
        with self.assertRaises(TenureError) as refused:
            offline.consume("agent_runs", "agent.run")
        self.assertEqual(refused.exception.code, "agent_missing")

    def test_a_license_may_lie_in_a_file(self):
        lines = world.license()
        body = "\n".join(lines[i:i + 64] for i in range(0, len(lines), 64))
        path = self.dir / "product.lic"
        path.write_text(f"-----BEGIN TENURE LICENSE-----\n{body}\n-----END TENURE LICENSE-----\n")
        self.assertEqual(self.product(LICENSE_KEY=str(path)).state, State.ACTIVE)
        self.assertEqual(self.product(LICENSE_KEY=path.read_text()).state, State.ACTIVE)

    def test_an_agent_that_makes_things_up_is_not_believed(self):
        other = self.other({"/v1/license": (200, {"license": "a.b.c", "state": "active"})})
        with self.assertRaises(TenureError):
            self.agent(other)

    def test_a_signed_list_ends_a_license_and_an_older_list_does_not_bring_it_back(self):
        revoked = {"license": MINE, "at": 1}
        other = self.other({"/v1/license": (200, {"license": world.license()})})
        tenure = self.agent(other)
        self.assertTrue(tenure.work().allowed)
        for epoch, withdrawn in ((2, [revoked]), (1, [])):
            answer = {"license": world.license(), "revocations": world.revocations(epoch, *withdrawn)}
            other.answers["/v1/license"] = (200, answer)
            tenure.refresh()
            self.assertEqual(tenure.verdict().reason, "revoked")
        self.assertEqual(tenure.feature("github").status, 402)

    def test_an_agent_that_is_gone_changes_nothing(self):
        other = self.other({"/v1/license": (200, {"license": world.license()})})
        tenure = self.agent(other)
        other.answers.clear()
        with self.assertRaises(TransportError):
            tenure.refresh()
        self.assertEqual(tenure.state, State.ACTIVE)

    def test_contact_is_followed_through_leases_of_this_license_alone(self):
        now = int(time.time())
        license = world.license(phoneHomeRequired=True, offlineGracePeriod=1)
        past, mine = now - 2 * 86_400, {"license": license}
        other = self.other({"/v1/license": (200, {**mine, "lease": world.lease(past)})})
        tenure = self.agent(other)
        self.assertEqual(tenure.verdict().reason, "phone_home_overdue")
        foreign = world.lease(now + 86_400, license="lic_" + "2".rjust(32, "0"))
        other.answers["/v1/license"] = (200, {**mine, "lease": foreign})
        tenure.refresh()
        self.assertEqual(tenure.verdict().reason, "phone_home_overdue")
        other.answers["/v1/license"] = (200, {**mine, "lease": world.lease(now + 86_400)})
        tenure.refresh()
        self.assertEqual(tenure.verdict().reason, "valid")

    def test_an_older_revision_never_replaces_a_newer_one(self):
        other = self.other({"/v1/license": (200, {"license": world.license(revision=4)})})
        tenure = self.agent(other)
        other.answers["/v1/license"] = (200, {"license": world.license(revision=3, supersedes=None)})
        with self.assertRaises(TenureError):
            tenure.refresh()
        self.assertEqual(tenure.license.revision, 4)

    def test_a_short_key_is_exchanged_and_the_license_outlives_the_server(self):
        other = self.other({"/api/v1/activate": (200, {"license_token": world.license()})})
        state = str(self.dir / "state.json")
        env = {"LICENSE_KEY": KEY.lower(), "TENURE_SERVER": other.address, "TENURE_STATE_FILE": state}
        self.product(**env)
        self.assertEqual(other.asked[0][2]["license_key"], KEY)
        other.answers.clear()
        self.assertEqual(self.product(**env).state, State.ACTIVE)

    def test_the_server_may_take_a_license_back_at_once(self):
        answers = {
            "/api/v1/activate": (200, {"license_token": world.license()}),
            "/api/v1/validate": (200, {"valid": False, "reason": "revoked", "revision": 3}),
        }
        tenure = self.product(LICENSE_KEY=KEY, TENURE_SERVER=self.other(answers).address)
        tenure.refresh()
        self.assertEqual(tenure.verdict().reason, "revoked")

    def test_a_clock_set_back_gains_nothing_also_after_a_restart(self):
        clock = [time.time()]
        state = StateFile(str(self.dir / "state.json"))
        license = world.license()
        make = lambda: Tenure(TRUST, license, state_file=state, clock=lambda: clock[0])
        tenure = make()
        clock[0] += 700 * 86_400
        self.assertEqual(tenure.state, State.TERMINATED)
        clock[0] -= 700 * 86_400
        self.assertEqual(tenure.state, State.TERMINATED)
        self.assertTrue(tenure.verdict().clock_suspect)
        self.assertEqual(make().state, State.TERMINATED)

    def test_usage_keeps_its_ids_until_it_is_taken(self):
        sent, fail = [], [True]

        def send(events):
            sent.append([event["id"] for event in events])
            if fail[0]:
                raise TransportError("gone")
            return {"results": [{"id": sent[-1][0], "outcome": "rejected", "reason": "too_old"}]}

        recorder = Recorder(send, "/test")
        ids = [recorder.record("agent.run", {"runs": n}) for n in range(3)]
        self.assertFalse(recorder.flush())
        self.assertFalse(recorder.flush(patient=True), "too early to try again")
        fail[0] = False
        self.assertTrue(recorder.flush())
        self.assertEqual(sent, [ids, ids])
        self.assertEqual((recorder.waiting, recorder.refused), (0, 1))

    def test_the_queue_is_bounded(self):
        recorder = Recorder(lambda events: {}, "/test")
        for _ in range(QUEUE_MAX):
            recorder.record("agent.run")
        self.assertIsNone(recorder.record("agent.run"))
        self.assertEqual(recorder.refused, 1)

    def test_published_test_keys_are_refused(self):
        import json

        with self.assertRaises(TenureError) as refused:
            TrustSet.from_jwks("incidentfox", json.dumps(world.VECTORS["jwks"]))
        self.assertEqual(refused.exception.code, "keys_test_key")

    def test_agent_and_server_are_told_apart_by_what_they_follow(self):
        self.assertTrue(Agent.follows_contact)
        self.assertFalse(Server.follows_contact)


if __name__ == "__main__":
    unittest.main()
