import { Inject, Injectable } from '@nestjs/common';
import { Revocations } from '../access/revocations.js';
import { Events } from '../audit/events.js';
import { Database } from '../persistence/database.js';
import { CommitConflict } from '../persistence/faults.js';
import { expecting } from '../persistence/statement.js';
import { AdmissionRow } from './admission.entity.js';
import { aboutUser, type Circumstances, endedBy } from './circumstances.js';
import { isSameRoles, rolesRuled, rolesUnder } from './roles.js';
import { IdentityRow, UserRow } from './user.entity.js';

/** What an administrator may change of a person. */
export type UserChange = {
  readonly status?: UserRow['status'] | undefined;
  readonly roles?: readonly string[] | undefined;
};

/** What others do to a person: an administrator changes or erases them, the rules give and take roles. Caches drop what they hold of the person. */
@Injectable()
export class UserChanges {
  constructor(
    @Inject(Database) private readonly database: Database,
    @Inject(Events) private readonly events: Events,
    @Inject(Revocations) private readonly revocations: Revocations,
  ) {}

  /**
   * Sets status and roles in one commit, provided that both still are what the administrator saw in `seen`.
   * @returns false: no such person, or somebody was faster
   */
  async change(seen: UserRow, wanted: UserChange, circumstances: Circumstances): Promise<boolean> {
    const { id } = seen;
    const status = wanted.status ?? seen.status;
    const roles = wanted.roles ? [...new Set(wanted.roles)].sort() : seen.roles;
    const rolesChange = !isSameRoles({ roles }, seen);
    const statements = [
      expecting(
        1,
        this.database.update(UserRow, rolesChange ? { status, roles, ruleRoles: [] } : { status }, {
          id,
          status: seen.status,
          roles: seen.roles,
        }),
      ),
      ...(status === 'blocked' && seen.status !== status
        ? this.revocations.cutOff(id, endedBy(id, 'user-blocked', circumstances))
        : []),
      ...(status === seen.status
        ? []
        : [this.events.record(aboutUser(status === 'blocked' ? 'user.blocked' : 'user.unblocked', id, circumstances))]),
      ...(rolesChange
        ? [
            this.events.record(
              aboutUser('user.roles_changed', id, { ...circumstances, detail: { from: seen.roles, to: roles } }),
            ),
          ]
        : []),
    ];
    try {
      await this.revocations.revoke([{ kind: 'user', id }], statements);
      return true;
    } catch (error) {
      if (error instanceof CommitConflict && error.index === 0) return false;
      throw error;
    }
  }

  /** Removes the person's name, address and accounts, and cuts off every token; the Events keep the bare id. False: no such person. */
  async erase(id: string, circumstances: Circumstances): Promise<boolean> {
    if (!(await this.database.repository(UserRow).findOneBy({ id }))) return false;
    const identities = await this.database.repository(IdentityRow).findBy({ userId: id });
    await this.revocations.revoke(
      [{ kind: 'user', id }],
      [
        this.database.remove(IdentityRow, { userId: id }),
        this.database.remove(AdmissionRow, { userId: id }),
        expecting(1, this.database.remove(UserRow, { id })),
        ...this.revocations.erase(id, endedBy(id, 'user-erased', circumstances)),
        ...identities.map(({ provider, subject }) => this.events.forgetStranger(provider, subject)),
        this.events.record(aboutUser('user.erased', id, circumstances)),
      ],
    );
    return true;
  }

  /** Gives or takes, between sign-ins, what `GATEHOUSE_ADMINS` gives; roles that an administrator gave stay. */
  async rule(id: string, isAdministrator: boolean): Promise<void> {
    const user = await this.database.repository(UserRow).findOneBy({ id });
    if (!user) return;
    const change = rolesUnder(isAdministrator, user);
    if (isSameRoles(change, user) && change.ruleRoles.join() === user.ruleRoles.join()) return;
    try {
      await this.revocations.revoke(
        [{ kind: 'user', id }],
        [
          expecting(1, this.database.update(UserRow, change, { id, roles: user.roles, ruleRoles: user.ruleRoles })),
          this.events.record(rolesRuled(user, change.roles, {})),
        ],
      );
    } catch (error) {
      // An administrator was faster; the next check looks at what they left.
      if (!(error instanceof CommitConflict)) throw error;
    }
  }
}
