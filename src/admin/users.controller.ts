import { Inject } from '@nestjs/common';
import { PersonalTokenList } from '../access/personal-token-list.js';
import { EventList } from '../audit/event-list.js';
import { GrantList } from '../oauth/grant-list.js';
import { UpstreamFarewells } from '../oauth/upstream-farewells.js';
import type { Key } from '../persistence/keyset.js';
import { type Person, UserList } from '../users/user-list.js';
import { UserChanges } from '../users/user-changes.js';
import { type ListName, readCursor, writeCursor } from './cursor.js';
import { allowMatch, changedMeanwhile, etagOf, requireMatch } from './etag.js';
import { eventFacts, grantFacts, tokenFacts, userFacts } from './facts.js';
import { AdminApi, type Answer, type Ask, Serves } from './operation.js';
import { notFound } from './problem.js';
import {
  changeUser,
  eraseUser,
  getUser,
  listUserEvents,
  listUserGrants,
  listUsers,
  listUserTokens,
} from './user-operations.js';

/** `/admin/v1/users`. */
@AdminApi()
export class UsersController {
  constructor(
    @Inject(UserChanges) private readonly changes: UserChanges,
    @Inject(UserList) private readonly list: UserList,
    @Inject(GrantList) private readonly grants: GrantList,
    @Inject(PersonalTokenList) private readonly tokens: PersonalTokenList,
    @Inject(EventList) private readonly events: EventList,
    @Inject(UpstreamFarewells) private readonly farewells: UpstreamFarewells,
  ) {}

  @Serves(listUsers)
  async page({ query: { limit, cursor, ...filter } }: Ask<typeof listUsers>): Promise<Answer<typeof listUsers>> {
    const { items, next } = await this.list.page(filter, { after: readCursor('users', cursor), limit });
    return { items: items.map(userFacts), next_cursor: nextOf('users', next) };
  }

  @Serves(getUser)
  async one({ params, reply }: Ask<typeof getUser>): Promise<Answer<typeof getUser>> {
    const person = await this.#find(params.id);
    reply.header('etag', etagOfPerson(person));
    return userFacts(person);
  }

  @Serves(changeUser)
  async change({ params, body, ifMatch, by, reply }: Ask<typeof changeUser>): Promise<Answer<typeof changeUser>> {
    const person = await this.#find(params.id);
    requireMatch(ifMatch, etagOfPerson(person));
    if (!(await this.changes.change(person.user, body, by))) throw changedMeanwhile();
    const changed = await this.#find(params.id);
    reply.header('etag', etagOfPerson(changed));
    return userFacts(changed);
  }

  @Serves(eraseUser)
  async erase({ params, ifMatch, by }: Ask<typeof eraseUser>): Promise<undefined> {
    allowMatch(ifMatch, etagOfPerson(await this.#find(params.id)));
    const giveBack = await this.farewells.prepare(params.id);
    if (!(await this.changes.erase(params.id, by))) throw notFound('user');
    giveBack();
  }

  @Serves(listUserGrants)
  async grantsOf({ params, query }: Ask<typeof listUserGrants>): Promise<Answer<typeof listUserGrants>> {
    await this.#find(params.id);
    const { limit, cursor, ...filter } = query;
    const { items, next } = await this.grants.page(
      { ...filter, user: params.id },
      { after: readCursor('grants', cursor), limit },
    );
    return { items: items.map(grantFacts), next_cursor: nextOf('grants', next) };
  }

  @Serves(listUserTokens)
  async tokensOf({ params, query }: Ask<typeof listUserTokens>): Promise<Answer<typeof listUserTokens>> {
    await this.#find(params.id);
    const { limit, cursor, ...filter } = query;
    const { items, next } = await this.tokens.page(
      { ...filter, user: params.id },
      { after: readCursor('tokens', cursor), limit },
    );
    return { items: items.map(tokenFacts), next_cursor: nextOf('tokens', next) };
  }

  @Serves(listUserEvents)
  async eventsOf({ params, query }: Ask<typeof listUserEvents>): Promise<Answer<typeof listUserEvents>> {
    const { limit, cursor, ...filter } = query;
    const { items, next } = await this.events.page(
      { ...filter, user: params.id },
      { after: readCursor('events', cursor), limit },
    );
    return { items: items.map(eventFacts), next_cursor: nextOf('events', next) };
  }

  async #find(id: string): Promise<Person> {
    const person = await this.list.find(id);
    if (!person) throw notFound('user');
    return person;
  }
}

function etagOfPerson({ user }: Person): string {
  return etagOf([user.id, user.status, user.roles]);
}

function nextOf(list: ListName, next: Key | null): string | null {
  return next && writeCursor(list, next);
}
