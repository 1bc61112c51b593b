import { Module } from '@nestjs/common';
import { Users } from './users.js';

/** People. */
@Module({ providers: [Users], exports: [Users] })
export class UsersModule {}
