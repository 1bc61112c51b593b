import { Inject, Injectable } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import type { IdentityKey } from '../../providers/contract.js';
import { Identities } from '../../users/identities.js';
import type { UserRow } from '../../users/user.entity.js';
import { Users } from '../../users/users.js';
import { Admission } from '../admission.js';
import { Grants } from '../grants.js';
import { accountBehind, SignedInIdentity } from '../signed-in-identity.js';

/** The person of a request, as the engine knows accounts: no code is made for a browser whose person may no longer come in (security.md 8). */
@Injectable()
export class RememberedPeople {
  readonly #refused = new WeakMap<KoaContextWithOIDC, IdentityKey>();

  constructor(
    @Inject(Users) private readonly users: Users,
    @Inject(Identities) private readonly identities: Identities,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(SignedInIdentity) private readonly signedInIdentity: SignedInIdentity,
    @Inject(Admission) private readonly admission: Admission,
  ) {}

  /** For the engine's `findAccount`; undefined: blocked, gone, or they must sign in anew. */
  async find(ctx: KoaContextWithOIDC, id: string) {
    const user = id.includes('\0') ? null : await this.users.find(id);
    if (!user || user.status === 'blocked') return undefined;
    // `/token` checks the Grant that it is about.
    if (ctx.path.startsWith('/authorize') && !(await this.#mayStay(ctx, user))) return undefined;
    return {
      accountId: user.id,
      claims: () => ({
        sub: user.id,
        ...(user.name === null ? {} : { name: user.name }),
        ...(user.email === null ? {} : { email: user.email, email_verified: true }),
      }),
    };
  }

  /** The account whose person this request has found to be no longer let in; undefined: nobody. */
  refusedIn(ctx: KoaContextWithOIDC): IdentityKey | undefined {
    return this.#refused.get(ctx);
  }

  async #mayStay(ctx: KoaContextWithOIDC, { id }: UserRow): Promise<boolean> {
    const { session, result } = ctx.oidc;
    const made = (result as { consent?: { grantId?: string } } | undefined)?.consent?.grantId;
    const grant = made === undefined ? null : await this.grants.find(made);
    const account = grant
      ? accountBehind(grant, await this.identities.byUse(id))
      : await this.signedInIdentity.of(id, session?.uid);
    const standing = await this.admission.standingOf(id, account);
    if (standing === 'not-admitted') {
      if (account) this.#refused.set(ctx, { provider: account.provider, subject: account.subject });
      signOut(session);
    }
    return standing === 'admitted';
  }
}

/** The engine saves the browser once more at the end of the request: with its person it would be signed in again. */
function signOut(session: KoaContextWithOIDC['oidc']['session']): void {
  if (!session) return;
  const signedIn = session as { accountId?: unknown; loginTs?: unknown; authorizations?: unknown };
  delete signedIn.accountId;
  delete signedIn.loginTs;
  delete signedIn.authorizations;
}
