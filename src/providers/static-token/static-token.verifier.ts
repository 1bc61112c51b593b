import { readFileSync, unwatchFile, watchFile } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { sha256 } from '../../protocol/token.js';
import { defineProvider, type Principal, type ProviderHouse, type Runs, type TokenVerifier } from '../contract.js';

const tokenList = z.record(
  z
    .string()
    .min(8, { error: 'a token wants at least 8 characters' })
    .regex(/^[\x21-\x7E]+$/, { error: 'a token is printable ASCII without spaces' }),
  z.strictObject({
    client_id: z.string().min(1),
    scopes: z.array(z.string()).default([]),
    /** Epoch seconds. */
    expires_at: z.number().int().positive().nullish(),
  }),
);

type TokenList = z.output<typeof tokenList>;

const jsonText = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'wants JSON such as {"<token>":{"client_id":"ci","scopes":["mcp"]}}' });
    return z.NEVER;
  }
});

const settings = z.object({
  tokens: z
    .union([jsonText.pipe(tokenList), tokenList], {
      error: 'wants JSON such as {"<token>":{"client_id":"ci","scopes":["mcp"],"expires_at":1893456000}}',
    })
    .optional()
    .meta({ secret: true, env: 'TOKENS', ownFile: true })
    .describe('JSON: token → `{ client_id, scopes, expires_at? }` (`expires_at` in epoch seconds)'),
  tokensFile: z.string().min(1).optional().describe('The same JSON in a file, reloaded when it changes'),
});

const RELOAD_MS = 1000;

/** Tokens that an operator wrote down, in the environment or in a file. */
class StaticTokens implements TokenVerifier, Runs {
  readonly #file: string | null;
  readonly #listeners = new Set<() => void>();
  #principals: ReadonlyMap<string, Principal>;

  constructor(
    readonly id: string,
    private readonly chosen: z.output<typeof settings>,
    private readonly house: ProviderHouse,
  ) {
    this.#file = chosen.tokensFile === undefined ? null : resolve(house.cwd, chosen.tokensFile);
    this.#principals = this.#index(this.#file === null ? {} : readTokens(this.#file));
  }

  /** The list is keyed by SHA-256: how long a look-up takes says nothing about a token. */
  async verify(token: string): Promise<Principal | null> {
    const principal = this.#principals.get(sha256(token));
    if (!principal || (principal.expiresAt !== null && principal.expiresAt <= Date.now() / 1000)) return null;
    return principal;
  }

  /** Called after the file was read anew. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async open(): Promise<void> {
    if (this.#file !== null) watchFile(this.#file, { interval: RELOAD_MS, persistent: false }, this.#reload);
  }

  async close(): Promise<void> {
    if (this.#file !== null) unwatchFile(this.#file, this.#reload);
  }

  /** A file that cannot be read leaves the old list in force: half-written files must not lock everybody out. */
  readonly #reload = (): void => {
    if (this.#file === null) return;
    try {
      this.#principals = this.#index(readTokens(this.#file));
      for (const listener of this.#listeners) listener();
    } catch (error) {
      this.house.log.error(`static tokens keep their last list: ${(error as Error).message}`);
    }
  };

  #index(fromFile: TokenList): ReadonlyMap<string, Principal> {
    const entries = Object.entries({ ...this.chosen.tokens, ...fromFile });
    return new Map(
      entries.map(([token, { client_id, scopes, expires_at }]) => [
        sha256(token),
        Object.freeze({
          key: `${this.id}:${client_id}`,
          user: null,
          subject: client_id,
          client: client_id,
          scopes,
          roles: [],
          via: this.id,
          expiresAt: expires_at ?? null,
        }),
      ]),
    );
  }
}

/** @throws Error that names the file and never its content */
function readTokens(file: string): TokenList {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is not JSON' : (error as Error).message;
    throw new Error(`cannot read the tokens file ${file}: ${reason}`, { cause: error });
  }
  const list = tokenList.safeParse(parsed);
  if (!list.success)
    throw new Error(`the tokens file ${file} does not fit: wants {"<token>":{"client_id":"ci","scopes":["mcp"]}}`);
  return list.data;
}

/** Bearer tokens listed by the operator. */
export const staticToken = defineProvider({
  kind: 'static-token',
  sort: 'verifier',
  settings,
  create: (id, chosen, house) => new StaticTokens(id, chosen, house),
});
