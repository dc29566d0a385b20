// The official TypeScript client of the 1.x line as a program: connect-v1.mjs URL METHOD (how it registers to authenticate; "" says nothing).
// Prints one JSON object a line. On {"authorize": url} it waits on standard input for the address that the browser ended at.
import { createInterface } from 'node:readline/promises';
import { UnauthorizedError, refreshAuthorization } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

const [url, method] = process.argv.slice(2);
const say = (value) => process.stdout.write(JSON.stringify(value) + '\n');
const input = createInterface({ input: process.stdin });

const kept = {};
const provider = {
  get redirectUrl() { return 'http://127.0.0.1:33420/callback'; },
  get clientMetadata() {
    return {
      client_name: 'TypeScript SDK 1',
      redirect_uris: [this.redirectUrl],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...(method ? { token_endpoint_auth_method: method } : {}),
    };
  },
  clientInformation() { return kept.client; },
  saveClientInformation(client) { kept.client = client; },
  tokens() { return kept.tokens; },
  saveTokens(tokens) { kept.tokens = tokens; },
  saveDiscoveryState(discovery) { kept.discovery = discovery; },
  redirectToAuthorization(address) { say({ authorize: address.href }); },
  saveCodeVerifier(verifier) { kept.verifier = verifier; },
  codeVerifier() { return kept.verifier; },
};

async function connect() {
  const transport = new StreamableHTTPClientTransport(new URL(url), { authProvider: provider });
  const client = new Client({ name: 'typescript', version: '1' });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const returned = await input[Symbol.asyncIterator]().next();
    await transport.finishAuth(new URL(returned.value).searchParams.get('code'));
    return connect();
  }
  return client;
}

let client = await connect();
const tools = await client.listTools();
await client.close();

const { authorizationServerUrl, authorizationServerMetadata, resourceMetadata } = kept.discovery;
const before = kept.tokens;
kept.tokens = await refreshAuthorization(authorizationServerUrl, {
  metadata: authorizationServerMetadata,
  clientInformation: kept.client,
  refreshToken: before.refresh_token,
  resource: resourceMetadata.resource,
});
client = await connect();
const echo = await client.callTool({ name: 'echo', arguments: { text: 'hello' } });
await client.close();
say({
  tools: tools.tools.map((tool) => tool.name),
  echo: echo.content[0].text,
  rotated: kept.tokens.refresh_token !== before.refresh_token,
  method: kept.client.token_endpoint_auth_method,
});
input.close();
