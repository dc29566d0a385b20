// The TypeScript SDKs' own readers of OAuth documents: takes [[kind, document], …] on standard input, prints [[kind, "1" | "2", problem], …].
import { readFileSync } from 'node:fs';
import * as first from '@modelcontextprotocol/sdk/shared/auth.js';
import * as second from '@modelcontextprotocol/core';

const schemas = {
  oauth: 'OAuthMetadataSchema',
  oidc: 'OpenIdProviderDiscoveryMetadataSchema',
  resource: 'OAuthProtectedResourceMetadataSchema',
  registration: 'OAuthClientInformationFullSchema',
  tokens: 'OAuthTokensSchema',
  error: 'OAuthErrorResponseSchema',
};
const problems = [];
for (const [kind, document] of JSON.parse(readFileSync(0, 'utf8'))) {
  for (const [line, sdk] of [['1', first], ['2', second]]) {
    const parsed = sdk[schemas[kind]].safeParse(document);
    if (!parsed.success) problems.push([kind, line, parsed.error.message]);
  }
}
process.stdout.write(JSON.stringify(problems));
