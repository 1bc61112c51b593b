import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { z } from 'zod';
import { REPEATS_NOTHING } from '../../config/faults.js';
import { sha256 } from '../../protocol/token.js';
import { defineProvider, type Principal, type ProviderHouse, type Runs, type TokenVerifier } from '../contract.js';
import { parseTokenList, readTokenFile, type TokenList, type TokenListInput } from './token-list.js';

const settings = z.object({
  tokens: z
    .custom<string | TokenListInput>()
    .transform((value, context): TokenList => {
      const list = parseTokenList(value);
      if (typeof list !== 'string') return list;
      context.addIssue({ code: 'custom', message: list, params: REPEATS_NOTHING });
      return z.NEVER;
    })
    .optional()
    .meta({ secret: true })
    .describe('JSON: token → `{ client_id, scopes, expires_at? }` (`expires_at` in epoch seconds)'),
  tokensFile: z.string().min(1).optional().describe('The same JSON in a file, reloaded when it changes'),
});

const RELOAD_MS = 1000;

/** Tokens that an operator wrote down, in the environment or in a file. */
class StaticTokens implements TokenVerifier, Runs {
  readonly #file: string | null;
  readonly #listeners = new Set<() => void>();
  #principals: ReadonlyMap<string, Principal>;
  /** The file as last seen, fit or not, or why it could not be read: each change is told of once. */
  #seen = '';
  #timer: NodeJS.Timeout | undefined;
  #isOpen = false;

  constructor(
    readonly id: string,
    private readonly chosen: z.output<typeof settings>,
    private readonly house: ProviderHouse,
  ) {
    this.#file = chosen.tokensFile === undefined ? null : resolve(house.cwd, chosen.tokensFile);
    this.#principals = this.#index(this.#file === null ? {} : this.#readFirst(this.#file));
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
    this.#isOpen = true;
    await this.#look();
  }

  async close(): Promise<void> {
    this.#isOpen = false;
    clearTimeout(this.#timer);
  }

  #readFirst(file: string): TokenList {
    try {
      this.#seen = readFileSync(file, 'utf8');
    } catch (error) {
      throw unreadable(file, error);
    }
    return parseTokens(file, this.#seen);
  }

  /**
   * Compares the content, not the file's times: a file replaced by rename or through a symbolic link, as Kubernetes does with secrets, counts like one
   * that is written over, and a change between two looks is never missed.
   */
  async #look(): Promise<void> {
    const file = this.#file;
    if (file === null || !this.#isOpen) return;
    await this.#reload(file);
    if (!this.#isOpen) return;
    this.#timer = setTimeout(() => void this.#look(), RELOAD_MS);
    this.#timer.unref();
  }

  /** A file that cannot be used leaves the old list in force: half-written files must not lock everybody out. */
  async #reload(file: string): Promise<void> {
    try {
      const text = await readFile(file, 'utf8').catch((error: unknown): never => {
        throw unreadable(file, error);
      });
      if (text === this.#seen) return;
      this.#seen = text;
      this.#principals = this.#index(parseTokens(file, text));
      for (const listener of this.#listeners) listener();
    } catch (error) {
      const { message } = error as Error;
      if (error instanceof Unreadable && message === this.#seen) return;
      if (error instanceof Unreadable) this.#seen = message;
      this.house.log.error(`static tokens keep their last list: ${message}`);
    }
  }

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

class Unreadable extends Error {}

function unreadable(file: string, cause: unknown): Unreadable {
  return new Unreadable(`cannot read the tokens file ${file}: ${(cause as Error).message}`, { cause });
}

/** @throws Error that names the file and never its content */
function parseTokens(file: string, text: string): TokenList {
  const list = parseTokenList(text);
  if (typeof list === 'string') throw new Error(`the tokens file ${file}: ${list}`);
  return list;
}

/** Bearer tokens listed by the operator. */
export const staticToken = defineProvider({
  kind: 'static-token',
  sort: 'verifier',
  settings,
  examine: ({ tokensFile }, cwd) => {
    const list = tokensFile === undefined ? {} : readTokenFile(resolve(cwd, tokensFile));
    return typeof list === 'string' ? [{ key: 'tokensFile', fault: list }] : [];
  },
  create: (id, chosen, house) => new StaticTokens(id, chosen, house),
});
