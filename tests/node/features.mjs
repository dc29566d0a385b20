// Every feature of MCP with the official TypeScript clients: features.mjs URL MODE, with an access token in TOKEN.
// MODE is `auto` or `legacy` for the 2.x line, `1` for the 1.x line. Prints what it was told and answered as one JSON object.
const [url, mode] = process.argv.slice(2);
const first = mode === '1';
const { Client } = await import(first ? '@modelcontextprotocol/sdk/client/index.js' : '@modelcontextprotocol/client');
const { StreamableHTTPClientTransport } = await import(
  first ? '@modelcontextprotocol/sdk/client/streamableHttp.js' : '@modelcontextprotocol/client'
);
const NOTE = 'note://today';
const heard = [];
const asked = [];
const resumed = [];
let wake = () => {};
const until = async (condition) => {
  while (!condition()) await new Promise((resolve) => { wake = resolve; });
};
const hear = (what) => { heard.push(what); wake(); };
let listening = false;

const answers = {
  'elicitation/create': ({ params }) => (asked.push(params.message), { action: 'accept', content: { colour: 'green' } }),
  'sampling/createMessage': ({ params }) => (
    asked.push([params.messages].flat()[0].content.text),
    { role: 'assistant', model: 'a-model', content: { type: 'text', text: 'gateway' } }
  ),
  'roots/list': () => (asked.push('roots'), { roots: [{ uri: 'file:///home/alice', name: 'home' }] }),
};
const client = new Client(
  { name: 'typescript', version: '1' },
  { capabilities: { elicitation: {}, sampling: {}, roots: {} }, ...(first ? {} : { versionNegotiation: { mode } }) },
);
if (first) client.fallbackRequestHandler = async (request) => answers[request.method](request);
else for (const method of Object.keys(answers)) client.setRequestHandler(method, async (request) => answers[method](request));
client.fallbackNotificationHandler = async ({ method, params }) => hear(params?.uri ?? params?.data ?? method);

const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { Authorization: `Bearer ${process.env.TOKEN}` } },
  fetch: async (address, options) => {
    const answer = await fetch(address, options);
    const cameBack = new Headers(options?.headers).get('last-event-id');
    if (options?.method === 'GET' && answer.ok) {
      if (cameBack) resumed.push(cameBack);
      listening = true;
      wake();
    }
    return answer;
  },
});
const call = async (name, given = {}, options = {}, meta = undefined) => {
  const params = { name, arguments: given, ...(meta ? { _meta: meta } : {}) };
  return first ? client.callTool(params, undefined, options) : client.callTool(params, options);
};
const text = async (...given) => (await call(...given)).content[0].text;
const changed = async (...names) => { for (const what of names) await text('change', { what }); };

await client.connect(transport);
const version = first ? transport.protocolVersion : client.getNegotiatedProtocolVersion();
const modern = version === '2026-07-28';
if (!modern) await until(() => listening);
const said = { version };

const { tools, nextCursor } = await client.listTools();
said.tools = [...tools, ...(nextCursor ? (await client.listTools({ cursor: nextCursor })).tools : [])].map((tool) => tool.name);
said.echo = (await call('echo', { text: 'çà et là' })).structuredContent;
said.failed = (await call('fail')).isError;
said.prompts = (await client.listPrompts()).prompts.map((prompt) => prompt.name);
said.prompt = (await client.getPrompt({ name: 'greet', arguments: { whom: 'bob' } })).messages[0].content.text;
said.resources = (await client.listResources()).resources.map((resource) => resource.uri);
said.templates = (await client.listResourceTemplates()).resourceTemplates.map((template) => template.uriTemplate);
said.resource = (await client.readResource({ uri: 'note://été' })).contents[0].text;
said.completion = (
  await client.complete({ ref: { type: 'ref/prompt', name: 'greet' }, argument: { name: 'whom', value: 'al' } })
).completion.values;

if (!modern) await client.setLoggingLevel('warning');
await text('log', {}, {}, modern ? { 'io.modelcontextprotocol/logLevel': 'warning' } : undefined);
await until(() => heard.length === 2);
said.logs = heard.splice(0);

const progress = [];
const waiting = text('wait', { name: 'typescript' }, { onprogress: (step) => { progress.push(step.progress); wake(); } });
await until(() => progress.length === 1);
said.released = await text('release', { name: 'typescript' });
said.waited = await waiting;
said.progress = progress.splice(0);

const abort = new AbortController();
const given_up = call('wait', { name: 'given up' }, { signal: abort.signal, onprogress: (step) => { progress.push(step.progress); wake(); } });
given_up.catch(() => {});
await until(() => progress.length === 1);
abort.abort();
said.ending = await text('ending', { name: 'given up' });

said.answers = [];
for (const what of ['elicitation', 'sampling', 'roots']) said.answers.push(JSON.parse(await text('ask', { what })));
said.asked = asked;

const subscription = modern
  ? await client.listen({ toolsListChanged: true, resourceSubscriptions: [NOTE] })
  : await client.subscribeResource({ uri: NOTE });
await changed('note://other', NOTE, 'tools');
await until(() => heard.length === 2);
said.changes = heard.splice(0);
if (modern) {
  await subscription.close();
} else {
  await client.unsubscribeResource({ uri: NOTE });
  said.pause = await text('pause');
  said.resumed = resumed.length > 0;
  await transport.terminateSession();
}
await client.close();
process.stdout.write(JSON.stringify(said) + '\n');
