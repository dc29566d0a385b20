// The WorkOS emulator as a program: `node emulate.mjs PORT SEED.json`. Its own command line would need every optional package of `workos`.
import { readFileSync } from "node:fs";
import { createEmulator } from "workos/emulate";

const [port, seed] = process.argv.slice(2);
const emulator = await createEmulator({ port: Number(port), seed: JSON.parse(readFileSync(seed, "utf8")) });
console.log(`The WorkOS emulator is at ${emulator.url}`);
