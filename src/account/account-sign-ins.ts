import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Database } from '../persistence/database.js';
import { sql, type Statement } from '../persistence/statement.js';
import { SealBroken, Seals } from '../persistence/seals.js';
import { sha256 } from '../protocol/token.js';
import { randomValue } from '../oauth/attempts.js';
import { BrowserCookies } from '../oauth/browser-cookies.js';
import type { UserRow } from '../users/user.entity.js';
import { Users } from '../users/users.js';
import { AccountSignInRow } from './account-sign-in.entity.js';

const COOKIE = 'gth_account';
const ID_TOKEN_SEAL = 'account-id-token';
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
  /** What the provider gave at that sign-in; null: none. */
  readonly sealedIdToken: string | null;
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
    @Inject(Seals) private readonly seals: Seals,
  ) {}

  /** A new sign-in that replaces this browser's former one: commit the statements, then set the cookie. */
  begin(
    request: FastifyRequest,
    { userId, provider, idToken }: { userId: string; provider: string; idToken: string | undefined },
  ): { statements: readonly Statement[]; setCookie: (reply: FastifyReply) => void } {
    const value = randomValue();
    const former = this.cookies.read(request, COOKIE);
    const at = now();
    const row: AccountSignInRow = {
      idHash: sha256(value),
      userId,
      provider,
      idToken: idToken === undefined ? null : this.seals.seal(idToken, ID_TOKEN_SEAL),
      createdAt: at,
      seenAt: at,
      expiresAt: at + LONGEST_SECONDS,
    };
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
    return { user, provider: row.provider, sealedIdToken: row.idToken, formSubject: `account:${idHash}` };
  }

  /** The id_token of a sign-in; undefined: the provider gave none, or the key that sealed it is gone. */
  idTokenOf({ sealedIdToken }: SignedIn): string | undefined {
    try {
      return sealedIdToken === null ? undefined : this.seals.open(sealedIdToken, ID_TOKEN_SEAL);
    } catch (error) {
      if (error instanceof SealBroken) return undefined;
      throw error;
    }
  }

  /** A statement that signs this browser out; call `dropCookie` after its commit. */
  end(request: FastifyRequest): Statement {
    return this.database.remove(AccountSignInRow, { idHash: hashOf(this.cookies.read(request, COOKIE)) });
  }

  /** The browser forgets its sign-in. */
  dropCookie(reply: FastifyReply): void {
    this.cookies.set(reply, COOKIE, '', 0);
  }

  /** A statement that signs a person out of every browser. */
  endAll(userId: string): Statement {
    return this.database.remove(AccountSignInRow, { userId });
  }

  /** A statement that signs a person out of every browser but the one that sent this request. */
  endElsewhere(request: FastifyRequest, userId: string): Statement {
    return sql`DELETE FROM account_sign_in WHERE user_id = ${userId} AND id_hash <> ${hashOf(this.cookies.read(request, COOKIE))}`;
  }

  /** For the purge job. */
  purge(batch: number): Statement {
    return sql`DELETE FROM account_sign_in WHERE id_hash IN (SELECT id_hash FROM account_sign_in WHERE expires_at < ${now()} ORDER BY expires_at LIMIT ${batch})`;
  }
}

/** Of the cookie's value; of none, what no row has. */
function hashOf(value: string | null): string {
  return value === null ? '' : sha256(value);
}

const now = (): number => Math.floor(Date.now() / 1000);
