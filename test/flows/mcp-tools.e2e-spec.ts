import {
  type CallHandler,
  type CanActivate,
  Catch,
  type ExceptionFilter,
  type ExecutionContext,
  Global,
  Inject,
  Injectable,
  Module,
  type NestInterceptor,
  Scope,
  UseFilters,
  UseGuards,
  UseInterceptors,
} from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import { map, type Observable } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  Call,
  Caller,
  type McpCall,
  type Principal,
  Prompt,
  Resource,
  Scopes,
  Tool,
  ToolError,
  Upstream,
  type UpstreamToken,
  fromJsonSchema,
} from '../../src/index.js';
import { PersonalTokens } from '../../src/access/personal-tokens.js';
import { EventRow } from '../../src/audit/event.entity.js';
import { CallLimit } from '../../src/mcp/call-limit.js';
import { Database } from '../../src/persistence/database.js';
import {
  UPSTREAM_TOKENS,
  UpstreamReconnectNeeded,
  type UpstreamTokenSource,
} from '../../src/providers/upstream-tokens.js';
import { startGatehouse, TOKEN, type RunningGatehouse } from '../gatehouse.js';
import { legacy, modern, post } from '../mcp.js';

const seen: unknown[] = [];

@Injectable()
class Suffix {
  readonly value = '!';
}

@Injectable()
class NameGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const rpc = context.switchToRpc();
    const call = rpc.getContext<McpCall>();
    seen.push([context.getType(), context.getClass().name, context.getHandler().name, call.principal.key]);
    return rpc.getData<{ name: string }>().name !== 'mallory';
  }
}

@Injectable()
class Shout implements NestInterceptor<string, string> {
  constructor(private readonly suffix: Suffix) {}
  intercept(_: ExecutionContext, next: CallHandler<string>): Observable<string> {
    return next.handle().pipe(map((text) => text.toUpperCase() + this.suffix.value));
  }
}

class Missing extends Error {}

@Catch(Missing)
class MissingFilter implements ExceptionFilter<Missing> {
  catch(error: Missing): never {
    throw new ToolError(`not there: ${error.message}`);
  }
}

const greetingInput = z.object({ name: z.string() });

@Injectable()
class DecoratedTools {
  @UseGuards(NameGuard)
  @UseInterceptors(Shout)
  @Tool({ description: 'Greets', input: greetingInput })
  greet({ name }: { name: string }): string {
    return `hello ${name}`;
  }

  @UseFilters(MissingFilter)
  @Tool({ description: 'Fails in a way its filter knows' })
  missing(): string {
    throw new Missing('it');
  }

  @Tool({ description: 'Fails' })
  broken(): string {
    throw new Error('the password is hunter2 in /etc/secret');
  }

  @Tool({ description: 'Fails with words' })
  refused(): string {
    throw new ToolError('the model may read this');
  }

  @Tool({ description: 'Returns what its output schema forbids', output: z.object({ count: z.number().max(3) }) })
  tooMany(): { count: number } {
    return { count: 4 };
  }

  @Tool({ description: 'Nothing' })
  nothing(): void {}

  @Tool({
    name: 'from.json-schema',
    description: 'JSON Schema',
    input: fromJsonSchema<{ n: number }>({ type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] }),
  })
  fromJson({ n }: { n: number }): string {
    return String(n + 1);
  }

  @Tool({ description: 'Waits for the client to go away' })
  async wait(_: object, @Call() call: McpCall): Promise<string> {
    seen.push('started');
    await new Promise((resolve) => {
      call.signal.addEventListener('abort', resolve, { once: true });
    });
    seen.push('aborted');
    return 'too late';
  }
}

let made = 0;
@Injectable({ scope: Scope.REQUEST })
class ScopedTools {
  readonly #number = ++made;
  constructor(@Inject(REQUEST) private readonly call: McpCall) {}

  @Tool({ description: 'Made anew for each call' })
  scoped(_: object, @Caller() caller: Principal): string {
    return `${this.#number} ${this.call.name} ${this.call.principal === caller}`;
  }
}

@Scopes({ name: 'notes', words: 'Read and write notes', implies: ['notes:read'] })
@Module({})
class NotesModule {}

@Injectable()
class GatedTools {
  @Tool({ description: 'Reads', scopes: ['notes:read'] })
  readNotes(): string {
    return 'notes';
  }

  @Tool({ description: 'Reads and sends', scopes: ['notes:read', 'mail:send'] })
  mailNotes(): string {
    return 'sent';
  }

  @Tool({ description: 'For administrators', roles: ['admin'] })
  wipe(): string {
    return 'wiped';
  }

  @Resource({ uri: 'notes://all', scopes: ['notes:read'] })
  notes(): string {
    return 'all notes';
  }

  @Prompt({ description: 'Sums up', scopes: ['notes:read'] })
  sumUp(): string {
    return 'sum up the notes';
  }
}

@Injectable()
class UpstreamTools {
  @Tool({ description: 'Uses an upstream token' })
  repositories(_: object, @Upstream('github') github: UpstreamToken): string {
    return `${github.provider} ${github.scopes.join(' ')}`;
  }

  @Tool({ description: 'Uses an upstream that has to be connected anew' })
  drive(_: object, @Upstream('google') google: UpstreamToken): string {
    return google.provider;
  }
}

const upstreamTokens: UpstreamTokenSource = {
  tokenFor: async (principal, provider) => {
    if (provider === 'google') throw new UpstreamReconnectNeeded('google', 'Sign in with Google again');
    return { provider, accessToken: 'upstream-secret', scopes: [principal.client] };
  },
  refused: async () => {},
};

@Global()
@Module({ providers: [{ provide: UPSTREAM_TOKENS, useValue: upstreamTokens }], exports: [UPSTREAM_TOKENS] })
class UpstreamModule {}

const TOKENS = JSON.stringify({
  [TOKEN]: { client_id: 'poor', scopes: ['basic'] },
  'notes-token-1234': { client_id: 'rich', scopes: ['notes'] },
});

let gatehouse: RunningGatehouse;
beforeAll(async () => {
  gatehouse = await startGatehouse({
    env: { GATEHOUSE_STATIC_TOKEN_TOKENS: TOKENS, GATEHOUSE_TRUSTED_PROXIES: '127.0.0.0/8,::1/128' },
    imports: [NotesModule, UpstreamModule],
    tools: [Suffix, DecoratedTools, ScopedTools, GatedTools, UpstreamTools],
  });
});
afterAll(() => gatehouse.close());

type Ask = (method: string, params: Record<string, unknown>) => [body: object, headers: Record<string, string | null>];
const eras: Readonly<Record<string, Ask>> = {
  '2025': (method, params) => [legacy(method, params), {}],
  '2026': (method, params) => modern(method, params),
};

async function call(name: string, args: object = {}): Promise<{ text: string; isError: boolean }> {
  const { message } = await post(gatehouse.mcpUrl, ...modern('tools/call', { name, arguments: args }));
  const result = message?.result as { content: { text?: string }[]; isError?: boolean };
  return { text: result.content[0]?.text ?? '', isError: result.isError ?? false };
}

describe('handlers are Nest handlers', () => {
  it('guards and interceptors run around a tool, in the context type mcp', async () => {
    seen.length = 0;
    expect(await call('greet', { name: 'ohad' })).toEqual({ text: 'HELLO OHAD!', isError: false });
    expect(seen).toEqual([['mcp', 'DecoratedTools', 'greet', 'static-token:poor']]);
  });

  it('a guard that says no is an isError result', async () => {
    expect(await call('greet', { name: 'mallory' })).toEqual({ text: 'Not allowed.', isError: true });
  });

  it('filters turn errors into what they throw', async () => {
    expect(await call('missing')).toEqual({ text: 'not there: it', isError: true });
  });

  it('a request-scoped class is made for each call and can inject it', async () => {
    const first = (await call('scoped')).text;
    const second = (await call('scoped')).text;
    expect(first).toMatch(/^\d+ scoped true$/);
    expect(first).not.toBe(second);
  });

  it('any Standard Schema with a JSON form will do', async () => {
    expect(await call('from.json-schema', { n: 1 })).toEqual({ text: '2', isError: false });
    expect((await call('from.json-schema', { n: 'one' })).isError).toBe(true);
  });
});

describe('upstream tokens', () => {
  it('U1: @Upstream gives a fresh token of the calling person', async () => {
    expect(await call('repositories')).toEqual({ text: 'github poor', isError: false });
  });

  it('U1: when only a new sign-in helps, the model is told so', async () => {
    expect(await call('drive')).toEqual({ text: 'Sign in with Google again', isError: true });
  });

  it('RS-11, sec-32: no upstream token is in the log', () => {
    expect(gatehouse.logs.join('\n')).not.toContain('upstream-secret');
  });
});

describe('errors', () => {
  it('sec-47: an unexpected error is masked with a reference that the log explains', async () => {
    const { text, isError } = await call('broken');
    expect(isError).toBe(true);
    expect(text).not.toContain('hunter2');
    const reference = /Reference: ([0-9a-f]{12})/.exec(text)?.[1] ?? 'none';
    expect(gatehouse.logs.some((line) => line.includes(reference) && line.includes('hunter2'))).toBe(true);
  });

  it('the words of a ToolError reach the model', async () => {
    expect(await call('refused')).toEqual({ text: 'the model may read this', isError: true });
  });

  it('HT-29: a result that the output schema forbids is a masked error', async () => {
    const { text, isError } = await call('tooMany');
    expect([isError, text]).toEqual([true, expect.stringMatching(/^The call failed on the server/)]);
  });

  it('a tool may return nothing', async () => {
    expect(await call('nothing')).toEqual({ text: '', isError: false });
  });

  it('HT-16: a client that goes away aborts the signal of the call', async () => {
    seen.length = 0;
    const [body, headers] = modern('tools/call', { name: 'wait', arguments: {} });
    const abort = new AbortController();
    const pending = fetch(gatehouse.mcpUrl, {
      method: 'POST',
      headers: {
        ...(headers as Record<string, string>),
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify(body),
      signal: abort.signal,
    });
    await expect.poll(() => seen).toEqual(['started']);
    abort.abort();
    await expect(pending).rejects.toThrow(/abort/i);
    await expect.poll(() => seen).toEqual(['started', 'aborted']);
  });
});

describe.each(Object.entries(eras))('scopes and roles, %s', (_, ask) => {
  const names = async (token: string): Promise<string[]> => {
    const [body, headers] = ask('tools/list', {});
    const { message } = await post(gatehouse.mcpUrl, body, { ...headers, authorization: `Bearer ${token}` });
    const tools = (message?.result?.['tools'] ?? []) as { name: string }[];
    return tools.map(({ name }) => name);
  };
  const asPoor = (method: string, params: Record<string, unknown>): ReturnType<typeof post> =>
    post(gatehouse.mcpUrl, ...ask(method, params));

  it('RS-18, S3: lists hold what this Principal may use', async () => {
    expect(await names(TOKEN)).not.toContain('readNotes');
    const rich = await names('notes-token-1234');
    expect(rich).toContain('readNotes');
    expect(rich).not.toContain('mailNotes');
    expect(rich).not.toContain('wipe');
  });

  it.each([
    ['tools/call', { name: 'readNotes', arguments: {} }],
    ['resources/read', { uri: 'notes://all' }],
    ['prompts/get', { name: 'sumUp' }],
  ])(
    'RS-13, S2: %s without the scope is 403 with granted and needed scopes, before a stream opens',
    async (method, params) => {
      const answer = await asPoor(method, params);
      expect(answer.status).toBe(403);
      expect(answer.headers.get('www-authenticate')).toBe(
        'Bearer error="insufficient_scope", scope="basic notes:read"',
      );
      expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
      expect(answer.message).toMatchObject({ jsonrpc: '2.0', id: 1, error: { data: { error: 'insufficient_scope' } } });
    },
  );

  it('RS-14: one challenge names all scopes of the operation', async () => {
    const answer = await asPoor('tools/call', { name: 'mailNotes', arguments: {} });
    expect(answer.headers.get('www-authenticate')).toContain('scope="basic notes:read mail:send"');
  });

  it('RS-15: a scope covers what it implies', async () => {
    const [body, headers] = ask('tools/call', { name: 'readNotes', arguments: {} });
    const answer = await post(gatehouse.mcpUrl, body, { ...headers, authorization: 'Bearer notes-token-1234' });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('notes');
  });

  it('S3: a missing role answers exactly like an unknown tool', async () => {
    const hidden = await asPoor('tools/call', { name: 'wipe', arguments: {} });
    const unknown = await asPoor('tools/call', { name: 'wipeX', arguments: {} });
    expect(hidden.status).toBe(unknown.status);
    expect(hidden.text).toBe(unknown.text.replaceAll('wipeX', 'wipe'));
  });
});

it.each([
  ['a missing scope', 'mailNotes', { why: 'a scope is missing', scopes: ['notes:read', 'mail:send'] }],
  ['a missing role', 'wipe', { why: 'a role is missing' }],
])('a call denied for %s is an Event that says who, what and from where', async (_, name, detail) => {
  const headers = { 'x-forwarded-for': '203.0.113.9' };
  await post(gatehouse.mcpUrl, legacy('tools/call', { name, arguments: {} }), headers);
  const events = gatehouse.app.get(Database).repository(EventRow);
  await expect
    .poll(() => events.findOne({ where: { type: 'tool.denied' }, order: { id: 'DESC' } }))
    .toMatchObject({
      outcome: 'refused',
      actor: 'static-token:poor',
      clientId: 'poor',
      provider: 'static-token',
      ip: '203.0.113.9',
      detail: { names: [name], ...detail },
    });
});

it('of a personal token that was denied the Event has the id, not the words of the person who named it', async () => {
  const personal = gatehouse.app.get(PersonalTokens, { strict: false });
  const made = await personal.create({
    name: 'for my secret hobby',
    userId: null,
    scopes: [],
    expiresAt: null,
    actor: 'system',
  });
  const answer = await post(gatehouse.mcpUrl, legacy('tools/call', { name: 'mailNotes', arguments: {} }), {
    authorization: `Bearer ${made.token}`,
  });
  expect(answer.status).toBe(403);
  const events = gatehouse.app.get(Database).repository(EventRow);
  await expect
    .poll(() => events.findOne({ where: { type: 'tool.denied' }, order: { id: 'DESC' } }))
    .toMatchObject({ clientId: null, provider: 'personal-token', detail: { token: made.row.id } });
});

it('RS-13: in a batch one forbidden call refuses all, with one challenge', async () => {
  const batch = [
    legacy('tools/call', { name: 'readNotes', arguments: {} }, 1),
    legacy('tools/call', { name: 'mailNotes', arguments: {} }, 2),
  ];
  const answer = await post(gatehouse.mcpUrl, batch);
  expect(answer.status).toBe(403);
  expect(answer.headers.get('www-authenticate')).toContain('scope="basic notes:read mail:send"');
});

it('S3: tools publish the scopes they need', async () => {
  const [body, headers] = modern('tools/list');
  const { message } = await post(gatehouse.mcpUrl, body, { ...headers, authorization: 'Bearer notes-token-1234' });
  const tools = message?.result?.['tools'] as { name: string; _meta: object }[];
  expect(tools.find(({ name }) => name === 'readNotes')?._meta).toEqual({
    securitySchemes: [{ type: 'oauth2', scopes: ['notes:read'] }],
  });
});

it('RS-19: calls are limited per caller, and Retry-After says when', async () => {
  const limited = await startGatehouse();
  const limit = limited.app.get(CallLimit);
  for (let call = 0; call < 2999; call++) limit.count('static-token:local-dev-client');
  expect((await post(limited.mcpUrl, legacy('ping'))).status).toBe(200);
  const answer = await post(limited.mcpUrl, legacy('ping'));
  expect(answer.status).toBe(429);
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
  await limited.close();
});

describe('faulty declarations stop the start', () => {
  class A {
    @Tool({ name: 'twice', description: 'One' })
    one(): string {
      return '';
    }
    @Tool({ name: 'twice', description: 'Two' })
    two(): string {
      return '';
    }
  }
  class B {
    @Tool({ name: 'no blanks', description: 'Name' })
    three(): string {
      return '';
    }
    @Tool({ description: 'No object', input: z.string() })
    four(): string {
      return '';
    }
    @Tool({ description: 'Output', output: z.array(z.string()) })
    five(): string[] {
      return [];
    }
    @Tool({
      description: 'Header twice',
      input: z.object({
        a: z.string().meta({ 'x-mcp-header': 'Region' }),
        b: z.string().meta({ 'x-mcp-header': 'region' }),
      }),
    })
    six(): string {
      return '';
    }
  }
  Injectable()(A);
  Injectable()(B);

  it('HT-9, HT-28: every fault is named in one message', async () => {
    const start = startGatehouse({ tools: [A, B] });
    await expect(start).rejects.toThrow(
      /A\.two: "twice" is already declared by A\.one\n.*B\.three: the name "no blanks".*\n.*B\.four: the input schema must be of type object.*\n.*B\.five: the output schema must be of type object.*\n.*B\.six: two arguments have the same x-mcp-header/,
    );
  });
});
