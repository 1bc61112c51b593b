import ipaddr from 'ipaddr.js';
import type { Draft } from './draft.js';
import { isRange, trustsEverybody } from './ranges.js';
import { faultsOfTls } from './tls-pair.js';

/** First words of the paths that belong to our own endpoints. */
export const TAKEN_PATHS: readonly string[] = [
  'authorize',
  'token',
  'register',
  'revoke',
  'introspect',
  'par',
  'jwks',
  'login',
  'consent',
  'callback',
  'account',
  'admin',
  'health',
  'metrics',
  'auth',
  '.well-known',
];

/** Faults that only several settings together have (security.md 48: fail closed at start); empty when there are none. */
export function inconsistencies(draft: Draft): string[] {
  return [...reachFaults(draft), ...secretFaults(draft), ...faultsOfTls(draft), ...listFaults(draft)];
}

/** Is this a loopback name or address (RFC 6761 §6.3, RFC 1122 §3.2.1.3)? */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback';
}

function reachFaults({ values, faulty, providers, nameOf }: Draft): string[] {
  const faults: string[] = [];
  const login = providers.find(({ kind }) => kind.sort === 'login');
  if (values.allow?.length === 0) faults.push(`${nameOf('allow')}: is empty; wants * or at least one rule`);
  if (!login) return faults;
  const publicHost = values.publicUrl === undefined ? null : new URL(values.publicUrl);
  const offLoopback = values.host !== undefined && !isLoopback(values.host);
  if (offLoopback && publicHost === null && !faulty.has('publicUrl'))
    faults.push(
      `${nameOf('publicUrl')}: is missing; wants the https origin that clients use, because people sign in with ${login.id} and ${nameOf('host')} is ${values.host}`,
    );
  if (publicHost?.protocol === 'http:' && (offLoopback || !isLoopback(publicHost.hostname)))
    faults.push(
      `${nameOf('publicUrl')}: got "${values.publicUrl}", wants https, because people sign in with ${login.id} and the server is reachable from other machines`,
    );
  if (offLoopback && values.allow === undefined && !faulty.has('allow'))
    faults.push(
      `${nameOf('allow')}: is missing; wants * (anyone who can sign in with ${login.id}) or rules such as domain:example.com, because ${nameOf('host')} is ${values.host}`,
    );
  return faults;
}

function secretFaults({ values, faulty, nameOf }: Draft): string[] {
  if (values.secret !== undefined || faulty.has('secret')) return [];
  if (values.databaseUrl === undefined || values.databaseUrl.startsWith('sqlite:')) return [];
  return [
    `${nameOf('secret')}: is missing; wants 32 random bytes in base64 (openssl rand -base64 32), because with Postgres every node needs the same one`,
  ];
}

function listFaults({ values, nameOf }: Draft): string[] {
  const faults: string[] = [];
  const proxies = values.trustedProxies ?? [];
  for (const range of proxies.filter((one) => !isRange(one)))
    faults.push(`${nameOf('trustedProxies')}: got "${range}", wants an address or CIDR such as 10.0.0.0/8`);
  if (trustsEverybody(proxies.filter(isRange)))
    faults.push(
      `${nameOf('trustedProxies')}: got "${proxies.join(',')}", which would trust every address; wants the addresses of your proxies`,
    );
  for (const origin of values.allowedOrigins ?? [])
    if (origin !== '*' && !isOrigin(origin))
      faults.push(
        `${nameOf('allowedOrigins')}: got "${origin}", wants an origin such as https://app.example.com, or *`,
      );
  const first = values.mcpPath?.split('/')[1] ?? '';
  if (TAKEN_PATHS.includes(first))
    faults.push(`${nameOf('mcpPath')}: got "${values.mcpPath}", but /${first} belongs to another endpoint`);
  return faults;
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
