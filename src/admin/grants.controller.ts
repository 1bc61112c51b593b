import { Inject } from '@nestjs/common';
import { GrantList } from '../oauth/grant-list.js';
import { Grants } from '../oauth/grants.js';
import { readCursor, writeCursor } from './cursor.js';
import { grantFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, operation, Serves } from './operation.js';
import { notFound } from './problem.js';
import { grantQuery, grantSchema } from './grant-schemas.js';
import { pageOf } from './paging.js';
import { idParams } from './values.js';

/** GET /grants */
export const listGrants = operation({
  id: 'listGrants',
  method: 'get',
  path: '/grants',
  tag: 'Grants',
  summary: 'Connections of people to clients, newest first',
  query: grantQuery,
  status: 200,
  answer: pageOf(grantSchema),
});

/** GET /grants/:id */
export const getGrant = operation({
  id: 'getGrant',
  method: 'get',
  path: '/grants/:id',
  tag: 'Grants',
  summary: 'One Grant',
  params: idParams,
  status: 200,
  answer: grantSchema,
  problems: [404],
});

/** DELETE /grants/:id */
export const revokeGrant = operation({
  id: 'revokeGrant',
  method: 'delete',
  path: '/grants/:id',
  tag: 'Grants',
  summary: 'Revoke a Grant with all its tokens',
  description: 'At once on this node, within moments on the others. A Grant that was revoked before stays so.',
  params: idParams,
  status: 204,
  answer: null,
  problems: [404],
});

/** `/admin/v1/grants`. */
@AdminApi()
export class GrantsController {
  constructor(
    @Inject(Grants) private readonly grants: Grants,
    @Inject(GrantList) private readonly list: GrantList,
  ) {}

  @Serves(listGrants)
  async page({ query: { limit, cursor, ...filter } }: Ask<typeof listGrants>): Promise<Answer<typeof listGrants>> {
    const { items, next } = await this.list.page(filter, { after: readCursor('grants', cursor), limit });
    return { items: items.map(grantFacts), next_cursor: next && writeCursor('grants', next) };
  }

  @Serves(getGrant)
  async one({ params }: Ask<typeof getGrant>): Promise<Answer<typeof getGrant>> {
    const grant = await this.list.find(params.id);
    if (!grant) throw notFound('grant');
    return grantFacts(grant);
  }

  @Serves(revokeGrant)
  async revoke({ params, by }: Ask<typeof revokeGrant>): Promise<undefined> {
    if (!(await this.list.find(params.id))) throw notFound('grant');
    await this.grants.revoke(params.id, { ...by, reason: 'admin' });
  }
}
