/** A product over its life: offline, with an agent, with a server. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { Tenure, TenureError, TransportError } from "../src";
import { QUEUE_MAX, Recorder } from "../src/usage";
import { KEYS, LICENSE_ID, Other, VECTORS, lease, license, now, revocations } from "./world";

const KEY: string = VECTORS.license_keys.valid[0].text;
const DAY = 86_400;

function directory(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "tenure-"));
  t.after(() => rmSync(path, { recursive: true }));
  writeFileSync(join(path, "keys.json"), KEYS);
  writeFileSync(join(path, "secret"), "s3cret\n");
  return path;
}

async function other(t: TestContext, answers: Record<string, [number, object]>): Promise<Other> {
  const other = await Other.start(answers);
  t.after(() => other.close());
  return other;
}

async function product(t: TestContext, env: Record<string, string>, clock?: () => number): Promise<Tenure> {
  const options = { product: "incidentfox", keys: KEYS, env, log: () => {} };
  const tenure = await Tenure.fromEnv(clock ? { ...options, clock } : options);
  t.after(() => tenure.close());
  return tenure;
}

function agentEnv(other: Other, dir: string): Record<string, string> {
  return { TENURE_AGENT: other.address, TENURE_AGENT_SECRET_FILE: join(dir, "secret") };
}

function refusedAs(code: string | RegExp) {
  return (error: Error) => {
    assert.match((error as TenureError).code, new RegExp(code));
    return true;
  };
}

interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

function runExample(dir: string, env: Record<string, string>): Promise<Ran> {
  const command = [join(__dirname, "../examples/product.js"), join(dir, "keys.json")];
  return new Promise((done) => {
    execFile(process.execPath, command, { env }, (error, stdout, stderr) =>
      done({ status: error ? Number(error.code) : 0, stdout, stderr }));
  });
}

test("the example runs offline", async (t) => {
  const ran = await runExample(directory(t), { LICENSE_KEY: license() });
  assert.equal(ran.stderr, "");
  const lines = ran.stdout.split("\n");
  assert.equal(lines[0], "licensed to Acme Corp: active");
  assert.match(lines[2] ?? "", /^403 feature_missing /);
  assert.equal(lines[3], "200 limit_near Team limit: 5/5 (80% reached).");
});

test("the example refuses to start without a genuine license", async (t) => {
  const ran = await runExample(directory(t), { LICENSE_KEY: `${license()}A` });
  assert.deepEqual([ran.status, ran.stdout], [1, ""]);
  assert.match(ran.stderr, /token_/);
});

test("the example runs with an agent and sends usage", async (t) => {
  const dir = directory(t);
  const agent = await other(t, { "/v1/license": [200, { license: license() }], "/v1/usage": [202, {}] });
  const ran = await runExample(dir, agentEnv(agent, dir));
  assert.equal(ran.stderr, "");
  const { path, bearer, body } = agent.asked[agent.asked.length - 1] ?? {};
  assert.deepEqual([path, bearer], ["/v1/usage", "Bearer s3cret"]);
  assert.deepEqual([body.length, body[0].type, body[0].data], [1, "agent.run", { runs: "1" }]);
});

test("a license may lie in a file", async (t) => {
  const path = join(directory(t), "product.lic");
  const body = license().replace(/.{64}/g, "$&\n").trimEnd();
  const text = `-----BEGIN TENURE LICENSE-----\n${body}\n-----END TENURE LICENSE-----\n`;
  writeFileSync(path, text);
  for (const presented of [path, text]) {
    assert.equal((await product(t, { LICENSE_KEY: presented })).state, "active");
  }
});

test("without a license there is no start", async (t) => {
  await assert.rejects(product(t, {}), refusedAs("license_missing"));
  await assert.rejects(product(t, { LICENSE_KEY: KEY }), refusedAs("license_key_needs_server"));
});

test("an agent is believed by its tokens alone", async (t) => {
  const agent = await other(t, { "/v1/license": [200, { license: "a.b.c", state: "active" }] });
  await assert.rejects(product(t, agentEnv(agent, directory(t))), refusedAs("^token_"));
});

test("a signed list ends a license and an older list does not bring it back", async (t) => {
  const agent = await other(t, { "/v1/license": [200, { license: license() }] });
  const tenure = await product(t, agentEnv(agent, directory(t)));
  assert.ok(tenure.work().allowed);
  for (const list of [revocations(2, [{ license: LICENSE_ID, at: 1 }]), revocations(1, [])]) {
    agent.answers["/v1/license"] = [200, { license: license(), revocations: list }];
    await tenure.refresh();
    assert.equal(tenure.verdict().reason, "revoked");
  }
  assert.equal(tenure.feature("github").status, 402);
});

test("an agent that is gone changes nothing, and an older revision neither", async (t) => {
  const agent = await other(t, { "/v1/license": [200, { license: license({ revision: 4 }) }] });
  const tenure = await product(t, agentEnv(agent, directory(t)));
  delete agent.answers["/v1/license"];
  await assert.rejects(tenure.refresh(), refusedAs("refused"));
  agent.answers["/v1/license"] = [200, { license: license() }];
  await assert.rejects(tenure.refresh(), refusedAs("license_older"));
  assert.deepEqual([tenure.state, tenure.license.revision], ["active", 4]);
});

test("contact is followed through leases of this license alone", async (t) => {
  const token = license({ phoneHomeRequired: true, offlineGracePeriod: 1 });
  const answer = (lease: string): [number, object] => [200, { license: token, lease }];
  const agent = await other(t, { "/v1/license": answer(lease(now() - 2 * DAY)) });
  const tenure = await product(t, agentEnv(agent, directory(t)));
  assert.equal(tenure.verdict().reason, "phone_home_overdue");
  agent.answers["/v1/license"] = answer(lease(now() + DAY, `lic_${"2".padStart(32, "0")}`));
  await tenure.refresh();
  assert.equal(tenure.verdict().reason, "phone_home_overdue");
  agent.answers["/v1/license"] = answer(lease(now() + DAY));
  await tenure.refresh();
  assert.equal(tenure.verdict().reason, "valid");
});

test("a short key is exchanged and the license outlives the server", async (t) => {
  const server = await other(t, { "/api/v1/activate": [200, { license_token: license() }] });
  const state = join(directory(t), "state.json");
  const env = { LICENSE_KEY: KEY.toLowerCase(), TENURE_SERVER: server.address, TENURE_STATE_FILE: state };
  const tenure = await product(t, env);
  assert.equal(server.asked[0]?.body.license_key, KEY);
  server.answers["/api/v1/validate"] = [200, { valid: false, reason: "revoked", revision: 3 }];
  await tenure.refresh();
  assert.equal(tenure.verdict().reason, "revoked");
  delete server.answers["/api/v1/activate"];
  assert.equal((await product(t, env)).state, "active");
});

test("a clock set back gains nothing, also after a restart", async (t) => {
  let at = Date.now();
  const env = { LICENSE_KEY: license(), TENURE_STATE_FILE: join(directory(t), "state.json") };
  const tenure = await product(t, env, () => at);
  at += 700 * DAY * 1000;
  assert.equal(tenure.state, "terminated");
  at -= 700 * DAY * 1000;
  assert.equal(tenure.state, "terminated");
  assert.ok(tenure.verdict().clockSuspect);
  assert.equal((await product(t, env, () => at)).state, "terminated");
});

test("a quota is used and recorded in one call", async (t) => {
  const path = "/v1/quota/agent_runs/consume";
  const granted = { allowed: true, status: 200, code: "ok", message: null, banner: false };
  const agent = await other(t, { "/v1/license": [200, { license: license() }], [path]: [200, granted] });
  const tenure = await product(t, agentEnv(agent, directory(t)));
  const used = await tenure.consume("agent_runs", "agent.run", { runs: "1" }, { id: "run-17" });
  assert.deepEqual([used.allowed, used.code], [true, "ok"]);
  const asked = agent.asked.at(-1)!;
  assert.deepEqual([asked.path, asked.body.quantity], [path, "1"]);
  assert.deepEqual([asked.body.event.id, asked.body.event.type], ["run-17", "agent.run"]);
  const message = "Monthly quota exceeded: 3/3.";
  agent.answers[path] = [200, { allowed: false, status: 402, code: "quota_exceeded", message, banner: false }];
  const over = await tenure.consume("agent_runs", "agent.run", undefined, { quantity: "0.5" });
  assert.deepEqual([over.allowed, over.status, over.message], [false, 402, message]);
  const alone = await product(t, { LICENSE_KEY: license() });
  await assert.rejects(alone.consume("agent_runs", "agent.run"), refusedAs("agent_missing"));
});

test("usage keeps its ids until it is taken", async () => {
  const sent: string[][] = [];
  let fail = true;
  const recorder = new Recorder(async (events) => {
    sent.push(events.map((event) => event.id));
    if (fail) throw new TransportError("gone");
    return { results: [{ outcome: "rejected", reason: "too_old" }] };
  }, "/test", () => {});
  const ids = [0, 1, 2].map((runs) => recorder.record("agent.run", { runs }) ?? "");
  assert.equal(await recorder.flush(), false);
  assert.equal(await recorder.flush({ patient: true }), false, "too early to try again");
  fail = false;
  assert.deepEqual(await Promise.all([recorder.flush(), recorder.flush()]), [true, true]);
  assert.deepEqual(sent, [ids, ids]);
  assert.deepEqual([recorder.waiting, recorder.refused], [0, 1]);
});

test("the queue is bounded", () => {
  const recorder = new Recorder(async () => ({}), "/test", () => {});
  for (let n = 0; n < QUEUE_MAX; n++) recorder.record("agent.run");
  assert.equal(recorder.record("agent.run"), null);
  assert.equal(recorder.refused, 1);
});
