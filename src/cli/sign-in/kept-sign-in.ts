import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { StoredOAuthClientInformation, StoredOAuthTokens } from '@modelcontextprotocol/client';
import { z } from 'zod';
import type { Environment } from '../../config/environment.js';
import { sha256 } from '../../protocol/token.js';
import { locked } from './file-lock.js';

const kept = z.object({
  /** The MCP URL, for whoever reads the file. */
  url: z.string(),
  client: z.looseObject({ client_id: z.string() }),
  /** With which the client is registered. */
  redirect_uri: z.string(),
  tokens: z.looseObject({ access_token: z.string(), token_type: z.string() }).optional(),
});

/** What is known of one MCP server. */
export interface SignInFacts {
  readonly client: StoredOAuthClientInformation;
  /** With which the client is registered. */
  readonly redirectUri: string;
  /** Undefined: registered, and not signed in. */
  readonly tokens?: StoredOAuthTokens | undefined;
}

/** The folder of this program in the user's configuration: `$XDG_CONFIG_HOME/gatehouse` (XDG Base Directory), `%APPDATA%\gatehouse` on Windows. */
export function userFolder(env: Environment, platform: NodeJS.Platform = process.platform): string {
  const chosen = platform === 'win32' ? env['APPDATA'] : env['XDG_CONFIG_HOME'];
  // The specification wants relative paths ignored.
  if (chosen !== undefined && isAbsolute(chosen)) return join(chosen, 'gatehouse');
  return join(homedir(), ...(platform === 'win32' ? ['AppData', 'Roaming'] : ['.config']), 'gatehouse');
}

/** The sign-in at one MCP server, in a file of its own that only its owner can read. */
export class KeptSignIn {
  readonly #folder: string;
  readonly #file: string;

  /** @param folder see `userFolder` */
  constructor(
    folder: string,
    private readonly url: URL,
  ) {
    this.#folder = join(folder, 'sign-ins');
    this.#file = join(this.#folder, `${sha256(url.href).slice(0, 32)}.json`);
  }

  /** Null: there is none, or the file is not ours any more. @throws Error when it cannot be read */
  read(): SignInFacts | null {
    let text: string;
    try {
      text = readFileSync(this.#file, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    const facts = kept.safeParse(json(text));
    if (!facts.success || facts.data.url !== this.url.href) return null;
    const { client, redirect_uri: redirectUri, tokens } = facts.data;
    return { client, redirectUri, tokens };
  }

  /** Replaces the file as a whole: another command sees the old one or the new one. */
  write({ client, redirectUri, tokens }: SignInFacts): void {
    this.#makeFolder();
    const fresh = `${this.#file}.${randomBytes(6).toString('hex')}`;
    const facts: z.input<typeof kept> = { url: this.url.href, client: { ...client }, redirect_uri: redirectUri };
    if (tokens) facts.tokens = { ...tokens };
    try {
      writeFileSync(fresh, `${JSON.stringify(facts, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });
      renameSync(fresh, this.#file);
    } catch (error) {
      rmSync(fresh, { force: true });
      throw error;
    }
  }

  forget(): void {
    rmSync(this.#file, { force: true });
  }

  /** Keeps other commands from refreshing at the same time: a server that rotates refresh tokens would take the second for a thief. */
  async alone<T>(act: () => Promise<T>): Promise<T> {
    this.#makeFolder();
    return locked(`${this.#file}.lock`, act);
  }

  #makeFolder(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    chmodSync(this.#folder, 0o700);
    chmodSync(join(this.#folder, '..'), 0o700);
  }
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
