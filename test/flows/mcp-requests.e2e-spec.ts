import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { legacy, MODERN, modern, post, readAnswer } from '../mcp.js';
import { ContentTools } from '../conformance/fixtures/content-tools.js';
import { MultiRoundTools } from '../conformance/fixtures/multi-round-tools.js';
import { ResourcesAndPrompts } from '../conformance/fixtures/resources-and-prompts.js';

let gatehouse: RunningGatehouse;
let url: string;
beforeAll(async () => {
  gatehouse = await startGatehouse({
    env: { GATEHOUSE_ALLOWED_ORIGINS: 'https://inspector.example', GATEHOUSE_RATE_LIMITS: 'off' },
    tools: [ContentTools, MultiRoundTools, ResourcesAndPrompts],
  });
  url = gatehouse.mcpUrl;
});
afterAll(() => gatehouse.close());

const hello = { name: 'hello', arguments: { name: 'ohad' } };
const bearer = { authorization: `Bearer ${TOKEN}` };

describe('credentials', () => {
  it('RS-16, D2: without credentials 401 with a challenge that holds no error', async () => {
    const answer = await post(url, legacy('tools/list'), { authorization: null });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    expect(answer.message).toMatchObject({ jsonrpc: '2.0', id: null, error: { data: { error: 'unauthorized' } } });
  });

  it.each(['Basic dXNlcjpwYXNz', 'Bearer wrong-token-1234', 'Bearer', 'bearer wrong', 'nonsense'])(
    'RS-9, D2: 401 invalid_token with the header "%s"',
    async (authorization) => {
      const answer = await post(url, legacy('tools/list'), { authorization });
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer error="invalid_token"/);
    },
  );

  it('D2: the scheme is matched case-insensitively', async () => {
    expect((await post(url, legacy('ping'), { authorization: `bEARER ${TOKEN}` })).status).toBe(200);
  });

  it('RS-8, sec-39: a token in the query counts for nothing', async () => {
    const answer = await post(`${url}?access_token=${TOKEN}`, legacy('ping'), { authorization: null });
    expect(answer.status).toBe(401);
  });

  it.each(['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'])(
    'D2, D3: %s without credentials is 401, never 404',
    async (method) => {
      expect((await fetch(url, { method })).status).toBe(401);
      expect((await fetch(`${url}/`, { method, redirect: 'manual' })).status).toBe(401);
    },
  );

  it('RS-12: a token that lacks GATEHOUSE_REQUIRED_SCOPES gets 403 with granted and needed scopes', async () => {
    const strict = await startGatehouse({ env: { GATEHOUSE_REQUIRED_SCOPES: 'mcp' } });
    const answer = await post(strict.mcpUrl, legacy('tools/list'));
    expect(answer.status).toBe(403);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer error="insufficient_scope", scope="basic mcp"');
    await strict.close();
  });
});

describe('methods, Host and Origin', () => {
  it.each(['GET', 'DELETE', 'PUT', 'PATCH', 'HEAD'])('HT-1: %s without MCP sessions is 405', async (method) => {
    const response = await fetch(url, { method, headers: bearer });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  });

  it.each(['https://evil.example', 'null', 'http://localhost.evil.example', 'garbage'])(
    'HT-2, sec-38: the Origin %s is refused, before credentials are looked at',
    async (origin) => {
      for (const authorization of [`Bearer ${TOKEN}`, null]) {
        const answer = await post(url, legacy('ping'), { origin, authorization });
        expect(answer.status).toBe(403);
        expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      }
    },
  );

  it.each(['https://inspector.example', 'http://localhost:6274'])('HT-2: the Origin %s may call', async (origin) => {
    const answer = await post(url, legacy('ping'), { origin });
    expect(answer.status).toBe(200);
    expect(answer.headers.get('access-control-allow-origin')).toBe(origin);
    expect(answer.headers.get('vary')).toContain('Origin');
  });

  it('sec-38: a foreign Host on a loopback listener is 403', async () => {
    const { request } = await import('node:http');
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const asked = request(url, { method: 'POST', headers: { ...bearer, host: 'evil.example' } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      asked.on('error', reject).end('{}');
    });
    expect(status).toBe(403);
  });

  it('X1: preflights are answered before authentication, and every Mcp-Param header is allowed', async () => {
    const response = await fetch(url, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://inspector.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization,mcp-param-region,x-evil',
      },
    });
    expect(response.status).toBe(204);
    const allowed = response.headers.get('access-control-allow-headers') ?? '';
    for (const name of [
      'Authorization',
      'Content-Type',
      'Accept',
      'MCP-Protocol-Version',
      'Mcp-Session-Id',
      'Mcp-Method',
      'Mcp-Name',
      'Last-Event-ID',
      'DPoP',
      'mcp-param-region',
    ])
      expect(allowed).toContain(name);
    expect(allowed).not.toContain('x-evil');
    expect(response.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('X1: the challenge of a 401 can be read by scripts', async () => {
    const answer = await post(url, legacy('ping'), { origin: 'https://inspector.example', authorization: null });
    expect(answer.status).toBe(401);
    const exposed = answer.headers.get('access-control-expose-headers') ?? '';
    for (const name of ['WWW-Authenticate', 'Mcp-Session-Id', 'MCP-Protocol-Version', 'Retry-After', 'DPoP-Nonce'])
      expect(exposed).toContain(name);
  });
});

describe('bodies', () => {
  it.each(['{', '', 'undefined', '{"a":1}}', '\u0000', '{"__proto__":{"x":1}}'])(
    'sec-37: the body %j is 400 -32700 as JSON-RPC',
    async (body) => {
      const answer = await post(url, body);
      expect(answer.status).toBe(400);
      expect(answer.message).toMatchObject({ jsonrpc: '2.0', id: null, error: { code: -32700 } });
    },
  );

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/jsonp', null])(
    'sec-37: the content type %s is 415 as JSON-RPC',
    async (type) => {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...bearer, ...(type ? { 'content-type': type } : {}) },
        body: new Blob([JSON.stringify(legacy('ping'))]),
      });
      const answer = await readAnswer(response);
      expect(answer.status).toBe(415);
      expect(answer.message).toMatchObject({ jsonrpc: '2.0', error: { code: -32600 } });
    },
  );

  it('sec-37: a body over 4 MiB is 413, one just below is read', async () => {
    const big = legacy('tools/call', { name: 'hello', arguments: { name: 'x'.repeat(4 * 1024 * 1024) } });
    const answer = await post(url, big);
    expect(answer.status).toBe(413);
    expect(answer.message?.error?.code).toBe(-32600);
    const fits = legacy('tools/call', { name: 'hello', arguments: { name: 'x'.repeat(4 * 1024 * 1024 - 200) } });
    expect((await post(url, fits)).status).toBe(200);
  });

  it('sec-37: a stranger cannot make us read a large body', async () => {
    const answer = await post(url, 'x'.repeat(1024 * 1024), { authorization: null });
    expect(answer.status).toBe(401);
  });

  it('sec-37: JSON that nests deeper than 100 levels is 400', async () => {
    const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const body = (depth: number): string =>
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"hello","arguments":{"name":"a","x":${nested(depth)}}}}`;
    expect((await post(url, body(90))).status).toBe(200);
    expect((await post(url, body(101))).status).toBe(400);
    expect((await post(url, body(100_000))).status).toBe(400);
  });

  it.each([
    1,
    '"text"',
    null,
    true,
    {},
    { jsonrpc: '1.0', id: 1, method: 'ping' },
    { jsonrpc: '2.0', id: {}, method: 'ping' },
  ])('I7: %j is no JSON-RPC message: 400, no 5xx', async (body) => {
    const answer = await post(url, body);
    expect(answer.status).toBe(400);
    expect(answer.message?.error?.code).toBe(-32600);
  });
});

describe('batches', () => {
  const batch = [legacy('ping', {}, 1), legacy('tools/call', hello, 2)];

  it.each([null, '2025-03-26'])('a batch is answered with MCP-Protocol-Version %s', async (version) => {
    const answer = await post(url, batch, { 'mcp-protocol-version': version });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('hello, ohad');
  });

  it.each(['2025-06-18', '2025-11-25', MODERN])('a batch is 400 with MCP-Protocol-Version %s', async (version) => {
    const answer = await post(url, batch, { 'mcp-protocol-version': version });
    expect(answer.status).toBe(400);
    expect(answer.message?.error?.code).toBe(-32600);
  });

  it('HT-26: malformed parameters of one message are its -32602, and the others are answered', async () => {
    const answer = await post(
      url,
      [
        legacy('tools/call', { name: 7 }, 1),
        legacy('tools/list', { cursor: {} }, 2),
        legacy('tools/call', hello, 3),
        { jsonrpc: '2.0', id: 4, method: 'prompts/list', params: 'none' },
      ],
      { 'mcp-protocol-version': '2025-03-26' },
    );
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('hello, ohad');
    expect(answer.text).toContain('params.name must be a string');
    expect(answer.text.match(/"code":-\d+/g)).toEqual(Array.from({ length: 3 }, () => '"code":-32602'));
  });

  it('an empty batch and one of more than 50 messages are 400', async () => {
    expect((await post(url, [])).status).toBe(400);
    expect(
      (
        await post(
          url,
          Array.from({ length: 51 }, (_, id) => legacy('ping', {}, id)),
        )
      ).status,
    ).toBe(400);
  });
});

describe('the 2025 eras', () => {
  it.each(['2025-11-25', '2025-06-18', '2025-03-26'])('initialize answers with %s', async (protocolVersion) => {
    const params = { protocolVersion, capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const answer = await post(url, legacy('initialize', params));
    expect(answer.message?.result?.['protocolVersion']).toBe(protocolVersion);
    expect(answer.headers.get('mcp-session-id')).toBeNull();
  });

  it('HT-30: an unknown version gets our latest of that era', async () => {
    const params = { protocolVersion: '2099-01-01', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const answer = await post(url, legacy('initialize', params));
    expect(answer.message?.result?.['protocolVersion']).toBe('2025-11-25');
  });

  it('HT-4: a notification is 202 and empty', async () => {
    const answer = await post(url, { jsonrpc: '2.0', method: 'notifications/initialized' });
    expect([answer.status, answer.text]).toEqual([202, '']);
  });

  it('an unsupported MCP-Protocol-Version is 400', async () => {
    expect((await post(url, legacy('ping'), { 'mcp-protocol-version': '1999-01-01' })).status).toBe(400);
  });

  it.each(['*/*', 'application/json, */*;q=0.1'])('the Accept header %s takes what we have', async (accept) => {
    expect((await post(url, legacy('ping'), { accept })).status).toBe(200);
  });

  it('an Accept header that takes neither form is 406', async () => {
    expect((await post(url, legacy('ping'), { accept: 'text/html' })).status).toBe(406);
  });

  it('HT-18: session and event ids mean nothing without MCP sessions', async () => {
    const answer = await post(url, legacy('ping'), { 'mcp-session-id': 'anything', 'last-event-id': '7' });
    expect(answer.status).toBe(200);
  });

  it('HT-28: bad input is an isError result, an unknown tool -32602', async () => {
    const bad = await post(url, legacy('tools/call', { name: 'hello', arguments: { name: 7 } }));
    expect(bad.message?.result).toMatchObject({ isError: true });
    const unknown = await post(url, legacy('tools/call', { name: 'nothing', arguments: {} }));
    expect(unknown.message?.error).toMatchObject({ code: -32602, message: 'Tool nothing not found' });
  });

  it('HT-29: structured content comes as text too', async () => {
    const { message } = await post(url, legacy('tools/call', { name: 'whoami', arguments: {} }));
    const result = message?.result as { content: { text: string }[]; structuredContent: unknown };
    expect(JSON.parse(result.content[0]!.text)).toEqual(result.structuredContent);
  });
});

describe('2026-07-28', () => {
  it('HT-5, HT-20: a call answers one JSON object with resultType', async () => {
    const answer = await post(url, ...modern('tools/call', hello));
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.message?.result).toMatchObject({
      resultType: 'complete',
      content: [{ type: 'text', text: 'hello, ohad' }],
    });
  });

  it('HT-6, HT-7: missing or different headers are 400 -32020', async () => {
    const wrong: Record<string, string | null>[] = [
      { 'mcp-protocol-version': null },
      { 'mcp-protocol-version': '2025-11-25' },
      { 'mcp-method': null },
      { 'mcp-method': 'tools/list' },
      { 'mcp-method': 'TOOLS/CALL' },
      { 'mcp-name': null },
      { 'mcp-name': 'whoami' },
      { 'mcp-name': '=?base64?!!!?=' },
    ];
    for (const headers of wrong) {
      const answer = await post(url, ...modern('tools/call', hello, headers));
      expect([headers, answer.status, answer.message?.error?.code]).toEqual([headers, 400, -32020]);
      expect(answer.message?.id).toBe(1);
    }
  });

  it('HT-7: Mcp-Name may be base64 and padded with blanks', async () => {
    const encoded = `=?base64?${Buffer.from('hello').toString('base64')}?=`;
    expect((await post(url, ...modern('tools/call', hello, { 'mcp-name': encoded }))).status).toBe(200);
    expect((await post(url, ...modern('tools/call', hello, { 'mcp-name': '  hello ' }))).status).toBe(200);
  });

  it('HT-8: an x-mcp-header argument must be repeated in its header', async () => {
    const call = { name: 'test_header_argument', arguments: { region: 'eu' } };
    expect((await post(url, ...modern('tools/call', call, { 'mcp-param-region': 'eu' }))).status).toBe(200);
    for (const value of [null, 'us']) {
      const answer = await post(url, ...modern('tools/call', call, { 'mcp-param-region': value }));
      expect([answer.status, answer.message?.error?.code]).toEqual([400, -32020]);
    }
  });

  it('HT-10: an unknown revision is 400 -32022 and names what is supported', async () => {
    const meta = {
      'io.modelcontextprotocol/protocolVersion': '2099-01-01',
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const answer = await post(url, ...modern('tools/list', { _meta: meta }, { 'mcp-protocol-version': '2099-01-01' }));
    expect(answer.status).toBe(400);
    expect(answer.message?.error).toMatchObject({
      code: -32022,
      data: { supported: [MODERN], requested: '2099-01-01' },
    });
  });

  it.each(['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'tasks/get', 'no/such'])(
    'HT-11, HT-32: %s is 404 -32601 on this leg',
    async (method) => {
      const answer = await post(url, ...modern(method));
      expect([answer.status, answer.message?.error?.code, answer.message?.id]).toEqual([404, -32601, 1]);
    },
  );

  it('HT-12: _meta without clientCapabilities is 400 -32602', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': MODERN };
    const answer = await post(url, ...modern('tools/list', { _meta: meta }));
    expect([answer.status, answer.message?.error?.code]).toEqual([400, -32602]);
  });

  it('HT-13: a question the client cannot answer is 400 -32021', async () => {
    const answer = await post(url, ...modern('tools/call', { name: 'test_missing_capability', arguments: {} }));
    expect(answer.status).toBe(400);
    expect(answer.message?.error).toMatchObject({ code: -32021, data: { requiredCapabilities: { sampling: {} } } });
  });

  it('HT-19, HT-21: discover names versions and capabilities and may be cached by this client only', async () => {
    const { message } = await post(url, ...modern('server/discover'));
    expect(message?.result).toMatchObject({
      supportedVersions: [MODERN],
      capabilities: { tools: { listChanged: true } },
      cacheScope: 'private',
      ttlMs: 0,
    });
  });

  it('HT-21: lists are private', async () => {
    for (const method of ['tools/list', 'prompts/list', 'resources/list', 'resources/templates/list']) {
      const { message } = await post(url, ...modern(method));
      expect(message?.result).toMatchObject({ cacheScope: 'private', ttlMs: 0 });
    }
  });

  it('HT-17, HT-23: no log message without a level, one with it, and progress only with a token', async () => {
    const call = { name: 'test_logging_tool', arguments: {} };
    expect((await post(url, ...modern('tools/call', call))).text).not.toContain('notifications/message');
    const meta = {
      'io.modelcontextprotocol/protocolVersion': MODERN,
      'io.modelcontextprotocol/clientCapabilities': {},
    };
    const logged = { ...call, _meta: { ...meta, 'io.modelcontextprotocol/logLevel': 'info' } };
    const answer = await post(url, ...modern('tools/call', logged));
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(answer.headers.get('x-accel-buffering')).toBe('no');
    expect(answer.text).toContain('notifications/message');
    const progress = { name: 'test_tool_with_progress', arguments: {} };
    expect((await post(url, ...modern('tools/call', progress))).text).not.toContain('notifications/progress');
    const asked = { ...progress, _meta: { ...meta, progressToken: 'p' } };
    expect((await post(url, ...modern('tools/call', asked))).text.match(/notifications\/progress/g)).toHaveLength(3);
  });

  it('HT-25: an unknown resource is -32602 with its URI', async () => {
    const answer = await post(url, ...modern('resources/read', { uri: 'test://nothing' }));
    expect(answer.message?.error).toMatchObject({ code: -32602, data: { uri: 'test://nothing' } });
  });

  it('HT-28: tools are listed in a fixed order and without pages', async () => {
    const names = async (): Promise<unknown> => (await post(url, ...modern('tools/list'))).message?.result?.['tools'];
    expect(await names()).toEqual(await names());
    const paged = await post(url, ...modern('tools/list', { cursor: 'next' }));
    expect(paged.message?.error?.code).toBe(-32602);
  });

  it('D8: first contact in each form gets the same challenge', async () => {
    const init = { protocolVersion: '2024-11-05', capabilities: {}, clientInfo: { name: 'old', version: '1' } };
    const [body, headers] = modern('server/discover');
    const challenges = [
      (await fetch(url, { headers: { 'mcp-protocol-version': '2025-06-18' } })).headers.get('www-authenticate'),
      (await post(url, legacy('initialize', init), { authorization: null })).headers.get('www-authenticate'),
      (await post(url, body, { ...headers, authorization: null })).headers.get('www-authenticate'),
    ];
    expect(new Set(challenges)).toEqual(new Set(['Bearer']));
  });
});

it('sec-47: no answer above held a stack or a file path, and no log the token', () => {
  expect(gatehouse.logs.join('\n')).not.toContain(TOKEN);
});
