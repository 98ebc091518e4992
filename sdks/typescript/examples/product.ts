/** A product that is licensed. Run: LICENSE_KEY=... node dist/examples/product.js keys.json */

import { readFileSync } from "node:fs";
import { Tenure } from "tenure-sdk";

async function main(): Promise<void> {
  // A product ships this text inside itself: whoever may replace it may sign licenses.
  const keys = readFileSync(process.argv[2] ?? "keys.json", "utf8");
  const tenure = await Tenure.fromEnv({ product: "incidentfox", keys });

  console.log(`licensed to ${tenure.license.customer.name}: ${tenure.state}`);
  for (const decision of [tenure.work("new"), tenure.feature("sso"), tenure.limit("teams", 4)]) {
    console.log(decision.status, decision.code, decision.message ?? "");
  }
  if (tenure.work("new").allowed) tenure.record("agent.run", { runs: "1" });
  await tenure.close();
}

main().catch((error) => {
  console.error(`not licensed (${error.code}): ${error.message}`);
  process.exitCode = 1;
});
