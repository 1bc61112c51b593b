import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import {
  Call,
  Caller,
  type McpCall,
  type Principal,
  ResourceTemplate,
  type TemplateVariables,
  Tool,
} from '../../src/index.js';
import { LegacyTools } from '../conformance/fixtures/legacy-tools.js';
import { MultiRoundTools } from '../conformance/fixtures/multi-round-tools.js';
import { startGatehouse, type RunningGatehouse } from '../gatehouse.js';
import { legacy, MODERN, modern, post, type Answer } from '../mcp.js';

const PEOPLE = Array.from({ length: 8 }, (_, i) => `person-${i}`);
const tokenOf = (person: string): string => `token-of-${person}-0123456789`;

/** Calls that wait until everybody is inside, so that they truly run at once. */
@Injectable()
class Rendezvous {
  static waiting: (() => void)[] = [];

  @Tool({ description: 'Meets the others', input: z.object({ secret: z.string() }) })
  async meet({ secret }: { secret: string }, @Caller() who: Principal, @Call() call: McpCall): Promise<string> {
    await call.progress(1, { total: 2, message: `${who.client} is inside` });
    await new Promise<void>((resolve) => {
      Rendezvous.waiting.push(resolve);
      if (Rendezvous.waiting.length === PEOPLE.length) for (const go of Rendezvous.waiting.splice(0)) go();
    });
    await call.progress(2, { total: 2, message: `${who.client} has met` });
    return `${who.client} said ${secret}`;
  }

  @ResourceTemplate({ uriTemplate: 'pairs://{left}.{right}' })
  pair({ left, right }: TemplateVariables): string {
    return `${String(left)} and ${String(right)}`;
  }
}

const META = {
  'io.modelcontextprotocol/protocolVersion': MODERN,
  'io.modelcontextprotocol/clientCapabilities': { elicitation: {}, sampling: {}, roots: {} },
};

/** Every message of an answer, of a stream or alone. */
function messagesIn({ text, message }: Answer): Record<string, unknown>[] {
  const streamed = text.split('\n').filter((line) => line.startsWith('data: {'));
  if (streamed.length === 0) return [message as unknown as Record<string, unknown>];
  return streamed.map((line) => JSON.parse(line.slice(6)) as Record<string, unknown>);
}

describe.each(['off', 'on'])('people at one endpoint at once, GATEHOUSE_LEGACY_SESSIONS=%s', (sessions) => {
  let gatehouse: RunningGatehouse;
  let url: string;

  beforeAll(async () => {
    gatehouse = await startGatehouse({
      env: {
        GATEHOUSE_LEGACY_SESSIONS: sessions,
        GATEHOUSE_RATE_LIMITS: 'off',
        GATEHOUSE_STATIC_TOKEN_TOKENS: JSON.stringify(
          Object.fromEntries(PEOPLE.map((person) => [tokenOf(person), { client_id: person, scopes: ['basic'] }])),
        ),
      },
      tools: [Rendezvous, LegacyTools, MultiRoundTools],
    });
    url = gatehouse.mcpUrl;
  });
  afterAll(() => gatehouse.close());
  afterEach(() => {
    vi.useRealTimers();
  });

  const as = (person: string) => ({ authorization: `Bearer ${tokenOf(person)}` });
  /** An MCP session of 2025 where there are any; without, no header. */
  const session = async (person: string): Promise<Record<string, string>> => {
    if (sessions === 'off') return {};
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'test', version: '1' } };
    const begun = await post(url, legacy('initialize', params), as(person));
    return { 'mcp-session-id': begun.headers.get('mcp-session-id')! };
  };

  const eras: Record<string, (person: string, args: object) => Promise<Answer>> = {
    'of 2026': (person, args) => {
      const [body, headers] = modern('tools/call', { ...args, _meta: { ...META, progressToken: 'same' } });
      return post(url, body, { ...headers, ...as(person) });
    },
    'of 2025': async (person, args) =>
      post(url, legacy('tools/call', { ...args, _meta: { progressToken: 'same' } }), {
        ...as(person),
        ...(await session(person)),
      }),
  };

  it.each(Object.entries(eras))(
    'sec-40: %s with the same ids and progress tokens each hear their own result and their own progress, and nothing else',
    async (_, call) => {
      const answers = await Promise.all(
        PEOPLE.map((person) => call(person, { name: 'meet', arguments: { secret: `secret of ${person}` } })),
      );
      for (const [index, answer] of answers.entries()) {
        const me = PEOPLE[index]!;
        expect(answer.status).toBe(200);
        const messages = messagesIn(answer);
        expect(messages.map(({ method }) => method)).toEqual([
          'notifications/progress',
          'notifications/progress',
          undefined,
        ]);
        expect(messages.at(-1)).toMatchObject({
          id: 1,
          result: { content: [{ type: 'text', text: `${me} said secret of ${me}` }] },
        });
        for (const other of PEOPLE.filter((person) => person !== me)) expect(answer.text).not.toContain(other);
      }
    },
  );

  it('HT-15: no stream of 2026 carries a request to the client: questions are results', async () => {
    const listed = await post(url, ...modern('tools/list', {}, as(PEOPLE[0]!)));
    const { tools } = listed.message!.result as unknown as { tools: { name: string }[] };
    const names = tools.map(({ name }) => name);
    let asked = 0;
    for (const name of names.filter((tool) => tool !== 'meet')) {
      const params = { name, arguments: { prompt: 'x', message: 'x' }, _meta: { ...META, progressToken: 1 } };
      const answer = await post(url, ...modern('tools/call', params, as(PEOPLE[0]!)));
      const messages = messagesIn(answer);
      expect(messages.filter((message) => 'method' in message && 'id' in message)).toEqual([]);
      if (answer.text.includes('"input_required"')) asked++;
    }
    expect(asked).toBeGreaterThan(3);
  });

  it('HT-17: a stream is not to be buffered, is kept alive while nothing happens, and its final response ends it', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    const [body, headers] = modern('tools/call', {
      name: 'meet',
      arguments: { secret: 'patience' },
      _meta: { ...META, progressToken: 1 },
    });
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        ...(headers as Record<string, string>),
        ...as(PEOPLE[0]!),
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify(body),
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    expect(response.headers.get('cache-control')).toContain('no-cache');
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    const until = async (part: RegExp): Promise<void> => {
      while (!part.test(text)) {
        const { value, done } = await reader.read();
        if (done) throw new Error(`ended after ${text}`);
        text += value;
      }
    };
    await until(/is inside/);
    await vi.advanceTimersByTimeAsync(15_000);
    await until(/^:/m);
    await vi.advanceTimersByTimeAsync(15_000);
    await until(/^:[\s\S]*^:/m);
    for (const resolve of Rendezvous.waiting.splice(0)) resolve();
    await until(/"result"/);
    while (!(await reader.read()).done);
    expect(text.trimEnd().split('\n').at(-1)).toContain('said patience');
  });

  it('sec-42, I7: a URI made to be read in many ways is answered at once, an endless one as unknown', async () => {
    const read = async (uri: string) =>
      post(url, legacy('resources/read', { uri }), { ...as(PEOPLE[0]!), ...(await session(PEOPLE[0]!)) });
    const fine = await read('pairs://one.two');
    expect(fine.text).toContain('one and two');
    for (const uri of [
      `pairs://${'a.'.repeat(2_000)}/`,
      `pairs://${'a.'.repeat(500_000)}/`,
      `pairs://${'a'.repeat(2_000_000)}`,
    ]) {
      const answer = await read(uri);
      expect(answer.status).toBe(200);
      expect(answer.message?.error?.code).toBe(-32602);
    }
  });
});
