"""The golden vectors that every language's SDK must agree with."""

import json
import unittest
from datetime import datetime, timezone
from pathlib import Path

import tenure
from tenure import Facts, TenureError, enforcement, evaluate, quantity

PATH = Path(__file__).parents[3] / "crates/license/vectors/license.json"
VECTORS = json.loads(PATH.read_text("utf-8"))
PRODUCT = VECTORS["product"]
TRUST = tenure.TrustSet.from_jwks(PRODUCT, json.dumps(VECTORS["jwks"]), allow_test_keys=True)
LICENSES = {case["name"]: tenure.verify_license(case["token"], TRUST) for case in VECTORS["licenses"]}


def seconds(text):
    return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp())


def moment(at):
    return None if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def reads(license):
    table, customer = license.enforcement, license.customer
    limits = {
        name: {
            "max": None if limit.maximum is None else quantity.show(limit.maximum),
            "per": limit.per, "over": limit.over, "unit": limit.unit, "warn_at": list(limit.warn_at),
        }
        for name, limit in license.limits.items()
    }
    return {
        "license": license.id, "revision": license.revision, "product": license.product,
        "customer": {"id": customer.id, "name": customer.name, "domain": customer.domain},
        "edition": license.edition, "model": license.model, "mode": license.mode,
        "tier": license.tier, "seats": license.seats, "features": list(license.features),
        "limits": limits, "values": license.values, "starts": license.starts,
        "expires": license.expires, "update_until": license.update_until,
        "offline_grace_days": license.offline_grace_days,
        "phone_home_required": license.phone_home_required,
        "enforcement": {
            "expiring": table.expiring, "grace": table.grace, "restricted": table.restricted,
            "terminated": table.terminated, "missing": table.missing,
        },
        "sales_contact": license.sales_contact,
    }


class Vectors(unittest.TestCase):
    case = "format"

    def each(self, cases):
        for case in cases:
            self.case = case.get("name", case.get("text"))
            yield case, case.get("token", case.get("text", "")) * case.get("times", 1)

    def _formatMessage(self, msg, standard):
        return f"{self.case}: {standard}"

    def refuses(self, case, read, *arguments):
        with self.assertRaises(TenureError) as refused:
            read(*arguments)
        self.assertEqual(refused.exception.code, case["error"])

    def test_the_format_is_the_one_that_this_test_knows(self):
        self.assertEqual(VECTORS["version"], 2)

    def test_every_genuine_license_is_read_alike(self):
        for case, _ in self.each(VECTORS["licenses"]):
            self.assertEqual(reads(LICENSES[case["name"]]), case["reads"])

    def test_every_attack_is_refused_for_its_reason(self):
        for case, token in self.each(VECTORS["refused"]):
            self.refuses(case, tenure.verify_license, token, TRUST)

    def test_revocation_lists(self):
        for case, token in self.each(VECTORS["revocation_lists"]):
            if "error" in case:
                self.refuses(case, tenure.verify_revocations, token, TRUST)
                continue
            found = tenure.verify_revocations(token, TRUST)
            of = found.of(LICENSES["standard"])
            self.assertEqual((found.epoch, found.issued), (case["epoch"], case["iat"]))
            self.assertEqual(of and {of[0]: moment(of[1])}, case["of"])

    def test_leases(self):
        for case, token in self.each(VECTORS["leases"]):
            if "error" in case:
                self.refuses(case, tenure.verify_lease, token, TRUST)
                continue
            lease = tenure.verify_lease(token, TRUST)
            renews = [name for name in ("standard", "bound") if lease.renews(LICENSES[name])]
            self.assertEqual((lease.issued, lease.expires), (case["iat"], case["exp"]))
            self.assertEqual(renews, case["renews"])

    def test_verdicts(self):
        lists = {case["name"]: case for case in VECTORS["revocation_lists"]}
        for case, _ in self.each(VECTORS["verdicts"]):
            license = LICENSES[case["license"]]
            revocation = None
            if "revocations" in case:
                found = tenure.verify_revocations(lists[case["revocations"]]["token"], TRUST)
                revocation = found.of(license)
            contact = case.get("lease_until", case.get("held_since"))
            floor = seconds(case["floor"]) if "floor" in case else None
            facts = Facts(floor, revocation, contact and seconds(contact))
            verdict = evaluate(license, seconds(case["now"]), facts)
            found = {
                "state": verdict.state.word, "reason": verdict.reason, "notice": verdict.notice,
                "until": moment(verdict.until), "as_of": moment(verdict.as_of),
                "clock_suspect": verdict.clock_suspect,
            }
            self.assertEqual(found, case["verdict"])

    def test_decisions(self):
        for case, _ in self.each(VECTORS["decisions"]):
            license, ask = LICENSES[case["license"]], case["ask"]
            verdict = evaluate(license, seconds(case["now"]))
            if "feature" in ask:
                decision = enforcement.feature(license, verdict, ask["feature"])
            elif "limit" in ask:
                arguments = ask["limit"], ask["used"], ask["more"]
                decision = enforcement.limit(license, verdict, *arguments)
            else:
                decision = enforcement.work(license, verdict, ask["work"])
            self.assertEqual(vars(decision), case["decision"])

    def test_key_sets(self):
        for case, _ in self.each(VECTORS["key_sets"]):
            read = lambda: tenure.TrustSet.from_jwks(
                PRODUCT, case["jwks"], allow_test_keys=case["test"]
            )
            if "error" in case:
                self.refuses(case, read)
            else:
                self.assertEqual(read().kids, case["kids"])

    def test_license_keys(self):
        for case, text in self.each(VECTORS["license_keys"]["valid"]):
            key = tenure.LicenseKey.parse(text)
            self.assertEqual((key.text, key.hint), (case["exposed"], case["hint"]))
        for case, text in self.each(VECTORS["license_keys"]["refused"]):
            self.refuses(case, tenure.LicenseKey.parse, text)

    def test_files(self):
        tokens = {case["name"]: case["token"] for case in VECTORS["licenses"]}
        for case, text in self.each(VECTORS["files"]):
            if "error" in case:
                self.refuses(case, tenure.read_file, text)
            else:
                self.assertEqual(tenure.read_file(text), tokens[case["license"]])

    def test_presented_values(self):
        for case, _ in self.each(VECTORS["presented"]):
            if "error" in case:
                self.refuses(case, tenure.read_presented, case["text"])
            elif "key" in case:
                self.assertEqual(tenure.read_presented(case["text"]).text, case["key"])
            else:
                self.assertEqual(tenure.read_presented(case["text"]), case["token"])


if __name__ == "__main__":
    unittest.main()
