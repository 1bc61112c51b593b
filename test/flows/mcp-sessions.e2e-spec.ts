import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import {
  ElicitRequestSchema,
  ToolListChangedNotificationSchema,
  ResourceUpdatedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Changes } from '../../src/index.js';
import { Sessions } from '../../src/mcp/sessions.js';
import { startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { legacy, modern, post, type Answer } from '../mcp.js';
import { LegacyTools } from '../conformance/fixtures/legacy-tools.js';
import { MultiRoundTools } from '../conformance/fixtures/multi-round-tools.js';
import { ResourcesAndPrompts } from '../conformance/fixtures/resources-and-prompts.js';

const OTHER = 'other-token-12345';
const TOKENS = JSON.stringify({
  [TOKEN]: { client_id: 'first', scopes: ['basic'] },
  [OTHER]: { client_id: 'second', scopes: ['basic'] },
});

let gatehouse: RunningGatehouse;
let url: string;
beforeAll(async () => {
  gatehouse = await startGatehouse({
    env: { GATEHOUSE_LEGACY_SESSIONS: 'on', GATEHOUSE_STATIC_TOKEN_TOKENS: TOKENS },
    tools: [LegacyTools, MultiRoundTools, ResourcesAndPrompts],
  });
  url = gatehouse.mcpUrl;
});
afterAll(() => gatehouse.close());

async function begin(token = TOKEN, protocolVersion = '2025-11-25'): Promise<string> {
  const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
  const answer = await post(url, legacy('initialize', params), { authorization: `Bearer ${token}` });
  expect(answer.status).toBe(200);
  return answer.headers.get('mcp-session-id') ?? '';
}

function within(id: string, body: unknown, token = TOKEN): Promise<Answer> {
  return post(url, body, { authorization: `Bearer ${token}`, 'mcp-session-id': id });
}

function other(method: string, id: string, token = TOKEN): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'mcp-session-id': id, accept: 'text/event-stream' };
  return fetch(url, { method, headers });
}

describe('an MCP session', () => {
  it('RS-17: begins with an id of visible ASCII that nobody can guess', async () => {
    const id = await begin();
    expect(id).toMatch(/^[\x21-\x7E]{43}$/);
    expect(await begin()).not.toBe(id);
    expect((await within(id, legacy('tools/list'))).status).toBe(200);
  });

  it('a request without the id is 400', async () => {
    expect((await post(url, legacy('tools/list'))).status).toBe(400);
    expect((await fetch(url, { headers: { authorization: `Bearer ${TOKEN}` } })).status).toBe(400);
  });

  it.each(['POST', 'GET', 'DELETE'])(
    'RS-17, N1, sec-41: %s with the id of another Principal is 404',
    async (method) => {
      const id = await begin();
      const status =
        method === 'POST' ? (await within(id, legacy('ping'), OTHER)).status : (await other(method, id, OTHER)).status;
      expect(status).toBe(404);
      expect((await within(id, legacy('ping'))).status).toBe(200);
    },
  );

  it('RS-17: the id authenticates nobody', async () => {
    const id = await begin();
    expect((await post(url, legacy('ping'), { authorization: null, 'mcp-session-id': id })).status).toBe(401);
  });

  it('N1: an unknown and an ended id are 404', async () => {
    expect((await within('unknown', legacy('ping'))).status).toBe(404);
    const id = await begin();
    expect((await other('DELETE', id)).status).toBe(200);
    expect((await within(id, legacy('ping'))).status).toBe(404);
  });

  it('ends when nobody has used it for half an hour', async () => {
    const id = await begin();
    const sessions = gatehouse.app.get(Sessions);
    await sessions.endIdle(Date.now() + 29 * 60_000);
    expect((await within(id, legacy('ping'))).status).toBe(200);
    await sessions.endIdle(Date.now() + 31 * 60_000);
    expect((await within(id, legacy('ping'))).status).toBe(404);
  });

  it('the 21st of one Principal ends its least recently used one', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 20; n++) ids.push(await begin(OTHER));
    expect((await within(ids[0]!, legacy('ping'), OTHER)).status).toBe(200);
    await begin(OTHER);
    expect((await within(ids[1]!, legacy('ping'), OTHER)).status).toBe(404);
    expect((await within(ids[0]!, legacy('ping'), OTHER)).status).toBe(200);
  });

  it('batches are for sessions of 2025-03-26', async () => {
    const batch = [legacy('ping', {}, 1), legacy('ping', {}, 2)];
    expect((await within(await begin(TOKEN, '2025-03-26'), batch)).status).toBe(200);
    expect((await within(await begin(TOKEN, '2025-11-25'), batch)).status).toBe(400);
  });

  it('the Accept header */* takes what we have', async () => {
    const id = await begin();
    expect((await post(url, legacy('ping'), { 'mcp-session-id': id, accept: '*/*' })).status).toBe(200);
  });

  it('HT-14: modern requests need none and ignore its id', async () => {
    const [body, headers] = modern('tools/list');
    expect((await post(url, body, { ...headers, 'mcp-session-id': 'whatever' })).status).toBe(200);
  });
});

describe('a client of SDK 1.x with a session', () => {
  let client: Client;
  const heard: string[] = [];
  beforeAll(async () => {
    client = new Client({ name: 'test', version: '1' }, { capabilities: { elicitation: {} } });
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: 'accept',
      content: { name: 'ohad', response: 'yes' },
    }));
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => void heard.push('tools'));
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, ({ params }) => void heard.push(params.uri));
    const headers = { authorization: `Bearer ${TOKEN}` };
    const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } });
    await client.connect(transport);
  });
  afterAll(() => client.close());

  it('answers what a tool asks while it runs', async () => {
    const result = await client.callTool({ name: 'test_elicitation', arguments: { message: 'Who?' } });
    expect(JSON.stringify(result)).toContain('action=accept');
  });

  it('HT-24: serves tools that were written for multi-round requests', async () => {
    const result = await client.callTool({ name: 'test_input_required_result_elicitation', arguments: {} });
    expect(result['content']).toEqual([{ type: 'text', text: 'Hello, ohad!' }]);
  });

  it('hears of changes it may hear of', async () => {
    await client.subscribeResource({ uri: 'test://watched-resource' });
    const changes = gatehouse.app.get(Changes);
    await expect
      .poll(() => {
        changes.toolsChanged();
        changes.resourceUpdated('test://static-text');
        changes.resourceUpdated('test://watched-resource');
        return heard;
      })
      .toEqual(expect.arrayContaining(['tools', 'test://watched-resource']));
    expect(heard).not.toContain('test://static-text');
  });
});
