import { HttpOutbound } from '../outbound/http-outbound.js';
import type { Outbound, OutboundResponse } from '../outbound/outbound.js';
import { CommandFailed } from './failure.js';

/** What one step of the walk found. */
export interface Finding {
  readonly step: string;
  readonly ok: boolean;
  /** What was seen. */
  readonly saw: string;
  /** How to mend it; only when it is not ok. */
  readonly mend?: string;
}

/** What a check needs to go on. */
interface Walk {
  readonly url: URL;
  readonly token: string | undefined;
  readonly outbound: Outbound;
  readonly findings: Finding[];
}

type Json = Readonly<Record<string, unknown>>;

/**
 * Prints a finding for each step from discovery to the first call.
 * @throws CommandFailed when a step failed
 */
export async function doctor(command: { url: string; token: string | undefined; json: boolean }): Promise<void> {
  if (!URL.canParse(command.url)) throw new CommandFailed(`"${command.url}" is no URL; try http://localhost:8000/mcp`);
  const outbound = new HttpOutbound();
  const findings = await examine(new URL(command.url), command.token, outbound);
  await outbound.onApplicationShutdown();
  if (command.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
  else
    for (const { step, ok, saw, mend } of findings)
      process.stdout.write(`${ok ? 'ok  ' : 'BAD '} ${step}: ${saw}\n${mend === undefined ? '' : `     → ${mend}\n`}`);
  const bad = findings.filter(({ ok }) => !ok).length;
  if (bad > 0) throw new CommandFailed(`${bad} of ${findings.length} checks failed`);
}

/** The walk itself: challenge, protected-resource metadata, authorization-server metadata, first call. */
export async function examine(url: URL, token: string | undefined, outbound: Outbound): Promise<Finding[]> {
  const walk: Walk = { url, token, outbound, findings: [] };
  const challenge = await checkChallenge(walk);
  if (challenge === null) return walk.findings;
  if (challenge.metadata !== null) {
    const server = await checkResource(walk, challenge.metadata);
    if (server !== null) await checkServer(walk, server);
  }
  await checkFirstCall(walk);
  return walk.findings;
}

async function checkChallenge(walk: Walk): Promise<{ metadata: string | null } | null> {
  const step = 'challenge';
  const answer = await send(walk, step, walk.url, undefined);
  if (answer === null) return null;
  if (answer.status >= 300 && answer.status < 400)
    return fail(
      walk,
      step,
      `${answer.status} to ${answer.headers.get('location')}`,
      'use the URL it points at: clients lose their token on redirects',
    );
  if (answer.status !== 401)
    return fail(
      walk,
      step,
      `${answer.status} without a token`,
      'an MCP server behind a token answers 401 here; is this the MCP URL, and does a proxy answer for it?',
    );
  const header = answer.headers.get('www-authenticate') ?? '';
  if (!/^Bearer\b/.test(header))
    return fail(
      walk,
      step,
      `401 with WWW-Authenticate: ${header || 'none'}`,
      'it must begin with Bearer; a proxy in front may strip it',
    );
  const metadata = /resource_metadata="([^"]+)"/.exec(header)?.[1] ?? null;
  good(
    walk,
    step,
    metadata === null ? '401; discovery is off, so clients need a token set by hand' : `401, metadata at ${metadata}`,
  );
  return { metadata };
}

async function checkResource(walk: Walk, metadata: string): Promise<string | null> {
  const step = 'protected resource metadata';
  if (!URL.canParse(metadata)) return fail(walk, step, metadata, 'resource_metadata must be an absolute URL');
  const document = await fetchJson(walk, step, new URL(metadata));
  if (document === null) return null;
  const resource = document['resource'];
  if (typeof resource !== 'string' || resource.replace(/\/$/, '') !== walk.url.href.replace(/\/$/, ''))
    return fail(
      walk,
      step,
      `resource is ${String(resource)}, but you asked ${walk.url.href}`,
      'clients refuse metadata of another URL: use that URL, or set GATEHOUSE_PUBLIC_URL to the origin that clients use',
    );
  const servers: unknown = document['authorization_servers'];
  const server: unknown = Array.isArray(servers) ? servers[0] : undefined;
  if (typeof server !== 'string' || !URL.canParse(server))
    return fail(
      walk,
      step,
      'authorization_servers is empty',
      'enable a login provider or a remote authorization server, or set GATEHOUSE_DISCOVERY=off',
    );
  good(walk, step, `authorization server ${server}`);
  return server;
}

async function checkServer(walk: Walk, issuer: string): Promise<void> {
  const step = 'authorization server metadata';
  const { origin, pathname } = new URL(issuer);
  const document = await fetchJson(
    walk,
    step,
    new URL(`${origin}/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`),
  );
  if (document === null) return;
  if (document['issuer'] !== issuer) {
    fail(
      walk,
      step,
      `issuer is ${String(document['issuer'])}, the resource names ${issuer}`,
      'both must be the same, byte for byte (RFC 8414 §3.3)',
    );
    return;
  }
  const methods: unknown = document['code_challenge_methods_supported'];
  if (!Array.isArray(methods) || !methods.includes('S256')) {
    fail(
      walk,
      step,
      'PKCE with S256 is not offered',
      'clients refuse such a server; code_challenge_methods_supported must list S256',
    );
    return;
  }
  const ways = [
    ...(document['client_id_metadata_document_supported'] === true ? ['client ID documents'] : []),
    ...(typeof document['registration_endpoint'] === 'string' ? ['registration'] : []),
  ];
  if (ways.length === 0) {
    fail(
      walk,
      step,
      'neither client registration nor client ID documents',
      'clients that were not registered by hand cannot sign in: see GATEHOUSE_REGISTRATION',
    );
    return;
  }
  good(walk, step, `PKCE S256, clients by ${ways.join(' and ')}`);
}

async function checkFirstCall(walk: Walk): Promise<void> {
  const step = 'first call';
  if (walk.token === undefined) return good(walk, step, 'not tried: no --token');
  const answer = await send(walk, step, walk.url, walk.token);
  if (answer === null) return;
  if (answer.status === 200) return good(walk, step, 'initialize answered');
  const hints: Readonly<Record<number, string>> = {
    401: 'the token is unknown, expired or revoked, or was made for another server',
    403: 'the token lacks a scope (GATEHOUSE_REQUIRED_SCOPES), or the Host or Origin is not allowed',
    503: 'the server cannot reach its database or an upstream: see its log',
  };
  fail(walk, step, `${answer.status} ${answer.text.slice(0, 200)}`, hints[answer.status] ?? 'see the server log');
}

async function send(walk: Walk, step: string, url: URL, token: string | undefined): Promise<OutboundResponse | null> {
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'gatehouse-doctor', version: '1' } },
  };
  try {
    return await walk.outbound.send(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(initialize),
    });
  } catch (error) {
    return fail(
      walk,
      step,
      `no answer: ${(error as Error).message}`,
      'is the server running, and are host, port and scheme right?',
    );
  }
}

async function fetchJson(walk: Walk, step: string, url: URL): Promise<Json | null> {
  try {
    const answer = await walk.outbound.send(url, { headers: { accept: 'application/json' } });
    if (answer.status !== 200)
      return fail(
        walk,
        step,
        `${url.href} answers ${answer.status}`,
        'a proxy must pass /.well-known/ to Gatehouse too',
      );
    return JSON.parse(answer.text) as Json;
  } catch (error) {
    return fail(
      walk,
      step,
      `${url.href}: ${(error as Error).message}`,
      'it must be reachable from the client and answer JSON',
    );
  }
}

function good({ findings }: Walk, step: string, saw: string): void {
  findings.push({ step, ok: true, saw });
}

function fail({ findings }: Walk, step: string, saw: string, mend: string): null {
  findings.push({ step, ok: false, saw, mend });
  return null;
}
