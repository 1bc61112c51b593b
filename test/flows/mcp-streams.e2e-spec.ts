import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Injectable } from '@nestjs/common';
import { PersonalTokens } from '../../src/access/personal-tokens.js';
import { Changes, Resource } from '../../src/index.js';
import { startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { MODERN, modern, post } from '../mcp.js';
import { MultiRoundTools } from '../conformance/fixtures/multi-round-tools.js';

@Injectable()
class SecretResource {
  @Resource({ uri: 'secret://one', roles: ['admin'] })
  secret(): string {
    return 'secret';
  }

  @Resource({ uri: 'scoped://one', scopes: ['notes'] })
  scoped(): string {
    return 'scoped';
  }
}

const OTHER = 'other-token-12345';
const TOKENS = JSON.stringify({
  [TOKEN]: { client_id: 'first', scopes: ['basic'] },
  [OTHER]: { client_id: 'second', scopes: ['basic'] },
});

let gatehouse: RunningGatehouse;
beforeAll(async () => {
  gatehouse = await startGatehouse({
    env: { GATEHOUSE_STATIC_TOKEN_TOKENS: TOKENS },
    tools: [MultiRoundTools, SecretResource],
  });
});
afterAll(() => gatehouse.close());

interface OpenStream {
  /** Messages so far. */
  readonly messages: { method?: string; params?: Record<string, unknown>; result?: Record<string, unknown> }[];
  readonly ended: Promise<'ended' | 'broken'>;
  stop(): void;
}

async function listen(notifications: object, token = TOKEN, target = gatehouse): Promise<OpenStream> {
  const [body, headers] = modern('subscriptions/listen', { notifications });
  const abort = new AbortController();
  const response = await fetch(target.mcpUrl, {
    method: 'POST',
    headers: {
      ...(headers as Record<string, string>),
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
    },
    body: JSON.stringify(body),
    signal: abort.signal,
  });
  expect(response.status).toBe(200);
  const messages: OpenStream['messages'] = [];
  const read = async (): Promise<'ended' | 'broken'> => {
    try {
      let rest = '';
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const lines = (rest + chunk).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (line.startsWith('data: {')) messages.push(JSON.parse(line.slice(6)) as object);
      }
      return 'ended';
    } catch {
      return 'broken';
    }
  };
  return { messages, ended: read(), stop: () => abort.abort() };
}

describe('subscriptions/listen', () => {
  it('HT-22: acknowledges first, tags every message, and sends only what was asked for', async () => {
    const stream = await listen({ toolsListChanged: true });
    await expect.poll(() => stream.messages.length).toBe(1);
    expect(stream.messages[0]?.method).toBe('notifications/subscriptions/acknowledged');
    const changes = gatehouse.app.get(Changes);
    changes.promptsChanged();
    changes.toolsChanged();
    await expect.poll(() => stream.messages.length).toBe(2);
    expect(stream.messages[1]).toMatchObject({
      method: 'notifications/tools/list_changed',
      params: { _meta: { 'io.modelcontextprotocol/subscriptionId': 1 } },
    });
    stream.stop();
    await stream.ended;
  });

  it('S3: a resource that a missing role hides is never heard of', async () => {
    const stream = await listen({ toolsListChanged: true, resourceSubscriptions: ['secret://one'] });
    await expect.poll(() => stream.messages.length).toBe(1);
    const changes = gatehouse.app.get(Changes);
    changes.resourceUpdated('secret://one');
    changes.toolsChanged();
    await expect.poll(() => stream.messages.length).toBe(2);
    expect(JSON.stringify(stream.messages)).not.toContain('secret://');
    stream.stop();
    await stream.ended;
  });

  it('RS-13: a resource whose scope is missing is 403', async () => {
    const [body, headers] = modern('subscriptions/listen', {
      notifications: { resourceSubscriptions: ['scoped://one'] },
    });
    expect((await post(gatehouse.mcpUrl, body, headers)).status).toBe(403);
  });

  it('no more than 50 streams for one Principal', async () => {
    const streams = await Promise.all(Array.from({ length: 50 }, () => listen({ toolsListChanged: true }, OTHER)));
    const [body, headers] = modern('subscriptions/listen', { notifications: { toolsListChanged: true } });
    const refused = await post(gatehouse.mcpUrl, body, { ...headers, authorization: `Bearer ${OTHER}` });
    expect(refused.status).toBe(429);
    for (const stream of streams) stream.stop();
    await Promise.all(streams.map(({ ended }) => ended));
  });

  it('I3: a revocation breaks the streams of that token at once, and no others', async () => {
    const personal = gatehouse.app.get(PersonalTokens);
    const wanted = { name: 'test', userId: null, scopes: ['mcp'], expiresAt: null, actor: 'system' };
    const { row, token } = await personal.create(wanted);
    const cut = await listen({ toolsListChanged: true }, token);
    const kept = await listen({ toolsListChanged: true });
    await expect.poll(() => cut.messages.length + kept.messages.length).toBe(2);
    await personal.revoke(row.id, { actor: 'system' });
    expect(await cut.ended).toBe('broken');
    gatehouse.app.get(Changes).toolsChanged();
    await expect.poll(() => kept.messages.length).toBe(2);
    kept.stop();
    await kept.ended;
  });

  it('HT-22: at shutdown a stream ends with a complete result', async () => {
    const ending = await startGatehouse({ tools: [MultiRoundTools] });
    const stream = await listen({ toolsListChanged: true }, TOKEN, ending);
    await expect.poll(() => stream.messages.length).toBe(1);
    await ending.close();
    expect(await stream.ended).toBe('ended');
    expect(stream.messages.at(-1)?.result).toMatchObject({ resultType: 'complete' });
  });
});

it('HT-24: requestState of another Principal, another call or altered is refused', async () => {
  const name = 'test_input_required_result_request_state';
  const meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientCapabilities': { elicitation: {} },
  };
  const ask = async (tool: string, more: object, token = TOKEN): Promise<ReturnType<typeof post>> => {
    const [body, headers] = modern('tools/call', { name: tool, arguments: {}, _meta: meta, ...more });
    return post(gatehouse.mcpUrl, body, { ...headers, authorization: `Bearer ${token}` });
  };
  const first = await ask(name, {});
  const requestState = String(first.message?.result?.['requestState']);
  const inputResponses = { confirm: { action: 'accept', content: { ok: true } } };
  expect((await ask(name, { inputResponses, requestState })).text).toContain('state-ok');
  const refused = [
    await ask(name, { inputResponses, requestState }, OTHER),
    await ask('test_input_required_result_tampered_state', { inputResponses, requestState }),
    await ask(name, { inputResponses, requestState: `${requestState.slice(0, -4)}AAAA` }),
  ];
  for (const { message } of refused) expect(message?.error?.code).toBe(-32602);
});
