import ipaddr from 'ipaddr.js';
import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import type { ProviderChoice } from '../providers/contract.js';
import type { SettingsValues } from './settings.js';

/** What a complete configuration is judged by. */
export interface Draft {
  readonly values: SettingsValues;
  /** The chosen ones, also where their own settings are faulty: all faults come in one message. */
  readonly providers: readonly Pick<ProviderChoice, 'id' | 'kind'>[];
  readonly cwd: string;
  /** How the reader's source calls a setting: `publicUrl` → `GATEHOUSE_PUBLIC_URL`. */
  readonly nameOf: (key: keyof SettingsValues) => string;
}

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
  return [...reachFaults(draft), ...secretFaults(draft), ...tlsFaults(draft), ...listFaults(draft)];
}

/** Is this a loopback name or address (RFC 6761 §6.3, RFC 1122 §3.2.1.3)? */
export function isLoopback(host: string): boolean {
  const name = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return ipaddr.isValid(name) && ipaddr.process(name).range() === 'loopback';
}

function reachFaults({ values, providers, nameOf }: Draft): string[] {
  const faults: string[] = [];
  const login = providers.find(({ kind }) => kind.sort === 'login');
  if (values.allow?.length === 0) faults.push(`${nameOf('allow')}: is empty; wants * or at least one rule`);
  if (!login) return faults;
  const publicHost = values.publicUrl === undefined ? null : new URL(values.publicUrl);
  const offLoopback = !isLoopback(values.host);
  if (offLoopback && publicHost === null)
    faults.push(
      `${nameOf('publicUrl')}: is missing; wants the https origin that clients use, because people sign in with ${login.id} and ${nameOf('host')} is ${values.host}`,
    );
  if (publicHost?.protocol === 'http:' && (offLoopback || !isLoopback(publicHost.hostname)))
    faults.push(
      `${nameOf('publicUrl')}: got "${values.publicUrl}", wants https, because people sign in with ${login.id} and the server is reachable from other machines`,
    );
  if (offLoopback && values.allow === undefined)
    faults.push(
      `${nameOf('allow')}: is missing; wants * (anyone who can sign in with ${login.id}) or rules such as domain:example.com, because ${nameOf('host')} is ${values.host}`,
    );
  return faults;
}

function secretFaults({ values, nameOf }: Draft): string[] {
  if (values.secret !== undefined || values.databaseUrl.startsWith('sqlite:')) return [];
  return [
    `${nameOf('secret')}: is missing; wants 32 random bytes in base64 (openssl rand -base64 32), because with Postgres every node needs the same one`,
  ];
}

function tlsFaults({ values, cwd, nameOf }: Draft): string[] {
  const { tlsCertFile, tlsKeyFile } = values;
  if (tlsCertFile !== undefined && tlsKeyFile === undefined)
    return [`${nameOf('tlsKeyFile')}: is missing; wants the private key of ${nameOf('tlsCertFile')}`];
  if (tlsKeyFile !== undefined && tlsCertFile === undefined)
    return [`${nameOf('tlsCertFile')}: is missing; wants the certificate of ${nameOf('tlsKeyFile')}`];
  return (['tlsCertFile', 'tlsKeyFile'] as const).flatMap((key) => {
    const file = values[key];
    const reason = file === undefined ? null : unreadable(resolve(cwd, file));
    return reason === null ? [] : [`${nameOf(key)}: cannot read ${file} (${reason})`];
  });
}

function listFaults({ values, nameOf }: Draft): string[] {
  const faults: string[] = [];
  for (const range of values.trustedProxies) {
    const fault = faultOfRange(range);
    if (fault) faults.push(`${nameOf('trustedProxies')}: got "${range}", ${fault}`);
  }
  for (const origin of values.allowedOrigins)
    if (origin !== '*' && !isOrigin(origin))
      faults.push(
        `${nameOf('allowedOrigins')}: got "${origin}", wants an origin such as https://app.example.com, or *`,
      );
  const first = values.mcpPath.split('/')[1] ?? '';
  if (TAKEN_PATHS.includes(first))
    faults.push(`${nameOf('mcpPath')}: got "${values.mcpPath}", but /${first} belongs to another endpoint`);
  return faults;
}

function faultOfRange(range: string): string | null {
  const fault = 'wants an address or CIDR such as 10.0.0.0/8';
  if (ipaddr.isValid(range) && !range.includes('/')) return null;
  if (!ipaddr.isValidCIDR(range)) return fault;
  return ipaddr.parseCIDR(range)[1] === 0
    ? 'which would trust every address; wants the addresses of your proxies'
    : null;
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

/** The error code that keeps us from reading a file; null: readable. */
function unreadable(file: string): string | null {
  try {
    accessSync(file, constants.R_OK);
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error';
  }
}
