import type { Settings } from '../config/settings.js';
import { isLoopback } from '../config/consistency.js';

/** What the operator should see at every start: where it is, who can get in, and what is unsafe. No secrets. */
export function banner(settings: Settings): string[] {
  const { values, providers } = settings;
  return [
    `Gatehouse serves MCP on ${settings.mcpUrl}`,
    `listening   ${values.host}:${values.port}${values.tlsCertFile ? ' (https)' : ''}`,
    `providers   ${providers.map(({ id, kind }) => (id === kind.kind ? id : `${id} (${kind.kind})`)).join(', ')}`,
    `database    ${databaseName(values.databaseUrl)}`,
  ];
}

/** What is unsafe about this configuration, one sentence each; empty when nothing is. */
export function unsafe(settings: Settings): string[] {
  const { values } = settings;
  const reachable = !isLoopback(values.host) || !isLoopback(new URL(settings.publicUrl).hostname);
  return [
    ...(reachable && !settings.secure
      ? [
          'tokens cross the network in clear: serve https, or put a proxy with https in front and set GATEHOUSE_PUBLIC_URL',
        ]
      : []),
    ...(settings.hasLogin && reachable && settings.allow.some(({ kind }) => kind === 'anyone')
      ? ['everybody who has an account at a login provider can sign in: set GATEHOUSE_ALLOW to rules']
      : []),
    ...(settings.hasLogin && values.admins.some(({ kind }) => kind === 'anyone')
      ? ['everybody who can sign in is an administrator: set GATEHOUSE_ADMINS to rules']
      : []),
    ...(reachable && values.allowedOrigins.includes('*')
      ? ['every web page may call the MCP endpoint from a browser: GATEHOUSE_ALLOWED_ORIGINS is *']
      : []),
    ...(values.rateLimits ? [] : ['there are no rate limits: GATEHOUSE_RATE_LIMITS is off']),
    ...(values.databaseUrl === 'sqlite::memory:'
      ? ['everything is forgotten at the end: the database is in memory']
      : []),
    ...(values.errorRedirects === 'all'
      ? ['errors redirect browsers to unverified clients: GATEHOUSE_ERROR_REDIRECTS is all']
      : []),
  ];
}

/** The database without its password. */
export function databaseName(url: string): string {
  if (url.startsWith('sqlite:')) return url === 'sqlite::memory:' ? 'SQLite in memory' : `SQLite ${url.slice(7)}`;
  if (!URL.canParse(url)) return 'Postgres';
  const { host, pathname } = new URL(url);
  return `Postgres ${host}${pathname}`;
}
