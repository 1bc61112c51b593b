import type { NewEvent } from '../audit/events.js';
import { aboutUser, type Circumstances } from './circumstances.js';
import type { UserRow } from './user.entity.js';

/** What `GATEHOUSE_ADMINS` gives. */
const RULE_ROLES: readonly string[] = ['admin'];

/** Roles in force, and those of them that stand and fall with the rules. */
export type Roles = Pick<UserRow, 'roles' | 'ruleRoles'>;

/** The roles when the rules say that the person is an administrator, or not; what an administrator gave by hand stays. */
export function rolesUnder(isAdministrator: boolean, { roles, ruleRoles }: Roles): Roles {
  const given = roles.filter((role) => !ruleRoles.includes(role));
  const ruled = isAdministrator ? RULE_ROLES.filter((role) => !given.includes(role)) : [];
  return { ruleRoles: ruled, roles: [...given, ...ruled].sort() };
}

/** Are the roles in force the same? Both lists are sorted. */
export function isSameRoles(one: Pick<Roles, 'roles'>, other: Pick<Roles, 'roles'>): boolean {
  return one.roles.join() === other.roles.join();
}

/** The Event of roles that the rules gave or took. */
export function rolesRuled(user: UserRow, to: readonly string[], circumstances: Circumstances): NewEvent {
  const detail = { from: user.roles, to, by: 'GATEHOUSE_ADMINS' };
  return aboutUser('user.roles_changed', user.id, { ...circumstances, actor: 'system', detail });
}
