// The official TypeScript client as a program: connect.mjs URL MODE
// Prints one JSON object a line. On {"authorize": url} it waits on standard input for the address that the browser ended at.
import { createInterface } from 'node:readline/promises';
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';

const [url, mode] = process.argv.slice(2);
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');
const input = createInterface({ input: process.stdin });

const kept = {};
const provider = {
  get redirectUrl() { return 'http://127.0.0.1:33419/callback'; },
  get clientMetadata() {
    return { client_name: 'TypeScript SDK', redirect_uris: [this.redirectUrl], grant_types: ['authorization_code', 'refresh_token'] };
  },
  state() { return 'typescript-state'; },
  clientInformation() { return kept.client; },
  saveClientInformation(client) { kept.client = client; },
  tokens() { return kept.tokens; },
  saveTokens(tokens) { kept.tokens = tokens; },
  saveDiscoveryState(discovery) { kept.discovery = discovery; },
  discoveryState() { return kept.discovery; },
  redirectToAuthorization(address) { say({ authorize: address.href }); },
  saveCodeVerifier(verifier) { kept.verifier = verifier; },
  codeVerifier() { return kept.verifier; },
};

async function connect() {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  const client = new Client({ name: 'typescript', version: '1' }, { versionNegotiation: { mode } });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const returned = await input[Symbol.asyncIterator]().next();
    await transport.finishAuth(new URL(returned.value).searchParams);
    return connect();
  }
  return client;
}

const client = await connect();
const tools = await client.listTools();
const progress = [];
const slow = await client.callTool(
  { name: 'slow', arguments: { steps: 2 } },
  { onprogress: (step) => progress.push(step.progress) },
);
say({
  version: client.getNegotiatedProtocolVersion(),
  tools: tools.tools.map((tool) => tool.name),
  slow: slow.content[0].text,
  progress,
  scope: kept.tokens.scope,
});
await client.close();
input.close();
