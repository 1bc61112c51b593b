// The MCP client of the AI SDK, which is a library: signs in when it must, keeps what it learned in a file, calls the tools.
// Arguments: the MCP URL, the file. Runs from the folder where the client is installed.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { auth, createMCPClient } from '@ai-sdk/mcp';

const [, , serverUrl, file] = process.argv;
const kept = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
const keep = (name) => (value) => {
  kept[name] = value;
  writeFileSync(file, JSON.stringify(kept));
};

const listener = createServer().listen(kept.port ?? 0, '127.0.0.1');
await once(listener, 'listening');
const { port } = listener.address();
keep('port')(port);
const answered = new Promise((resolve) => {
  listener.on('request', (request, response) => {
    response.end('signed in');
    resolve(new URL(request.url, `http://127.0.0.1:${port}`).searchParams);
  });
});

let asked = false;
const provider = {
  redirectUrl: `http://127.0.0.1:${port}/callback`,
  clientMetadata: {
    client_name: 'AI SDK',
    redirect_uris: [`http://127.0.0.1:${port}/callback`],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  tokens: () => kept.tokens,
  saveTokens: keep('tokens'),
  clientInformation: () => kept.client,
  saveClientInformation: keep('client'),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: keep('verifier'),
  state: () => crypto.randomUUID(),
  storedState: () => kept.state,
  saveState: keep('state'),
  // Without it a refresh token that died is offered for ever.
  invalidateCredentials: (scope) => keep('tokens')(scope === 'verifier' ? kept.tokens : undefined),
  redirectToAuthorization: (url) => {
    asked = true;
    spawn(process.env.BROWSER, [url.href], { stdio: 'inherit' });
  },
};

const connect = () => createMCPClient({ transport: { type: 'http', url: serverUrl, authProvider: provider } });
const client = await connect().catch(async (error) => {
  if (!asked) throw error;
  const query = await answered;
  await auth(provider, {
    serverUrl,
    authorizationCode: query.get('code'),
    callbackState: query.get('state'),
    callbackIssuer: query.get('iss'),
  });
  return connect();
});
const tools = await client.tools();
for (const [name, input] of [
  ['hello', { name: 'ohad' }],
  ['whoami', {}],
])
  console.log(JSON.stringify(await tools[name].execute(input, { toolCallId: name, messages: [] })));
await client.close();
listener.close();
