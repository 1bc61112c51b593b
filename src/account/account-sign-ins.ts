import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { sha256 } from '../protocol/token.js';
import { randomValue } from '../oauth/attempts.js';
import { BrowserCookies } from '../oauth/browser-cookies.js';
import type { UserRow } from '../users/user.entity.js';
import { Users } from '../users/users.js';
import { AccountSignInRow } from './account-sign-in.entity.js';

const COOKIE = 'gth_account';
/** Seconds without a request after which a browser is signed out of the account page. */
export const IDLE_SECONDS = 1800;
/** Seconds after which it is signed out however busy it is. */
export const LONGEST_SECONDS = 12 * 3600;
/** A request is noted at most once in this many seconds. */
const NOTED_SECONDS = 60;

/** Who is signed in to the account page in this browser. */
export interface SignedIn {
  readonly user: UserRow;
  /** Provider instance they signed in with. */
  readonly provider: string;
  /** To what the page's forms are tied: another sign-in has another one. */
  readonly formSubject: string;
}

/** Browsers signed in to the account page: the cookie's value is stored as a hash only, and a block ends them at once. */
@Injectable()
export class AccountSignIns {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(BrowserCookies) private readonly cookies: BrowserCookies,
    @Inject(Users) private readonly users: Users,
  ) {}

  /** A new sign-in that replaces this browser's former one: commit the statements, then set the cookie. */
  begin(
    request: FastifyRequest,
    who: { userId: string; provider: string },
  ): { statements: readonly Statement[]; setCookie: (reply: FastifyReply) => void } {
    const value = randomValue();
    const former = this.cookies.read(request, COOKIE);
    const at = now();
    const row = { idHash: sha256(value), ...who, createdAt: at, seenAt: at, expiresAt: at + LONGEST_SECONDS };
    return {
      statements: [
        ...(former === null ? [] : [this.database.remove(AccountSignInRow, { idHash: sha256(former) })]),
        this.database.insert(AccountSignInRow, row),
      ],
      setCookie: (reply) => this.cookies.set(reply, COOKIE, value, LONGEST_SECONDS),
    };
  }

  /** null: nobody, too long idle, or blocked. */
  async current(request: FastifyRequest): Promise<SignedIn | null> {
    const value = this.cookies.read(request, COOKIE);
    if (value === null) return null;
    const idHash = sha256(value);
    const row = await this.database.repository(AccountSignInRow).findOneBy({ idHash });
    const at = now();
    if (!row || row.expiresAt <= at || row.seenAt + IDLE_SECONDS <= at) return null;
    const user = await this.users.find(row.userId);
    if (user?.status !== 'active') return null;
    if (row.seenAt + NOTED_SECONDS <= at)
      await this.database.commit([this.database.update(AccountSignInRow, { seenAt: at }, { idHash })]);
    return { user, provider: row.provider, formSubject: `account:${idHash}` };
  }

  /** Signs this browser out. */
  async end(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const value = this.cookies.read(request, COOKIE);
    this.cookies.set(reply, COOKIE, '', 0);
    if (value !== null) await this.database.commit([this.database.remove(AccountSignInRow, { idHash: sha256(value) })]);
  }

  /** A statement that signs a person out of every browser. */
  endAll(userId: string): Statement {
    return this.database.remove(AccountSignInRow, { userId });
  }

  /** For the purge job. */
  purge(batch: number): Statement {
    return sql`DELETE FROM account_sign_in WHERE id_hash IN (SELECT id_hash FROM account_sign_in WHERE expires_at < ${now()} ORDER BY expires_at LIMIT ${batch})`;
  }
}

const now = (): number => Math.floor(Date.now() / 1000);
