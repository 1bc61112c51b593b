import { describe, expect, it } from 'vitest';
import { Settings, settingsSchema } from '../config/settings.js';
import { faultOfPublicUrl } from '../ops/public-url.js';
import { OutboundFailed, type Outbound, type OutboundResponse } from '../outbound/outbound.js';
import type { ProviderChoice } from '../providers/contract.js';
import { argument } from './client.js';
import { examine } from './doctor.js';

const MCP = 'https://mcp.example/mcp';
const PRM = 'https://mcp.example/.well-known/oauth-protected-resource/mcp';
const AS = 'https://mcp.example/.well-known/oauth-authorization-server';
const challenge = { status: 401, headers: { 'www-authenticate': `Bearer resource_metadata="${PRM}"` } };
const resource = { resource: MCP, authorization_servers: ['https://mcp.example'] };
const server = {
  issuer: 'https://mcp.example',
  code_challenge_methods_supported: ['S256'],
  registration_endpoint: 'https://mcp.example/register',
};

type Answer = { status?: number; headers?: Record<string, string>; json?: unknown };

function outbound(answers: Record<string, Answer>): Outbound {
  return {
    send: (url, request): Promise<OutboundResponse> => {
      const withToken = request?.headers?.['authorization'] !== undefined;
      const answer = answers[withToken ? 'call' : url.href];
      if (!answer) return Promise.reject(new OutboundFailed('unreachable', 'connection refused'));
      const text = JSON.stringify(answer.json ?? {});
      return Promise.resolve({ status: answer.status ?? 200, headers: new Headers(answer.headers ?? {}), text });
    },
  };
}

const walk = (answers: Record<string, Answer>, token?: string) => examine(new URL(MCP), token, outbound(answers));
const whole = { [MCP]: challenge, [PRM]: { json: resource }, [AS]: { json: server }, call: {} };

describe('gatehouse doctor', () => {
  it('U5: walks from the challenge to the first call', async () => {
    const findings = await walk(whole, 'token');
    expect(findings.map(({ step, ok }) => [step, ok])).toEqual([
      ['challenge', true],
      ['protected resource metadata', true],
      ['authorization server metadata', true],
      ['first call', true],
    ]);
  });

  it.each<[string, Record<string, Answer>, RegExp]>([
    ['nothing listens', {}, /is the server running/],
    ['a redirect', { [MCP]: { status: 307, headers: { location: `${MCP}/` } } }, /lose their token on redirects/],
    ['an open server', { [MCP]: { status: 200 } }, /answers 401 here/],
    ['a stripped challenge', { [MCP]: { status: 401 } }, /must begin with Bearer/],
    ['metadata behind the proxy’s 404', { ...whole, [PRM]: { status: 404 } }, /must pass \/\.well-known\//],
    [
      'another resource',
      { ...whole, [PRM]: { json: { ...resource, resource: 'http://localhost/mcp' } } },
      /GATEHOUSE_PUBLIC_URL/,
    ],
    ['no server', { ...whole, [PRM]: { json: { ...resource, authorization_servers: [] } } }, /enable a login provider/],
    ['another issuer', { ...whole, [AS]: { json: { ...server, issuer: 'https://mcp.example/' } } }, /byte for byte/],
    ['no PKCE', { ...whole, [AS]: { json: { ...server, code_challenge_methods_supported: ['plain'] } } }, /S256/],
    [
      'no way in for clients',
      { ...whole, [AS]: { json: { ...server, registration_endpoint: undefined } } },
      /GATEHOUSE_REGISTRATION/,
    ],
    ['a dead token', { ...whole, call: { status: 401 } }, /unknown, expired or revoked/],
    ['a server in trouble', { ...whole, call: { status: 503 } }, /database or an upstream/],
  ])('says how to mend: %s', async (_name, answers, mend) => {
    const bad = (await walk(answers, 'token')).filter(({ ok }) => !ok);
    expect(bad).toHaveLength(1);
    expect(bad[0]?.mend).toMatch(mend);
  });
});

describe('the start', () => {
  const login = { id: 'github', kind: { kind: 'github', sort: 'login' }, settings: {} } as unknown as ProviderChoice;
  const settings = new Settings(settingsSchema.parse({ publicUrl: 'https://mcp.example' }), { providers: [login] });
  const root = 'https://mcp.example/.well-known/oauth-protected-resource';
  it('D4: notices when the public URL leads elsewhere', async () => {
    expect(await faultOfPublicUrl(settings, outbound({ [root]: { json: resource } }))).toBeNull();
    expect(await faultOfPublicUrl(settings, outbound({ [root]: { status: 404 } }))).toContain('answers 404');
    expect(await faultOfPublicUrl(settings, outbound({ [root]: { json: { resource: 'x' } } }))).toContain(
      'not https://mcp.example/mcp',
    );
    expect(await faultOfPublicUrl(settings, outbound({}))).toContain('cannot be reached');
  });
});

describe('arguments of gatehouse client', () => {
  const properties = { name: { type: 'string' }, count: { type: 'integer' }, tags: { type: 'array' } };
  it.each([
    ['name=ohad', ['name', 'ohad']],
    ['name=a=b', ['name', 'a=b']],
    ['name=12', ['name', '12']],
    ['count=12', ['count', 12]],
    ['tags=["a"]', ['tags', ['a']]],
    ['other=12', ['other', '12']],
    ['other:={"a":1}', ['other', { a: 1 }]],
  ])('%s', (pair, expected) => expect(argument(pair, properties)).toEqual(expected));
  it.each(['name', '=x', 'count=many', 'x:={'])('%s is refused', (pair) => {
    expect(() => argument(pair, properties)).toThrow(/wants/);
  });
});
