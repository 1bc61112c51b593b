import type { PersonalTokenRow } from '../access/personal-token.entity.js';
import { PersonalTokens } from '../access/personal-tokens.js';
import { Revocations } from '../access/revocations.js';
import { VerifiedTokens } from '../access/verified-tokens.js';
import { Verifiers } from '../access/verifiers.js';
import { Events } from '../audit/events.js';
import { tokenFacts } from '../admin/facts.js';
import type { Environment } from '../config/environment.js';
import type { Settings } from '../config/settings.js';
import { duration, scopes } from '../config/values.js';
import type { Database } from '../persistence/database.js';
import { Notifications } from '../persistence/notifications.js';
import { withDatabase } from './database.js';
import { CommandFailed } from './failure.js';

/** Who the audit log names for changes made here. */
const ACTOR = 'command-line';
const TEN_YEARS = 3650 * 86_400;

/** Makes a personal token of the installation and prints it, the only time it can be read. */
export async function createToken(
  env: Environment,
  options: { name: string; scope?: string; expires?: string; json?: boolean },
): Promise<void> {
  const lifetime =
    options.expires === undefined ? null : parsed('--expires', duration({ min: 60, max: TEN_YEARS }), options.expires);
  const wanted = options.scope === undefined ? null : parsed('--scope', scopes(), options.scope);
  const { row, token } = await withTokens(env, (tokens, settings) =>
    tokens.create({
      name: options.name,
      userId: null,
      scopes: wanted ?? settings.values.defaultScopes,
      expiresAt: lifetime === null ? null : Math.floor(Date.now() / 1000) + lifetime,
      actor: ACTOR,
    }),
  );
  if (options.json) print(JSON.stringify({ ...tokenFacts(row), token }));
  else print(`${token}\n\nid ${row.id}, scopes ${row.scopes.join(' ') || 'none'}. It is shown this once.`);
}

/** Prints all personal tokens, without what opens anything. */
export async function listTokens(env: Environment, { json }: { json?: boolean }): Promise<void> {
  const rows = await withTokens(env, (tokens) => tokens.all());
  if (json) return print(JSON.stringify(rows.map(tokenFacts)));
  if (rows.length === 0) return print('no tokens');
  for (const row of rows)
    print(
      [row.id, `${row.hint}…`, stateOf(row), row.scopes.join(' ') || '-', row.name]
        .map((cell) => cell.padEnd(12))
        .join('  '),
    );
}

/** Ends a token; running servers hear of it within a second. */
export async function revokeToken(env: Environment, id: string, { json }: { json?: boolean }): Promise<void> {
  const done = await withTokens(env, (tokens) => tokens.revoke(id, { actor: ACTOR }));
  if (!done) throw new CommandFailed(`no live token has the id ${id}; see: gatehouse token list`);
  print(json ? JSON.stringify({ id, status: 'revoked' }) : `revoked ${id}`);
}

async function withTokens<T>(
  env: Environment,
  use: (tokens: PersonalTokens, settings: Settings) => Promise<T>,
): Promise<T> {
  return withDatabase(env, (database: Database, settings) => {
    const verified = new VerifiedTokens(new Verifiers());
    const revocations = new Revocations(database, verified, new Notifications(settings));
    return use(new PersonalTokens(database, new Events(database), revocations), settings);
  });
}

function stateOf({ revokedAt, expiresAt }: PersonalTokenRow): string {
  if (revokedAt !== null) return 'revoked';
  if (expiresAt === null) return 'live';
  return expiresAt <= Date.now() / 1000 ? 'expired' : `until ${new Date(expiresAt * 1000).toISOString().slice(0, 10)}`;
}

function parsed<T>(
  option: string,
  schema: {
    safeParse(value: string): { success: true; data: T } | { success: false; error: { issues: { message: string }[] } };
  },
  text: string,
): T {
  const result = schema.safeParse(text);
  if (result.success) return result.data;
  throw new CommandFailed(`${option}: got "${text}", ${result.error.issues[0]?.message}`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
