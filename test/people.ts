import type { INestApplicationContext } from '@nestjs/common';
import { type UserChange, UserChanges } from '../src/users/user-changes.js';
import { Users } from '../src/users/users.js';

/** Does to a person what an administrator would, without the admin API. */
export async function changeUser(app: INestApplicationContext, id: string, wanted: UserChange): Promise<void> {
  const seen = await app.get(Users, { strict: false }).find(id);
  const done = seen && (await app.get(UserChanges, { strict: false }).change(seen, wanted, { actor: 'admin-token' }));
  if (!done) throw new Error(`user ${id} could not be changed`);
}
