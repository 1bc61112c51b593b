import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { legacy, MODERN, modern, post } from '../mcp.js';
import { ContentTools } from '../conformance/fixtures/content-tools.js';
import { MultiRoundTools } from '../conformance/fixtures/multi-round-tools.js';
import { ResourcesAndPrompts } from '../conformance/fixtures/resources-and-prompts.js';

/** Methods and the members of their parameters. */
const METHODS: Readonly<Record<string, readonly string[]>> = {
  initialize: ['protocolVersion'],
  ping: [],
  'tools/list': ['cursor'],
  'tools/call': ['name', 'arguments', 'requestState', 'inputResponses'],
  'prompts/get': ['name', 'arguments'],
  'resources/templates/list': ['cursor'],
  'resources/read': ['uri'],
  'resources/subscribe': ['uri'],
  'completion/complete': ['ref', 'argument'],
  'logging/setLevel': ['level'],
  'server/discover': [],
  'subscriptions/listen': ['notifications'],
  'notifications/cancelled': ['requestId'],
  constructor: [],
  '': [],
};
const ODD: unknown[] = [null, 1e308, '', true, [[]], { a: {} }, '\u0000', '\ud800', 'http://['];
const GOOD = {
  name: 'hello',
  arguments: { name: 'x' },
  uri: 'test://static-text',
  ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' },
  argument: { name: 'arg1', value: 'p' },
};

/** Parameters in which one member after the other is odd. */
function oddParams(members: readonly string[]): unknown[] {
  return [...ODD, ...[...members, '_meta'].flatMap((name) => ODD.map((value) => ({ ...GOOD, [name]: value })))];
}

describe.each(['off', 'on'])('with GATEHOUSE_LEGACY_SESSIONS=%s', (sessions) => {
  let gatehouse: RunningGatehouse;
  beforeAll(async () => {
    gatehouse = await startGatehouse({
      env: { GATEHOUSE_LEGACY_SESSIONS: sessions, GATEHOUSE_RATE_LIMITS: 'off' },
      tools: [ContentTools, MultiRoundTools, ResourcesAndPrompts],
    });
  });
  afterAll(() => gatehouse.close());

  it.each(Object.entries(METHODS))('I7: no odd parameters of "%s" give a 5xx', async (method, members) => {
    const failures: unknown[] = [];
    for (const params of oddParams(members)) {
      const [body, headers] = modern(method);
      const envelope = (body as { params: { _meta: object } }).params._meta;
      const withEnvelope =
        typeof params === 'object' && params !== null && !Array.isArray(params)
          ? { _meta: envelope, ...params }
          : params;
      const asks = [post(gatehouse.mcpUrl, { ...legacy(method), params })];
      if (method !== 'subscriptions/listen')
        asks.push(post(gatehouse.mcpUrl, { ...body, params: withEnvelope }, { ...headers, 'mcp-name': 'hello' }));
      for (const answer of await Promise.all(asks))
        if (answer.status >= 500 || answer.message?.error?.code === -32603)
          failures.push([params, answer.status, answer.text]);
    }
    expect(failures).toEqual([]);
  });

  it.each([
    { 'mcp-protocol-version': 'x'.repeat(4000) },
    { 'mcp-session-id': 'x'.repeat(4000) },
    { 'mcp-name': '=?base64?' },
    { 'last-event-id': '%00' },
    { 'content-encoding': 'gzip' },
    { 'content-type': 'application/json; charset=utf-16' },
    { 'content-type': 'application/json; charset=' },
    { authorization: `Bearer ${'x'.repeat(8000)}` },
    { dpop: 'not.a.proof' },
  ])('I7: no odd header %j gives a 5xx', async (headers) => {
    for (const ask of [[legacy('tools/list'), {}] as const, modern('tools/list')]) {
      const answer = await post(gatehouse.mcpUrl, ask[0], { ...ask[1], ...(headers as Record<string, string>) });
      expect(answer.status).toBeLessThan(500);
    }
  });

  it.each(['a b', 'user@localhost', '[::1', 'localhost:99999', 'evil.example'])(
    'I7: nor does the Host "%s"',
    async (host) => {
      const status = await new Promise<number | undefined>((resolve, reject) => {
        const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', host };
        const asked = request(gatehouse.mcpUrl, { method: 'POST', headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode);
        });
        asked.on('error', reject).end(JSON.stringify(legacy('ping')));
      });
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(500);
    },
  );
});

it('HT-14: the answer does not depend on what the connection asked before', async () => {
  const gatehouse = await startGatehouse();
  const [body, headers] = modern('tools/call', { name: 'hello', arguments: { name: 'a' } });
  const first = await post(gatehouse.mcpUrl, body, headers);
  await post(
    gatehouse.mcpUrl,
    legacy('initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } }),
  );
  const second = await post(gatehouse.mcpUrl, body, headers);
  expect(second.text).toBe(first.text);
  expect(headers['mcp-protocol-version']).toBe(MODERN);
  await gatehouse.close();
});
