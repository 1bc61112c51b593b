import { Module } from '@nestjs/common';
import { PersonalTokens } from '../access/personal-tokens.js';
import { Identities } from './identities.js';
import { RuleBook } from './rule-book.js';
import { UserChanges } from './user-changes.js';
import { UserList } from './user-list.js';
import { Users } from './users.js';

/** People. Their personal tokens find them whether or not anybody can log in now. */
@Module({
  providers: [Identities, RuleBook, UserChanges, UserList, Users],
  exports: [Identities, RuleBook, UserChanges, UserList, Users],
})
export class UsersModule {
  constructor(users: Users, personalTokens: PersonalTokens) {
    personalTokens.findOwnersBy((userId) => users.owner(userId));
  }
}
