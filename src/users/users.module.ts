import { Module } from '@nestjs/common';
import { UserList } from './user-list.js';
import { Users } from './users.js';

/** People. */
@Module({ providers: [UserList, Users], exports: [UserList, Users] })
export class UsersModule {}
