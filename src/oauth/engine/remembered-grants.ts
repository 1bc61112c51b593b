import { Inject, Injectable } from '@nestjs/common';
import type { KoaContextWithOIDC } from 'oidc-provider';
import { CallerAddresses } from '../../access/caller-address.js';
import { Database } from '../../persistence/database.js';
import { Clients, hashOfClient } from '../clients.js';
import { Consents } from '../consents.js';
import { Grants } from '../grants.js';
import { newReference } from '../pages/reference.js';
import { SignedInIdentity } from '../signed-in-identity.js';
import { UpstreamAsks } from '../upstream-asks.js';
import { SignInTraces } from './sign-in-traces.js';

/** Which Grant an authorization request goes on with. */
@Injectable()
export class RememberedGrants {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Clients) private readonly clients: Clients,
    @Inject(Consents) private readonly consents: Consents,
    @Inject(Grants) private readonly grants: Grants,
    @Inject(SignedInIdentity) private readonly signedIn: SignedInIdentity,
    @Inject(UpstreamAsks) private readonly upstreamAsks: UpstreamAsks,
    @Inject(SignInTraces) private readonly traces: SignInTraces,
    @Inject(CallerAddresses) private readonly addresses: CallerAddresses,
  ) {}

  /**
   * The id of the Grant of this request: the one a page has just made; or a new one when the same person approved the same before and began this
   * navigation by themselves (security.md 13). Never an old one: installations of one metadata document share a client id. null: a page has to ask.
   */
  async idFor(ctx: KoaContextWithOIDC): Promise<string | null> {
    const { oidc } = ctx;
    const made = (oidc.result as { consent?: { grantId?: string } } | undefined)?.consent?.grantId;
    if (made !== undefined) return made;
    const { session, client, params } = oidc;
    if (!session?.accountId || !client || oidc.prompts.has('consent') || oidc.prompts.has('login')) return null;
    if (!['none', 'same-origin'].includes(ctx.get('sec-fetch-site'))) return null;
    const row = await this.clients.find(client.clientId);
    if (row?.status !== 'active') return null;
    const subject = {
      userId: session.accountId,
      clientId: row.id,
      redirectUri: String(params?.['redirect_uri']),
      resource: String(params?.['resource']),
      clientHash: hashOfClient(row),
      scopes: [...oidc.requestParamScopes],
    };
    if (!(await this.consents.covering(subject))) return null;
    const identity = await this.signedIn.of(session.accountId, session.uid);
    // A page has to send them to the provider: tools would tell them to sign in, again and again, and signing in would change nothing.
    if (await this.upstreamAsks.lacks(session.accountId, identity, subject)) return null;
    const reference = newReference();
    const ip = this.addresses.of(ctx.req);
    const { id, statements } = this.grants.create({ ...subject, identity, reference, ip, remembered: true });
    await this.database.commit(statements);
    this.traces.remembered(ctx, reference, { grantId: id, userId: subject.userId, provider: identity?.provider });
    return id;
  }
}
